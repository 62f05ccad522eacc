"""What the doors cost and give while trades come in (``just front-bench``).

A whole daemon, in a process of its own, is fed by the local exchange: BTCUSDT's recorded trades of Binance
futures, cycled and spaced to ``--rate`` a second, and ETHUSDT's order book as it was recorded. This process
asks it, over one connection that it keeps:

- ``latency``: from a frame's arrival to its trades' bar, with nobody asking, then with 5 tool calls a second;
- ``agents``, ``programs``: tools over MCP and questions over REST, at 5 a second and as fast as one can;
- ``load``: wrk with 8 connections, where it is installed;
- ``soak``: thousands of mixed requests and hundreds of WebSockets; what they leave of memory and files.

Times are those of this process, so that its own share, about 0.2 ms, is in them.
"""

import argparse
import base64
import gzip
import http.client
import itertools
import json
import os
import re
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import rounds
import trio

from actors import garbage, logs, plan
from actors.background import background
from actors.configuration import load_listing
from actors.daemon import open_daemon
from actors.playback.process import local_exchange
from wadm.latency import Latency
from wadm.sections import AccessSettings, HttpSettings, LogSettings
from wadm.settings import Settings

CAPTURES = Path(__file__).parents[1] / "captures" / "hftbacktest"
TRADES = CAPTURES / "usdm_btcusdt_20240808_trades.gz"
BOOK = CAPTURES / "usdm_ethusdt_20240718.gz"

#: More than is asked here.
ENDLESS = 10_000_000

#: Calls a second of an agent that is busy.
PACE = 5

BITCOIN = {"exchange": "binance_usdm", "symbol": "BTCUSDT"}
ETHER = {"exchange": "binance_usdm", "symbol": "ETHUSDT"}
TOOLS: dict[str, dict[str, Any]] = {
    "get_volume_profile": {**BITCOIN, "timeframe": "1h"},
    "get_order_flow": {**BITCOIN, "timeframe": "1h"},
    "get_market_depth": ETHER,
}
PATHS = {
    "volume-profile": "/api/v1/volume-profile?exchange=binance_usdm&symbol=BTCUSDT&timeframe=1h&row_size=10",
    "order-flow": "/api/v1/order-flow?exchange=binance_usdm&symbol=BTCUSDT&timeframe=1h",
    "depth": "/api/v1/depth?exchange=binance_usdm&symbol=ETHUSDT",
}


# --- what is played ---


def feed(rate: int, seconds: int, path: Path) -> None:
    """Write a capture of ``seconds`` with ``rate`` trades a second, beginning now."""
    began = time.time_ns()
    spaced = _cycled([line.partition(" ")[2] for line in _lines(TRADES)], rate, seconds, began)
    book = _moved(_lines(BOOK), seconds, began)
    with path.open("w") as file:
        for at, frame in sorted(itertools.chain(spaced, book), key=lambda one: one[0]):
            file.write(f"{at} {frame}\n")


def _lines(capture: Path) -> list[str]:
    return gzip.decompress(capture.read_bytes()).decode().splitlines()


def _cycled(trades: Sequence[str], rate: int, seconds: int, began: int) -> Iterator[tuple[int, str]]:
    first = int(re.findall(r'"t":(\d+)', trades[0])[0])
    for number in range(rate * seconds):
        at = began + number * 1_000_000_000 // rate
        yield at, _with(trades[number % len(trades)], at, first + number)


def _with(frame: str, at: int, trade: int) -> str:
    timed = re.sub(r'"([ET])":\d+', rf'"\1":{at // 1_000_000}', frame.strip())
    return re.sub(r'"t":\d+', f'"t":{trade}', timed)


def _moved(lines: Sequence[str], seconds: int, began: int) -> Iterator[tuple[int, str]]:
    first = int(lines[0].partition(" ")[0])
    for line in lines:
        at, _, frame = line.partition(" ")
        moved = began + int(at) - first
        if moved < began + seconds * 1_000_000_000:
            yield moved, re.sub(r'"([ET])":\d+', rf'"\1":{moved // 1_000_000}', frame.strip())


