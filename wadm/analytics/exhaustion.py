"""Exhaustion, a heuristic: a new extreme that aggressors no longer push.

A bar's high is exhausted where all of this holds (a low likewise, upside down, with selling takers):

- its high is strictly above the highs of each of the ``before`` (N) bars before it, of which all must be
  known (bars without a trade are none);
- at rows of ``row_size``, its three highest rows (rows are contiguous, those without volume included) see
  ever less taker buying towards the high, strictly;
- what takers bought in the highest row is at most ``share`` (e) of the bar's mean row volume: buying and
  selling of all rows from low to high, over their number, rows without volume included.

Footprint readers call it a fading or unfinished extreme; the numbers are ours. It points at a place to look
at, and is no fact.
"""

from collections.abc import Sequence
from decimal import Decimal
from fractions import Fraction
from itertools import pairwise

import attrs

from wadm.analytics.profile import Profile
from wadm.bar import Bar

ALGORITHM = "exhaustion/1"

#: Rows, from the extreme inwards, over which the volume dries up.
ROWS = 3


@attrs.frozen
class Exhaustion:
    """Aggressors on ``side`` (buy: at the high, sell: at the low) of bar ``at`` (a place) that dried up.

    ``rows`` are row numbers of its profile from the extreme inwards, ``volumes`` what they took there;
    ``mean`` is the bar's mean row volume, ``beyond`` the extreme of the bars before, a price scaled by
    ``10**price_decimals``.
    """

    at: int
    side: str
    rows: tuple[int, ...]
    volumes: tuple[int, ...]
    mean: Fraction
    beyond: int
    price_decimals: int


def exhaustions(
    bars: Sequence[Bar], profiles: Sequence[Profile], before: int, share: Decimal
) -> list[Exhaustion]:
    """Return what was exhausted, ascending; each bar has a trade in it, ``profiles`` are the bars' own."""
    decimals = max((bar.price_decimals for bar in bars), default=0)
    factors = [10 ** (decimals - bar.price_decimals) for bar in bars]
    highs = [max(bar.rows) * factor for bar, factor in zip(bars, factors, strict=True)]
    lows = [min(bar.rows) * factor for bar, factor in zip(bars, factors, strict=True)]
    found: list[Exhaustion] = []
    for at in range(before, len(bars)):
        highest, lowest = max(highs[at - before : at]), min(lows[at - before : at])
        if highs[at] > highest:
            found += _drying_up(at, "buy", profiles[at], share, beyond=highest, decimals=decimals)
        if lows[at] < lowest:
            found += _drying_up(at, "sell", profiles[at], share, beyond=lowest, decimals=decimals)
    return found


def _drying_up(
    at: int, side: str, made: Profile, share: Decimal, *, beyond: int, decimals: int
) -> list[Exhaustion]:
    """Return the exhaustion of one side of a bar that went beyond those before it, or nothing."""
    low, high = min(made.rows), max(made.rows)
    count = high - low + 1
    if count < ROWS:
        return []
    rows = range(high, high - ROWS, -1) if side == "buy" else range(low, low + ROWS)
    volumes = tuple(made.rows.get(row, (0, 0))[0 if side == "buy" else 1] for row in rows)
    mean = Fraction(sum(row[0] + row[1] for row in made.rows.values()), count)
    fading = all(outer < inner for outer, inner in pairwise(volumes))
    if not fading or volumes[0] > Fraction(share) * mean:
        return []
    return [Exhaustion(at, side, tuple(rows), volumes, mean, beyond, decimals)]
