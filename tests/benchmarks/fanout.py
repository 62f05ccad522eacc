"""How long news take to many subscribers, and whether one that does not read slows the others.

Made-up trades, 5,000 a second, one a frame, are played into a whole daemon; fifty subscribers, in a process
of their own, listen to them over WebSockets. Once all of them read; once one of them does not. A delay is a
message's, from when it was told (``at``) to when a subscriber has it; the clock is the same machine's.
"""

import argparse
import gzip
import json
import re
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import rounds
import trio

from actors import logs
from actors.cli.playing import playing
from wadm.sections import LogSettings

UPGRADE = (
    b"GET /ws/v1 HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)
#: When the made-up trades begin (ns).
START = 1_723_161_300_000_000_000
_AT = re.compile(rb'"at":"([^"]*)"')
_SEQ = re.compile(rb'"seq":([0-9]+)')


def main() -> int:
    """Measure, or be the daemon or the subscribers of one round."""
    arguments = _parser().parse_args()
    if arguments.listen:
        print("!", end="", flush=True)
        url = sys.stdin.readline().strip()
        print(json.dumps(trio.run(_listen, url, arguments.subscribers, arguments.stalled)))
        return 0
    if arguments.round:
        print(json.dumps(trio.run(_round, arguments)))
        return 0
    print(rounds.machine())
    results: dict[int, list[dict[str, Any]]] = {0: [], 1: []}
    for _ in range(arguments.rounds):
        for stalled, played in results.items():
            given = [
                *("--subscribers", arguments.subscribers, "--stalled", stalled),
                *("--pace", arguments.pace, "--seconds", arguments.seconds),
            ]
            played.append(rounds.in_child(__file__, *map(str, given)))
    _report(results, arguments.subscribers)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="fanout", description="Measure how news reach many subscribers.")
    parser.add_argument(
        "--rounds", type=rounds.count, default=3, metavar="N", help="of each kind (default: 3)"
    )
    parser.add_argument("--subscribers", type=rounds.count, default=50, metavar="N", help="default: 50")
    parser.add_argument(
        "--pace", type=int, default=5_000, metavar="N", help="trades a second (default: 5000)"
    )
    parser.add_argument("--seconds", type=rounds.count, default=10, metavar="N", help="a round (default: 10)")
    parser.add_argument("--stalled", type=int, default=0, help=argparse.SUPPRESS)
    parser.add_argument("--round", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--listen", action="store_true", help=argparse.SUPPRESS)
    return parser


# --- the daemon ---


async def _round(arguments: argparse.Namespace) -> dict[str, Any]:
    logs.configure(LogSettings(level="error"))
    with tempfile.TemporaryDirectory() as directory, trio.CancelScope() as starting:
        capture = Path(directory) / "made-up.gz"
        _make(capture, arguments.pace, arguments.seconds)
        command = [
            sys.executable, __file__, "--listen",
            "--subscribers", str(arguments.subscribers), "--stalled", str(arguments.stalled),
        ]  # fmt: skip
        listeners = await trio.lowlevel.open_process(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert listeners.stdin is not None
        assert listeners.stdout is not None
        await listeners.stdout.receive_some(1)  # they have imported what they need
        async with playing([capture], "binance", "1", starting) as played:
            runtime = played.runtime
            while runtime.url is None:  # noqa: ASYNC110  # nothing tells
                await trio.sleep(0.01)
            await listeners.stdin.send_all(f"{runtime.url}\n".encode())
            began, cpu = time.perf_counter(), time.process_time()
            whole = await played.complete()
            seconds, cpu = time.perf_counter() - began, time.process_time() - cpu
            trades = runtime.ledger.total().applied
        # The daemon has stopped: the subscribers say what they have seen.
        told = b""
        async for part in listeners.stdout:
            told += part
        await listeners.wait()
        heard: dict[str, Any] = json.loads(told)
        return {**heard, "trades": trades, "seconds": seconds, "cpu": cpu / seconds, "whole": whole}
    raise SystemExit("fanout: interrupted before it began")


def _make(capture: Path, pace: int, seconds: int) -> None:
    """Write a recording of trades at an even pace, after two seconds in which to subscribe."""
    with gzip.open(capture, "wt") as file:
        for number in range(pace * seconds):
            at = START + (2 * 10**9 if number else 0) + number * 10**9 // pace
            price = f"{61_000 + number % 997 / 100:.2f}000000"
            trade = (
                f'{{"e":"trade","E":{at // 10**6},"s":"BTCUSDT","t":{1_000_000 + number},"p":"{price}",'
                f'"q":"0.01000000","T":{at // 10**6},"m":{"true" if number % 3 else "false"},"M":true}}'
            )
            file.write(f'{at} {{"stream":"btcusdt@trade","data":{trade}}}\n')


# --- the subscribers ---


async def _listen(url: str, count: int, stalled: int) -> dict[str, Any]:
    """Subscribe as many times as wanted; return what the ones that read have seen."""
    delays: list[float] = []
    missed: list[int] = []
    async with trio.open_nursery() as stalling:
        for _ in range(stalled):
            stalling.start_soon(_subscriber, url, True, delays, missed)
        async with trio.open_nursery() as reading:
            for _ in range(count - stalled):
                reading.start_soon(_subscriber, url, False, delays, missed)
        stalling.cancel_scope.cancel()
    delays.sort()
    return {
        "messages": len(delays),
        "missed": sum(missed),
        "p50": 1e3 * statistics.median(delays),
        "p99": 1e3 * delays[int(len(delays) * 0.99)],
        "max": 1e3 * delays[-1],
    }


async def _subscriber(url: str, stalls: bool, delays: list[float], missed: list[int]) -> None:
    host, port = url.removeprefix("http://").split(":")
    async with await trio.open_tcp_stream(host, int(port)) as stream:
        if stalls:
            stream.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        await stream.send_all(UPGRADE)
        await stream.receive_some(4096)
        await stream.send_all(_frame("trades", "BTCUSDT"))
        if stalls:
            await trio.sleep_forever()
        try:
            await _read(stream, delays, missed)
        except trio.BrokenResourceError:
            return


async def _read(stream: trio.SocketStream, delays: list[float], missed: list[int]) -> None:
    waiting, last = b"", 0
    while part := await stream.receive_some(1 << 20):
        now = time.time()
        waiting += part
        while (found := _message(waiting)) is not None:
            message, waiting = found
            if b'"type":"change"' not in message[:40]:
                continue
            at = _AT.search(message, 0, 400)
            seq = _SEQ.search(message, 0, 400)
            if at is None or seq is None:
                continue
            delays.append(now - datetime.fromisoformat(at[1].decode()).replace(tzinfo=UTC).timestamp())
            number = int(seq[1])
            missed.append(number - last - 1 if last else 0)
            last = number


def _message(data: bytes) -> tuple[bytes, bytes] | None:
    """Return the first whole frame of some bytes, and what follows it."""
    if len(data) < 4:
        return None
    length, start = data[1] & 0x7F, 2
    if length >= 126:
        size = 2 if length == 126 else 8
        length, start = int.from_bytes(data[2 : 2 + size], "big"), 2 + size
    if len(data) < start + length:
        return None
    return data[start : start + length], data[start + length :]


def _frame(channel: str, symbol: str) -> bytes:
    wanted = {"op": "subscribe", "channel": channel, "exchange": "binance", "symbol": symbol, "limit": 1}
    text = json.dumps(wanted).encode()
    return b"\x81" + bytes([0x80 | len(text)]) + bytes(4) + text


# --- the report ---


def _report(results: dict[int, Sequence[dict[str, Any]]], subscribers: int) -> None:
    print(f"\n{subscribers} subscribers, {results[0][0]['trades']} trades")
    print(rounds.heading())
    for stalled, played in results.items():
        kind = "one does not read" if stalled else "all read"
        for name in ("p50", "p99"):
            print(rounds.line(f"{kind}: {name} ms", [one[name] for one in played], 2))
        print(rounds.line("    messages read", [one["messages"] for one in played]))
        print(rounds.line("    missed by those who read", [one["missed"] for one in played]))
        print(rounds.line("    trades/s", [one["trades"] / one["seconds"] for one in played]))
        print(rounds.line("    daemon's CPU, cores", [one["cpu"] for one in played], 2))
    p99 = {kind: statistics.median(one["p99"] for one in played) for kind, played in results.items()}
    print(f"\np99 with one that does not read / without: {p99[1] / p99[0]:.2f}")


if __name__ == "__main__":
    sys.exit(main())
