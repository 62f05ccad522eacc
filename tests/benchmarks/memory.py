"""What 24 hours of a busy symbol's bars weigh, and how long a day of them takes to merge for a query.

There is no recording of a busy day: the trades of a recorded capture (by default some 345 seconds of BTCUSDT
futures) are cycled, moved on in time, until they fill 24 hours. Cycled trades meet few prices, so that a
second run moves each cycle up or down by a walk of whole ticks, as a day's prices go.
"""

import argparse
import gzip
import random
import statistics
import sys
import time
import tracemalloc
from collections.abc import Iterator, Sequence
from decimal import Decimal
from itertools import count
from pathlib import Path

import rounds
from msgspec.structs import replace

from actors import garbage
from wadm.analytics.profile import profile
from wadm.bar import decode
from wadm.exchanges.registry import find
from wadm.ledger import Ledger
from wadm.market import DAY, HOUR, MINUTE, Instrument, Trades
from wadm.series import BarSeries
from wadm.stretches import Merges, Stretches

RECORDED = Path(__file__).parents[1] / "captures" / "hftbacktest" / "usdm_btcusdt_20240808_trades.gz"
BTCUSDT = Instrument("binance_usdm", "BTCUSDT", Decimal("0.1"), Decimal("0.001"))
#: Trades that arrive together.
TOGETHER = 64
#: A midnight that the day begins at, µs.
MIDNIGHT = 19_943 * DAY
TIMES = 100
MOST_MEGABYTES, MOST_MILLISECONDS = 20, 5


def main() -> int:
    """Measure both days; 1 where a figure is over its limit."""
    parser = argparse.ArgumentParser(prog="memory", description=__doc__)
    parser.add_argument("capture", nargs="?", type=Path, default=RECORDED, help="BTCUSDT futures trades")
    runs = read(parser.parse_args().capture)
    print(rounds.machine())
    length = runs[-1].times[-1] - runs[0].times[0]
    print(f"{sum(map(len, runs))} trades of {length / 1e6:.0f} s, cycled over 24 h")
    good = [measure("prices as recorded", runs, 0), measure("prices walking", runs, 400)]
    return 0 if all(good) else 1


def read(capture: Path) -> list[Trades]:
    """Return a capture's trades as the codec gives them."""
    exchange = find(BTCUSDT.exchange)
    codec = exchange.codec({BTCUSDT.symbol: BTCUSDT}, exchange.positions(), Ledger())
    with gzip.open(capture, "rb") as file:
        lines = [line.partition(b" ") for line in file]
    found: list[Trades] = []
    for first in range(0, len(lines), TOGETHER):
        together = lines[first : first + TOGETHER]
        events = codec.receive([body.strip() for _, _, body in together], int(together[-1][0]) // 1_000)
        found += [one for one in events if isinstance(one, Trades)]
    return found


def cycled(runs: Sequence[Trades], walk: int) -> Iterator[Trades]:
    """Yield the runs again and again over a day, each cycle moved by up to ``walk`` ticks from the last."""
    dice, moved = random.Random(7), 0
    began, ended = runs[0].times[0], runs[-1].times[-1]
    many = sum(map(len, runs))
    for cycle in count():
        later = MIDNIGHT - began + cycle * (ended - began + 1)
        moved += dice.randint(-walk, walk)
        for run in runs:
            if run.times[-1] + later >= MIDNIGHT + DAY:
                return
            up = moved * 10**run.price_decimals // 10
            yield replace(
                run,
                ids=[int(one) + cycle * many for one in run.ids],
                times=[one + later for one in run.times],
                prices=[one + up for one in run.prices],
            )


def measure(name: str, runs: Sequence[Trades], walk: int) -> bool:
    """Fold a day, say what it weighs and how fast it merges; False where a figure is over its limit."""
    folded, trades = BarSeries(), 0
    for run in cycled(runs, walk):
        trades += len(run)
        folded.fold(run)
        folded.advance(run.times[-1])
    folded.advance(MIDNIGHT + DAY + MINUTE)
    packed = [*folded.closed.packed.values()]
    del folded
    tracemalloc.start()
    series = BarSeries()
    for one in packed:
        series.closed.put(decode(one))
    windows = [
        ("a day", MIDNIGHT, MIDNIGHT + DAY),
        ("24 h that begin within an hour", MIDNIGHT + 17 * MINUTE, MIDNIGHT + DAY),
        ("the day so far", MIDNIGHT, MIDNIGHT + 23 * HOUR + 41 * MINUTE),
    ]
    prices, *_ = (len(series.merged(start, end).rows) for _, start, end in windows)
    held = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    closed = series.closed
    minutes, hours = sum(map(len, closed.packed.values())), sum(map(len, closed.hours.values()))
    print(f"\n{name}: {trades} trades, {len(closed.starts)} bars, {prices} prices in the day")
    print(f"  packed: minutes {minutes / 1e6:.2f} MB, hours {hours / 1e6:.2f} MB, "
          f"merges asked for {closed.stretches.size / 1e6:.2f} MB")  # fmt: skip
    print(f"  held in all by tracemalloc: {held / 1e6:.2f} MB (at most {MOST_MEGABYTES})")
    garbage.settle()
    print(f"  {'merges, ms':34}{'first':>8}{'median':>8}{'p99':>8}{'profile':>9}")
    slow = max([timed(title, start, end, series) for title, start, end in windows])
    growing(packed)
    return held <= MOST_MEGABYTES * 1e6 and slow <= MOST_MILLISECONDS


def timed(name: str, start: int, end: int, series: BarSeries) -> float:
    """Say how long a merge takes, first with nothing but hours kept; return the median (ms)."""
    merging, profiling = [], []
    series.closed.stretches, series.closed.merges = Stretches(), Merges()
    for _ in range(TIMES + 1):
        began = time.perf_counter()
        bar = series.merged(start, end)
        merged = time.perf_counter()
        profile(bar, Decimal(10))
        merging.append((merged - began) * 1e3)
        profiling.append((time.perf_counter() - merged) * 1e3)
    shown(name, merging[0], merging[1:], f"{statistics.median(profiling):9.2f}")
    return statistics.median(merging[1:])


def growing(packed: Sequence[bytes]) -> None:
    """Say how long the day so far takes to merge, asked for after each of its minutes."""
    series, took = BarSeries(), []
    for one in packed:
        series.closed.put(decode(one))
        began = time.perf_counter()
        series.merged(MIDNIGHT, MIDNIGHT + DAY)
        took.append((time.perf_counter() - began) * 1e3)
    shown("the day so far, after each minute", took[0], took)


def shown(name: str, first: float, took: Sequence[float], more: str = "") -> None:
    worst = sorted(took)[len(took) * 99 // 100 - 1]
    print(f"  {name:34}{first:8.2f}{statistics.median(took):8.2f}{worst:8.2f}{more}")


if __name__ == "__main__":
    sys.exit(main())
