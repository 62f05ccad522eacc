"""What many symbols and much state cost: ``just scale``, all of it or ``memory``, ``growth``, ``startup``.

- ``memory``: 1,000 symbols with the activity of ``invented.py`` (Zipf's, 5 million trades a day at the
  busiest, 5,000 at the last), 24 hours of one-minute bars of each in the memory that the daemon keeps them
  in. Trades of an hour are made and folded for every symbol, its prices walking all the while; the other
  hours are that one, moved on in time. Resident memory and Python's own count, of a process of its own.
- ``growth``: CPU time per trade of the whole daemon (codec, journal, fold, warm store; frames are handed to
  it in memory, 64 at a time) for 1 to 1,000 symbols that share the same trades, and for 1 to 24 hours of
  bars behind one symbol. Trades come at ``RATE`` a second of the exchange's time, for a minute: every
  symbol's bar is closed once, and its records are made.
- ``startup``: a daemon of 500 symbols is fed an hour of 3.6 million trades, is killed, and started again: the
  time until every aggregator is up and has answered.
"""

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
import time
import tracemalloc
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from itertools import accumulate, islice, pairwise
from pathlib import Path
from typing import Any

import attrs
import invented
import rounds
import trio

from actors import daemon as daemon_module
from actors import garbage, logs, plan
from actors.connections.frames import Frames
from actors.daemon import Daemon, open_daemon
from actors.memory import SymbolMemory
from actors.messages import BarsQuery
from actors.metrics.probe import resident_bytes
from supervision import ask
from wadm.bar import Bar
from wadm.market import DAY, HOUR, MINUTE, SECOND, IdKind, Instrument
from wadm.sections import ExchangeSettings, HttpSettings, LogSettings
from wadm.series import BarSeries, ClosedBars
from wadm.settings import Settings

#: A midnight at which invented time begins, µs.
MIDNIGHT = 20_500 * DAY

#: What the issue of many symbols is held to.
MOST_MEMORY, MOST_SECONDS, MOST_GROWTH = 2_000, 10.0, 15

#: What a bar waits for late trades (µs): the default.
GRACE = 2 * SECOND

#: Frames that one read of a socket brings, under load.
READ = 64

#: Trades a second, of the exchange's time, of all symbols.
RATE = 10_000

#: Trades of an hour before a start, and of how many symbols; a taker's order fills so many on average.
HOURLY, FOLLOWED, FILLS = 3_600_000, 500, 3.0


def main() -> int:
    """Measure, or be one measurement in a process of its own."""
    parser = argparse.ArgumentParser(prog="scale", description="Measure what many symbols and hours cost.")
    parser.add_argument("parts", nargs="*", metavar="PART", help="memory, growth, startup (default: all)")
    parser.add_argument("--symbols", type=int, help="instead of 1,000 (memory) or 500 (startup)")
    parser.add_argument("--trades", type=int, help="instead of 600,000 (growth) or 3,600,000 (startup)")
    parser.add_argument("--rounds", type=rounds.count, default=3, help="of growth (default: 3)")
    parser.add_argument("--data-dir", type=Path, help="where startup's journal is kept, and found again")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        name, given = json.loads(arguments.child)
        print(json.dumps(CHILDREN[name](**given)), flush=True)
        return 0
    print(rounds.machine())
    parts = {"memory": memory, "growth": growth, "startup": startup}
    chosen = arguments.parts or list(parts)
    if unknown := set(chosen) - set(parts):
        parser.error(f"{', '.join(unknown)} is no part; expected {', '.join(parts)}")
    good = [parts[name](arguments) for name in chosen]
    return 0 if all(good) else 1


def _in_child(name: str, **given: object) -> Any:
    command = [sys.executable, __file__, "--child", json.dumps([name, given])]
    return json.loads(subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout)


# --- memory ---


