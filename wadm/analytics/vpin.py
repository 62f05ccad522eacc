"""VPIN, the volume-synchronized probability of informed trading, in buckets of equal volume.

Volume is cut into buckets of V; VPIN over the last n buckets is Σ|V_buy - V_sell| / (n·V) (Easley, López de
Prado, O'Hara, *Flow Toxicity and Liquidity in a High Frequency World*, 2012: V is a fiftieth of the average
daily volume and n is 50). The paper estimates the sides from prices; here the takers' true sides are used. A
trade that crosses a bucket's edge is split. Where minutes are given instead of trades, as in the paper, a
minute that crosses an edge is split with its buying and selling in proportion. Before n buckets are full
there is no value.
"""

from collections import deque
from collections.abc import Iterable
from fractions import Fraction

import attrs

ALGORITHM = "vpin/1"

#: Buckets that a value is taken over, and that the average day is cut into.
BUCKETS = 50


@attrs.define
class Vpin:
    """Takes volume in and cuts it into buckets of ``bucket`` (scaled as the volumes are). O(1) per bucket.

    ``full`` counts the buckets filled so far.
    """

    bucket: int
    count: int = BUCKETS
    full: int = 0
    _imbalances: deque[Fraction] = attrs.field(factory=deque, init=False)
    _sum: Fraction = attrs.field(factory=Fraction, init=False)
    _buy: Fraction | int = attrs.field(default=0, init=False)
    _filled: int = attrs.field(default=0, init=False)

    def add(self, buy: int, sell: int) -> None:
        """Take in what takers bought and sold; within one call both are spread evenly."""
        volume = left = buy + sell
        while left and left >= (room := self.bucket - self._filled):
            self._buy += Fraction(buy * room, volume)
            self._close()
            left -= room
        self._filled += left
        # A whole number where nothing was split off: trades, nearly all, cost no fractions.
        self._buy += buy if left == volume else Fraction(buy * left, volume)

    def _close(self) -> None:
        imbalance = abs(Fraction(2 * self._buy - self.bucket))
        self._imbalances.append(imbalance)
        self._sum += imbalance
        if len(self._imbalances) > self.count:
            self._sum -= self._imbalances.popleft()
        self.full += 1
        self._buy = self._filled = 0

    @property
    def value(self) -> Fraction | None:
        """VPIN over the last ``count`` buckets, None before so many are full."""
        if len(self._imbalances) < self.count:
            return None
        return self._sum / (self.count * self.bucket)


def vpin(volumes: Iterable[tuple[int, int]], bucket: int, count: int = BUCKETS) -> Vpin:
    """Return the fold of ``(buy, sell)`` volumes in the order of their time. ``bucket`` is positive."""
    found = Vpin(bucket, count)
    for buy, sell in volumes:
        found.add(buy, sell)
    return found