# --- the daemon ---


async def serve(capture: Path) -> None:
    """Run the daemon; at every line of standard input, tell what happened since the last."""
    logs.configure(LogSettings(level="error"))
    endless = AccessSettings(requests_per_minute=ENDLESS, key_requests_per_minute=ENDLESS)
    settings = Settings(http=HttpSettings(port=0), access=endless)
    with tempfile.TemporaryDirectory(prefix="wadm-bench-") as directory:
        async with local_exchange(
            [capture], exchange="binance_usdm", speed=1.0, wait_for_books=5.0
        ) as server:
            what = plan.recorded("binance_usdm", server.url, server.rest_url, server.streams, load_listing())
            async with open_daemon(settings, what, Path(directory)) as daemon, background() as tasks:
                await tasks.start(daemon.run)
                while daemon.runtime.url is None:  # noqa: ASYNC110  # nothing else tells of it
                    await trio.sleep(0.05)
                garbage.settle()
                print(json.dumps({"url": daemon.runtime.url}), flush=True)
                before = Latency()
                while await trio.to_thread.run_sync(sys.stdin.readline, abandon_on_cancel=True):
                    now = Latency()
                    for memory in daemon.runtime.symbols.values():
                        now.merge(memory.latency)
                    since = Latency(now.counts - before.counts, now.total - before.total)
                    before = now
                    told = {"trades": since.total, **since.percentiles(), **_left()}
                    print(json.dumps(told | {"balanced": daemon.runtime.statement()["balanced"]}), flush=True)
                daemon.stop()
                await daemon.ended.wait()


def _left() -> dict[str, float]:
    """Return what the process holds: memory (MB) and open files, and the CPU time it took (s)."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    files = sum(1 for _ in Path("/proc/self/fd").iterdir())
    return {"rss": pages * os.sysconf("SC_PAGE_SIZE") / 1e6, "files": files, "cpu": time.process_time()}


class Daemon:
    """The daemon's process, and a connection to it."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self.process = process
        self.url = self._hear()["url"]
        parts = urlsplit(self.url)
        self.host, self.port = str(parts.hostname), int(parts.port or 0)
        self.connection = http.client.HTTPConnection(self.host, self.port, timeout=30)

    def _hear(self) -> Any:
        assert self.process.stdout is not None
        return json.loads(self.process.stdout.readline())

    def since(self) -> Any:
        """Return what happened since the last time."""
        assert self.process.stdin is not None
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        return self._hear()

    def get(self, path: str) -> bytes:
        """Ask over REST."""
        self.connection.request("GET", path)
        answer = self.connection.getresponse()
        body = answer.read()
        if answer.status != 200:
            raise SystemExit(f"front: {path} was answered with {answer.status}: {body[:300]!r}")
        return body

    def call(self, tool: str, arguments: dict[str, Any]) -> bytes:
        """Call a tool, as a client without a session does."""
        asked = {"jsonrpc": "2.0", "id": 1, "method": "tools/call"}
        body = json.dumps(asked | {"params": {"name": tool, "arguments": arguments}})
        headers = {
            "Content-Type": "application/json",
            "Accept": "application/json, text/event-stream",
            "MCP-Protocol-Version": "2025-11-25",
        }
        self.connection.request("POST", "/mcp", body, headers)
        told = self.connection.getresponse().read()
        if b'"structuredContent"' not in told:
            raise SystemExit(f"front: {tool} was answered with {told[:300]!r}")
        return told


@contextmanager
def daemon(rate: int, seconds: int) -> Iterator[Daemon]:
    """Run a daemon that is fed for so long."""
    with tempfile.TemporaryDirectory(prefix="wadm-feed-") as directory:
        capture = Path(directory, "feed")
        feed(rate, seconds, capture)
        with serving(__file__, str(capture)) as one:
            yield one


