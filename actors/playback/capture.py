"""Captures: recorded frames, one per line after the time they were received.

A line is ``<receive time> <frame>``, with a blank or a tab between them; the time is an integer in ns or µs
since 1970, told apart by its size. Files are plain or gzip, told apart by their first bytes. Several are
merged by receive time; within a file the order of the lines stands. A bare REST depth snapshot may stand
among the frames; answers to requests are left out. Frames may have been received broken, but not the first.
A file called ``….part`` is still being written, or its writer was killed: it may end anywhere.
"""

import gzip
import heapq
import zlib
from collections.abc import Iterable, Iterator, Sequence
from io import BytesIO
from operator import attrgetter
from pathlib import Path
from typing import NamedTuple

import attrs
import msgspec

from actors.playback.names import Streamless, stream_of, symbol_of
from actors.playback.payload import BROKEN
from wadm.mistakes import Mistake

_GZIP_MAGIC = b"\x1f\x8b"
_LEAST_US, _LEAST_NS, _LIMIT_NS = 10**14, 10**17, 10**20  # 1973 in µs and in ns; the year 5138
_PART = ".part"
_READ_SIZE = 1 << 20
_EXPECTED = "expected '<receive time in ns or µs> <frame>'"


class CaptureError(Mistake):
    """A capture that cannot be read: one sentence naming the file, the line and what was expected."""


class Frame(NamedTuple):
    """A recorded frame: received at ``at`` (ns since 1970) on ``stream``; ``body`` is as it was recorded."""

    at: int
    stream: str
    body: bytes


@attrs.frozen
class Snapshot:
    """A REST depth snapshot received at ``at`` (ns); its symbol is None where the capture cannot tell it."""

    at: int
    symbol: str | None
    body: bytes


@attrs.frozen
class Capture:
    """What was recorded: frames and snapshots in order, and the streams in order of first appearance."""

    frames: Sequence[Frame]
    snapshots: Sequence[Snapshot]
    streams: tuple[str, ...]
    #: a sentence for each file that has no end
    cut_short: tuple[str, ...] = ()
    #: The exchange that it was recorded from, where it is told in another one's format.
    reframed_from: str | None = None

    @property
    def symbols(self) -> tuple[str, ...]:
        """The symbols of the streams."""
        return _symbols(self.streams)

    @property
    def first_at(self) -> int:
        """When the first frame was received, ns."""
        return self.frames[0].at

    @property
    def last_at(self) -> int:
        """When the last frame was received, ns."""
        return self.frames[-1].at


def read_capture(paths: Iterable[Path]) -> Capture:
    """Read and merge captures. Raises CaptureError where one is unreadable or all hold no frame."""
    frames: list[list[Frame]] = []
    snapshots: list[Snapshot] = []
    names = []
    for path in paths:
        read, depths = _read_file(path)
        frames.append(read)
        snapshots += (Snapshot(at, _snapshot_symbol(body, read), body) for at, body in depths)
        names.append(str(path))
    merged = frames[0] if len(frames) == 1 else list(heapq.merge(*frames, key=attrgetter("at")))
    if not merged:
        raise CaptureError(f"{', '.join(names) or 'no file'}: no frame in it, {_EXPECTED} in each line")
    streams = tuple(dict.fromkeys(frame.stream for frame in merged))
    parts = tuple(
        f"{name}: has no end, what is whole of it is played" for name in names if name.endswith(_PART)
    )
    return Capture(merged, sorted(snapshots, key=attrgetter("at")), streams, parts)


def _read_file(path: Path) -> tuple[list[Frame], list[tuple[int, bytes]]]:
    """Read one file into its frames and its snapshots (receive time and body).

    A frame that names no stream was received broken: it is played on the stream of the one before it.
    """
    lines, cut = _lines(path)
    names: dict[str, str] = {}  # one string per stream, however many frames
    frames: list[Frame] = []
    snapshots: list[tuple[int, bytes]] = []
    for number, line in enumerate(lines, 1):
        try:
            at, body = _split(line)
            if cut and number == len(lines):
                msgspec.json.decode(body, type=msgspec.Raw)
            stream = _stream(body, frames)
        except (ValueError, RecursionError) as error:
            raise CaptureError(
                _complaint(path, number, line, error, cut=cut and number == len(lines))
            ) from None
        if isinstance(stream, str):
            frames.append(Frame(at, names.setdefault(stream, stream), body))
        elif stream is Streamless.SNAPSHOT:
            snapshots.append((at, body))
    return frames, snapshots


