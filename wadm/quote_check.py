"""A book's best bid and ask against those that the exchange sends in a stream of their own.

Both streams count with the same update ids, but arrive interleaved: a quote is compared with the book as it
was at the quote's id, not with the book as it is when the quote arrives.
https://developers.binance.com/docs/binance-spot-api-docs/web-socket-streams#individual-symbol-book-ticker-streams
"""

from collections import deque

import attrs

from wadm.market import BestQuote, BookUpdate
from wadm.numbers import NumberError, parse, plain_scaled
from wadm.orderbook import Level, OrderBook

#: Quotes and points of a book that wait for one another; beyond it the oldest go uncompared.
_WAITING = 4_096

#: Mismatches kept for a person to look at.
_KEPT = 20


@attrs.frozen
class Mismatch:
    """What differed after update ``update_id``: bid, its quantity, ask, its quantity; 0 for an empty side."""

    update_id: int
    ours: tuple[str, str, str, str]
    theirs: tuple[str, str, str, str]


@attrs.frozen
class _Point:
    """The best of a book after update ``last``, which began with ``first``."""

    first: int
    last: int
    bid: Level
    ask: Level
    price_decimals: int
    quantity_decimals: int

    def text(self) -> tuple[str, str, str, str]:
        prices, quantities = self.price_decimals, self.quantity_decimals
        (bid, bid_quantity), (ask, ask_quantity) = self.bid, self.ask
        return (
            plain_scaled(bid, prices),
            plain_scaled(bid_quantity, quantities),
            plain_scaled(ask, prices),
            plain_scaled(ask_quantity, quantities),
        )


@attrs.define(eq=False)
class QuoteCheck:
    """Compares after each diff the book's best with the last quote whose id lies within the diff.

    A comparison is settled once a later quote has come: only then is it known which was the last.
    """

    checked: int = 0
    mismatches: int = 0
    kept: deque[Mismatch] = attrs.field(factory=lambda: deque(maxlen=_KEPT))
    _quotes: deque[BestQuote] = attrs.field(factory=lambda: deque(maxlen=_WAITING))
    _points: deque[_Point] = attrs.field(factory=lambda: deque(maxlen=_WAITING))

    def quote(self, quote: BestQuote) -> None:
        """Take a quote; one that comes again, or late, or counts otherwise than the book (0), is dropped."""
        if not quote.update_id or (self._quotes and quote.update_id <= self._quotes[-1].update_id):
            return
        self._quotes.append(quote)
        self._settle()

    def applied(self, update: BookUpdate, book: OrderBook) -> None:
        """Take the book as it is right after ``update``."""
        if not self._quotes:
            return  # nothing tells of quotes here, or nothing yet
        nothing = (0, 0)
        self._points.append(
            _Point(
                update.first,
                update.last,
                book.bids.best or nothing,
                book.asks.best or nothing,
                book.price_decimals,
                book.quantity_decimals,
            )
        )
        self._settle()

    def forget(self) -> None:
        """Drop what waits: something between was missed."""
        self._quotes.clear()
        self._points.clear()

    def _settle(self) -> None:
        while self._points and self._quotes[-1].update_id > self._points[0].last:
            point, last = self._points.popleft(), None
            while self._quotes[0].update_id <= point.last:
                last = self._quotes.popleft()
            if last is not None and last.update_id >= point.first:
                self._compare(point, last)

    def _compare(self, point: _Point, quote: BestQuote) -> None:
        self.checked += 1
        ours = point.text()
        theirs = tuple(map(_plain, (quote.bid, quote.bid_quantity, quote.ask, quote.ask_quantity)))
        if ours != theirs:
            self.mismatches += 1
            bid, bid_quantity, ask, ask_quantity = theirs
            self.kept.append(Mismatch(quote.update_id, ours, (bid, bid_quantity, ask, ask_quantity)))


def _plain(text: str) -> str:
    try:
        return plain_scaled(*parse(text))
    except NumberError:
        return text
