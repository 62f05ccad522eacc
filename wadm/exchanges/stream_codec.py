"""What the codecs have in common: frames that begin with the name of their stream, and requests."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from wadm.exchanges.base import Event, Heartbeat, Limits
from wadm.exchanges.contiguity import Positions
from wadm.exchanges.intake import UNREADABLE, Intake, reason_of
from wadm.exchanges.observed import Observed
from wadm.exchanges.subscriptions import Subscriptions
from wadm.ledger import Ledger
from wadm.market import IdKind, Instrument

#: Stream names remembered with their readers; on more (hostile) names the memory starts over, and what comes
#: on names beyond the first so many is counted as heard on ``?``.
_REMEMBERED = 4_096
_LONGEST_NAME = 100

#: What takes a decoded frame; the frame itself is for the log.
Take = Callable[[Any, bytes], None]
#: How the frames of a stream are decoded, and what takes them (None: nobody).
Reader = tuple[Callable[[bytes], Any], Take | None]


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
        self._trades = self._intake.active[IdKind.TRADE]
        self._books = self._observed.active
        self._events: list[Event] = []
        self._readers: dict[bytes, tuple[Callable[[bytes], Any], Take | None, str]] = {}

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
        self._observed.begin(at)
        readers, heard, start = self._readers, self.heard, len(self._prefix)
        for frame in frames:
            try:
                reader = readers.get(frame[start : frame.find(b'"', start)])
                if reader is None:
                    self._meet(frame)
                    continue
                decode, take, name = reader
                heard[name] += 1
                decoded = decode(frame)
                if take is not None:
                    take(decoded, frame)
            except UNREADABLE as error:
                self._intake.reject_frame(reason_of(error), frame)
        events, self._events = self._events, []
        events.extend(self._intake.trades(at))
        events.extend(self._observed.events())
        events.extend(self._intake.rejections())
        return events

    def _meet(self, frame: bytes) -> None:
        """Read a frame of a stream that is new, or of none; remember how, once it could be decoded."""
        start = len(self._prefix)
        raw = frame[start : frame.find(b'"', start)]
        if not frame.startswith(self._prefix) or len(raw) > _LONGEST_NAME or b"\\" in raw:
            self._read_any(frame)
            return
        decode, take = self._reader(raw.decode())
        decoded = decode(frame)
        if len(self._readers) >= _REMEMBERED:
            self._readers.clear()
        self._readers[raw] = decode, take, self._hear(raw.decode())
        if take is not None:
            take(decoded, frame)

    def _read_stream(self, stream: str, frame: bytes) -> None:
        """Read a frame of a stream whose name stands elsewhere in it."""
        decode, take = self._reader(stream)
        decoded = decode(frame)
        self._hear(stream)
        if take is not None:
            take(decoded, frame)

    def _hear(self, stream: str) -> str:
        """Count a frame of a stream; return the name under which it was counted."""
        name = stream if stream in self.heard or len(self.heard) < _REMEMBERED else "?"
        self.heard[name] = self.heard.get(name, 0) + 1
        return name
