"""Binance's REST interface as its servers answer it, spot and USDⓈ-M futures. Sans-IO.

https://developers.binance.com/docs/binance-spot-api-docs/rest-api/market-data-endpoints and
https://developers.binance.com/docs/derivatives/usds-margined-futures/market-data/rest-api
"""

from collections.abc import Callable, Mapping, Sequence
from decimal import Context, Decimal, Inexact
from urllib.parse import parse_qs

import attrs
import msgspec

from actors.playback.capture import Capture, Frame
from actors.playback.dialect import Reply
from actors.playback.history import Aggregate, History, Trade

_EXACT = Context(prec=100, traps=[Inexact])
_Query = Mapping[str, Sequence[str]]


class RefusedError(Exception):
    """A request that Binance answers with an error."""

    def __init__(self, status: int, code: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message


@attrs.frozen
class Market:
    """What tells the markets' interfaces apart."""

    prefix: str
    #: The longest page of ``historicalTrades``; that of ``aggTrades`` is 1,000.
    most_trades: int
    #: Whether ``historicalTrades`` wants an API key.
    keyed: bool
    #: Whether a page longer than allowed is refused; else it is cut.
    strict: bool
    #: Whether trades tell if they were the best match.
    best_match: bool


SPOT = Market("/api/v3/", most_trades=1000, keyed=False, strict=False, best_match=True)
FUTURES = Market("/fapi/v1/", most_trades=500, keyed=True, strict=True, best_match=False)

_MOST_AGGREGATES, _DEFAULT_LIMIT = 1000, 500


class BinanceRest:
    """The REST interface of a market, to as much of a capture as it has read."""

    def __init__(self, market: Market, capture: Capture) -> None:
        self._market = market
        self._symbols = frozenset(capture.symbols)
        self._history = History()
        self._now = capture.first_at
        self._endpoints: dict[str, Callable[[_Query, Mapping[str, str]], object]] = {
            "ping": lambda _query, _headers: {},
            "time": lambda _query, _headers: {"serverTime": self._now // 1_000_000},
            "historicalTrades": self._historical_trades,
            "aggTrades": self._aggregate_trades,
        }

    def read(self, frames: Sequence[Frame]) -> None:
        """Take in what was played since; the exchange's time is that of the last frame."""
        self._history.read(frames)
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
            found = endpoint(parse_qs(query, keep_blank_values=True), headers)
        except RefusedError as refusal:
            return _reply(refusal.status, {"code": refusal.code, "msg": refusal.message})
        return _reply(200, found)

    def _historical_trades(self, query: _Query, headers: Mapping[str, str]) -> list[dict[str, object]]:
        if self._market.keyed and not headers.get("x-mbx-apikey"):
            raise RefusedError(401, -2014, "API-key format invalid.")
        symbol, from_id, limit = self._page(query, self._market.most_trades)
        return [self._write_trade(trade) for trade in self._history.trades(symbol).page(from_id, limit)]

    def _aggregate_trades(self, query: _Query, _headers: Mapping[str, str]) -> list[dict[str, object]]:
        symbol, from_id, limit = self._page(query, _MOST_AGGREGATES)
        return [self._write_aggregate(one) for one in self._history.aggregates(symbol).page(from_id, limit)]

    def _page(self, query: _Query, most: int) -> tuple[str, int | None, int]:
        """Read which page is asked for: the symbol, the first id, the limit."""
        symbol = _read_text(query, "symbol")
        if symbol is None:
            raise _malformed("symbol")
        if symbol not in self._symbols:
            raise RefusedError(400, -1121, "Invalid symbol.")
        from_id, limit = _read_integer(query, "fromId"), _read_integer(query, "limit")
        if limit is None:
            limit = _DEFAULT_LIMIT
        if limit < 1 or (limit > most and self._market.strict):
            raise RefusedError(400, -1130, "Data sent for parameter 'limit' is not valid.")
        return symbol, from_id, min(limit, most)

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


def _read_text(query: _Query, name: str) -> str | None:
    values = query.get(name)
    if values is None:
        return None
    if len(values) > 1 or not values[0]:
        raise _malformed(name)
    return values[0]


def _read_integer(query: _Query, name: str) -> int | None:
    text = _read_text(query, name)
    if text is None:
        return None
    if not (text.isascii() and text.isdigit() and len(text) <= 20):
        raise _malformed(name)
    return int(text)


def _malformed(name: str) -> RefusedError:
    return RefusedError(
        400, -1102, f"Mandatory parameter '{name}' was not sent, was empty/null, or malformed."
    )


def _reply(status: int, answer: object) -> Reply:
    return Reply(status, msgspec.json.encode(answer))


_NOT_FOUND = _reply(404, {"code": -1000, "msg": "Path not found."})
