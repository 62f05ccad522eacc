"""Whether the daemon stays as it is, hour after hour: ``just soak`` (``--minutes 60``).

The whole daemon follows an invented exchange (``invented.py``, a process of its own) whose time runs
``--speed`` times as fast as the clock, 60 by default: after 25 minutes its memory holds the day of bars that
it is to keep, and what is longest in memory (the sums of 50 hours) is complete after 50. What counts by the
clock, or by when it was received, does not go faster: raw trades stay in the journal for ten minutes here,
and bars are not moved to the cold tier. The trades of all symbols together come at ``--rate`` a second of the
clock, Zipf's share each; so a symbol-minute closes for every symbol in every second.

A third process asks five questions a second over MCP and REST, and listens over WebSockets that come and go.
Every 40 s an actor is killed: an aggregator, a book, the writer, the warm store's sink, a connection.

Each minute has a line. In the end, over the last half: how fast memory grew (a robust slope, that of
Theil and Sen, in MB an hour), whether there are more files, tasks and threads than at its beginning, and
whether the ledger balances with no gap left open. 1 where not.
"""

import argparse
import base64
import gc
import itertools
import json
import random
import secrets
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import attrs
import invented
import rounds
import trio

import actors.front.front  # noqa: F401  # its import would count as growth otherwise
from actors import garbage, logs, plan
from actors.daemon import Daemon, open_daemon
from actors.metrics.probe import resident_bytes
from wadm.sections import AccessSettings, ExchangeSettings, HttpSettings, LogSettings, StorageSettings
from wadm.settings import Settings

#: Memory may grow by so much in an hour (MB, and as a part of what there is), and tasks by so many.
MOST_SLOPE, MOST_PART = 12.0, 0.04
MORE_TASKS = 8

#: Seconds between two faults. Binance gives 24 books a minute: a connection takes a while to be whole.
FAULTS = 40.0

#: Questions a second, and listeners at a time.
ASKED, LISTENERS = 5, 4


@attrs.frozen
class Look:
    """What a look at the daemon finds. ``late`` (ms) is the loop's p99 of the last minutes."""

    minute: float
    rss: float
    files: int
    tasks: int
    threads: int
    late: float
    applied: int
    collected: int
    bars: int
    journal: float

    HEAD = "   minute   RSS MB  files  tasks threads  late p99 ms      applied  full gc     bars  journal MB"

    def line(self) -> str:
        """Return the look as a line below ``HEAD``."""
        return (
            f"{self.minute:9.1f}{self.rss:9.1f}{self.files:7}{self.tasks:7}{self.threads:8}{self.late:13.2f}"
            f"{self.applied:13,}{self.collected:9}{self.bars:9,}{self.journal:12.1f}"
        )