@contextmanager
def serving(script: str, what: str, **environment: str) -> Iterator[Daemon]:
    """Run a script's daemon in a child, as its ``--serve`` says, until the end of its standard input."""
    command = [sys.executable, script, "--serve", what]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=os.environ | environment
    ) as process:
        assert process.stdin is not None
        try:
            yield Daemon(process)
        finally:
            process.stdin.close()
            process.wait(60)


# --- who asks ---

Ask = Callable[[], object]


def paced(asks: Sequence[Ask], seconds: float, rate: float) -> list[float]:
    """Ask in turn, ``rate`` times a second; return how long each took (ms)."""
    took, began = [], time.perf_counter()
    for number, ask in enumerate(itertools.cycle(asks)):
        due = began + number / rate
        if due > began + seconds:
            return took
        time.sleep(max(0.0, due - time.perf_counter()))
        took.append(_timed(ask))
    return took


def flat_out(asks: Sequence[Ask], seconds: float) -> list[float]:
    """Ask in turn as fast as one client can; return how long each took (ms)."""
    took, ends = [], time.perf_counter() + seconds
    for ask in itertools.cycle(asks):
        if time.perf_counter() > ends:
            break
        took.append(_timed(ask))
    return took


def _timed(ask: Ask) -> float:
    began = time.perf_counter()
    ask()
    return (time.perf_counter() - began) * 1e3