def memory(arguments: argparse.Namespace) -> bool:
    """Say what 24 hours of many symbols weigh."""
    count = arguments.symbols or 1_000
    found = _in_child("hold", count=count)
    print(f"\n{count} symbols, {found['bars']:,} one-minute bars, "
          f"{found['trades']:,} trades a day by Zipf")  # fmt: skip
    print(f"  resident {found['resident']:,.0f} MB, of that the interpreter {found['before']:,.0f} MB")
    print(f"  of the bars themselves {found['packed']:,.0f} MB, {found['per_bar']:,.0f} bytes a bar in all")
    print(f"  {'symbols by rank':18}{'trades/day':>12}{'bars':>8}{'MB':>9}{'MB packed':>11}")
    for row in found["ranks"]:
        first, last, trades, held, packed, size = row
        print(f"  {f'{first}-{last}':18}{trades:12,.0f}{held:8,}{size:9.1f}{packed:11.1f}")
    print(f"  per 100 symbols {100 * (found['resident'] - found['before']) / count:,.0f} MB on average")
    good: bool = found["resident"] <= MOST_MEMORY
    print(f"{'ok ' if good else 'BAD'} {found['resident']:,.0f} MB (at most {MOST_MEMORY:,})")
    return good


def _hold(count: int) -> dict[str, Any]:
    """Hold the bars, and say what they weigh."""
    before, day = resident_bytes() or 0, invented.BUSIEST * sum(1 / rank for rank in range(1, count + 1))
    symbols = zip(invented.names(count), invented.shares(count), strict=True)
    ranks = sorted({0, 1, *range(100, count, 100), count})
    held: list[SymbolMemory] = []
    shown: list[list[float]] = []
    for first, end in pairwise(ranks):
        tracemalloc.start()
        row = [_day(name, share, day) for name, share in islice(symbols, end - first)]
        size = tracemalloc.get_traced_memory()[0] / 1e6
        tracemalloc.stop()
        held += row
        share = invented.shares(count)[end - 1]
        shown.append([first + 1, end, share * day, _kept(row), _packed(row), size])
    kept, resident = _kept(held), resident_bytes() or 0
    return {
        "bars": kept, "trades": int(day), "before": before / 1e6, "resident": resident / 1e6,
        "packed": _packed(held),
        "per_bar": (resident - before) / kept, "ranks": shown,
    }  # fmt: skip


def _kept(memories: Sequence[SymbolMemory]) -> int:
    return sum(len(one.closed.starts) for one in memories)


def _packed(memories: Sequence[SymbolMemory]) -> float:
    return sum(sum(map(len, one.closed.packed.values())) for one in memories) / 1e6


