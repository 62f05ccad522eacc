"""Measures of an order book: imbalance, spread, depth and walls. Exact, from the levels that are known.

- Imbalance at n levels: (bid - ask) / (bid + ask) of the quantities of the best n levels of each side; from
  -1 (asks only) to 1 (bids only), no value where both are empty.
- Spread: best ask minus best bid; in basis points of the mid, which is half of best bid plus best ask.
- Depth within x percent: quantity and notional of the bids at mid · (1 - x/100) or above, and of the asks at
  mid · (1 + x/100) or below, the edge included. Where a side is known down to a nearer price only, what is
  summed is a lower bound, and not ``complete``.
- Wall, a heuristic: one of the best n levels of a side whose quantity is at least k times the median quantity
  of these levels (the mean of the middle two where n is even).

The imbalance is that of the literature on limit order books (e.g. Cont, Kukanov, Stoikov, *The Price Impact
of Order Book Events*, 2014); what makes a wall is ours.
"""

from collections.abc import Iterator
from decimal import Decimal
from fractions import Fraction

import attrs

from wadm.analytics.absorption import median
from wadm.numbers import ratio
from wadm.orderbook import Level, OrderBook, Side

ALGORITHM = "book-measures/1"

#: Decimals of the spread in basis points, rounded half to even.
BPS_PLACES = 4


@attrs.frozen
class Reach:
    """What lies within a distance of the mid on one side.

    ``quantity`` is scaled as the book's quantities are, ``notional`` by both of its scales together.
    ``complete`` says that every level of it is known.
    """

    quantity: int
    notional: int
    levels: int
    complete: bool


@attrs.frozen
class Wall:
    """A level of quantity ``times`` the median of its side's best levels."""

    price: int
    quantity: int
    times: Fraction


def imbalance(book: OrderBook, levels: int) -> Decimal | None:
    """Return the imbalance of the best ``levels`` of each side, to 8 decimals."""
    bid = sum(quantity for _, quantity in book.bids.top(levels))
    ask = sum(quantity for _, quantity in book.asks.top(levels))
    return ratio(bid - ask, bid + ask)


def spread_bps(book: OrderBook) -> Decimal | None:
    """Return the spread in basis points of the mid, None where a side is empty."""
    bid, ask = book.bids.best, book.asks.best
    if bid is None or ask is None:
        return None
    return ratio((ask[0] - bid[0]) * 20_000, ask[0] + bid[0], BPS_PLACES)


def mid(book: OrderBook) -> Fraction | None:
    """Return half of best bid plus best ask (scaled as prices are), None where a side is empty."""
    bid, ask = book.bids.best, book.asks.best
    return None if bid is None or ask is None else Fraction(bid[0] + ask[0], 2)


def depth(book: OrderBook, side: Side, middle: Fraction, percent: Decimal) -> Reach:
    """Return what a side of a book holds within ``percent`` of the mid."""
    furthest = side.sign * middle * (1 - side.sign * Fraction(percent) / 100)
    quantity = notional = count = 0
    complete = side.horizon is None or side.horizon <= furthest
    for price, amount in _from_best(side):
        if side.sign * price < furthest:
            break
        quantity, notional, count = quantity + amount, notional + price * amount, count + 1
    else:
        # The exchange itself tells of no level beyond the last one.
        complete = complete and not (book.limited and len(side) >= book.depth)
    return Reach(quantity, notional, count, complete)


def walls(side: Side, levels: int, times: Decimal) -> list[Wall]:
    """Return the walls among the best ``levels`` of a side, best first."""
    best = side.top(levels)
    if not best:
        return []
    middle = median([quantity for _, quantity in best])
    return [
        Wall(price, quantity, quantity / middle)
        for price, quantity in best
        if quantity >= Fraction(times) * middle
    ]


def _from_best(side: Side, step: int = 256) -> Iterator[Level]:
    """Yield the levels of a side, best first, taken out of it in ever larger pieces."""
    done = 0
    while done < len(side):
        yield from side.top(done + step)[done:]
        done, step = done + step, step * 2
