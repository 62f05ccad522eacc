"""What the fold costs: per trade, and at most in one step while a minute of many prices is going on.

The trades of a recorded capture (by default some 345 seconds of BTCUSDT futures) are folded as aggregate
trades in runs of 300 and one by one, and as Bybit's single trades in runs of 60. The busy minute has 5,000 of
them a second at prices that walk; a step is what the aggregator does without letting anybody else run: a run
folded, the copy for a checkpoint, an answer in the middle of the minute, the closing of the minute.
"""

import argparse
import random
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import rounds
from memory import RECORDED, read
from msgspec.structs import replace

from actors import garbage
from wadm.market import MINUTE, IdKind, Trades
from wadm.series import BarSeries

BUSY_PER_SECOND, TOGETHER = 5_000, 50
#: Figures in µs per trade, and in ms per step.
PER_TRADE = (
    "fold, runs of 300",
    "close, runs of 300",
    "fold + close, Bybit runs of 60",
    "fold + close, singly",
)
STEPS = (
    "fold of 50 trades, longest",
    "checkpoint copy",
    "an answer within",
    "closing the minute",
    "an answer after",
)


def main() -> int:
    """Measure so many rounds and show their medians and spread."""
    parser = argparse.ArgumentParser(prog="fold", description=__doc__)
    parser.add_argument("capture", nargs="?", type=Path, default=RECORDED, help="BTCUSDT futures trades")
    parser.add_argument("--rounds", type=rounds.count, default=7)
    arguments = parser.parse_args()
    print(rounds.machine())
    found = measure(arguments.capture, arguments.rounds)
    for title, names in (("µs per trade", PER_TRADE), ("ms per step of a busy minute", STEPS)):
        print(f"\n{title}\n{rounds.heading()}")
        for name in names:
            print(rounds.line(name, found[name], 2))
    return 0


def measure(capture: Path = RECORDED, times: int = 7) -> dict[str, list[float]]:
    """Return each figure of so many interleaved rounds: µs per trade, ms per step."""
    trades = joined(read(capture))
    aggregates, singly = cut(trades, 300), cut(trades, 1)
    named = cut(replace(trades, id_kind=IdKind.TRADE, ids=[f"{one:036d}" for one in trades.ids]), 60)
    busy = cut(walking(trades), TOGETHER)
    garbage.settle()
    found: dict[str, list[float]] = {name: [] for name in (*PER_TRADE, *STEPS)}
    for _ in range(times):
        folded, closed = per_trade(aggregates)
        figures = [folded, closed, altogether(named), altogether(singly), *steps(busy)]
        for values, figure in zip(found.values(), figures, strict=True):
            values.append(figure)
    return found


def joined(runs: Sequence[Trades]) -> Trades:
    """Return the capture as one run of aggregate trades."""
    columns = {
        name: [one for run in runs for one in getattr(run, name)]
        for name in ("times", "prices", "signed_quantities", "counts")
    }
    return replace(runs[0], id_kind=IdKind.AGG_TRADE, ids=range(1, 1 + len(columns["times"])), **columns)


def cut(trades: Trades, together: int) -> list[Trades]:
    """Return a run in runs of so many trades."""
    return [
        replace(
            trades,
            **{
                name: list(getattr(trades, name)[first : first + together])
                for name in ("ids", "times", "prices", "signed_quantities", "counts")
            },
        )
        for first in range(0, len(trades), together)
    ]


def walking(trades: Trades) -> Trades:
    """Return a minute of trades cycled at ``BUSY_PER_SECOND``, their prices on a walk over thousands."""
    dice, many = random.Random(7), BUSY_PER_SECOND * 60
    prices, price, tick = [], trades.prices[0], 10**trades.price_decimals // 10
    for _ in range(many):
        price += dice.randint(-6, 6) * tick
        prices.append(price)
    return replace(
        trades,
        ids=range(1, 1 + many),
        times=[place * 1_000_000 // BUSY_PER_SECOND for place in range(many)],
        prices=prices,
        signed_quantities=(list(trades.signed_quantities) * (1 + many // len(trades)))[:many],
        counts=[1] * many,
    )


def per_trade(runs: Sequence[Trades]) -> tuple[float, float]:
    """Return what folding and closing cost, µs per trade."""
    series, folding, closing = BarSeries(), 0, 0
    for run in runs:
        began = time.process_time_ns()
        series.fold(run)
        folded = time.process_time_ns()
        series.advance(run.times[-1])
        closing += time.process_time_ns() - folded
        folding += folded - began
    count = sum(map(len, runs))
    return folding / count / 1e3, closing / count / 1e3


def altogether(runs: Sequence[Trades]) -> float:
    """Return what folding and closing cost together, µs per trade: reading a clock costs as much."""
    series = BarSeries()
    began = time.process_time_ns()
    for run in runs:
        series.fold(run)
        series.advance(run.times[-1])
    return (time.process_time_ns() - began) / sum(map(len, runs)) / 1e3


def steps(runs: Sequence[Trades]) -> tuple[float, ...]:
    """Return what the steps of a busy minute cost, ms each."""
    series, longest, copying, asking = BarSeries(), 0.0, 0.0, 0.0
    a_checkpoint, late = BUSY_PER_SECOND // 2 // TOGETHER, len(runs) - 10
    for place, run in enumerate(runs):
        longest = max(longest, took(lambda run=run: series.fold(run)))
        if place % a_checkpoint == 0:
            copying = max(copying, took(series.open[0].copy))
        if place == late:
            asking = took(lambda: series.merged(0, MINUTE))
    closing = took(lambda: series.advance(2 * MINUTE))
    return longest, copying, asking, closing, took(lambda: series.merged(0, MINUTE))


def took(step: Callable[[], object]) -> float:
    """Return how long a step takes, ms of this process."""
    began = time.process_time_ns()
    step()
    return (time.process_time_ns() - began) / 1e6


if __name__ == "__main__":
    sys.exit(main())