def _day(name: str, share: float, total: float) -> SymbolMemory:
    """Return a symbol's memory with a day of bars: an hour of them, moved on in time."""
    memory = SymbolMemory(Instrument("binance", name), ClosedBars(), IdKind.TRADE)
    walk, dice = invented.Walk(hash(name) % 10**6), random.Random(name)
    hour = [_bar(walk, name, many, dice) for many in islice(invented.per_minute(share, total, dice), 60)]
    for start in range(MIDNIGHT, MIDNIGHT + DAY, MINUTE):
        bar = hour[(start - MIDNIGHT) // MINUTE % 60]
        if bar is not None:
            memory.closed.put(_moved(bar, start))
    memory.market_time = MIDNIGHT + DAY
    return memory


def _bar(walk: invented.Walk, name: str, many: int, dice: random.Random) -> Bar | None:
    if not many:
        return None
    times = sorted(dice.choices(range(0, MINUTE, 1_000), k=many))
    series = BarSeries()
    series.fold(walk.trades("binance", name, 10**9, [MIDNIGHT + time for time in times]))
    (bar,) = series.advance(MIDNIGHT + DAY)
    return bar


def _moved(bar: Bar, start: int) -> Bar:
    later = start - bar.start
    return attrs.evolve(
        bar, start=start, end=start + MINUTE,
        open=bar.open and (bar.open[0] + later, *bar.open[1:]),
        close=bar.close and (bar.close[0] + later, *bar.close[1:]),
    )  # fmt: skip


# --- a daemon that is fed in memory ---


@attrs.define(eq=False)
class Feed:
    """A WebSocket in memory: it answers requests, and hands over the reads it is given."""

    close_code: int | None = None
    close_reason: str = ""
    _reads: Iterator[list[bytes]] = attrs.field(factory=lambda: iter(()))
    _answers: list[bytes] = attrs.field(factory=list)
    _more: trio.Event = attrs.field(factory=trio.Event)
    _over: trio.Event = attrs.field(factory=trio.Event)

    @asynccontextmanager
    async def connect(self, _url: str) -> AsyncIterator["Feed"]:
        yield self

    async def send(self, text: str) -> None:
        self._answers.append(json.dumps({"result": None, "id": json.loads(text)["id"]}).encode())
        self._more.set()

    async def put(self, reads: Iterator[list[bytes]]) -> None:
        """Have these handed over; return when they are, and what they held is on its way."""
        self._reads, self._over = reads, trio.Event()
        self._more.set()
        await self._over.wait()

    def runs(self) -> "Feed":
        return self

    def __aiter__(self) -> "Feed":
        return self

    async def __anext__(self) -> Frames:
        await trio.lowlevel.checkpoint()
        while True:
            found, self._answers = self._answers, []
            if found := found or next(self._reads, []):
                return Frames(found, time.time_ns() // 1_000, time.perf_counter())
            self._over.set()
            self._more = trio.Event()
            await self._more.wait()


@attrs.define(eq=False)
class Trading:
    """The frames of some symbols' trades, which come in their shares and at even times; see ``FILLS``."""

    symbols: int
    rate: float
    start: int
    fills: float = 1.0
    _names: list[str] = attrs.field(init=False)
    _walks: list[invented.Walk] = attrs.field(init=False)
    _last: list[int] = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self._names = invented.names(self.symbols)
        self._walks = [invented.Walk(place) for place in range(self.symbols)]
        self._last = [0] * self.symbols

    def frames(self, trades: int) -> Iterator[bytes]:
        """Yield so many."""
        dice, shares, more = (
            random.Random(3),
            [*accumulate(invented.shares(self.symbols))],
            1 - 1 / self.fills,
        )
        made = 0
        while made < trades:
            (place,) = dice.choices(range(self.symbols), cum_weights=shares)
            at = self.start + int(made / self.rate * SECOND)
            while made < trades:
                made += 1
                yield self.frame(place, at)
                if dice.random() >= more:
                    break

    def frame(self, place: int, at: int) -> bytes:
        """Return the next trade of one symbol, at ``at`` (µs)."""
        self._last[place] += 1
        name, (price, size) = self._names[place], self._walks[place].step()
        text = (
            f'{{"stream":"{name.lower()}@trade","data":{{"e":"trade","E":{at // 1000},"s":"{name}",'
            f'"t":{self._last[place]},"p":"{price // 100}.{price % 100:02}000000",'
            f'"q":"{abs(size) // 1000}.{abs(size) % 1000:03}00000","T":{at // 1000},'
            f'"m":{"true" if size < 0 else "false"},"M":true}}}}'
        )
        return text.encode()


def _reads(frames: Iterator[bytes], size: int) -> Iterator[list[bytes]]:
    while read := list(islice(frames, size)):
        yield read


@asynccontextmanager
async def _fed(feed: Feed, symbols: int, directory: Path) -> AsyncIterator[Daemon]:
    """Put a daemon together that is fed in memory; its one connection carries all symbols."""
    daemon_module.open_websocket = feed.connect  # type: ignore[assignment]
    followed = ExchangeSettings(
        "ws://127.0.0.1:1", invented.names(symbols), streams=("trades",), rest_url="http://127.0.0.1:1"
    )
    settings = Settings(http=HttpSettings(port=0), exchanges={"binance": followed})
    async with open_daemon(settings, plan.live(settings, {}), directory) as daemon:
        yield daemon


# --- growth ---


def growth(arguments: argparse.Namespace) -> bool:
    """Say what a trade costs, with more symbols and with more state."""
    trades, rounds_ = arguments.trades or 60 * RATE, arguments.rounds
    kinds = [{"symbols": count, "hours": 0} for count in (1, 10, 100, 1_000)]
    kinds += [{"symbols": 1, "hours": hours} for hours in (1, 6, 24)]
    found: list[list[dict[str, float]]] = [[] for _ in kinds]
    for _ in range(rounds_):
        for kind, results in zip(kinds, found, strict=True):
            results.append(_in_child("feed", trades=trades, **kind))
    print(f"\nCPU µs per trade of the whole daemon: {trades:,} trades at {RATE:,}/s, {READ} frames a read, "
          f"the least of {rounds_} rounds")  # fmt: skip
    print(f"  {'symbols':>8}{'hours':>7}{'trades/batch':>14}{'µs/trade':>10}{'ratio':>8}"
          f"{'fold only':>11}{'closing, µs/bar':>17}")  # fmt: skip
    good = True
    for first, part in ((0, kinds[:4]), (4, kinds[4:])):
        base = min(one["cpu"] for one in found[first])
        for kind, results in zip(part, found[first : first + len(part)], strict=True):
            best = min(results, key=lambda one: one["cpu"])
            ratio = best["cpu"] / base
            good &= abs(ratio - 1) <= MOST_GROWTH / 100
            print(f"  {kind['symbols']:8,}{kind['hours']:7}{best['batch']:14.1f}{best['cpu']:10.2f}"
                  f"{ratio:8.2f}{best['calm']:11.2f}{best['closing']:17.0f}")  # fmt: skip
    print(f"{'ok ' if good else 'BAD'} within {MOST_GROWTH} % of the first row of each kind")
    return good


def _feed(trades: int, symbols: int, hours: int) -> dict[str, float]:
    logs.configure(LogSettings(level="error"))
    return trio.run(_fold, trades, symbols, hours)


async def _fold(trades: int, symbols: int, hours: int) -> dict[str, float]:
    start = MIDNIGHT + DAY
    trading = Trading(symbols, trades * SECOND / (MINUTE - SECOND), start)
    minute = list(_reads(trading.frames(trades), READ))
    with tempfile.TemporaryDirectory(prefix="wadm-scale-") as directory:
        feed = Feed()
        async with _fed(feed, symbols, Path(directory)) as daemon, trio.open_nursery() as nursery:
            runtime = daemon.runtime
            if hours:
                _fill(runtime.symbols["binance:S0001USDT"].closed, start, hours)
            await nursery.start(daemon.run)
            while runtime.url is None:  # noqa: ASYNC110  # nothing tells
                await trio.sleep(0.01)
            garbage.settle()
            began = time.process_time()
            await feed.put(iter(minute))
            await _done(daemon)
            calm = time.process_time() - began
            # One trade, and a minute has ended for everybody.
            await feed.put(iter([[trading.frame(0, start + MINUTE + 3 * SECOND)]]))
            await _done(daemon)
            closing = time.process_time() - began - calm
            statement, applied = runtime.statement(), runtime.ledger.total().applied
            batches = sum(box.statistics().put for box in runtime.aggregators.values())
            bars_closed = sum(start in one.closed.packed for one in runtime.symbols.values())
            if not statement["balanced"] or applied != trades + 1:
                raise SystemExit(f"scale: {statement}")
            daemon.stop()
    return {
        "cpu": 1e6 * (calm + closing) / trades, "calm": 1e6 * calm / trades, "batch": trades / batches,
        "closing": 1e6 * closing / bars_closed,
    }  # fmt: skip


def _fill(closed: ClosedBars, end: int, hours: int) -> None:
    """Put bars of the busiest symbol behind one."""
    walk, dice = invented.Walk(1), random.Random(1)
    made = (_bar(walk, "S0001USDT", 3_000, dice) for _ in range(10))
    hour = [bar for bar in made if bar is not None]
    for number, start in enumerate(range(end - hours * HOUR, end, MINUTE)):
        closed.put(_moved(hour[number % len(hour)], start))


async def _done(daemon: Daemon) -> None:
    """Return once all that came is applied, recorded, journalled and in the warm store."""
    runtime = daemon.runtime
    while True:
        await runtime.settle()
        idle = not runtime.in_flight() and not any(box.pending() for box in runtime.aggregators.values())
        if idle and not any(one.records or _is_due(one) for one in runtime.symbols.values()):
            await runtime.settle()
            return
        await trio.sleep(0.5)  # a look at a thousand symbols is not for nothing


def _is_due(memory: SymbolMemory) -> bool:
    return memory.due.next(memory.market_time - GRACE) is not None


# --- startup ---


def startup(arguments: argparse.Namespace) -> bool:
    """Say how long a start takes with a full hour in the journal."""
    symbols, trades = arguments.symbols or FOLLOWED, arguments.trades or HOURLY
    with tempfile.TemporaryDirectory(prefix="wadm-scale-") as temporary:
        directory = arguments.data_dir or Path(temporary)
        if not any(directory.iterdir()):
            began = time.monotonic()
            made = _in_child("live", symbols=symbols, trades=trades, directory=str(directory))
            print(f"\nan hour of {trades:,} trades of {symbols} symbols, {made['batch']:.1f} in a batch, "
                  f"made in {time.monotonic() - began:.0f} s")  # fmt: skip
        found = _in_child("start", symbols=symbols, directory=str(directory))
    print(f"  {found['held']}")
    print(f"  opened in {found['opened']:.1f} s, every aggregator up after {found['up']:.1f} s, "
          f"each answered after {found['answered']:.1f} s, CPU {found['cpu']:.1f} s; "
          f"{found['bars']:,} bars, {found['gaps']} gaps")  # fmt: skip
    good: bool = found["answered"] <= MOST_SECONDS
    print(f"{'ok ' if good else 'BAD'} {found['answered']:.1f} s (at most {MOST_SECONDS:.0f})")
    return good


def _live(symbols: int, trades: int, directory: str) -> dict[str, Any]:
    logs.configure(LogSettings(level="error"))
    return trio.run(_hour, symbols, trades, Path(directory))


async def _hour(symbols: int, trades: int, directory: Path) -> dict[str, Any]:
    """Live through an hour, and be killed."""
    rate = trades / 3_600
    reads = _reads(Trading(symbols, rate, MIDNIGHT, FILLS).frames(trades), 8)
    feed = Feed()
    async with _fed(feed, symbols, directory) as daemon, trio.open_nursery() as nursery:
        runtime = daemon.runtime
        await nursery.start(daemon.run)
        await feed.put(reads)
        while runtime.in_flight():  # noqa: ASYNC110
            await trio.sleep(0.1)
        await runtime.settle()
        boxes = runtime.aggregators.values()
        print(json.dumps({"batch": trades / sum(box.statistics().put for box in boxes)}), flush=True)
        os._exit(0)


def _start(symbols: int, directory: str) -> dict[str, Any]:
    logs.configure(LogSettings(level="error"))
    return trio.run(_begin, symbols, Path(directory))


async def _begin(symbols: int, directory: Path) -> dict[str, Any]:
    began, cpu = time.monotonic(), time.process_time()
    async with _fed(Feed(), symbols, directory) as daemon, trio.open_nursery() as nursery:
        runtime, opened = daemon.runtime, time.monotonic()
        nursery.start_soon(daemon.run)
        query = BarsQuery({"hour": (MIDNIGHT, MIDNIGHT + HOUR)})
        for mailbox in runtime.aggregators.values():
            while (await ask(mailbox, query, deadline=60)).warming:  # noqa: ASYNC110
                await trio.sleep(0.01)
            up = time.monotonic()
        found = {
            "opened": opened - began, "up": up - began, "answered": time.monotonic() - began,
            "cpu": time.process_time() - cpu, "held": str(runtime.journal.holds()),
            "bars": sum(len(one.closed.starts) for one in runtime.symbols.values()),
            "gaps": sum(len(one.gaps.known) for one in runtime.symbols.values()),
        }  # fmt: skip
        daemon.stop()
    return found


CHILDREN = {"hold": _hold, "feed": _feed, "live": _live, "start": _start}

if __name__ == "__main__":
    sys.exit(main())
