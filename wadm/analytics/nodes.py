"""Nodes of a volume profile: where trade gathered (HVN) and where it passed through (LVN).

The profile is smoothed by a centred box: each row becomes the sum of itself and ``smoothing`` rows on either
side, rows beyond the profile counting nothing. A high-volume node is a local maximum of that, a low-volume
node a local minimum between two high ones; of a level stretch the lowest row stands for it. A maximum counts
where its prominence (its height above the higher of the two lowest points that part it from higher ground)
is at least ``prominence`` of the highest; of each valley between two that count, the lowest point is the LVN.
The notion is Steidlmayer's; smoothing and prominence are ours, and named in every answer.
"""

from collections.abc import Sequence
from decimal import Decimal
from itertools import accumulate, pairwise

import attrs

from wadm.analytics.profile import Profile

ALGORITHM = "profile-nodes/1"

#: Rows from low to high beyond which nodes are refused: they would be noise of single ticks.
MOST_ROWS = 20_000


@attrs.frozen
class Nodes:
    """Row numbers of high and low volume nodes, ascending."""

    high: tuple[int, ...]
    low: tuple[int, ...]


def nodes(made: Profile, smoothing: int, prominence: Decimal) -> Nodes:
    """Return the nodes of a profile. Raises ValueError beyond MOST_ROWS rows."""
    if not made.rows:
        return Nodes((), ())
    low, high = min(made.rows), max(made.rows)
    if high - low >= MOST_ROWS:
        raise ValueError(f"{high - low + 1} rows are too many to look for nodes in: at most {MOST_ROWS}")
    volumes = [sum(made.rows.get(row, (0, 0))[:2]) for row in range(low, high + 1)]
    heights = smoothed(volumes, smoothing)
    numerator, denominator = prominence.as_integer_ratio()
    least = max(heights) * numerator
    prominences = _prominences(heights)
    peaks = [peak for peak in _peaks(heights) if prominences[peak] * denominator >= least]
    valleys = [min(range(left, right), key=heights.__getitem__) for left, right in pairwise(peaks)]
    return Nodes(tuple(low + peak for peak in peaks), tuple(low + valley for valley in valleys))


def smoothed(volumes: Sequence[int], smoothing: int) -> list[int]:
    """Return the sums of each volume and ``smoothing`` neighbours on either side."""
    sums = [0, *accumulate(volumes)]
    last = len(volumes)
    return [sums[min(at + smoothing + 1, last)] - sums[max(at - smoothing, 0)] for at in range(len(volumes))]


def _peaks(heights: Sequence[int]) -> list[int]:
    """Return the local maxima, the lowest row of each level stretch. Beyond the edges all is lower."""
    peaks, rising = [], True
    start = 0
    for at in range(1, len(heights) + 1):
        after = heights[at] if at < len(heights) else -1
        if after == heights[start]:
            continue
        if after < heights[start]:
            if rising:
                peaks.append(start)
            rising = False
        else:
            rising = True
        start = at
    return peaks


def _prominences(heights: Sequence[int]) -> list[int]:
    """Return how far each row stands above the higher of the two saddles towards strictly higher ground."""
    left, right = _saddles(heights), _saddles(heights[::-1])[::-1]
    return [height - max(sides) for height, *sides in zip(heights, left, right, strict=True)]


def _saddles(heights: Sequence[int]) -> list[int]:
    """Return the lowest point between each row and the nearest higher one before it; 0 where none is."""
    saddles: list[int] = []
    rising: list[tuple[int, int]] = []  # ever lower heights, each with the lowest point since the one before
    for height in heights:
        lowest = height
        while rising and rising[-1][0] <= height:
            lowest = min(lowest, rising.pop()[1])
        saddles.append(lowest if rising else 0)
        rising.append((height, lowest))
    return saddles
