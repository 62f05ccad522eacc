"""One order book: price levels of both sides as exact scaled integers, best first.

A side is a dict of its quantities beside a sorted list of its prices. The list holds at most some thousand
prices and nearly all changes are near its end, where the best one stands: a plain list with ``bisect`` needs
no dependency and is quicker there than a tree.
"""

from bisect import bisect_left, insort
from collections.abc import Iterable, Sequence

import attrs

from wadm.market import BookUpdate

Level = tuple[int, int]


@attrs.define(eq=False)
class Side:
    """One side of a book.

    ``sign`` is 1 for bids and -1 for asks: prices are kept as ``sign * price``, ascending, so that the best
    is the last. ``horizon`` (in the same form) is the worst price of a snapshot that was cut: of what lies
    behind it only those levels are known that have changed since. None: the whole side is known.
    """

    sign: int
    horizon: int | None = None
    _quantities: dict[int, int] = attrs.field(factory=dict)
    _prices: list[int] = attrs.field(factory=list)

    def __len__(self) -> int:
        return len(self._prices)

    @property
    def best(self) -> Level | None:
        """The best (price, quantity), None where the side is empty."""
        if not self._prices:
            return None
        price = self._prices[-1]
        return self.sign * price, self._quantities[price]

    @property
    def known(self) -> int:
        """How many levels there are down to the horizon: of these none is missing."""
        return len(self) if self.horizon is None else len(self) - bisect_left(self._prices, self.horizon)

    def top(self, count: int) -> list[Level]:
        """Return the best ``count`` levels, best first."""
        prices = self._prices[-count:] if count > 0 else []
        return [(self.sign * price, self._quantities[price]) for price in reversed(prices)]

    def replace(self, levels: Iterable[Level], *, cut: bool) -> None:
        """Hold these levels and no others; ``cut`` says that the exchange had more of them."""
        self._quantities = {
            self.sign * price: quantity for price, quantity in dict(levels).items() if quantity
        }
        self._prices = sorted(self._quantities)
        self.horizon = self._prices[0] if cut and self._prices else None

    def change(self, levels: Iterable[Level]) -> None:
        """Set the quantities of these levels; 0 takes a level away."""
        sign, quantities, prices = self.sign, self._quantities, self._prices
        for price, quantity in levels:
            at = sign * price
            if quantity:
                if at not in quantities:
                    insort(prices, at)
                quantities[at] = quantity
            elif quantities.pop(at, None) is not None:
                del prices[bisect_left(prices, at)]

    def prune(self, keep: int, *, cut: bool) -> int:
        """Forget the worst levels beyond ``keep``; return how many. ``cut`` says that they live on unseen."""
        excess = len(self._prices) - keep
        if excess <= 0:
            return 0
        for price in self._prices[:excess]:
            del self._quantities[price]
        del self._prices[:excess]
        if cut and (self.horizon is None or self.horizon < self._prices[0]):
            self.horizon = self._prices[0]
        return excess

    def copy(self) -> "Side":
        """Return a side that does not change with this one."""
        return Side(self.sign, self.horizon, dict(self._quantities), list(self._prices))

    def rescale(self, price_factor: int, quantity_factor: int) -> None:
        """Multiply what is held."""
        self._quantities = {
            price * price_factor: quantity * quantity_factor for price, quantity in self._quantities.items()
        }
        self._prices = [price * price_factor for price in self._prices]
        if self.horizon is not None:
            self.horizon *= price_factor


@attrs.define(eq=False)
class OrderBook:
    """One symbol's book, at the finest decimals seen so far.

    A side keeps its best ``depth`` levels; ``pruned`` counts those given up. ``limited`` says that the
    exchange itself tells of no more than so many: it need not say that a level beyond them is gone.
    """

    depth: int = 5_000
    limited: bool = False
    price_decimals: int = 0
    quantity_decimals: int = 0
    bids: Side = attrs.field(factory=lambda: Side(1))
    asks: Side = attrs.field(factory=lambda: Side(-1))
    pruned: int = 0

    def replace(self, snapshot: BookUpdate, *, cut_at: int | None = None) -> None:
        """Hold what a snapshot says. A side of it with ``cut_at`` levels or more is not the whole side."""
        self.price_decimals = snapshot.price_decimals
        self.quantity_decimals = snapshot.quantity_decimals
        for side, levels in ((self.bids, snapshot.bids), (self.asks, snapshot.asks)):
            side.replace(levels, cut=cut_at is not None and len(levels) >= cut_at)
        self._prune()

    def copy(self) -> "OrderBook":
        """Return a book that does not change with this one."""
        return attrs.evolve(self, bids=self.bids.copy(), asks=self.asks.copy())

    def apply(self, diff: BookUpdate) -> None:
        """Change what a diff names."""
        bids, asks = self._scaled(diff)
        self.bids.change(bids)
        self.asks.change(asks)
        self._prune()

    @property
    def crossed(self) -> bool:
        """Whether the best bid is at the best ask or above it, which no market is for long."""
        bid, ask = self.bids.best, self.asks.best
        return bid is not None and ask is not None and bid[0] >= ask[0]

    def _prune(self) -> None:
        for side in (self.bids, self.asks):
            self.pruned += side.prune(self.depth, cut=not self.limited)

    def _scaled(self, diff: BookUpdate) -> tuple[Iterable[Level], Iterable[Level]]:
        """Return a diff's levels at the decimals of the book, which become finer where the diff's are."""
        if diff.price_decimals == self.price_decimals and diff.quantity_decimals == self.quantity_decimals:
            return diff.bids, diff.asks
        finer = (
            max(0, diff.price_decimals - self.price_decimals),
            max(0, diff.quantity_decimals - self.quantity_decimals),
        )
        if any(finer):
            for side in (self.bids, self.asks):
                side.rescale(10 ** finer[0], 10 ** finer[1])
            self.price_decimals += finer[0]
            self.quantity_decimals += finer[1]
        price = 10 ** (self.price_decimals - diff.price_decimals)
        quantity = 10 ** (self.quantity_decimals - diff.quantity_decimals)
        return _times(diff.bids, price, quantity), _times(diff.asks, price, quantity)


def _times(levels: Sequence[Level], price_factor: int, quantity_factor: int) -> list[Level]:
    return [(price * price_factor, quantity * quantity_factor) for price, quantity in levels]