def _stream(body: bytes, before: Sequence[Frame]) -> str | Streamless:
    """Name the stream of a frame. Raises ValueError, or RecursionError, for the first one if it is broken."""
    try:
        return stream_of(body)
    except (ValueError, RecursionError):
        if not before:
            raise
        return before[-1].stream


def _lines(path: Path) -> tuple[list[bytes], bool]:
    """Return a file's lines, and whether the last one lacks its end."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise CaptureError(f"{path}: cannot be read: {error.strerror}") from None
    if content.startswith(_GZIP_MAGIC):
        content = _unzip(path, content)
    lines = content.split(b"\n")
    cut = lines[-1] != b"" and path.suffix != _PART
    return (lines if cut else lines[:-1]), cut


def _unzip(path: Path, content: bytes) -> bytes:
    """Decompress a file of any number of members; of one that may be cut, its whole lines."""
    chunks: list[bytes] = []
    try:
        with gzip.GzipFile(fileobj=BytesIO(content)) as file:
            while chunk := file.read1(_READ_SIZE):
                chunks.append(chunk)
    except (EOFError, OSError, zlib.error) as error:
        if path.suffix != _PART:
            raise CaptureError(_broken(path, error)) from None
    return b"".join(chunks)


def _broken(path: Path, error: Exception) -> str:
    if isinstance(error, EOFError):
        return f"{path}: the gzip file is cut short, expected its end: copy it again"
    return f"{path}: the gzip file is damaged ({error}): copy it again"


def _split(line: bytes) -> tuple[int, bytes]:
    time, *rest = line.split(None, 1)
    at, body = int(time), b"".join(rest).strip()
    if _LEAST_US <= at < _LEAST_NS:
        at *= 1000
    if not _LEAST_NS <= at < _LIMIT_NS:
        raise ValueError(f"the time {at} is neither ns nor µs since 1970")
    if not body:
        raise ValueError("no frame after the time")
    return at, body


def _complaint(path: Path, number: int, line: bytes, error: Exception, *, cut: bool) -> str:
    if not line.strip():
        return f"{path}, line {number}: the line is blank, {_EXPECTED}"
    shown = line[:60].decode(errors="replace") + ("…" if len(line) > 60 else "")
    ending = "; it is the last line and has no end: the file is cut short" if cut else ""
    return f"{path}, line {number}: {shown!r} cannot be read ({error}), {_EXPECTED}{ending}"


def _symbols(streams: Iterable[str]) -> tuple[str, ...]:
    symbols = (symbol_of(stream) for stream in streams)
    return tuple(dict.fromkeys(symbol for symbol in symbols if symbol is not None))


class _DepthIds(msgspec.Struct):
    first: int = msgspec.field(name="U")
    last: int = msgspec.field(name="u")


class _WrappedDepth(msgspec.Struct):
    data: _DepthIds


class _SnapshotId(msgspec.Struct):
    id: int = msgspec.field(name="lastUpdateId")
    symbol: str | None = None


def _snapshot_symbol(body: bytes, frames: Sequence[Frame]) -> str | None:
    """Tell whose book a snapshot is.

    That of the symbol it names (``wadm record`` writes it there), or the file's one symbol's, or the one's
    whose update ids surround it.
    """
    symbols = _symbols(dict.fromkeys(frame.stream for frame in frames))
    try:
        found = msgspec.json.decode(body, type=_SnapshotId)
    except BROKEN:
        found = None
    if found is not None and found.symbol is not None:
        return found.symbol
    if len(symbols) == 1 or found is None:
        return symbols[0] if len(symbols) == 1 else None
    last = found.id
    matching = [symbol for symbol, ids in _update_ids(frames) if ids.first - 1 <= last <= ids.last]
    return matching[0] if len(matching) == 1 else None


def _update_ids(frames: Sequence[Frame]) -> Iterator[tuple[str, _DepthIds]]:
    """Yield the span of update ids that each symbol's depth stream covers."""
    firsts: dict[str, Frame] = {}
    lasts: dict[str, Frame] = {}
    for frame in frames:
        if "@depth" in frame.stream:
            firsts.setdefault(frame.stream, frame)
            lasts[frame.stream] = frame
    for stream, frame in firsts.items():
        symbol = symbol_of(stream)
        first, last = _depth_ids(frame), _depth_ids(lasts[stream])
        if symbol is not None and first is not None and last is not None:
            yield symbol, _DepthIds(first.first, last.last)


def _depth_ids(frame: Frame) -> _DepthIds | None:
    try:
        if frame.body.startswith(b'{"stream"'):
            return msgspec.json.decode(frame.body, type=_WrappedDepth).data
        return msgspec.json.decode(frame.body, type=_DepthIds)
    except BROKEN:
        return None
