"""What storage takes and gives, against real servers (``just storage-bench``).

- ``commits``: the journal at a steady rate, through the writer actor and onto real files, while its segments
  are trimmed and its checkpoints made: how long each commit took.
- ``insert``: a backlog carried into the store as fast as it goes, then the same while trades go on coming.
- ``outage``: trades go on coming while the store's server is down; how long the sink takes to catch up once
  it is back, how far it was behind, how late the loop was, and what the process took of memory meanwhile.

Each part is a process of its own. Trades are made up: five symbols, a batch of each every 10 ms.
"""

import argparse
import contextlib
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import attrs
import trio

sys.path.insert(0, str(Path(__file__).parents[1]))

from server_mongod import mongod_in
from server_process import Server
from server_redis import redis_server_of

from actors.messages import TradeBatch
from actors.storage.checkpoints import Checkpoints
from actors.storage.journal import SEGMENT, Journal, wall_clock
from actors.storage.marks import Marks
from actors.storage.opening import open_targets
from actors.storage.sink import Sink
from actors.storage.writer import Writer
from supervision import Context, Mailbox
from wadm.market import SECOND, IdKind, Trades
from wadm.sections import StorageSettings

SYMBOLS = ("BTCUSDT", "ETHUSDT", "SOLUSDT", "XRPUSDT", "DOGEUSDT")

#: Seconds between two batches of a symbol.
BEAT = 0.01


# --- what is measured with ---


@attrs.define(eq=False)
class Timed(Journal):
    """A journal that notes how long each commit took (s), from when it was wanted."""

    took: list[float] = attrs.field(factory=list)

    def append(self, entries: Sequence[Any]) -> int:
        """Append, and note how long that took."""
        began = time.perf_counter()
        last = Journal.append(self, entries)
        self.took.append(time.perf_counter() - began)
        return last


@attrs.define(eq=False)
class Feed:
    """Makes up trades, ``rate`` a second; ``sent`` counts them."""

    mailbox: Mailbox
    rate: int
    sent: int = 0
    _numbers: dict[str, int] = attrs.field(factory=dict)

    async def run(self) -> None:
        """Send batches at their time, and make up for a late one."""
        began, beats = trio.current_time(), 0
        per_batch = max(1, round(self.rate * BEAT / len(SYMBOLS)))
        while True:
            beats += 1
            await trio.sleep_until(began + beats * BEAT)
            for symbol in SYMBOLS:
                await self.mailbox.put(self.batch(symbol, per_batch))

    def batch(self, symbol: str, count: int) -> TradeBatch:
        """Return the next batch of a symbol."""
        number = self._numbers[symbol] = self._numbers.get(symbol, 0) + 1
        now, first = wall_clock(), number * count
        prices = [61_000_00 + (first + index) * 7 % 5_000 for index in range(count)]
        quantities = [(1 + index * 13 % 900) * (-1 if index % 3 else 1) for index in range(count)]
        trades = Trades(
            "binance", symbol, IdKind.TRADE, 2, 5,
            list(range(first, first + count)), [now + index for index in range(count)],
            prices, quantities, [1] * count,
        )  # fmt: skip
        self.sent += count
        return TradeBatch(trades, 1_000_001, number, now, 0.0, now)


@attrs.define(eq=False)
class Loop:
    """How late (s) the loop comes to a task that sleeps 5 ms."""

    late: list[float] = attrs.field(factory=list)

    async def run(self) -> None:
        """Sleep, and note by how much too long."""
        while True:
            due = time.perf_counter() + 0.005
            await trio.sleep(0.005)
            self.late.append(max(0.0, time.perf_counter() - due))

    def taken(self) -> dict[str, float]:
        """Return what was noted since the last time, in ms."""
        noted, self.late = self.late, []
        return percentiles(noted)


def percentiles(seconds: Sequence[float]) -> dict[str, float]:
    """Return p50, p99 and the longest, in ms."""
    if len(seconds) < 2:
        return {}
    cut = statistics.quantiles(seconds, n=100)
    return {
        "p50": round(cut[49] * 1e3, 2),
        "p99": round(cut[98] * 1e3, 2),
        "max": round(max(seconds) * 1e3, 2),
    }


