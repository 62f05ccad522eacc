"""CVD, the cumulative volume delta: the running sum of delta, reset only where a session starts.

A bar's CVD is that at its close; its CVD high and low are the extremes of the running sum within the bar, the
CVD at its open included. The slope is that of the least-squares line through the running delta of the window
(not reset) at the bars' closes, over the bars' ordinal numbers 1, 2, 3, …: base units per bar, bars without a
trade left out.
"""

from collections.abc import Iterable, Sequence
from fractions import Fraction
from itertools import accumulate

import attrs

from wadm.bar import Bar

ALGORITHM = "cvd/1"


@attrs.frozen
class Step:
    """CVD at a bar's close. Volumes are scaled by the decimals they were asked for in.

    ``since`` (µs) is the session's start it counts from.
    """

    bar: Bar
    since: int
    delta: int
    cvd: int
    high: int
    low: int


def cvd(bars: Iterable[Bar], since: int, before: int, decimals: int) -> list[Step]:
    """Return the steps of one session's bars, ascending, at ``decimals`` (no coarser than any bar's).

    ``before`` is the delta from the session's start ``since`` (µs) up to the first bar.
    """
    steps, running = [], before
    for bar in bars:
        factor = 10 ** (decimals - bar.quantity_decimals)
        opened, running = running, running + bar.delta * factor
        high, low = opened + bar.delta_high * factor, opened + bar.delta_low * factor
        steps.append(Step(bar, since, bar.delta * factor, running, high, low))
    return steps


def slope(deltas: Sequence[int]) -> Fraction | None:
    """Return the slope per bar of the running sum of deltas, None below two bars."""
    count = len(deltas)
    if count < 2:
        return None
    # Around their mean the ordinal numbers, doubled, are 1 - count, 3 - count, …; their squares sum to this:
    squares = Fraction(count * (count * count - 1), 3)
    return 2 * sum((2 * at + 1 - count) * total for at, total in enumerate(accumulate(deltas))) / squares
