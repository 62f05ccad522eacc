"""What Binance's REST interface answers about the market; spot and futures write it alike.

https://developers.binance.com/docs/binance-spot-api-docs/rest-api/market-data-endpoints
https://developers.binance.com/docs/binance-spot-api-docs/rest-api/general-endpoints
https://developers.binance.com/docs/derivatives/usds-margined-futures/market-data/rest-api/Order-Book
Futures with a day of delivery are listed as well; their names have an underscore (``BTCUSDT_260327``).
"""

from collections.abc import Mapping, Sequence
from decimal import Decimal

import attrs
import msgspec

from wadm.exchanges.base import Listed, ListingPage, Query, Request
from wadm.exchanges.candles import CandlePage, Row
from wadm.exchanges.levels import Written
from wadm.exchanges.page import Count, Millis, Symbol, decoded, size, snapshot, turnovers
from wadm.market import MILLISECOND, BookUpdate, Candle, Instrument


@attrs.frozen
class Market:
    """Where requests of one market go, what they weigh, and how deep its order book is given.

    ``listing_query`` leaves out of the list what nobody reads. ``candles`` are (up to so many candles,
    weight), ascending.
    """

    prefix: str
    listing: int
    turnover: int
    depth: int
    depth_limit: int
    candles: Sequence[tuple[int, int]]
    listing_query: Mapping[str, str] = attrs.field(factory=dict)


SPOT = Market(
    "/api/v3",
    listing=20,
    turnover=80,
    depth=250,
    depth_limit=5_000,
    candles=((1_000, 2),),
    listing_query={"showPermissionSets": "false"},
)
FUTURES = Market(
    "/fapi/v1",
    listing=1,
    turnover=40,
    depth=20,
    depth_limit=1_000,
    candles=((99, 1), (499, 2), (1_000, 5)),
)


class _Time(msgspec.Struct):
    serverTime: Millis  # noqa: N815


class _Filter(msgspec.Struct, rename="camel"):
    filter_type: str
    tick_size: str = ""
    step_size: str = ""


class _Listed(msgspec.Struct, rename="camel"):
    symbol: Symbol
    status: str
    base_asset: str
    quote_asset: str
    filters: list[_Filter]


class _Listing(msgspec.Struct):
    symbols: list[_Listed]


class _Ticker(msgspec.Struct, rename="camel"):
    symbol: Symbol
    quote_volume: str


class _Depth(msgspec.Struct, rename={"update_id": "lastUpdateId", "time": "T"}):
    """The book at ``time``, which only futures tell."""

    update_id: Count
    bids: list[Written]
    asks: list[Written]
    time: Millis | None = None


#: start, open, high, low, close, volume, end, turnover, count, taker's buying in base and quote, unused
_Kline = tuple[Millis, str, str, str, str, str, int, str, Count, str, str, str]

_decode_time = msgspec.json.Decoder(_Time).decode
_decode_listing = msgspec.json.Decoder(_Listing).decode
_decode_tickers = msgspec.json.Decoder(list[_Ticker]).decode
_decode_depth = msgspec.json.Decoder(_Depth).decode
_decode_klines = msgspec.json.Decoder(list[_Kline]).decode


@attrs.frozen
class BinanceEndpoints:
    """Queries of one market."""

    exchange: str
    market: Market

    def clock(self) -> Query[int]:
        """Ask for the exchange's time (µs)."""

        def read(body: bytes) -> int:
            return decoded(_decode_time, body, f"{self.exchange}'s time").serverTime * MILLISECOND

        return Query(self._request("time", 1), read)

    def listing(self, cursor: str = "") -> Query[ListingPage]:
        """Ask for the symbols there are."""

        def read(body: bytes) -> ListingPage:
            found = decoded(_decode_listing, body, f"{self.exchange}'s list of symbols")
            return ListingPage([self._listed(one) for one in found.symbols])

        return Query(self._request("exchangeInfo", self.market.listing, **self.market.listing_query), read)

    def turnover(self) -> Query[Mapping[str, Decimal]]:
        """Ask for each symbol's turnover of the last 24 hours, in its quote asset."""

        def read(body: bytes) -> Mapping[str, Decimal]:
            found = decoded(_decode_tickers, body, f"{self.exchange}'s turnover")
            return turnovers((one.symbol, one.quote_volume) for one in found)

        return Query(self._request("ticker/24hr", self.market.turnover), read)

    def depth(self, symbol: str) -> Query[BookUpdate]:
        """Ask for a snapshot of the order book, as deep as the exchange gives it."""
        what = f"{self.exchange}'s order book of {symbol}"

        def read(body: bytes) -> BookUpdate:
            found = decoded(_decode_depth, body, what)
            return snapshot(found.update_id, found.time or 0, found.bids, found.asks, what)

        limit = str(self.market.depth_limit)
        return Query(self._request("depth", self.market.depth, symbol=symbol, limit=limit), read)

    def candles(self, symbol: str, start: int, end: int) -> Query[Sequence[Candle]]:
        """Ask for the one-minute candles that begin in ``[start, end)`` (µs), ascending; at most 1,000.

        Only ask for minutes that have ended: what ends by ``end`` is taken for closed.
        """
        page = CandlePage(self.exchange, symbol, start, end)

        def read(body: bytes) -> Sequence[Candle]:
            found = decoded(_decode_klines, body, f"{self.exchange}'s candles of {symbol}")
            return page.candles(_row(one) for one in found)

        weight = next(weight for most, weight in self.market.candles if page.limit <= most)
        asked = {"startTime": str(page.first), "endTime": str(page.last), "limit": str(page.limit)}
        return Query(self._request("klines", weight, symbol=symbol, interval="1m", **asked), read)

    def _request(self, path: str, weight: int, **query: str) -> Request:
        return Request(f"{self.market.prefix}/{path}", query, weight=weight)

    def _listed(self, one: _Listed) -> Listed:
        filters = {each.filter_type: each for each in one.filters}
        price, lot = filters.get("PRICE_FILTER"), filters.get("LOT_SIZE")
        instrument = Instrument(
            self.exchange,
            one.symbol,
            None if price is None else size(price.tick_size),
            None if lot is None else size(lot.step_size),
        )
        return Listed(instrument, one.base_asset, one.quote_asset, one.status == "TRADING")


def _row(one: _Kline) -> Row:
    start, first, high, low, last, volume, _, turnover, count, buy_volume, *_ = one
    return Row(start, first, high, low, last, volume, turnover, buy_volume, count)