def resident() -> int:
    """Return what this process has in memory now, in MB."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() >> 20


@attrs.define(eq=False)
class Rig:
    """Writer, journal and sink, as in a daemon."""

    journal: Timed
    marks: Marks
    mailbox: Mailbox
    writer: Writer
    sink: Sink | None

    @classmethod
    @contextlib.asynccontextmanager
    async def running(
        cls,
        directory: Path,
        storage: StorageSettings | None,
        tier: str = "warm",
        clock: Callable[[], int] = wall_clock,
    ) -> "AsyncIterator[tuple[Rig, trio.Nursery]]":
        """Run them for the length of the block."""
        journal = Timed(directory, clock=clock)
        marks, mailbox = Marks(journal.last_seq()), Mailbox("writer", 1_024)
        sink = None
        if storage is not None:
            store, others = open_targets(storage, directory, journal.identity())
            sink = Sink(journal, {"warm": store, **others}[tier], marks)
        rig = cls(journal, marks, mailbox, Writer(journal, marks), sink)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(rig.writer.run, Context("writer", 1, mailbox))
            nursery.start_soon(Checkpoints(journal).run, Context("checkpoints", 1))
            yield rig, nursery
            nursery.cancel_scope.cancel()
        if sink is not None:
            sink.target.close()
        journal.close()


# --- the parts ---


async def commits(directory: Path, backlog: int, rate: int, seconds: float) -> dict[str, Any]:
    """Measure commits while a clock that runs sixty times as fast makes segments to be trimmed."""
    fill(directory, backlog)
    began = wall_clock()

    def clock() -> int:
        return began + 60 * (wall_clock() - began)

    trims: list[tuple[float, float]] = []

    async def trim(journal: Journal) -> None:
        while True:
            await trio.sleep(1.0)
            at = time.perf_counter()
            gone = await trio.to_thread.run_sync(journal.trim, clock() - SEGMENT, 1 << 62)
            if gone:
                trims.append((at, time.perf_counter()))

    async with Rig.running(directory, None, clock=clock) as (rig, nursery):
        nursery.start_soon(trim, rig.journal)
        feed, loop = Feed(rig.mailbox, rate), Loop()
        nursery.start_soon(feed.run)
        nursery.start_soon(loop.run)
        await trio.sleep(seconds)
        took = list(rig.journal.took)
        size, log = rig.journal.taken(), rig.journal.size()
    return {
        "trades_per_second": round(feed.sent / seconds),
        "commits": len(took),
        "commit_ms": percentiles(took),
        "commits_over_20_ms": sum(one > 0.020 for one in took),
        "trimming_seconds": round(sum(end - start for start, end in trims), 1),
        "loop_late_ms": loop.taken(),
        "journal_mb": size >> 20,
        "disk_mb": log >> 20,
    }


async def insert(
    directory: Path, storage: StorageSettings, tier: str, *, backlog: int, rate: int, seconds: float
) -> dict[str, Any]:
    """Measure how fast a backlog goes into the store, then whether it keeps up with what comes."""
    fill(directory, backlog)
    async with Rig.running(directory, storage, tier) as (rig, nursery):
        assert rig.sink is not None
        context, loop = Context("sink", 1), Loop()
        nursery.start_soon(loop.run)
        began = time.perf_counter()
        nursery.start_soon(rig.sink.run, context)
        await rig.sink.wait_caught_up()
        took = time.perf_counter() - began
        late, feed, lags = loop.taken(), Feed(rig.mailbox, rate), []
        nursery.start_soon(feed.run)
        for _ in range(round(seconds / 0.5)):
            await trio.sleep(0.5)
            oldest = rig.sink.progress.oldest
            lags.append(0.0 if oldest is None else (wall_clock() - oldest) / SECOND)
        sent = feed.sent
    return {
        "engine": rig.sink.target.name,
        "backlog_trades": backlog,
        "backlog_trades_per_second": round(backlog / took),
        "loop_late_ms_meanwhile": late,
        "live_trades_per_second": round(sent / seconds),
        "live_lag_seconds_max": round(max(lags), 1),
        "loop_late_ms_live": loop.taken(),
        "rss_mb": resident(),
    }


def fill(directory: Path, trades: int) -> None:
    """Journal a backlog."""
    journal, feed = Journal(directory), Feed(Mailbox("", 1), 0)
    while feed.sent < trades:
        journal.append([feed.batch(symbol, 20) for symbol in SYMBOLS for _ in range(20)])
    journal.close()


async def outage(
    directory: Path,
    storage: StorageSettings,
    tier: str,
    server: Server,
    *,
    rate: int,
    before: float,
    seconds: float,
    how: str,
) -> dict[str, Any]:
    """Measure an outage of so many seconds, and how long the sink takes to catch up."""
    curve: list[tuple[float, int, int]] = []
    phases: dict[str, Any] = {}
    async with Rig.running(directory, storage, tier) as (rig, nursery):
        sink = rig.sink
        assert sink is not None
        loop, feed, began = Loop(), Feed(rig.mailbox, rate), time.perf_counter()
        for task in (loop.run, feed.run):
            nursery.start_soon(task)
        nursery.start_soon(sink.run, Context("sink", 1))

        async def watch() -> None:
            while True:
                curve.append((round(time.perf_counter() - began, 1), sink.progress.lag, resident()))
                await trio.sleep(1.0)

        nursery.start_soon(watch)
        await trio.sleep(before)
        start, phases["before"] = resident(), loop.taken()
        await trio.to_thread.run_sync(server.kill if how == "kill" else lambda: server.signal(19))
        await trio.sleep(seconds)
        behind, phases["down"] = sink.progress.lag, loop.taken()
        missed = rate * seconds
        await trio.to_thread.run_sync(server.start if how == "kill" else lambda: server.signal(18))
        up = time.perf_counter()
        await sink.wait_for(lambda progress: progress.lag > 0 or progress.caught_up)
        second = len(SYMBOLS) / BEAT  # entries that come in one
        await sink.wait_for(lambda progress: progress.lag <= second)
        recovered = time.perf_counter() - up
        phases["catching_up"] = loop.taken()
        await trio.sleep(5)
        end, sent = resident(), feed.sent
        breaker, failures = sink.breaker.statistics().opened, sink.progress.failures
    return {
        "engine": sink.target.name,
        "trades_per_second": rate,
        "outage_seconds": seconds,
        "how": how,
        "entries_behind": behind,
        "trades_behind": round(missed),
        "recovery_seconds": round(recovered, 1),
        "trades_per_second_meanwhile": round((missed + rate * recovered) / recovered),
        "failures": failures,
        "breaker_opened": breaker,
        "loop_late_ms": phases,
        "commit_ms": percentiles(rig.journal.took),
        "rss_mb": {"start": start, "peak": max(one[2] for one in curve), "end": end},
        "sent": sent,
        "lag_curve": curve[:: max(1, len(curve) // 30)],
    }


# --- servers and processes ---


@contextlib.contextmanager
def serving(engine: str, directory: Path) -> Iterator[tuple[Server, StorageSettings, str]]:
    """Run an engine's server; yield it, the settings that name it, and the tier it is."""
    if engine == "mongodb":
        server = mongod_in(directory)
        with server.running():
            yield server, StorageSettings(mongodb_url=f"{server.url}/wadm"), "warm"
        return
    directory.mkdir(parents=True, exist_ok=True)
    cache = redis_server_of(directory)
    with cache.running():
        yield cache, StorageSettings(redis_url=cache.url), "hot"


