"""Binance's REST interface as its servers answer it, spot and USDⓈ-M futures. Sans-IO.

https://developers.binance.com/docs/binance-spot-api-docs/rest-api/market-data-endpoints and
https://developers.binance.com/docs/derivatives/usds-margined-futures/market-data/rest-api
"""

from collections.abc import Callable, Mapping, Sequence
from decimal import Context, Decimal, Inexact
from urllib.parse import parse_qs

import attrs
import msgspec

from actors.playback.binance_figures import write_candles, write_day, write_symbol
from actors.playback.binance_market import Market
from actors.playback.binance_query import (
    Query,
    RefusedError,
    malformed,
    read_integer,
    read_limit,
    read_text,
)
from actors.playback.capture import Capture, Frame
from actors.playback.depth import DiffBooks
from actors.playback.dialect import Reply
from actors.playback.fineness import Fineness, finest
from actors.playback.history import Aggregate, History, Trade

_EXACT = Context(prec=100, traps=[Inexact])
_MOST_AGGREGATES, _DEFAULT_LIMIT = 1000, 500
_UNAVAILABLE = RefusedError(503, -1001, "Internal error; unable to process your request. Please try again.")


class BinanceRest:
    """The REST interface of a market, to as much of a capture as it has read."""

    def __init__(self, market: Market, capture: Capture) -> None:
        self._market = market
        self._capture = capture
        self._symbols = frozenset(capture.symbols)
        self._history = History()
        self._books = DiffBooks(capture)
        self._played: list[Sequence[Frame]] = []
        self._fineness: dict[str, Fineness] | None = None
        self._now = capture.first_at
        self._endpoints: dict[str, Callable[[Query, Mapping[str, str]], Reply]] = {
            "ping": lambda _query, _headers: self._reply("ping", {}),
            "time": lambda _query, _headers: self._reply("time", {"serverTime": self._milliseconds}),
            "historicalTrades": self._historical_trades,
            "aggTrades": self._aggregate_trades,
            "depth": self._depth,
            "exchangeInfo": self._exchange_info,
            "klines": self._klines,
            "ticker/24hr": self._days,
        }

    def read(self, frames: Sequence[Frame]) -> None:
        """Take in what was played since; the exchange's time is that of the last frame."""
        self._history.read(frames)
        self._played.append(frames)
        if frames:
            self._now = frames[-1].at

    def answer(self, target: str, headers: Mapping[str, str]) -> Reply:
        """Answer a GET request for ``target``; the names of ``headers`` are in lower case."""
        path, _, query = target.partition("?")
        if not path.startswith(self._market.prefix):
            return _NOT_FOUND
        endpoint = self._endpoints.get(path.removeprefix(self._market.prefix))
        if endpoint is None:
            return _NOT_FOUND
        try:
            return endpoint(parse_qs(query, keep_blank_values=True), headers)
        except RefusedError as refusal:
            return _error(refusal.status, refusal.code, refusal.message)

    def refusal(self, seconds: int, *, banned: bool) -> Reply:
        """Answer 429 to one who asked too often, 418 to one who kept asking."""
        way = "IP banned" if banned else "Too much request weight used; current limit was passed"
        told = _error(418 if banned else 429, -1003, f"{way}. Please use WebSocket Streams for live updates.")
        return attrs.evolve(told, headers=(("Retry-After", str(seconds)),))

    def used(self, weight: int) -> tuple[tuple[str, str], ...]:
        """Tell the weight used in this minute."""
        return (("x-mbx-used-weight-1m", str(weight)),)

    def present(self, stream: str) -> bytes | None:
        """Return None: no stream of Binance begins with a snapshot."""
        return None

    @property
    def _milliseconds(self) -> int:
        return self._now // 1_000_000

    def _historical_trades(self, query: Query, headers: Mapping[str, str]) -> Reply:
        if self._market.keyed and not headers.get("x-mbx-apikey"):
            raise RefusedError(401, -2014, "API-key format invalid.")
        symbol, from_id, limit = self._page(query, self._market.most_trades)
        page = self._history.trades(symbol).page(from_id, limit)
        return self._reply("historicalTrades", [self._write_trade(trade) for trade in page])

    def _aggregate_trades(self, query: Query, _headers: Mapping[str, str]) -> Reply:
        symbol, from_id, limit = self._page(query, _MOST_AGGREGATES)
        page = self._history.aggregates(symbol).page(from_id, limit)
        return self._reply("aggTrades", [self._write_aggregate(one) for one in page])

    def _depth(self, query: Query, _headers: Mapping[str, str]) -> Reply:
        """Answer with the book at the playback's position; before there is one, that it is early."""
        market, symbol = self._market, self._symbol(query)
        limit = read_limit(query, market.default_depth, market.depths[-1], strict=market.strict)
        if len(market.depths) > 1 and limit not in market.depths:
            raise RefusedError(400, -4021, f"{limit} is not valid depth limit.")
        books = self._present_books()
        found = books.find(symbol)
        if found is None or found.book is None:
            early = _error(_UNAVAILABLE.status, _UNAVAILABLE.code, _UNAVAILABLE.message)
            return attrs.evolve(early, early=books.awaits(symbol))
        times = {} if market.best_match else {"E": found.event, "T": found.time}
        bids, asks = found.book.bids.best(limit), found.book.asks.best(limit)
        written = {"lastUpdateId": found.last, **times, "bids": bids, "asks": asks}
        return attrs.evolve(self._reply("depth", written, limit), book_of=symbol)

    def _present_books(self) -> DiffBooks:
        """Return the books as they stand: they are put together only where somebody asks for one."""
        for frames in self._played:
            self._books.read(frames)
        self._played.clear()
        return self._books

    def _exchange_info(self, query: Query, _headers: Mapping[str, str]) -> Reply:
        if self._fineness is None:
            self._fineness = finest(self._capture.frames)
        wanted = [self._symbol(query)] if "symbol" in query else self._capture.symbols
        written = [
            write_symbol(symbol, self._fineness.get(symbol, Fineness()), futures=not self._market.best_match)
            for symbol in wanted
        ]
        answer = {"timezone": "UTC", "serverTime": self._milliseconds, "symbols": written}
        return self._reply("exchangeInfo", answer)

    def _klines(self, query: Query, _headers: Mapping[str, str]) -> Reply:
        symbol, market = self._symbol(query), self._market
        limit = read_limit(query, _DEFAULT_LIMIT, market.most_candles, strict=market.strict)
        deals = self._history.deals(symbol)
        rows = write_candles(deals, query, limit, futures=not market.best_match)
        return self._reply("klines", rows, limit)

    def _days(self, query: Query, _headers: Mapping[str, str]) -> Reply:
        def day(symbol: str) -> dict[str, object]:
            return write_day(symbol, self._history.deals(symbol), self._milliseconds)

        if "symbol" in query:
            return self._reply("ticker/24hr", day(self._symbol(query)))
        days = self._reply("ticker/24hr", [day(symbol) for symbol in self._capture.symbols])
        return attrs.evolve(days, weight=self._market.all_days_weight)

    def _symbol(self, query: Query) -> str:
        symbol = read_text(query, "symbol")
        if symbol is None:
            raise malformed("symbol")
        if symbol not in self._symbols:
            raise RefusedError(400, -1121, "Invalid symbol.")
        return symbol

    def _page(self, query: Query, most: int) -> tuple[str, int | None, int]:
        """Read which page is asked for: the symbol, the first id, the limit."""
        symbol, from_id = self._symbol(query), read_integer(query, "fromId")
        return symbol, from_id, read_limit(query, _DEFAULT_LIMIT, most, strict=self._market.strict)

    def _reply(self, endpoint: str, answer: object, limit: int = 0) -> Reply:
        return Reply(200, msgspec.json.encode(answer), weight=self._market.weight(endpoint, limit))

    def _write_trade(self, trade: Trade) -> dict[str, object]:
        written: dict[str, object] = {
            "id": trade.id,
            "price": trade.price,
            "qty": trade.quantity,
            "quoteQty": quote_quantity(trade.price, trade.quantity),
            "time": trade.time,
            "isBuyerMaker": trade.buyer_is_maker,
        }
        return written | {"isBestMatch": trade.best_match} if self._market.best_match else written

    def _write_aggregate(self, one: Aggregate) -> dict[str, object]:
        written: dict[str, object] = {
            "a": one.id,
            "p": one.price,
            "q": one.quantity,
            "f": one.first,
            "l": one.last,
            "T": one.time,
            "m": one.buyer_is_maker,
        }
        return written | {"M": one.best_match} if self._market.best_match else written


def quote_quantity(price: str, quantity: str) -> str:
    """Multiply exactly; write as many decimals as the price has, and more only where they are not zero."""
    product = _EXACT.multiply(Decimal(price), Decimal(quantity))
    whole, _, decimals = f"{product:f}".partition(".")
    decimals = decimals.rstrip("0").ljust(len(price.partition(".")[2]), "0")
    return f"{whole}.{decimals}" if decimals else whole


def _error(status: int, code: int, message: str) -> Reply:
    return Reply(status, msgspec.json.encode({"code": code, "msg": message}))


_NOT_FOUND = _error(404, -1000, "Path not found.")
