"""Binance's trades out of recorded frames, by id."""

from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator
from decimal import Decimal
from typing import Generic, TypeVar

import msgspec

from actors.playback.by_stream import ByStream, Take
from actors.playback.candles import Deal
from actors.playback.capture import Frame
from actors.playback.names import symbol_of
from actors.playback.payload import UnreadableError, decoder
from wadm.numbers import NumberError, parse


class Trade(
    msgspec.Struct,
    rename={
        "id": "t",
        "price": "p",
        "quantity": "q",
        "time": "T",
        "buyer_is_maker": "m",
        "best_match": "M",
        "origin": "X",
    },
    gc=False,
):
    """A trade as the ``@trade`` stream writes it."""

    id: int
    price: str
    quantity: str
    time: int
    buyer_is_maker: bool
    best_match: bool = True
    #: Futures only; what is not "MARKET" (an insurance fund's trade, say) is left out of histories.
    origin: str = "MARKET"


class Aggregate(
    msgspec.Struct,
    rename={
        "id": "a",
        "price": "p",
        "quantity": "q",
        "first": "f",
        "last": "l",
        "time": "T",
        "buyer_is_maker": "m",
        "best_match": "M",
    },
    gc=False,
):
    """Trades of one order at one price, as the ``@aggTrade`` stream writes them."""

    id: int
    price: str
    quantity: str
    first: int
    last: int
    time: int
    buyer_is_maker: bool
    best_match: bool = True


T = TypeVar("T", Trade, Aggregate)


class Series(Generic[T]):
    """What one stream has had so far, ascending by id, each id once.

    A page from an id on ends where one was not recorded: whether it was a market's trade is not known here,
    and a page that passed over it would say that it was none.
    """

    def __init__(self) -> None:
        self._ids: list[int] = []
        self._rows: list[T | None] = []

    def add(self, trade_id: int, row: T | None) -> None:
        """Add a row in its place, None for what is no market trade; an id that is there is left out."""
        if not self._ids or trade_id > self._ids[-1]:
            self._ids.append(trade_id)
            self._rows.append(row)
            return
        place = bisect_left(self._ids, trade_id)
        if self._ids[place] != trade_id:
            self._ids.insert(place, trade_id)
            self._rows.insert(place, row)

    def rows(self) -> Iterator[T]:
        """Yield the market's trades."""
        return (row for row in self._rows if row is not None)

    def page(self, from_id: int | None, limit: int) -> list[T]:
        """Return up to ``limit`` rows from ``from_id`` on (or from the next recorded id), or the newest."""
        if from_id is None:
            return [row for row in self._rows[-limit:] if row is not None]
        found: list[T] = []
        for index in range(bisect_left(self._ids, from_id), len(self._ids)):
            if len(found) == limit or (found and self._ids[index] != self._ids[index - 1] + 1):
                break
            row = self._rows[index]
            if row is not None:
                found.append(row)
        return found


class History:
    """The trades and aggregate trades of the frames read so far, by symbol."""

    def __init__(self) -> None:
        self._trades: dict[str, Series[Trade]] = {}
        self._aggregates: dict[str, Series[Aggregate]] = {}
        self._by_stream = ByStream(self._taking)

    def read(self, frames: Iterable[Frame]) -> None:
        """Take the trades out of further frames. A frame that cannot be read has none."""
        for frame in frames:
            self._by_stream.take(frame)

    def trades(self, symbol: str) -> Series[Trade]:
        """Return the market trades of a symbol."""
        return self._trades.setdefault(symbol, Series())

    def aggregates(self, symbol: str) -> Series[Aggregate]:
        """Return the aggregate trades of a symbol."""
        return self._aggregates.setdefault(symbol, Series())

    def deals(self, symbol: str) -> list[Deal]:
        """Return the market trades of a symbol as deals, its aggregate trades where there are no others."""
        return [_deal(row) for row in self.trades(symbol).rows()] or [
            _deal(row) for row in self.aggregates(symbol).rows()
        ]

    def _taking(self, stream: str) -> Take | None:
        """Return what reads the frames of a stream; None where they are not trades."""
        symbol, kind = symbol_of(stream), stream.partition("@")[2]
        if symbol is None or kind not in ("trade", "aggTrade"):
            return None
        return (
            _reader(Trade, self._add_trade(symbol))
            if kind == "trade"
            else _reader(Aggregate, self._add_aggregate(symbol))
        )

    def _add_aggregate(self, symbol: str) -> Callable[[Aggregate], None]:
        series = self.aggregates(symbol)
        return lambda row: series.add(row.id, row)

    def _add_trade(self, symbol: str) -> Callable[[Trade], None]:
        series = self.trades(symbol)

        def add(trade: Trade) -> None:
            series.add(trade.id, trade if trade.origin == "MARKET" else None)

        return add


def _deal(row: Trade | Aggregate) -> Deal:
    count = row.last - row.first + 1 if isinstance(row, Aggregate) else 1
    return Deal(row.time, Decimal(row.price), Decimal(row.quantity), not row.buyer_is_maker, count)


def _reader(kind: type[T], add: Callable[[T], None]) -> Callable[[bytes], None]:
    decode = decoder(kind)

    def take(body: bytes) -> None:
        try:
            row = decode(body)
            parse(row.price)
            parse(row.quantity)
        except (UnreadableError, NumberError):
            return
        add(row)

    return take
