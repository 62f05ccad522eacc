"""Order books of the local exchange: naive ones, of its own.

Nothing here is shared with the books of the daemon: what a server writes and a client reads must not have a
mistake in common.
"""

import re
from bisect import bisect_left, insort
from collections.abc import Iterable, Sequence
from decimal import Decimal

from actors.playback.payload import UnreadableError

#: A price and a quantity as they were written.
Level = tuple[str, str]


class Side:
    """One side of a book."""

    def __init__(self, *, bids: bool) -> None:
        self._bids = bids
        self._prices: list[Decimal] = []  # ascending
        self._levels: dict[Decimal, Level] = {}

    def put(self, level: Level) -> None:
        """Put a level in its place; a quantity of 0 takes it away."""
        price = Decimal(level[0])
        known = price in self._levels
        if Decimal(level[1]) == 0:
            if known:
                del self._levels[price]
                del self._prices[bisect_left(self._prices, price)]
            return
        self._levels[price] = level
        if not known:
            insort(self._prices, price)

    def best(self, count: int) -> list[Level]:
        """Return up to so many levels, the best first."""
        prices = self._prices[: -count - 1 : -1] if self._bids else self._prices[:count]
        return [self._levels[price] for price in prices]


class Book:
    """Both sides."""

    def __init__(self, bids: Iterable[Level] = (), asks: Iterable[Level] = ()) -> None:
        self.bids, self.asks = Side(bids=True), Side(bids=False)
        self.change(bids, asks)

    def change(self, bids: Iterable[Level], asks: Iterable[Level]) -> None:
        """Put levels in their places."""
        for side, levels in ((self.bids, bids), (self.asks, asks)):
            for level in levels:
                side.put(level)


def check_levels(*sides: Sequence[Level]) -> None:
    """Raise UnreadableError where a level is not two plain numbers."""
    for levels in sides:
        for level in levels:
            if not (_is_number(level[0]) and _is_number(level[1])):
                raise UnreadableError(f"{level} is no level")


_is_number = re.compile(r"[0-9]{1,40}(?:\.[0-9]{1,40})?").fullmatch
