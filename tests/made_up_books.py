"""Made-up books: updates in few words, and what a plain dictionary makes of them."""

from collections.abc import Mapping, Sequence

from wadm.market import BookChange, BookUpdate
from wadm.orderbook import Level, OrderBook


def update(
    first: int,
    last: int,
    bids: Sequence[Level] = (),
    asks: Sequence[Level] = (),
    *,
    previous: int | None = None,
    at: int = 0,
    change: BookChange = BookChange.DIFF,
    decimals: tuple[int, int] = (0, 0),
) -> BookUpdate:
    return BookUpdate(change, first, last, previous, at, *decimals, bids, asks)


def snapshot(last: int, bids: Sequence[Level] = (), asks: Sequence[Level] = (), *, at: int = 0) -> BookUpdate:
    return update(last, last, bids, asks, at=at, change=BookChange.SNAPSHOT)


def held(book: OrderBook) -> tuple[dict[int, int], dict[int, int]]:
    """Return all a book holds."""
    return dict(book.bids.top(1 << 30)), dict(book.asks.top(1 << 30))


def changed(side: Mapping[int, int], levels: Sequence[Level]) -> dict[int, int]:
    """Return a side after a diff, naively."""
    after = {**side, **dict(levels)}
    return {price: quantity for price, quantity in after.items() if quantity}
