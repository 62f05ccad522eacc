"""A book against a fresh snapshot of it: a book without gaps can be wrong all the same. Sans-IO."""

from collections.abc import Sequence

import attrs

from wadm.book_sync import BookSync
from wadm.exchanges.base import BookRule
from wadm.market import BookUpdate
from wadm.numbers import plain_scaled
from wadm.orderbook import OrderBook, Side

#: Levels of each side that are compared.
LEVELS = 100


@attrs.frozen
class Difference:
    """A level that differs: the quantity that we hold, and the one that the exchange tells. 0: none."""

    side: str
    price: str
    ours: str
    theirs: str


@attrs.frozen
class Verdict:
    """What came of it at update ``update_id``: how many prices were compared, and where they differ."""

    update_id: int
    compared: int
    differences: Sequence[Difference]


class Audit:
    """Puts a second book together, from a snapshot and the diffs that come after it, beside the first."""

    def __init__(self, rule: BookRule) -> None:
        self.fresh = BookSync(rule)

    def take(self, update: BookUpdate, now: int) -> None:
        """Take an update that the audited book was given as well, from the start of the audit."""
        self.fresh.take(update, now)

    def snapshot(self, snapshot: BookUpdate, now: int) -> bool:
        """Take the snapshot; False where it is too old, and another one is to be asked for."""
        return self.fresh.snapshot(snapshot, now)

    def verdict(self, audited: BookSync) -> Verdict | None:
        """Compare both books; None while they do not stand at the same update."""
        fresh = self.fresh
        if not (fresh.synced and audited.synced and fresh.last == audited.last):
            return None
        return compare(audited.book, fresh.book, fresh.last)


def compare(ours: OrderBook, theirs: OrderBook, update_id: int) -> Verdict:
    """Compare the best levels of two books, as far down as both know every level."""
    prices = max(ours.price_decimals, theirs.price_decimals)
    quantities = max(ours.quantity_decimals, theirs.quantity_decimals)
    compared, differences = 0, []
    for side in ("bids", "asks"):
        mine, other = (_read(book, getattr(book, side), prices, quantities) for book in (ours, theirs))
        end = max((one.end for one in (mine, other) if one.end is not None), default=None)
        for at in sorted(mine.levels.keys() | other.levels.keys(), reverse=True):
            if end is not None and at < end:
                break
            compared += 1
            held, told = mine.levels.get(at, 0), other.levels.get(at, 0)
            if held != told:
                shown = (
                    plain_scaled(abs(at), prices),
                    *(plain_scaled(one, quantities) for one in (held, told)),
                )
                differences.append(Difference(side, *shown))
    return Verdict(update_id, compared, differences)


@attrs.frozen
class _Best:
    """Quantities by price, the higher the better (asks negative); behind ``end`` nothing is known of it."""

    levels: dict[int, int]
    end: int | None


def _read(book: OrderBook, side: Side, price_decimals: int, quantity_decimals: int) -> _Best:
    price_factor = side.sign * 10 ** (price_decimals - book.price_decimals)
    quantity_factor = 10 ** (quantity_decimals - book.quantity_decimals)
    top = side.top(min(LEVELS, side.known))
    levels = {price * price_factor: quantity * quantity_factor for price, quantity in top}
    all_of_it = len(top) == len(side) and side.horizon is None
    return _Best(levels, None if all_of_it else min(levels, default=0))