def shares(took: Sequence[float]) -> dict[str, float]:
    """Return p50, p95, p99 and the longest, with how many there were."""
    ranked = sorted(took)
    found = {f"p{share}": ranked[min(len(ranked) - 1, len(ranked) * share // 100)] for share in (50, 95, 99)}
    return {"calls": len(ranked), **found, "max": ranked[-1]}


# --- the parts ---


def measure(running: Daemon, seconds: float) -> dict[str, dict[str, Any]]:
    """Return the figures of all parts that ask."""
    tools = [lambda name=name, given=given: running.call(name, given) for name, given in TOOLS.items()]
    paths = [lambda path=path: running.get(path) for path in PATHS.values()]
    figures: dict[str, dict[str, Any]] = {}
    for ask in (*tools, *paths):
        ask()
    running.since()
    time.sleep(seconds)
    figures["frame to state, nobody asks"] = running.since()
    figures[f"tools, {PACE}/s"] = shares(paced(tools, seconds, PACE))
    figures[f"frame to state, {PACE} tool calls/s"] = running.since()
    figures["tools, flat out"] = shares(flat_out(tools, seconds / 2))
    figures["frame to state, tools flat out"] = running.since()
    figures[f"REST, {PACE}/s"] = shares(paced(paths, seconds, PACE))
    figures[f"frame to state, {PACE} questions/s"] = running.since()
    figures["REST, flat out"] = shares(flat_out(paths, seconds / 2))
    for name, tool in zip(TOOLS, tools, strict=True):
        figures[f"{name}, flat out"] = shares(flat_out([tool], seconds / 6))
    for name, ask in zip(PATHS, paths, strict=True):
        figures[f"{name}, flat out"] = shares(flat_out([ask], seconds / 6))
    return figures


def load(running: Daemon, seconds: float) -> dict[str, dict[str, Any]]:
    """Return what wrk measures of the health and of an answer."""
    wrk = shutil.which("wrk")
    if wrk is None:
        return {}
    figures = {}
    for path in ("/health", PATHS["order-flow"]):
        command = [wrk, "-t1", "-c8", f"-d{seconds:.0f}s", "--latency", f"{running.url}{path}"]
        told = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        found = dict(re.findall(r"(50|99)%\s+(\S+)", told))
        per_second = re.findall(r"Requests/sec:\s+(\S+)", told)[0]
        wrong = re.findall(r"Non-2xx[^\d]*(\d+)", told)
        figures[f"wrk {path.partition('?')[0]}"] = {
            "requests/s": float(per_second), "p50": found["50"], "p99": found["99"],
            "refused": int(wrong[0]) if wrong else 0,
        }  # fmt: skip
    return figures


def soak(running: Daemon, requests: int, sockets: int) -> dict[str, dict[str, Any]]:
    """Ask and connect again and again; return what the process held before, in the middle and after."""
    tools = [lambda name=name, given=given: running.call(name, given) for name, given in TOOLS.items()]
    paths = [lambda path=path: running.get(path) for path in (*PATHS.values(), "/health", "/")]
    asks = [*tools, *paths]
    for ask in itertools.islice(itertools.cycle(asks), 200):
        ask()
    figures = {"soak, before": running.since()}
    for half in ("half", "all"):
        for ask in itertools.islice(itertools.cycle(asks), requests // 2):
            ask()
        for number in range(sockets // 2):
            _connect(running, politely=number % 2 == 0)
        time.sleep(3)
        figures[f"soak, {half}"] = running.since()
    return figures


def _connect(running: Daemon, *, politely: bool) -> None:
    """Subscribe to the trades over a WebSocket, hear something, and leave."""
    subscribe = json.dumps({"op": "subscribe", "id": 1, "channel": "trades", **BITCOIN}).encode()
    with websocket(running) as client:
        client.sendall(b"\x81" + bytes([0x80 | len(subscribe)]) + bytes(4) + subscribe)
        client.recv(4096)
        if politely:
            client.sendall(b"\x88\x82" + bytes(4) + b"\x03\xe8")
            while client.recv(65_536):
                pass


@contextmanager
def websocket(running: Daemon) -> Iterator[socket.socket]:
    """Open a WebSocket to the daemon; what is sent and heard are frames as they are."""
    nonce = base64.b64encode(secrets.token_bytes(16)).decode()
    upgrade = (
        f"GET /ws/v1 HTTP/1.1\r\nHost: {running.host}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {nonce}\r\n\r\n"
    )
    with socket.create_connection((running.host, running.port), 10) as client:
        client.sendall(upgrade.encode())
        if b" 101 " not in client.recv(4096):
            raise SystemExit("front: no WebSocket")
        yield client


# --- what is printed ---


def main() -> int:
    """Measure, or be the daemon."""
    arguments = _parser().parse_args()
    if arguments.serve:
        trio.run(serve, arguments.serve)
        return 0
    machine = rounds.machine()
    if not arguments.json:
        print(machine)
    figures: dict[str, dict[str, Any]] = {}
    length = 30 + 8 * arguments.seconds * (1 + ("soak" in arguments.parts))
    with daemon(arguments.rate, int(length)) as running:
        time.sleep(5)
        if "asking" in arguments.parts:
            figures |= measure(running, arguments.seconds)
        if "load" in arguments.parts:
            figures |= load(running, arguments.seconds / 3)
        if "soak" in arguments.parts:
            figures |= soak(running, arguments.requests, arguments.sockets)
    if arguments.json:
        print(json.dumps({"machine": machine, "rate": arguments.rate, "figures": figures}))
    else:
        _table(figures)
    return 0


def _table(figures: dict[str, dict[str, Any]]) -> None:
    for name, row in figures.items():
        shown = (
            f"{key} {value:,.2f}" if isinstance(value, float) else f"{key} {value}"
            for key, value in row.items()
        )
        print(f"  {name:38}{'   '.join(shown)}")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="front-bench", description="Measure the doors while trades come in."
    )
    parser.add_argument(
        "parts", nargs="*", default=["asking", "load", "soak"], help="asking, load, soak (default: all)"
    )
    parser.add_argument(
        "--rate", type=rounds.count, default=5_000, metavar="N", help="trades a second (default: 5000)"
    )
    parser.add_argument("--seconds", type=float, default=15, help="of each measurement (default: 15)")
    parser.add_argument("--requests", type=int, default=5_000, help="of the soak (default: 5000)")
    parser.add_argument("--sockets", type=int, default=500, help="of the soak (default: 500)")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--serve", type=Path, help=argparse.SUPPRESS)
    return parser


if __name__ == "__main__":
    sys.exit(main())
