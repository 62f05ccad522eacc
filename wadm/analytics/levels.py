"""Liquidity levels, a heuristic: rows of price at which trade gathered, and how much each may matter.

From a window's profile: its POC, VAH and VAL, and its high-volume nodes, which are support below the row of
the last price and resistance above it (a node in that very row is neither). For a node of the smoothed
profile stands the row of most volume among those it was summed from, of equal ones the lowest. Of support and
of resistance at most so many are given: the strongest, of equal ones the nearer to the last price.

A bar *visits* a row when the span of its rows, from its low to its high, holds the row; a *touch* is a visit
by a bar whose predecessor did not visit it, or that has none. Bars without a trade are no bars.

Strength, 0 to 100, weighs three shares, each from 0 to 1 and exact::

    strength = 50 · volume / volume of the highest row
             + 30 · min(touches, 5) / 5
             + 20 · place of the last bar that visited it / number of bars

(places count from 1, in time; a row never visited has 0 there). It is rounded half to even to one decimal.
Market profile names the levels (J. Steidlmayer; Dalton, *Mind Over Markets*); the weights are ours.

A zone is a run of levels in rows next to each other. Its volume is that of its rows, each counted once.
"""

from collections.abc import Iterable, Sequence
from decimal import Decimal
from enum import StrEnum
from fractions import Fraction
from itertools import pairwise

import attrs

from wadm.analytics.nodes import nodes
from wadm.analytics.profile import Profile
from wadm.bar import Bar
from wadm.numbers import to_decimal

ALGORITHM = "liquidity-levels/1"
ZONES = "liquidity-zones/1"

VOLUME_WEIGHT, TOUCH_WEIGHT, RECENCY_WEIGHT = 50, 30, 20
#: Touches beyond these add nothing.
MOST_TOUCHES = 5
#: Decimals of a strength.
PLACES = 1


class LiquidityType(StrEnum):
    """What makes a row a level."""

    POC = "poc"
    VAH = "vah"
    VAL = "val"
    SUPPORT = "support"
    RESISTANCE = "resistance"


@attrs.frozen
class Touches:
    """How often a row was touched; ``first`` and ``last`` are the places of bars that visited it."""

    count: int
    first: int | None
    last: int | None


@attrs.frozen
class Level:
    """A row (number) of a profile as a level; ``volume`` is scaled as the profile's volumes are."""

    kind: LiquidityType
    row: int
    volume: int
    touches: Touches
    strength: Decimal


@attrs.frozen
class Zone:
    """Levels in the rows ``low``..``high``, all next to each other."""

    low: int
    high: int
    volume: int
    strength: Decimal
    levels: tuple[Level, ...]


def gathered(made: Profile, smoothing: int, prominence: Decimal) -> list[int]:
    """Return the rows that stand for a profile's high-volume nodes, ascending. Raises ValueError."""

    def heaviest(node: int) -> int:
        return max(range(node - smoothing, node + smoothing + 1), key=lambda row: _volume(made, row))

    return sorted({heaviest(node) for node in nodes(made, smoothing, prominence).high})


def levels(made: Profile, bars: Sequence[Bar], rows: Sequence[int], last: int, most: int) -> list[Level]:
    """Return the levels of a profile, ascending by row.

    ``bars`` are the window's, ascending and each with a trade in it; ``rows`` are those ``gathered``,
    ``last`` is the row of the last price, ``most`` how many of support and of resistance are given.
    """
    if made.poc is None or made.vah is None or made.val is None:
        return []
    spans = [visited(bar, made.row_size) for bar in bars]

    def level(kind: LiquidityType, row: int) -> Level:
        volume, found = _volume(made, row), touches(spans, row)
        return Level(kind, row, volume, found, strength(volume, highest, found, len(spans)))

    highest = _volume(made, made.poc)
    found = [
        level(LiquidityType.POC, made.poc),
        level(LiquidityType.VAH, made.vah),
        level(LiquidityType.VAL, made.val),
        *_strongest((level(LiquidityType.SUPPORT, row) for row in rows if row < last), last, most),
        *_strongest((level(LiquidityType.RESISTANCE, row) for row in rows if row > last), last, most),
    ]
    return sorted(found, key=lambda one: one.row)


def visited(bar: Bar, row_size: Decimal) -> tuple[int, int]:
    """Return the lowest and the highest row of a bar that has trades in it."""
    return row_of(min(bar.rows), bar.price_decimals, row_size), row_of(
        max(bar.rows), bar.price_decimals, row_size
    )


def row_of(price: int, decimals: int, row_size: Decimal) -> int:
    """Return the number of the row that holds a price, which is scaled by ``10**decimals``."""
    return Fraction(price, 10**decimals) // Fraction(row_size)


def touches(spans: Sequence[tuple[int, int]], row: int) -> Touches:
    """Return the touches of a row by bars that went through these ``(lowest row, highest row)``."""
    visits = [low <= row <= high for low, high in spans]
    places = [place for place, visit in enumerate(visits) if visit]
    count = sum(visit and not before for before, visit in pairwise([False, *visits]))
    return Touches(count, places[0] if places else None, places[-1] if places else None)


def strength(volume: int, highest: int, found: Touches, bars: int) -> Decimal:
    """Return the strength of a row of ``volume`` where the highest row has ``highest``, above 0."""
    score = Fraction(VOLUME_WEIGHT * volume, highest)
    score += Fraction(TOUCH_WEIGHT * min(found.count, MOST_TOUCHES), MOST_TOUCHES)
    if found.last is not None:
        score += Fraction(RECENCY_WEIGHT * (found.last + 1), bars)
    return to_decimal(round(score * 10**PLACES), PLACES)


def zones(made: Profile, found: Sequence[Level]) -> list[Zone]:
    """Return the zones of levels that ascend by row, ascending."""
    runs: list[list[Level]] = []
    for one in found:
        if runs and one.row - runs[-1][-1].row <= 1:
            runs[-1].append(one)
        else:
            runs.append([one])
    return [_zone(made, run) for run in runs]


def _zone(made: Profile, run: Sequence[Level]) -> Zone:
    volume = sum(_volume(made, row) for row in {one.row for one in run})
    return Zone(run[0].row, run[-1].row, volume, max(one.strength for one in run), tuple(run))


def _strongest(found: Iterable[Level], last: int, most: int) -> list[Level]:
    return sorted(found, key=lambda one: (-one.strength, abs(one.row - last)))[:most]


def _volume(made: Profile, row: int) -> int:
    buy, sell = made.rows.get(row, (0, 0))[:2]
    return buy + sell
