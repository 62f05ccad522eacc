"""Capture files: lines of ``<receive time, ns> <frame>``, gzip-compressed, one file after the other.

What was written is a whole gzip member, so that a file is good up to its last write whatever ends the
process. While it grows it is called ``….gz.part``.
"""

import os
from collections.abc import Iterator, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from zlib import MAX_WBITS, compressobj

import attrs
import msgspec

from actors.playback.names import stream_of
from wadm.mistakes import Mistake

PART = ".part"

_LEVEL = 6
_GZIP = MAX_WBITS | 16
_SECOND = 1_000_000_000


class RecordingError(Mistake):
    """A file that cannot be written: one sentence naming it."""


@attrs.frozen
class Taken:
    """Frames received together at ``at`` (ns since 1970)."""

    at: int
    frames: Sequence[bytes]


@attrs.define(eq=False)
class CaptureFiles:
    """The files of one connection in ``directory``: ``name_20261121T101500Z.gz`` by its first frame's time.

    A new one begins once the last is ``seconds`` old or has ``size`` bytes. Not for two threads at a time.
    ``skipped`` counts the frames that no line can hold; ``why`` is what was wrong with the last one.
    """

    directory: Path
    name: str
    seconds: float
    size: int
    finished: list[Path] = attrs.field(factory=list, init=False)
    frames: int = attrs.field(default=0, init=False)
    written: int = attrs.field(default=0, init=False)
    skipped: int = attrs.field(default=0, init=False)
    why: str = attrs.field(default="", init=False)
    _file: "_Part | None" = attrs.field(default=None, init=False)

    @property
    def part(self) -> Path | None:
        """The file that grows; None between two."""
        return None if self._file is None else self._file.path

    def write(self, taken: Sequence[Taken]) -> bool:
        """Write frames; say whether a file begins with them. Raises RecordingError; nothing is half written.

        They are in the file, and can be read from it, when this returns.
        """
        lines = [line for one in taken for line in self._lines(one)]
        if not lines:
            return False
        first = taken[0].at
        if self._file is not None and self._is_due(self._file, first):
            self.close()
        begins = self._file is None
        if self._file is None:
            self._file = _Part.begin(self.directory, self.name, first)
        self.written += self._file.append(lines)
        self.frames += len(lines)
        return begins

    def close(self) -> None:
        """Finish the file that grows, if any. Raises RecordingError."""
        if self._file is not None:
            file, self._file = self._file, None
            self.finished.append(file.finish())

    def _is_due(self, file: "_Part", now: int) -> bool:
        return file.size >= self.size or now - file.begun >= self.seconds * _SECOND

    def _lines(self, taken: Taken) -> Iterator[bytes]:
        for frame in taken.frames:
            try:
                yield b"%d %s\n" % (taken.at, _one_line(frame))
            except (ValueError, RecursionError) as error:
                self.skipped += 1
                self.why = str(error)


def _one_line(frame: bytes) -> bytes:
    """Return a frame as a capture can hold it. Raises ValueError for one that no reader could name."""
    if b"\n" in frame:
        msgspec.json.decode(frame)  # of JSON, line ends are white space
        frame = frame.replace(b"\n", b" ")
    stream_of(frame)
    return frame


@attrs.define(eq=False)
class _Part:
    """A file that grows."""

    path: Path
    descriptor: int
    begun: int
    size: int = 0

    @classmethod
    def begin(cls, directory: Path, name: str, at: int) -> "_Part":
        start = datetime.fromtimestamp(at // _SECOND, UTC).strftime("%Y%m%dT%H%M%SZ")
        for number in count(1):
            again = f"_{number}" if number > 1 else ""
            path = directory / f"{name}_{start}{again}.gz{PART}"
            if path.with_suffix("").exists():
                continue
            try:
                return cls(path, os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644), at)
            except FileExistsError:
                continue
            except OSError as error:
                raise RecordingError(f"{path}: cannot be made: {error.strerror}") from None
        raise AssertionError("numbers do not end")

    def append(self, lines: Sequence[bytes]) -> int:
        """Append a gzip member with these lines, whole or not at all; return its bytes."""
        squeeze = compressobj(_LEVEL, wbits=_GZIP)
        member = b"".join([*map(squeeze.compress, lines), squeeze.flush()])
        rest = memoryview(member)
        try:
            while rest:
                rest = rest[os.write(self.descriptor, rest) :]
        except OSError as error:
            with suppress(OSError):
                os.ftruncate(self.descriptor, self.size)
                os.lseek(self.descriptor, self.size, os.SEEK_SET)
            raise RecordingError(
                f"{self.path}: cannot be written: {error.strerror}; what was written before is kept"
            ) from None
        self.size += len(member)
        return len(member)

    def finish(self) -> Path:
        path = self.path.with_suffix("")
        try:
            os.fsync(self.descriptor)
            os.close(self.descriptor)
            self.path.rename(path)
        except OSError as error:
            raise RecordingError(f"{self.path}: cannot be finished: {error.strerror}") from None
        return path
