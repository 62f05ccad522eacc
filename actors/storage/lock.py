"""The data directory, and the lock that gives it to one daemon at a time."""

import errno
import fcntl
import os
import time
from pathlib import Path
from types import TracebackType
from typing import Self

import attrs

from actors.storage.errors import DiskFull, StorageError

FILE_NAME = "wadm.lock"

#: Seconds for which processes of a daemon that is dead may take to end.
ENDING = 5.0


def make_directory(directory: Path) -> None:
    """Make the data directory and its parents where they are missing. Raises StorageError."""
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _explain(error, directory) from error


@attrs.define(eq=False)
class DirectoryLock:
    """Holds ``directory`` for this process until ``release``, or until the process dies in whatever way.

    The file stays when the lock goes: to delete it would let two daemons lock two files of one name.
    """

    directory: Path
    _file: int | None = attrs.field(default=None, init=False)

    def acquire(self) -> None:
        """Make the directory if need be and take it. Raises StorageError if another daemon has it."""
        make_directory(self.directory)
        try:
            file = os.open(self.directory / FILE_NAME, os.O_RDWR | os.O_CREAT, 0o644)
        except OSError as error:
            raise _explain(error, self.directory) from error
        try:
            _take(file)
            os.ftruncate(file, 0)
            os.pwrite(file, str(os.getpid()).encode(), 0)
        except BlockingIOError:
            owner = os.pread(file, 20, 0).decode(errors="replace") or "unknown"
            os.close(file)
            raise StorageError(
                f"data directory {self.directory} is in use by process {owner}: "
                "stop that one, or choose another data directory"
            ) from None
        except OSError as error:
            os.close(file)
            raise _explain(error, self.directory) from error
        self._file = file

    def fileno(self) -> int:
        """Return the open file that holds the directory; whoever inherits it holds the directory, too."""
        if self._file is None:
            raise ValueError(f"the data directory {self.directory} is not held")
        return self._file

    def release(self) -> None:
        """Let the directory go. Does nothing where it is not held."""
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def __enter__(self) -> Self:
        self.acquire()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()


def _take(file: int) -> None:
    """Take the lock. Raises BlockingIOError where a daemon has it.

    One that was killed may have left processes of its own, which notice it and end: they are waited for.
    """
    given_up = time.monotonic() + ENDING
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > given_up or _lives(os.pread(file, 20, 0)):
                raise
            time.sleep(0.01)
        else:
            return


def _lives(pid: bytes) -> bool:
    try:
        os.kill(int(pid), 0)
    except (ProcessLookupError, OverflowError):
        return False
    except (ValueError, PermissionError):
        return True
    return True


def _explain(error: OSError, directory: Path) -> StorageError:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return DiskFull(f"no room left for data directory {directory}: free space on its disk")
    if isinstance(error, FileExistsError | NotADirectoryError):
        return StorageError(f"data directory {directory} is a file or lies below one: choose another path")
    return StorageError(
        f"data directory {directory} cannot be used ({error.strerror}): "
        "give this user the right to write there, or choose another path"
    )
