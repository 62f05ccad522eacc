"""A recording of Binance in Bybit's format: the same trades and books, to the last digit. Pure.

https://bybit-exchange.github.io/docs/v5/websocket/public/trade and
https://bybit-exchange.github.io/docs/v5/websocket/public/orderbook

Trades and, from a recorded snapshot on, order books (200 levels) are carried over; best quotes, candles and
the rest are not.
"""

from collections.abc import Callable, Iterator
from zlib import crc32

import msgspec

from actors.playback.book import Level
from actors.playback.bybit_topics import BookData, BookFrame
from actors.playback.bybit_trades import BybitTrade, TradeFrame
from actors.playback.capture import Capture, CaptureError, Frame
from actors.playback.depth import DiffBook, DiffBooks
from actors.playback.history import Aggregate, Trade
from actors.playback.names import symbol_of
from actors.playback.payload import UnreadableError, decoder
from wadm.numbers import NumberError, parse

DEPTH = 200


def reframed(capture: Capture, *, linear: bool) -> Capture:
    """Return a capture of Binance as one of Bybit, and any other as it is.

    Raises CaptureError where nothing in it can be carried over.
    """
    if not any("@" in stream for stream in capture.streams):
        return capture
    frames = list(_reframe(capture, linear=linear))
    if not frames:
        raise CaptureError(
            f"the capture has {', '.join(capture.streams)}: expected trades, or a book with its snapshot, "
            "to play it as Bybit"
        )
    streams = tuple(dict.fromkeys(frame.stream for frame in frames))
    return Capture(frames, [], streams, capture.cut_short, reframed_from="binance")


def _reframe(capture: Capture, *, linear: bool) -> Iterator[Frame]:
    books, shown = DiffBooks(capture), {symbol: _Shown(symbol) for symbol in capture.symbols}
    trades = {stream: _Trades(symbol, stream, linear=linear) for symbol, stream in _sources(capture).items()}
    for symbol, one in shown.items():
        yield from one.tell(books.find(symbol), capture.first_at)
    for frame in capture.frames:
        if frame.stream in trades:
            yield from trades[frame.stream].read(frame)
        books.read([frame])
        for symbol, one in shown.items():
            yield from one.tell(books.find(symbol), frame.at)


def _sources(capture: Capture) -> dict[str, str]:
    """Return the one stream of each symbol's trades: single ones rather than aggregate ones."""
    found: dict[str, str] = {}
    for kind in ("aggTrade", "trade"):
        for stream in capture.streams:
            symbol = symbol_of(stream)
            if symbol is not None and stream.partition("@")[2] == kind:
                found[symbol] = stream
    return found


class _Trades:
    """A symbol's trades, one frame for each recorded one."""

    def __init__(self, symbol: str, stream: str, *, linear: bool) -> None:
        self._symbol = symbol
        self._topic = f"publicTrade.{symbol}"
        self._linear = linear
        self._mark = crc32(symbol.encode())
        self._decode: Callable[[bytes], Trade | Aggregate] = (
            decoder(Trade) if stream.endswith("@trade") else decoder(Aggregate)
        )

    def read(self, frame: Frame) -> Iterator[Frame]:
        """Yield the frame anew, unless it has no trade of the market."""
        try:
            trade = self._decode(frame.body)
            parse(trade.price), parse(trade.quantity)
        except (UnreadableError, NumberError):
            return
        if isinstance(trade, Trade) and trade.origin != "MARKET":
            return
        told = BybitTrade(
            T=trade.time,
            s=self._symbol,
            S="Sell" if trade.buyer_is_maker else "Buy",
            v=_plain(trade.quantity),
            p=_plain(trade.price),
            i=self._name(trade.id),
            seq=trade.id,
        )
        body = msgspec.json.encode(TradeFrame(self._topic, "snapshot", frame.at // 1_000_000, [told]))
        yield Frame(frame.at, self._topic, body)

    def _name(self, number: int) -> str:
        """Write an id as the category does; the same one for the same trade, and no other's."""
        return f"{self._mark:08x}-0000-5000-8000-{number:012x}" if self._linear else str(number)


class _Shown:
    """A symbol's best levels as they were told last."""

    def __init__(self, symbol: str) -> None:
        self._symbol = symbol
        self._topic = f"orderbook.{DEPTH}.{symbol}"
        self._number = 0
        self._update: int | None = None
        self._sides: tuple[dict[str, str], dict[str, str]] = ({}, {})

    def tell(self, found: DiffBook | None, at: int) -> Iterator[Frame]:
        """Yield, received at ``at`` (ns), what has become of a book; nothing where it shows no change."""
        if found is None or found.book is None:
            self._update = None
        elif found.last != self._update:
            book = found.book
            sides = dict(book.bids.best(DEPTH)), dict(book.asks.best(DEPTH))
            begins, self._update = self._update is None, found.last
            told = (
                sides if begins else (_changes(self._sides[0], sides[0]), _changes(self._sides[1], sides[1]))
            )
            self._sides = sides
            if begins or any(told):
                yield self._frame(found, at, "snapshot" if begins else "delta", *map(_listed, told))

    def _frame(self, found: DiffBook, at: int, kind: str, bids: list[Level], asks: list[Level]) -> Frame:
        self._number += 1
        time = found.event or at // 1_000_000
        data = BookData(self._symbol, bids, asks, self._number, found.last)
        told = BookFrame(self._topic, time, kind, data, found.time or time)
        return Frame(at, self._topic, msgspec.json.encode(told))


def _changes(before: dict[str, str], now: dict[str, str]) -> dict[str, str]:
    """Return the levels that are new or others, and at 0 those that are gone."""
    gone = {price: "0" for price in before if price not in now}
    return gone | {price: size for price, size in now.items() if before.get(price) != size}


def _listed(levels: dict[str, str]) -> list[Level]:
    return [(_plain(price), _plain(size)) for price, size in levels.items()]


def _plain(number: str) -> str:
    """Write a number without trailing zeros, as Bybit does."""
    return number.rstrip("0").rstrip(".") if "." in number else number
