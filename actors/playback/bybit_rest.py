"""Bybit's v5 REST interface to the market as its servers answer it, linear and spot. Sans-IO.

https://bybit-exchange.github.io/docs/v5/market/time, …/instrument, …/orderbook, …/kline, …/recent-trade,
…/tickers; https://bybit-exchange.github.io/docs/v5/error and https://bybit-exchange.github.io/docs/v5/rate-limit
"""

from collections.abc import Callable, Mapping, Sequence
from urllib.parse import parse_qs

import attrs
import msgspec

from actors.playback.bybit_figures import write_candles, write_day, write_instrument, write_trade
from actors.playback.bybit_topics import Topics
from actors.playback.bybit_trades import BybitTrades
from actors.playback.capture import Capture, Frame
from actors.playback.dialect import Reply
from actors.playback.fineness import Fineness, finest

_PREFIX = "/v5/market/"
_PARAMETER, _TOO_MANY = 10001, 10006

Query = Mapping[str, Sequence[str]]


class RefusedError(Exception):
    """A request that Bybit answers with a ``retCode``; its parameters cannot be used."""


@attrs.frozen
class _Limits:
    """Rows by default and at most."""

    trades: tuple[int, int]
    depth: tuple[int, int]
    candles: tuple[int, int] = (200, 1000)


_LIMITS = {
    "linear": _Limits(trades=(500, 1000), depth=(25, 1000)),
    "spot": _Limits(trades=(60, 60), depth=(1, 200)),
}


class BybitRest:
    """The REST interface of a category, to as much of a capture as it has read."""

    def __init__(self, category: str, capture: Capture) -> None:
        self._category = category
        self._limits = _LIMITS[category]
        self._capture = capture
        self._trades = BybitTrades()
        self._topics = Topics()
        self._fineness: dict[str, Fineness] | None = None
        self._now = capture.first_at
        self._endpoints: dict[str, Callable[[Query], dict[str, object]]] = {
            "time": self._time,
            "instruments-info": self._instruments,
            "orderbook": self._depth,
            "kline": self._candles,
            "recent-trade": self._recent,
            "tickers": self._days,
        }

    def read(self, frames: Sequence[Frame]) -> None:
        """Take in what was played since; the exchange's time is that of the last frame."""
        self._trades.read(frames)
        self._topics.read(frames)
        if frames:
            self._now = frames[-1].at

    def answer(self, target: str, headers: Mapping[str, str]) -> Reply:
        """Answer a GET request for ``target``."""
        path, _, query = target.partition("?")
        endpoint = self._endpoints.get(path.removeprefix(_PREFIX)) if path.startswith(_PREFIX) else None
        if endpoint is None:
            return Reply(404, b"")
        try:
            return self._reply(0, "OK", endpoint(parse_qs(query, keep_blank_values=True)))
        except RefusedError as refusal:
            return self._reply(_PARAMETER, str(refusal), {})

    def refusal(self, seconds: int, *, banned: bool) -> Reply:
        """Answer 10006 to one who asked too often, 403 to one who kept asking."""
        if banned:
            return Reply(403, b"access too frequent, please try again in %d minutes" % -(-seconds // 60))
        until = (("X-Bapi-Limit-Reset-Timestamp", str(self._milliseconds + 1000 * seconds)),)
        return attrs.evolve(
            self._reply(_TOO_MANY, "Too many visits. Exceeded the API Rate Limit.", {}), headers=until
        )

    def used(self, weight: int) -> tuple[tuple[str, str], ...]:
        """Return nothing: of the limit by address Bybit tells nothing."""
        return ()

    def present(self, stream: str) -> bytes | None:
        """Return what a subscription to a topic begins with."""
        return self._topics.present(stream)

    @property
    def _milliseconds(self) -> int:
        return self._now // 1_000_000

    def _time(self, _query: Query) -> dict[str, object]:
        return {"timeSecond": str(self._now // 10**9), "timeNano": str(self._now)}

    def _instruments(self, query: Query) -> dict[str, object]:
        if self._fineness is None:
            self._fineness = finest(self._capture.frames)
        fineness = self._fineness
        listed = [
            write_instrument(symbol, fineness.get(symbol, Fineness()), linear=self._category == "linear")
            for symbol in self._symbols(query)
        ]
        return {"category": self._category, "list": listed, "nextPageCursor": ""}

    def _depth(self, query: Query) -> dict[str, object]:
        symbol = self._symbol(query)
        limit = _limit(query, *self._limits.depth)
        topic = self._topics.book(symbol)
        if topic is None or topic.book is None or topic.last is None:
            raise RefusedError("Not supported symbols")  # as before the first trade of a listing
        last, book = topic.last, topic.book
        return {
            "s": symbol,
            "b": book.bids.best(limit),
            "a": book.asks.best(limit),
            "ts": last.ts,
            "u": last.data.u,
            "seq": last.data.seq,
            "cts": last.cts,
        }

    def _candles(self, query: Query) -> dict[str, object]:
        symbol = self._symbol(query)
        interval = _text(query, "interval")
        start, end = (_integer(query, name) for name in ("start", "end"))
        limit = _limit(query, *self._limits.candles)
        rows = write_candles(self._trades.deals(symbol), interval, start, end, limit)
        if rows is None:
            raise RefusedError("Invalid period!")
        return {"category": self._category, "symbol": symbol, "list": rows}

    def _recent(self, query: Query) -> dict[str, object]:
        symbol = self._symbol(query)
        newest = self._trades.newest(symbol, _limit(query, *self._limits.trades))
        return {"category": self._category, "list": [write_trade(trade) for trade in newest]}

    def _days(self, query: Query) -> dict[str, object]:
        listed = []
        for symbol in self._symbols(query):
            told = self._topics.tickers.get(f"tickers.{symbol}")
            day = write_day(symbol, self._trades.deals(symbol), self._milliseconds)
            listed.append(day if told is None else day | told.fields)
        return {"category": self._category, "list": listed}

    def _symbols(self, query: Query) -> Sequence[str]:
        if "symbol" in query:
            return [self._symbol(query)]
        self._check_category(query)
        return self._capture.symbols

    def _symbol(self, query: Query) -> str:
        self._check_category(query)
        symbol = _text(query, "symbol")
        if symbol not in self._capture.symbols:
            raise RefusedError("Not supported symbols" if symbol else "params error: Symbol Invalid")
        return symbol

    def _check_category(self, query: Query) -> None:
        """Refuse another category than the one recorded; only candles may leave it out, for linear."""
        category = _text(query, "category") or "linear"
        if category != self._category:
            raise RefusedError(f"params error: Category {category}")

    def _reply(self, code: int, message: str, result: dict[str, object]) -> Reply:
        answer = {
            "retCode": code,
            "retMsg": message,
            "result": result,
            "retExtInfo": {},
            "time": self._milliseconds,
        }
        return Reply(200, msgspec.json.encode(answer))


def _text(query: Query, name: str) -> str:
    values = query.get(name, ("",))
    return values[-1]


def _integer(query: Query, name: str) -> int | None:
    text = _text(query, name)
    if not text:
        return None
    if not (text.isascii() and text.isdigit() and len(text) <= 20):
        raise RefusedError(f"params error: {name} invalid")
    return int(text)


def _limit(query: Query, default: int, most: int) -> int:
    limit = _integer(query, "limit")
    if limit == 0:
        raise RefusedError("params error: limit invalid")
    return min(default if limit is None else limit, most)