def part(arguments: argparse.Namespace) -> dict[str, Any]:
    """Run one part in this process."""
    with tempfile.TemporaryDirectory(dir=arguments.directory) as temporary:
        root = Path(temporary)
        journal = root / "data"
        journal.mkdir()
        if arguments.part == "commits":
            return trio.run(
                commits, journal, arguments.backlog, arguments.rate or 10_000, arguments.seconds or 60.0
            )
        with serving(arguments.engine, root / "server") as (server, storage, tier):
            rate, seconds = arguments.rate, arguments.seconds
            if arguments.part == "insert":
                live = {"rate": rate or 10_000, "seconds": seconds or 30.0}
                return trio.run(partial(insert, journal, storage, tier, backlog=arguments.backlog, **live))
            down = {"rate": rate or 5_000, "before": arguments.before, "seconds": seconds or 600.0}
            return trio.run(partial(outage, journal, storage, tier, server, how=arguments.how, **down))


def table(found: dict[str, Any]) -> None:
    """Print the figures of a part, one a line."""
    for name, value in found.items():
        if name == "lag_curve":
            print(f"  {'seconds':>8} {'entries behind':>15} {'MB':>5}")
            for seconds, lag, memory in value:
                print(f"  {seconds:>8} {lag:>15,} {memory:>5}")
        else:
            print(f"  {name:<30} {value:,}" if isinstance(value, int) else f"  {name:<30} {value}")


def main() -> None:
    """Run the parts, each in a process of its own, and print them as a table and as JSON."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", choices=("commits", "insert", "outage"), help="this part alone")
    parser.add_argument("--engine", choices=("mongodb", "redis"), default="mongodb")
    parser.add_argument("--rate", type=int, help="trades a second (commits, insert: 10000; outage: 5000)")
    parser.add_argument("--seconds", type=float, help="commits: 60; insert: 30 live; outage: 600 down")
    parser.add_argument(
        "--backlog",
        type=int,
        default=300_000,
        help="trades that wait (insert), or are to be trimmed (commits)",
    )
    parser.add_argument("--before", type=float, default=10.0, help="seconds before the outage")
    parser.add_argument("--how", choices=("kill", "hang"), default="kill", help="what becomes of the server")
    parser.add_argument("--directory", help="where the files are made (default: the system's)")
    parser.add_argument("--part", choices=("commits", "insert", "outage"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.part:
        print(json.dumps(part(arguments)))
        return
    results = {}
    for name in [arguments.only] if arguments.only else ["commits", "insert", "outage"]:
        command = [sys.executable, __file__, *sys.argv[1:], "--part", name]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, env=os.environ)
        results[name] = json.loads(done.stdout.splitlines()[-1])
        print(f"\n{name}")
        table(results[name])
    print()
    print(json.dumps(results))


if __name__ == "__main__":
    main()