def main() -> int:
    """Soak, or be those who ask."""
    parser = argparse.ArgumentParser(prog="soak", description="See whether the daemon stays as it is.")
    parser.add_argument("--minutes", type=float, default=60.0, help="default: 60")
    parser.add_argument("--symbols", type=int, default=20, help="default: 20")
    parser.add_argument("--rate", type=float, default=500.0, help="trades a second (default: 500)")
    parser.add_argument("--speed", type=float, default=60.0, help="of the exchange's time (default: 60)")
    parser.add_argument("--traced", type=int, default=0, metavar="N", help="show where memory grew: N lines")
    parser.add_argument("--ask", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.ask:
        trio.run(_ask_and_listen, arguments.ask, invented.names(arguments.symbols))
        return 0
    print(rounds.machine())
    print(
        f"{arguments.symbols} symbols, {arguments.rate:.0f} trades/s, time x{arguments.speed:.0f}", flush=True
    )
    return trio.run(_soak, arguments)


async def _soak(arguments: argparse.Namespace) -> int:
    logs.configure(LogSettings(level="error"))
    since = arguments.minutes * 60 * arguments.speed + 3_600
    exchange = ["invented.py", *_given(arguments), "--speed", str(arguments.speed), "--since", str(since)]
    with tempfile.TemporaryDirectory(prefix="wadm-soak-", ignore_cleanup_errors=True) as directory:
        async with _child(exchange) as served:
            settings = _settings(*json.loads(await _line(served)), invented.names(arguments.symbols))
            what = plan.live(settings, {})
            async with open_daemon(settings, what, Path(directory)) as daemon, trio.open_nursery() as nursery:
                await nursery.start(daemon.run)
                while daemon.runtime.url is None:  # noqa: ASYNC110  # nothing tells
                    await trio.sleep(0.01)
                garbage.settle()
                asking = ["soak.py", "--ask", daemon.runtime.url, "--symbols", str(arguments.symbols)]
                async with _child(asking):
                    looks = await _watched(daemon, arguments)
                good = await _verdict(daemon, looks)
                daemon.stop()
    return 0 if good else 1


def _given(arguments: argparse.Namespace) -> list[str]:
    return ["--symbols", str(arguments.symbols), "--rate", str(arguments.rate)]


@asynccontextmanager
async def _child(command: Sequence[str]) -> AsyncIterator[trio.Process]:
    """Run a script beside this one; it ends by itself when its standard input does."""
    path = Path(__file__).with_name(command[0])
    process = await trio.lowlevel.open_process(
        [sys.executable, str(path), *command[1:]], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    try:
        yield process
    finally:
        with trio.CancelScope(shield=True):
            assert process.stdin is not None
            await process.stdin.aclose()
            with trio.move_on_after(10):
                await process.wait()
            process.kill()
            await process.wait()
            assert process.stdout is not None
            await process.stdout.aclose()


async def _line(process: trio.Process) -> bytes:
    assert process.stdout is not None
    told = b""
    while not told.endswith(b"\n"):
        told += await process.stdout.receive_some()
    return told


def _settings(websocket: str, rest: str, symbols: Sequence[str]) -> Settings:
    followed = ExchangeSettings(websocket, symbols, streams=("trades", "book"), rest_url=rest)
    return Settings(
        http=HttpSettings(port=0),
        access=AccessSettings(requests_per_minute=1_000_000),
        storage=StorageSettings(raw_retention_minutes=10),
        exchanges={"binance": followed},
    )


# --- looking ---


async def _watched(daemon: Daemon, arguments: argparse.Namespace) -> list[Look]:
    """Look once a minute (more often where it is short), while one fault follows on the other."""
    began, looks = trio.current_time(), list[Look]()
    pause = min(60.0, arguments.minutes * 60 / 20)
    print(Look.HEAD, flush=True)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(_faults, daemon)
        while trio.current_time() < began + arguments.minutes * 60:
            await trio.sleep_until(began + (len(looks) + 1) * pause)
            looks.append(_look(daemon, (trio.current_time() - began) / 60))
            print(looks[-1].line(), flush=True)
            if arguments.traced:
                _trace(arguments.traced, len(looks), int(arguments.minutes * 60 / pause))
        nursery.cancel_scope.cancel()
    return looks


def _look(daemon: Daemon, minute: float) -> Look:
    runtime = daemon.runtime
    late = runtime.meters.probe.status()["p99_ms"]
    return Look(
        minute=minute,
        rss=(resident_bytes() or 0) / 1e6,
        files=len(list(Path("/proc/self/fd").iterdir())),
        tasks=trio.lowlevel.current_statistics().tasks_living,
        threads=threading.active_count(),
        late=float(late) if isinstance(late, float) else 0.0,
        applied=runtime.ledger.total().applied,
        collected=gc.get_stats()[2]["collections"],
        bars=sum(len(memory.closed.starts) for memory in runtime.symbols.values()),
        journal=runtime.journal.size() / 1e6,
    )


def _trace(lines: int, look: int, looks: int) -> None:
    """Show what was allocated in the last half of a soak and is still there."""
    import tracemalloc  # noqa: PLC0415  # it makes everything slower, and is asked for seldom

    if look == looks // 2:
        tracemalloc.start()
    elif look == looks:
        gc.collect()
        for one in tracemalloc.take_snapshot().statistics("lineno")[:lines]:
            print(one)
        tracemalloc.stop()


async def _faults(daemon: Daemon) -> None:
    """Kill an aggregator, a book, the writer, the warm store's sink and a connection, one after the other."""
    dice, runtime = random.Random(8), daemon.runtime
    for number in itertools.count():
        await trio.sleep(FAULTS)
        key, connection = dice.choice(list(runtime.symbols)), dice.choice(list(runtime.connections))
        victims = (
            f"aggregators/aggregator:{key}",
            f"books/book:{key}",
            "storage/writer",
            "storage/warm",
            f"connections/{connection}",
        )
        daemon.root.kill(f"root/{victims[number % len(victims)]}")


# --- the verdict ---


async def _verdict(daemon: Daemon, looks: Sequence[Look]) -> bool:
    """Say how it went; return whether it is as it should be."""
    runtime = daemon.runtime
    later = looks[len(looks) // 2 :]
    slope = _slope([(look.minute / 60, look.rss) for look in later])
    bound = max(MOST_SLOPE, MOST_PART * later[0].rss)
    connections = list(runtime.connections)
    for name in connections:  # no more trades: all that came can be accounted for
        await daemon.crews.stop_connection(name)
    with trio.move_on_after(60):
        while runtime.in_flight() or any(one.state == "open" for one in _gaps(daemon)):  # noqa: ASYNC110
            await trio.sleep(0.1)
    ledger, gaps = runtime.statement(), _gaps(daemon)
    checks = {
        f"memory grew by {slope:+.1f} MB an hour (at most {bound:.0f})": slope <= bound,
        f"files {_span([look.files for look in later])}": _flat([look.files for look in later], MORE_TASKS),
        f"tasks {_span([look.tasks for look in later])}": _flat([look.tasks for look in later], MORE_TASKS),
        f"threads {_span([look.threads for look in later])}": _flat([look.threads for look in later], 4),
        f"ledger: {ledger}": bool(ledger["balanced"]) and not ledger["in_flight"],
        f"gaps left: {len(gaps)}": not gaps,
        f"dead letters: {len(daemon.root.dead_letters)}": not len(daemon.root.dead_letters),
    }
    for told, good in checks.items():
        print(f"{'ok ' if good else 'BAD'} {told}")
    return all(checks.values())


def _gaps(daemon: Daemon) -> list[Any]:
    return [gap for memory in daemon.runtime.symbols.values() for gap in memory.gaps.known]


def _slope(points: Sequence[tuple[float, float]]) -> float:
    """Return the median of the slopes between any two points."""
    found = [(b[1] - a[1]) / (b[0] - a[0]) for i, a in enumerate(points) for b in points[i + 1 :]]
    return statistics.median(found) if found else 0.0


def _flat(numbers: Sequence[int], room: int) -> bool:
    third = max(1, len(numbers) // 3)
    return statistics.median(numbers[-third:]) <= statistics.median(numbers[:third]) + room


def _span(numbers: Sequence[int]) -> str:
    return f"from {min(numbers)} to {max(numbers)}, {numbers[-1]} at the end"


# --- those who ask ---

TOOLS = ("get_volume_profile", "get_order_flow", "get_market_depth")
PATHS = ("/health", "/api/v1/symbols", "/metrics", "/")


async def _ask_and_listen(url: str, symbols: Sequence[str]) -> None:
    """Ask and listen until standard input ends."""
    async with trio.open_nursery() as nursery:
        nursery.start_soon(_ask, url, symbols)
        for place in range(LISTENERS):
            nursery.start_soon(_listen, url, symbols, place)
        await trio.to_thread.run_sync(sys.stdin.read, abandon_on_cancel=True)
        nursery.cancel_scope.cancel()


async def _ask(url: str, symbols: Sequence[str]) -> None:
    dice = random.Random(5)
    while True:
        tool = dice.choice((*TOOLS, None))
        request = urllib.request.Request(url + dice.choice(PATHS)) if tool is None else _call(
            url, tool, {"exchange": "binance", "symbol": dice.choice(symbols)}
        )  # fmt: skip
        await trio.to_thread.run_sync(_fetch, request)
        await trio.sleep(dice.expovariate(ASKED))


def _call(url: str, tool: str, arguments: dict[str, object]) -> urllib.request.Request:
    asked = {"jsonrpc": "2.0", "id": 1, "method": "tools/call"}
    headers = {
        "Content-Type": "application/json",
        "Accept": "application/json, text/event-stream",
        "MCP-Protocol-Version": "2025-11-25",
    }
    body = json.dumps(asked | {"params": {"name": tool, "arguments": arguments}}).encode()
    return urllib.request.Request(f"{url}/mcp", body, headers)


def _fetch(request: urllib.request.Request) -> None:
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            answer.read()
    except OSError as error:
        print(f"{request.full_url}: {error}", file=sys.stderr)
        time.sleep(1)


async def _listen(url: str, symbols: Sequence[str], place: int) -> None:
    """Subscribe again and again, each time for a while; every other one leaves without a word."""
    dice, parts = random.Random(place), urlsplit(url)
    channels = ("trades", "bars", "profile", "order_flow")
    while True:
        with suppress(OSError, trio.BrokenResourceError):
            async with await trio.open_tcp_stream(str(parts.hostname), int(parts.port or 0)) as stream:
                nonce = base64.b64encode(secrets.token_bytes(16)).decode()
                upgrade = (
                    f"GET /ws/v1 HTTP/1.1\r\nHost: {parts.netloc}\r\nConnection: Upgrade\r\n"
                    "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
                    f"Sec-WebSocket-Key: {nonce}\r\n\r\n"
                )
                await stream.send_all(upgrade.encode())
                wanted = {"op": "subscribe", "id": 1, "channel": dice.choice(channels)}
                wanted |= {"exchange": "binance", "symbol": dice.choice(symbols)}
                text = json.dumps(wanted).encode()
                await stream.send_all(b"\x81" + bytes([0x80 | len(text)]) + bytes(4) + text)
                with trio.move_on_after(dice.uniform(2, 40)):
                    while await stream.receive_some():
                        pass
                if dice.random() < 0.5:
                    await stream.send_all(b"\x88\x82" + bytes(4) + b"\x03\xe8")
        await trio.sleep(0.2)


if __name__ == "__main__":
    sys.exit(main())
