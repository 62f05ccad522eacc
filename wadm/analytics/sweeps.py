"""Sweeps, a heuristic: aggressive trades that run through the levels of a book in one go.

Consecutive trades of the tape form a run while they are of one taker's side, each at most ``gap`` µs after
the one before, and never step back in price (buying: never lower, selling: never higher). A trade that does
not continue the run begins the next one. A run through at least ``least`` distinct prices is a sweep.

The tape does not say who the taker is: a run is taken for one aggressor's, which is an approximation (several
may join in).
"""

from collections.abc import Iterable, Iterator

import attrs

ALGORITHM = "sweeps/1"


@attrs.define
class Sweep:
    """A run of trades on ``side``, buy or sell. Times in µs; prices and volumes scaled as the tape's are.

    ``notional`` is price times quantity, scaled by both scales together; ``levels`` counts distinct prices.
    An aggregate counts for as many ``trades`` as it was made of.
    """

    side: str
    start: int
    end: int
    first_price: int
    last_price: int
    volume: int
    notional: int
    levels: int
    trades: int


def sweeps(trades: Iterable[tuple[int, int, int, int]], gap: int, least: int) -> Iterator[Sweep]:
    """Yield the sweeps among ``(time, price, signed quantity, count)``, in their order. O(1) per trade."""
    run: Sweep | None = None
    for time, price, signed, count in trades:
        side, volume = ("buy", signed) if signed > 0 else ("sell", -signed)
        if run is not None and run.side == side and time - run.end <= gap and not _steps_back(run, price):
            run.levels += price != run.last_price
            run.end, run.last_price = time, price
            run.volume += volume
            run.notional += price * volume
            run.trades += count
            continue
        if run is not None and run.levels >= least:
            yield run
        run = Sweep(side, time, time, price, price, volume, price * volume, 1, count)
    if run is not None and run.levels >= least:
        yield run


def _steps_back(run: Sweep, price: int) -> bool:
    return price < run.last_price if run.side == "buy" else price > run.last_price
