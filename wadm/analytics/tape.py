"""The tape: the raw trades of a window one after the other, at scales of their own in common.

Trades come in runs, each at its own scales, in the order they arrived. On the tape they stand in the order of
their times; within one instant by id where ids count up, else (ids that are names) as they arrived.
"""

from collections.abc import Iterator, Sequence

import attrs

from wadm.market import TradeId, Trades


@attrs.frozen
class Tape:
    """Trades as ``(time in µs, price, signed quantity, count)``; quantity is positive where the taker bought.

    ``count`` is how many trades an aggregate was made of, 1 for a single one.
    """

    price_decimals: int
    quantity_decimals: int
    trades: Sequence[tuple[int, int, int, int]]


def tape(runs: Sequence[Trades]) -> Tape:
    """Return the trades of all runs in their order, at the finest scales among them."""
    price_decimals = max((run.price_decimals for run in runs), default=0)
    quantity_decimals = max((run.quantity_decimals for run in runs), default=0)
    found: list[tuple[int, TradeId, int, int, int]] = []
    for run in runs:
        found += _scaled(run, price_decimals, quantity_decimals)
    if any(isinstance(one[1], str) for one in found):
        found.sort(key=lambda one: one[0])
    else:
        found.sort(key=lambda one: one[:2])
    return Tape(price_decimals, quantity_decimals, [(one[0], *one[2:]) for one in found])


def _scaled(
    run: Trades, price_decimals: int, quantity_decimals: int
) -> Iterator[tuple[int, TradeId, int, int, int]]:
    price_factor = 10 ** (price_decimals - run.price_decimals)
    quantity_factor = 10 ** (quantity_decimals - run.quantity_decimals)
    columns = run.times, run.ids, run.prices, run.signed_quantities, run.counts
    for time, name, price, signed, count in zip(*columns, strict=True):
        yield time, name, price * price_factor, signed * quantity_factor, count
