"""What can go wrong with storage, as sentences for a person."""

import sqlite3
from pathlib import Path

from wadm.mistakes import Mistake


class StorageError(Mistake):
    """A file or database cannot be used. The message is one sentence: what, where, and what to do."""


class DiskFull(StorageError):  # the state of the disk, not a mistake: callers wait it out
    """There is no room left. Nothing was half-written; the same call may be tried again."""


class JournalUnreadable(StorageError):
    """The journal cannot be read where it was asked; what others have stored may be as it should."""


class NotKept(StorageError):  # nor is this a mistake of the storage's: what was asked for is too old
    """Raw trades that were kept once and no longer are."""


_DAMAGED = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
_FORBIDDEN = (sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM, sqlite3.SQLITE_AUTH)


def explain(error: sqlite3.Error, path: Path | str) -> StorageError:
    """Return what an error of SQLite means for the file at ``path``."""
    extended = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR)
    code = extended & 0xFF
    # A shared-memory file that cannot grow is how WAL notices a full disk.
    if code == sqlite3.SQLITE_FULL or extended == sqlite3.SQLITE_IOERR_SHMSIZE:
        return DiskFull(f"no room left to write {path}: free space on its disk; writing resumes by itself")
    if code in _DAMAGED:
        return StorageError(
            f"{path} is damaged or not a database ({error}): restore it from a backup, "
            "or move it away to start anew"
        )
    if code in _FORBIDDEN:
        return StorageError(
            f"{path} cannot be opened ({error}): check that it exists and who may read and write it"
        )
    if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return StorageError(
            f"{path} is locked by another program ({error}): close that program and try again"
        )
    return StorageError(f"{path} failed ({error}): check its disk, then start again")
