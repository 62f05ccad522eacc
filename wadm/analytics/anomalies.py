"""Anomalies, a heuristic: minutes that stand out against the symbol's own recent past.

Four values of a closed minute are judged: its volume, its |delta|, its number of trades, and its jump, which
is |close - close of the minute right before| (no value where that minute had no trade). Each is compared with
the same values of the minutes that traded within the ``prior`` minutes before it, itself not among them:

    score = (value - median) / MAD,    MAD = median of |prior value - median|

An anomaly is a value whose score is at least ``threshold``: only what is unusually *large* stands out.
Medians of an even number of values are the mean of the middle two; all is exact. With fewer than LEAST prior
values, or where MAD is 0, there is no score and nothing is judged. Minutes without a trade are none: neither
judged nor counted, for the tape does not tell quiet from not heard.

Median and MAD are the robust measures of location and scale (F. Hampel, *The Influence Curve and its Role in
Robust Estimation*, 1974); the MAD is taken as it is, not scaled by 1.4826. An anomaly is a place to look at.
"""

from bisect import bisect_left, insort
from collections import deque
from collections.abc import Iterator, Sequence
from enum import StrEnum
from fractions import Fraction
from itertools import pairwise

import attrs

from wadm.bar import Bar
from wadm.market import MINUTE

ALGORITHM = "anomalies/1"

#: Prior values below which nothing is judged.
LEAST = 30


class Kind(StrEnum):
    """What of a minute stands out."""

    VOLUME = "volume"
    DELTA = "delta"
    TRADES = "trades"
    JUMP = "price_jump"


@attrs.frozen
class Judged:
    """A value of the minute at a place, and what it was compared with; ``score`` is None where MAD is 0.

    Scaled: volume and delta as quantities are, jump as prices are, at the finest decimals of all minutes.
    """

    kind: Kind
    at: int
    value: int
    median: Fraction
    mad: Fraction
    prior: int

    @property
    def score(self) -> Fraction | None:
        """How many MADs the value lies above the median."""
        return (self.value - self.median) / self.mad if self.mad else None


def judged(minutes: Sequence[Bar], prior: int) -> Iterator[Judged]:
    """Yield what could be compared, kind by kind, ascending in time.

    ``minutes`` are one-minute bars, ascending, each with a trade in it. About O(prior) a value at worst.
    """
    for kind, values in _values(minutes).items():
        recent = Recent()
        for place, value in values:
            start = minutes[place].start
            recent.forget(start - prior * MINUTE)
            if len(recent) >= LEAST:
                yield Judged(kind, place, value, recent.median(), recent.mad(), len(recent))
            recent.add(start, value)


def _values(minutes: Sequence[Bar]) -> dict[Kind, list[tuple[int, int]]]:
    """Return ``(place, value)`` of the minutes by kind, at common scales."""
    volume_decimals = max((bar.quantity_decimals for bar in minutes), default=0)
    price_decimals = max((bar.price_decimals for bar in minutes), default=0)
    factors = [10 ** (volume_decimals - bar.quantity_decimals) for bar in minutes]
    closes = [
        bar.close[2] * 10 ** (price_decimals - bar.price_decimals) if bar.close else 0 for bar in minutes
    ]
    scaled = list(enumerate(zip(minutes, factors, strict=True)))
    return {
        Kind.VOLUME: [(at, (bar.buy_volume + bar.sell_volume) * factor) for at, (bar, factor) in scaled],
        Kind.DELTA: [(at, abs(bar.delta) * factor) for at, (bar, factor) in scaled],
        Kind.TRADES: [(at, bar.buy_trades + bar.sell_trades) for at, bar in enumerate(minutes)],
        Kind.JUMP: [
            (at, abs(closes[at] - closes[before]))
            for before, at in pairwise(range(len(minutes)))
            if minutes[at].start == minutes[before].end
        ],
    }


@attrs.define
class Recent:
    """Values with their times, the latest of them sorted: what a value is compared with."""

    _sorted: list[int] = attrs.field(factory=list)
    _queue: deque[tuple[int, int]] = attrs.field(factory=deque)

    def __len__(self) -> int:
        return len(self._sorted)

    def add(self, time: int, value: int) -> None:
        """Take in a value, later than all before it."""
        insort(self._sorted, value)
        self._queue.append((time, value))

    def forget(self, before: int) -> None:
        """Let go of what is older than ``before``."""
        while self._queue and self._queue[0][0] < before:
            _, value = self._queue.popleft()
            del self._sorted[bisect_left(self._sorted, value)]

    def median(self) -> Fraction:
        """Return the median; there is at least one value."""
        return Fraction(self._doubled_median(), 2)

    def mad(self) -> Fraction:
        """Return the median absolute deviation from the median."""
        lower, upper = (len(self) + 1) // 2, len(self) // 2 + 1
        return Fraction(self._deviation(lower) + self._deviation(upper), 4)

    def _doubled_median(self) -> int:
        return self._sorted[(len(self) - 1) // 2] + self._sorted[len(self) // 2]

    def _deviation(self, rank: int) -> int:
        """Return twice the deviation from the median that is the ``rank``-th smallest, counted from 1.

        The ``rank`` values nearest to the median stand next to each other: of all such runs the one whose
        further end is nearest. From left to right, its left end comes nearer and its right end goes away.
        """
        values, middle = self._sorted, self._doubled_median()
        last = len(values) - rank
        first = bisect_left(
            range(last), x=True, key=lambda at: 2 * values[at + rank - 1] - middle >= middle - 2 * values[at]
        )
        return min(
            max(middle - 2 * values[at], 2 * values[at + rank - 1] - middle)
            for at in (first - 1, first)
            if 0 <= at <= last
        )
