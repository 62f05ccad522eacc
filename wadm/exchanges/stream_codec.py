"""What the codecs have in common: frames that begin with the name of their stream, and requests."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from wadm.exchanges.base import Event, Heartbeat, Limits
from wadm.exchanges.contiguity import Positions
from wadm.exchanges.intake import UNREADABLE, Intake, reason_of
from wadm.exchanges.observed import Observed
from wadm.exchanges.subscriptions import Subscriptions
from wadm.ledger import Ledger
from wadm.market import Instrument

#: Stream names remembered with their readers; on more (hostile) names the memory starts over, and what comes
#: on names beyond the first so many is counted as heard on ``?``.
_REMEMBERED = 4_096
_LONGEST_NAME = 100

#: What takes a decoded frame; the frame itself is for the log.
Take = Callable[[Any, bytes], None]
#: What takes decoded frames that came in a row, all at once; False: not all are as usual, and none was taken.
TakeAll = Callable[[Sequence[Any], Sequence[bytes]], bool]


class Reader(NamedTuple):
    """How the frames of a stream are decoded, and what takes them (None: nobody)."""

    decode: Callable[[bytes], Any]
    take: Take | None = None
    take_all: TakeAll | None = None


class StreamCodec(ABC):
    """One connection whose frames begin with the name of their stream.

    The name selects how the frame is read, without reading it. A frame that begins otherwise (an answer, a
    bare event, fields in another order) goes to ``_read_any``.
    """

    heartbeat: Heartbeat | None = None
    #: how a frame begins, up to its stream's name
    _prefix: bytes

    def __init__(
        self,
        exchange: str,
        limits: Limits,
        instruments: Mapping[str, Instrument],
        positions: Positions,
        ledger: Ledger,
    ) -> None:
        self.heard: dict[str, int] = {}
        self._ledger = ledger
        self._book_streams = positions.books
        self._subscriptions = Subscriptions(exchange, limits)
        self._intake = Intake(exchange, instruments, positions, ledger)
        self._observed = Observed(exchange, instruments)
        self._books = self._observed.active
        self._events: list[Event] = []
        #: by stream: the parts of its reader, the name under which its frames are counted, how they begin
        self._readers: dict[
            bytes, tuple[Callable[[bytes], Any], Take | None, TakeAll | None, str, bytes]
        ] = {}

    @abstractmethod
    def _request(self, number: int, streams: Sequence[str], *, subscribe: bool) -> str:
        """Return a request's frame."""

    @abstractmethod
    def _reader(self, stream: str) -> Reader:
        """Return how the frames of a stream are read."""

    @abstractmethod
    def _read_any(self, frame: bytes) -> None:
        """Read a frame that does not begin with its stream's name."""

    @abstractmethod
    def _subscribed(self, stream: str) -> None:
        """Note a stream that was subscribed to."""

    def subscribe(self, streams: Sequence[str]) -> list[tuple[str, str]]:
        """Return ``(request id, frame)`` pairs; raises LimitError."""
        requests = self._subscriptions.add(streams)
        for stream in streams:
            self._subscribed(stream)
        self._readers.clear()
        return [(str(number), self._request(number, part, subscribe=True)) for number, part in requests]

    def unsubscribe(self, streams: Sequence[str]) -> list[tuple[str, str]]:
        """Return ``(request id, frame)`` pairs that end subscriptions."""
        requests = self._subscriptions.discard(streams)
        return [(str(number), self._request(number, part, subscribe=False)) for number, part in requests]

    def receive(self, frames: Sequence[bytes], at: int) -> list[Event]:
        """Read a run of frames received at ``at`` (µs); see ``Codec.receive``."""
        self._ledger.frames += len(frames)
        self._observed.at = at
        readers, heard, start = self._readers, self.heard, len(self._prefix)
        place = apart = 0
        count = len(frames)
        while place < count:
            frame, first = frames[place], place
            place += 1
            try:
                known = readers.get(frame[start : frame.find(b'"', start)])
                if known is None:
                    self._meet(frame)
                    continue
                decode, take, take_all, name, head = known
                if take_all is not None and place > apart:
                    while place < count and frames[place].startswith(head):
                        place += 1
                    if place - first > 1:
                        if _read_all(decode, take_all, frames[first:place]):
                            heard[name] += place - first
                            continue
                        apart, place = place, first + 1  # as far as that, each is read by itself
                heard[name] += 1
                decoded = decode(frame)
                if take is not None:
                    take(decoded, frame)
            except UNREADABLE as error:
                self._intake.reject_frame(reason_of(error), frame)
        events, self._events = self._events, []
        events += self._intake.trades(at)
        events += self._observed.events()
        events += self._intake.rejections.events()
        return events

    def _meet(self, frame: bytes) -> None:
        """Read a frame of a stream that is new, or of none; remember how, once it could be decoded."""
        start = len(self._prefix)
        raw = frame[start : frame.find(b'"', start)]
        if not frame.startswith(self._prefix) or len(raw) > _LONGEST_NAME or b"\\" in raw:
            self._read_any(frame)
            return
        reader = self._reader(raw.decode())
        decoded = reader.decode(frame)
        if len(self._readers) >= _REMEMBERED:
            self._readers.clear()
        self._readers[raw] = *reader, self._hear(raw.decode()), self._prefix + raw + b'"'
        if reader.take is not None:
            reader.take(decoded, frame)

    def _read_stream(self, stream: str, frame: bytes) -> None:
        """Read a frame of a stream whose name stands elsewhere in it."""
        reader = self._reader(stream)
        decoded = reader.decode(frame)
        self._hear(stream)
        if reader.take is not None:
            reader.take(decoded, frame)

    def _hear(self, stream: str) -> str:
        """Count a frame of a stream; return the name under which it was counted."""
        name = stream if stream in self.heard or len(self.heard) < _REMEMBERED else "?"
        self.heard[name] = self.heard.get(name, 0) + 1
        return name


def _read_all(decode: Callable[[bytes], Any], take_all: TakeAll, frames: Sequence[bytes]) -> bool:
    """Read frames of one stream; return False where they cannot be taken all at once."""
    try:
        decoded = [decode(frame) for frame in frames]
    except UNREADABLE:
        return False
    return take_all(decoded, frames)
