"""What Bybit's REST interface answers about the market: ``linear`` and ``spot``.

https://bybit-exchange.github.io/docs/v5/market/time
https://bybit-exchange.github.io/docs/v5/market/instrument
https://bybit-exchange.github.io/docs/v5/market/tickers
https://bybit-exchange.github.io/docs/v5/market/orderbook
https://bybit-exchange.github.io/docs/v5/market/kline
An answer that refuses has HTTP status 200 and says so in ``retCode``. 600 requests in 5 s from one address
are allowed, whatever they ask.
"""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Annotated, Generic, TypeVar

import attrs
import msgspec
from msgspec import Meta

from wadm.exchanges.base import Listed, ListingPage, PageError, Query, RateLimited, Request
from wadm.exchanges.candles import CandlePage, Row
from wadm.exchanges.levels import Written
from wadm.exchanges.page import Count, Millis, Symbol, decoded, size, snapshot, turnovers
from wadm.exchanges.run import EARLIEST_MS, LATEST_MS
from wadm.market import MILLISECOND, BookUpdate, Candle, Instrument

T = TypeVar("T")

#: Symbols in a page of the list.
_LISTED = 1_000
#: "Too many visits": https://bybit-exchange.github.io/docs/v5/error
_TOO_MANY = 10_006
#: The deepest order book by market.
_DEPTH = {"linear": 1_000, "spot": 200}

_Digits = Annotated[str, Meta(pattern="^[0-9]{1,19}$")]


class _Head(msgspec.Struct, rename="camel"):
    ret_code: int
    ret_msg: str = ""


class _Time(msgspec.Struct, rename="camel"):
    time_nano: _Digits


class _Sizes(msgspec.Struct, rename="camel"):
    """The step of a quantity: of a spot symbol ``base_precision``, of a contract ``qty_step``."""

    base_precision: str = ""
    qty_step: str = ""


class _Price(msgspec.Struct, rename="camel"):
    tick_size: str = ""


class _Listed(msgspec.Struct, rename="camel"):
    symbol: Symbol
    status: str
    base_coin: str
    quote_coin: str
    price_filter: _Price
    lot_size_filter: _Sizes


class _Ticker(msgspec.Struct):
    symbol: Symbol
    turnover24h: str


class _Depth(msgspec.Struct, rename={"update_id": "u", "time": "ts", "bids": "b", "asks": "a"}):
    update_id: Count
    time: Millis
    bids: list[Written]
    asks: list[Written]


#: start, open, high, low, close, volume, turnover
_Kline = tuple[_Digits, str, str, str, str, str, str]


class _Rows(msgspec.Struct, Generic[T], rename={"rows": "list", "cursor": "nextPageCursor"}):
    rows: list[T]
    cursor: str = ""


class _Answer(msgspec.Struct, Generic[T]):
    result: T


_decode_head = msgspec.json.Decoder(_Head).decode
_decode_time = msgspec.json.Decoder(_Answer[_Time]).decode
_decode_listing = msgspec.json.Decoder(_Answer[_Rows[_Listed]]).decode
_decode_tickers = msgspec.json.Decoder(_Answer[_Rows[_Ticker]]).decode
_decode_depth = msgspec.json.Decoder(_Answer[_Depth]).decode
_decode_klines = msgspec.json.Decoder(_Answer[_Rows[_Kline]]).decode


@attrs.frozen
class BybitEndpoints:
    """Queries of one market; ``category`` is ``linear`` or ``spot``."""

    exchange: str
    category: str

    def clock(self) -> Query[int]:
        """Ask for the exchange's time (µs)."""

        def read(body: bytes) -> int:
            what = f"{self.exchange}'s time"
            check(body, what)
            at = int(decoded(_decode_time, body, what).result.time_nano) // 1_000
            if not EARLIEST_MS <= at // MILLISECOND < LATEST_MS:
                raise PageError(f"{what} cannot be read: {at} µs is no time of this age")
            return at

        return Query(Request("/v5/market/time", {}), read)

    def listing(self, cursor: str = "") -> Query[ListingPage]:
        """Ask for the symbols there are."""

        def read(body: bytes) -> ListingPage:
            what = f"{self.exchange}'s list of symbols"
            check(body, what)
            found = decoded(_decode_listing, body, what).result
            return ListingPage([self._listed(one) for one in found.rows], found.cursor)

        further = {"cursor": cursor} if cursor else {}
        return Query(self._request("instruments-info", limit=str(_LISTED), **further), read)

    def turnover(self) -> Query[Mapping[str, Decimal]]:
        """Ask for each symbol's turnover of the last 24 hours, in its quote asset."""

        def read(body: bytes) -> Mapping[str, Decimal]:
            what = f"{self.exchange}'s turnover"
            check(body, what)
            found = decoded(_decode_tickers, body, what).result.rows
            return turnovers((one.symbol, one.turnover24h) for one in found)

        return Query(self._request("tickers"), read)

    def depth(self, symbol: str) -> Query[BookUpdate]:
        """Ask for a snapshot of the order book, as deep as the exchange gives it.

        Its ids are those of the stream of 1,000 levels, not of the lesser ones.
        """
        what = f"{self.exchange}'s order book of {symbol}"

        def read(body: bytes) -> BookUpdate:
            check(body, what)
            found = decoded(_decode_depth, body, what).result
            return snapshot(found.update_id, found.time, found.bids, found.asks, what)

        return Query(self._request("orderbook", symbol=symbol, limit=str(_DEPTH[self.category])), read)

    def candles(self, symbol: str, start: int, end: int) -> Query[Sequence[Candle]]:
        """Ask for the one-minute candles that begin in ``[start, end)`` (µs), ascending; at most 1,000.

        Only ask for minutes that have ended: what ends by ``end`` is taken for closed.
        """
        page = CandlePage(self.exchange, symbol, start, end)

        def read(body: bytes) -> Sequence[Candle]:
            what = f"{self.exchange}'s candles of {symbol}"
            check(body, what)
            found = decoded(_decode_klines, body, what).result.rows
            return page.candles(_row(one) for one in found)

        asked = {"start": str(page.first), "end": str(page.last), "limit": str(page.limit)}
        return Query(self._request("kline", symbol=symbol, interval="1", **asked), read)

    def _request(self, path: str, **query: str) -> Request:
        return Request(f"/v5/market/{path}", {"category": self.category, **query})

    def _listed(self, one: _Listed) -> Listed:
        sizes = one.lot_size_filter
        instrument = Instrument(
            self.exchange,
            one.symbol,
            size(one.price_filter.tick_size),
            size(sizes.qty_step) or size(sizes.base_precision),
        )
        return Listed(instrument, one.base_coin, one.quote_coin, one.status == "Trading")


def _row(one: _Kline) -> Row:
    start, first, high, low, last, volume, turnover = one
    return Row(int(start), first, high, low, last, volume, turnover)


def check(body: bytes, what: str) -> None:
    """Raise PageError for an answer that refuses, RateLimited where too much was asked."""
    head = decoded(_decode_head, body, what)
    if head.ret_code:
        kind = RateLimited if head.ret_code == _TOO_MANY else PageError
        raise kind(f"{what} is refused: {head.ret_msg[:200] or 'no reason given'} (retCode {head.ret_code})")
