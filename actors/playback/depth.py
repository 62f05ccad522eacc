"""Binance's order books out of recorded snapshots and diffs.

https://developers.binance.com/docs/binance-spot-api-docs/web-socket-streams#how-to-manage-a-local-order-book-correctly
"""

from collections import deque
from collections.abc import Iterable

import attrs
import msgspec

from actors.playback.book import Book, Level, check_levels
from actors.playback.by_stream import ByStream, Take
from actors.playback.capture import Capture, Frame, Snapshot
from actors.playback.names import symbol_of
from actors.playback.payload import BROKEN, UnreadableError, decoder


class Diff(msgspec.Struct, rename={"first": "U", "last": "u", "previous": "pu", "event": "E", "time": "T"}):
    """What a diff depth stream of Binance writes; futures name the update before it."""

    first: int
    last: int
    b: list[Level]
    a: list[Level]
    previous: int | None = None
    event: int = 0
    time: int = 0


class Seed(msgspec.Struct, rename={"last": "lastUpdateId", "event": "E", "time": "T"}):
    """A REST depth snapshot of Binance."""

    last: int
    bids: list[Level]
    asks: list[Level]
    event: int = 0
    time: int = 0


@attrs.define
class DiffBook:
    """A symbol's book out of a recorded snapshot and recorded diffs; none before, and none after a gap."""

    book: Book | None = None
    #: The last update in it, and the exchange times (ms) of that.
    last: int = 0
    event: int = 0
    time: int = 0
    _waiting: list[Diff] = attrs.field(factory=list)
    _seeded: bool = False

    def seed(self, seed: Seed) -> None:
        """Begin with a snapshot, which some of the diffs may have overtaken."""
        waiting, self._waiting = self._waiting, []
        if self.book is not None and self.last >= seed.last:
            return
        self.book, self._seeded = Book(seed.bids, seed.asks), True
        self.last, self.event, self.time = seed.last, seed.event, seed.time
        for diff in waiting:
            self.take(diff)

    def take(self, diff: Diff) -> None:
        """Apply a diff, or keep it for a snapshot that is to come."""
        if self.book is None:
            self._waiting.append(diff)
        elif diff.last > self.last:
            if not self._follows(diff):
                self.book, self._waiting = None, [diff]
                return
            self.book.change(diff.b, diff.a)
            self._seeded = False
            self.last, self.event, self.time = diff.last, diff.event, diff.time

    def forget(self) -> None:
        """Let go of diffs for which no snapshot will come."""
        self._waiting.clear()

    def _follows(self, diff: Diff) -> bool:
        if self._seeded:
            return diff.first <= self.last + 1 or diff.previous == self.last
        return diff.first == self.last + 1 if diff.previous is None else diff.previous == self.last


def places(capture: Capture) -> list[tuple[int, Snapshot]]:
    """Return the snapshots with the index of the first frame that was received no earlier, ascending."""
    found, at = [], 0
    for snapshot in capture.snapshots:
        while at < len(capture.frames) and capture.frames[at].at < snapshot.at:
            at += 1
        found.append((at, snapshot))
    return found


class DiffBooks:
    """The books of a capture of Binance as far as it was read."""

    def __init__(self, capture: Capture) -> None:
        self._coming = deque(places(capture))
        self._books: dict[str, DiffBook] = {}
        self._by_stream = ByStream(self._taking)
        self._sources: dict[str, str] = {}  # one diff stream of each symbol
        self._read = 0
        self._seed()

    def find(self, symbol: str) -> DiffBook | None:
        """Return a symbol's book as it is now; None where there is none."""
        found = self._books.get(symbol)
        return None if found is None or found.book is None else found

    def awaits(self, symbol: str) -> bool:
        """Whether a snapshot of a symbol is still to come."""
        return any(snapshot.symbol == symbol for _, snapshot in self._coming)

    def read(self, frames: Iterable[Frame]) -> None:
        """Apply what was played since."""
        for frame in frames:
            self._by_stream.take(frame)
            self._read += 1
            if self._coming:
                self._seed()

    def _seed(self) -> None:
        while self._coming and self._coming[0][0] <= self._read:
            _, snapshot = self._coming.popleft()
            seed = read_seed(snapshot.body)
            if snapshot.symbol is not None and seed is not None:
                self._books.setdefault(snapshot.symbol, DiffBook()).seed(seed)

    def _taking(self, stream: str) -> Take | None:
        symbol = symbol_of(stream)
        if symbol is None or not is_diff(stream) or self._sources.setdefault(symbol, stream) != stream:
            return None
        book = self._books.setdefault(symbol, DiffBook())

        def take(body: bytes) -> None:
            diff = read_diff(body)
            if diff is not None:
                book.take(diff)
                if book.book is None and not self.awaits(symbol):
                    book.forget()

        return take


def is_diff(stream: str) -> bool:
    """Whether a Binance stream carries the changes of a book; ``depth20`` shows its best levels."""
    kind = stream.partition("@")[2]
    return kind == "depth" or kind.startswith("depth@")


_decode_diff = decoder(Diff)
_decode_seed = msgspec.json.Decoder(Seed).decode


def read_diff(body: bytes) -> Diff | None:
    """Read a frame of a diff stream; None where it was recorded broken."""
    try:
        diff = _decode_diff(body)
        check_levels(diff.b, diff.a)
    except UnreadableError:
        return None
    return diff


def read_seed(body: bytes) -> Seed | None:
    """Read a recorded snapshot; None where it was recorded broken."""
    try:
        seed = _decode_seed(body)
        check_levels(seed.bids, seed.asks)
    except (*BROKEN, UnreadableError):
        return None
    return seed
