"""Say back what the Autobahn test suite says, over this project's WebSocket, and count how it judges.

    python tests/conformance/websocket_client.py PYTHON2 PLACE

``PLACE`` is a directory with the suite in ``suite``; reports are written beside it. Exits with 1 if a case
fails. *Non-strict* is behaviour that RFC 6455 allows where the suite would rather see another: where a
message and a breach of the protocol come in one read, the connection may be closed before the message is said
back. *Informational* are cases in which nothing is wrong.
"""

import json
import os
import socket
import ssl
import subprocess
import sys
from collections import Counter
from pathlib import Path

import trio
import trio_websocket
import trustme

sys.path.insert(0, str(Path(__file__).parents[2]))

from actors.connections.websocket import ConnectFailed, ConnectionLost, WebSocket, open_websocket

AGENT = "wadm"
LARGEST = 16 * 2**20  # the largest message that the suite sends
GOOD = {"OK", "NON-STRICT", "INFORMATIONAL"}


class Binary(bytes):
    """A message that was not text: what ``runs`` gives does not tell, but is the very object it was given."""


_get_message = trio_websocket.WebSocketConnection.get_message


async def _get_marked_message(self: trio_websocket.WebSocketConnection) -> str | bytes:
    message = await _get_message(self)
    return Binary(message) if isinstance(message, bytes) else message


async def echo(websocket: WebSocket) -> list[bytes]:
    """Say everything back until the other side closes; return what it said."""
    heard = []
    try:
        async for run in websocket.runs():
            for message in run.frames:
                heard.append(message)
                if isinstance(message, Binary):
                    await websocket._connection.send_message(bytes(message))
                else:
                    await websocket.send(message.decode())
    except (ConnectionLost, trio_websocket.ConnectionClosed):
        pass
    return heard


async def visit(url: str, tls: ssl.SSLContext | None) -> list[bytes]:
    async with open_websocket(url, ssl_context=tls, max_message_size=LARGEST, close_timeout=5) as websocket:
        return await echo(websocket)


async def run_cases(url: str, tls: ssl.SSLContext | None) -> None:
    while True:
        try:
            count = int((await visit(f"{url}/getCaseCount", tls))[0])
            break
        except ConnectFailed:  # the server is still starting
            await trio.sleep(0.2)
    for case in range(1, count + 1):
        with trio.fail_after(100):
            await visit(f"{url}/runCase?case={case}&agent={AGENT}", tls)
    await visit(f"{url}/updateReports?agent={AGENT}", tls)


def judge(place: Path, python2: str, how: str) -> bool:
    """Run all cases, ``plain`` or over ``TLS``; print the outcome, and return whether none failed."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    reports, spec = place / f"reports-{how}", place / f"{how}.json"
    scheme, tls = ("wss", _certified(place)) if how == "TLS" else ("ws", None)
    url = f"{scheme}://127.0.0.1:{port}"
    settings = {"url": url, "outdir": str(reports), "cases": ["*"], "exclude-cases": ["12.*", "13.*"]}
    if tls is not None:
        settings |= {"key": str(place / "key.pem"), "cert": str(place / "certificate.pem")}
    spec.write_text(json.dumps(settings | {"exclude-agent-cases": {}}))
    command = [
        python2,
        "-W",
        "ignore",
        str(place / "suite/bin/wstest"),
        "-m",
        "fuzzingserver",
        "-s",
        str(spec),
    ]
    environment = os.environ | {"PYTHONPATH": str(place / "suite")}
    with (place / f"{how}.log").open("w") as log:
        server = subprocess.Popen(command, stdout=log, stderr=log, env=environment)
    try:
        trio.run(run_cases, url, tls)
    finally:
        server.terminate()
        server.wait()
    return _sum_up(json.loads((reports / "index.json").read_text())[AGENT], how)


def _certified(place: Path) -> ssl.SSLContext:
    authority = trustme.CA()
    issued = authority.issue_cert("127.0.0.1")
    issued.private_key_pem.write_to_path(str(place / "key.pem"))
    issued.cert_chain_pems[0].write_to_path(str(place / "certificate.pem"))
    context = ssl.create_default_context()
    authority.configure_trust(context)
    return context


def _sum_up(cases: dict[str, dict[str, str]], how: str) -> bool:
    outcomes = Counter(case["behavior"] for case in cases.values())
    told = ", ".join(f"{number} {name}" for name, number in outcomes.most_common())
    print(f"{how}: {len(cases)} cases: {told}")  # noqa: T201 - what it is run for
    others = [
        f"  {number}: {case['behavior']}, its closing {case['behaviorClose']}"
        for number, case in cases.items()
        if not {case["behavior"], case["behaviorClose"]} <= {"OK", "INFORMATIONAL"}
    ]
    print(*sorted(others), sep="\n")  # noqa: T201
    return all({case["behavior"], case["behaviorClose"]} <= GOOD for case in cases.values())


if __name__ == "__main__":
    trio_websocket.WebSocketConnection.get_message = _get_marked_message
    passed = [judge(Path(sys.argv[2]).resolve(), sys.argv[1], how) for how in ("plain", "TLS")]
    sys.exit(not all(passed))
