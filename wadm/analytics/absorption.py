"""Absorption, a heuristic: much aggressive volume at a price that does not give way.

Over one bar, at rows of ``row_size``: a row whose volume is at least ``times`` (k) the median volume of the
rows that traded, and whose |delta| is at least ``share`` (d) of its volume, while the price moved at most
``moved`` (x) row sizes in the aggressor's direction from the bar's open to its close. The aggressor is the
taker's side of the row's delta; a row without delta has none. The median of an even number of rows is the
mean of the middle two; every edge counts as reached (≥, ≤).

The notion is the tape reader's effort without result (R. Wyckoff); k, d and x are ours. Trades alone do not
show who was passive: this points at a place to look at, and is no fact.
"""

from collections.abc import Sequence
from decimal import Decimal
from fractions import Fraction

import attrs

from wadm.analytics.profile import Profile
from wadm.bar import Bar

ALGORITHM = "absorption/1"


@attrs.frozen
class Absorption:
    """A row of a bar's profile that took the volume of aggressors on ``side``, buy or sell.

    ``median`` is what the row's volume was compared with, ``moved`` how far the price went in the aggressor's
    direction, in row sizes (negative: against it).
    """

    row: int
    side: str
    volume: int
    delta: int
    median: Fraction
    moved: Fraction


def absorption(
    bar: Bar, made: Profile, *, times: Decimal, share: Decimal, moved: Decimal
) -> list[Absorption]:
    """Return the rows of ``bar`` that absorbed, ascending; ``made`` is its profile."""
    if bar.open is None or bar.close is None:
        return []
    middle = median([row[0] + row[1] for row in made.rows.values()])
    least, imbalance, furthest = Fraction(times) * middle, Fraction(share), Fraction(moved)
    rise = Fraction(bar.close[2] - bar.open[2], 10**bar.price_decimals) / Fraction(made.row_size)
    found = []
    for number, (buy, sell, _, _) in sorted(made.rows.items()):
        volume, delta = buy + sell, buy - sell
        went = rise if delta > 0 else -rise
        if delta and volume >= least and abs(delta) >= imbalance * volume and went <= furthest:
            found.append(Absorption(number, "buy" if delta > 0 else "sell", volume, delta, middle, went))
    return found


def median(numbers: Sequence[int]) -> Fraction:
    """Return the middle one of some numbers, or the mean of the middle two; there is at least one."""
    ordered = sorted(numbers)
    middle = len(ordered) // 2
    return Fraction(ordered[middle] + ordered[-middle - 1], 2)
