"""The state of Bybit's topics: what a subscription made in the middle of a playback begins with.

https://bybit-exchange.github.io/docs/v5/websocket/public/orderbook and
https://bybit-exchange.github.io/docs/v5/websocket/public/ticker
"""

from collections.abc import Iterable
from typing import Protocol

import attrs
import msgspec

from actors.playback.book import Book, Level, check_levels
from actors.playback.by_stream import ByStream, Take
from actors.playback.capture import Frame
from actors.playback.payload import BROKEN, UnreadableError


class BookData(msgspec.Struct):
    """The levels of a frame of an order book."""

    s: str
    b: list[Level]
    a: list[Level]
    u: int
    seq: int = 0


class BookFrame(msgspec.Struct):
    """A frame of an order book; ``cts`` is the matching engine's time (ms)."""

    topic: str
    ts: int
    type: str
    data: BookData
    cts: int = 0


class _TickerFrame(msgspec.Struct):
    topic: str
    type: str
    data: dict[str, str]
    ts: int = 0
    cs: int = 0


class _State(Protocol):
    def take(self, body: bytes) -> None:
        """Take in a frame."""
        ...

    def present(self) -> bytes | None:
        """Write what the topic comes to now as a snapshot; None where that is not known."""
        ...


@attrs.define
class BookTopic:
    """An order book of one depth."""

    depth: int
    book: Book | None = None
    last: BookFrame | None = None

    def take(self, body: bytes) -> None:
        """Apply a frame; changes that do not follow leave no book until the next snapshot."""
        frame = read_book(body)
        if frame is None:
            return
        data = frame.data
        if frame.type == "snapshot":
            self.book = Book(data.b, data.a)
        elif self.book is not None and self.last is not None and data.u == self.last.data.u + 1:
            self.book.change(data.b, data.a)
        else:
            self.book = None
        self.last = frame

    def present(self) -> bytes | None:
        """Write the book as a snapshot."""
        if self.book is None or self.last is None:
            return None
        return msgspec.json.encode(self.snapshot(self.last.data.u))

    def snapshot(self, number: int) -> BookFrame:
        """Return the book, which must be known, as a snapshot of this update number."""
        assert self.book is not None
        assert self.last is not None
        bids, asks = self.book.bids.best(self.depth), self.book.asks.best(self.depth)
        data = msgspec.structs.replace(self.last.data, b=bids, a=asks, u=number)
        return msgspec.structs.replace(self.last, type="snapshot", data=data)


@attrs.define
class TickerTopic:
    """A ticker: a field that a frame leaves out is unchanged."""

    fields: dict[str, str] = attrs.field(factory=dict)
    last: _TickerFrame | None = None

    def take(self, body: bytes) -> None:
        """Take over the fields of a frame."""
        try:
            frame = _decode_ticker(body)
        except BROKEN:
            return
        if frame.type == "snapshot":
            self.fields = frame.data
        elif self.fields:
            self.fields |= frame.data
        self.last = frame

    def present(self) -> bytes | None:
        """Write all fields as a snapshot."""
        if self.last is None or not self.fields:
            return None
        return msgspec.json.encode(msgspec.structs.replace(self.last, type="snapshot", data=self.fields))


class Topics:
    """The topics of a capture that begin with a snapshot, as far as the capture was read."""

    def __init__(self) -> None:
        self.books: dict[str, BookTopic] = {}
        self.tickers: dict[str, TickerTopic] = {}
        self._by_stream = ByStream(self._taking)

    def read(self, frames: Iterable[Frame]) -> None:
        """Take in what was played since."""
        for frame in frames:
            self._by_stream.take(frame)

    def present(self, topic: str) -> bytes | None:
        """Return what a subscription to a topic begins with now; None where it begins with nothing."""
        state: _State | None = self.books.get(topic) or self.tickers.get(topic)
        return None if state is None else state.present()

    def book(self, symbol: str) -> BookTopic | None:
        """Return a symbol's deepest book that is known now."""
        known = [
            topic
            for name, topic in self.books.items()
            if name.endswith(f".{symbol}") and topic.book is not None
        ]
        return max(known, key=lambda topic: topic.depth, default=None)

    def _taking(self, topic: str) -> Take | None:
        kind, _, rest = topic.partition(".")
        if kind == "orderbook" and rest.partition(".")[0].isdigit():
            return self.books.setdefault(topic, BookTopic(int(rest.partition(".")[0]))).take
        if kind == "tickers":
            return self.tickers.setdefault(topic, TickerTopic()).take
        return None


_decode_book = msgspec.json.Decoder(BookFrame).decode
_decode_ticker = msgspec.json.Decoder(_TickerFrame).decode


def read_book(body: bytes) -> BookFrame | None:
    """Read a frame of an order book; None where it was recorded broken."""
    try:
        frame = _decode_book(body)
        check_levels(frame.data.b, frame.data.a)
    except (*BROKEN, UnreadableError):
        return None
    return frame
