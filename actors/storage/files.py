"""SQLite files of ours: how they are opened, told from foreign ones, and never overwritten."""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

from actors.storage.errors import StorageError, explain

#: ``PRAGMA application_id`` of every journal: "WADM" in ASCII.
APPLICATION = 0x5741444D

#: How long (s) to wait for another connection's lock. Only the closing of a reader ever holds one.
BUSY_TIMEOUT = 5.0

#: Pages (of 4 KiB) in the write-ahead log that bring about a checkpoint. The commit that makes it waits for
#: the disk, so it must come to less than one commit in a hundred at the pace of a busy day.
CHECKPOINT = 4096


@contextmanager
def explained(path: Path) -> Iterator[None]:
    """Turn SQLite's errors inside the block into StorageErrors about ``path``."""
    try:
        yield
    except sqlite3.Error as error:
        raise explain(error, path) from error


def connect(path: Path, *, read_only: bool) -> sqlite3.Connection:
    """Open one connection, in autocommit, usable from any one thread at a time."""
    mode = "ro" if read_only else "rwc"
    return sqlite3.connect(
        f"file:{quote(str(path))}?mode={mode}",
        timeout=BUSY_TIMEOUT,
        isolation_level=None,
        check_same_thread=False,
        uri=True,
    )


def check(db: sqlite3.Connection, path: Path, version: int) -> bool:
    """Return whether the file holds our schema already; False means that it is empty.

    Raises StorageError for a foreign file and for a schema other than ``version``.
    """
    application, found = (
        db.execute(f"PRAGMA {name}").fetchone()[0] for name in ("application_id", "user_version")
    )
    empty = not db.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
    if empty and application == 0 and found == 0:
        return False
    if application != APPLICATION:
        raise StorageError(
            f"{path} is a database of another program: move it away, or choose another data directory"
        )
    if found > version:
        raise StorageError(
            f"{path} was written by a newer version (schema {found}, this one reads {version}): upgrade, "
            "or choose another data directory"
        )
    if found < version:
        raise StorageError(
            f"{path} has schema {found}, this version reads {version}: "
            "open it with the version that wrote it, or move it away"
        )
    return True


def open_writer(path: Path, version: int, create: Callable[[sqlite3.Connection], None]) -> sqlite3.Connection:
    """Open the one writing connection of a file in WAL mode; an empty file gets its tables from ``create``.

    ``synchronous=NORMAL``: a commit survives the death of the process at once, and a power failure from the
    next checkpoint on. Raises StorageError, and leaves any file it does not know as it was.
    """
    with explained(path):
        db = connect(path, read_only=False)
        try:
            known = check(db, path, version)
            db.execute("PRAGMA journal_mode = WAL")
            db.execute("PRAGMA synchronous = NORMAL")
            db.execute(f"PRAGMA wal_autocheckpoint = {CHECKPOINT}")
            db.execute(f"PRAGMA journal_size_limit = {64 << 20}")
            if not known:
                with transaction(db):
                    create(db)
                    db.execute(f"PRAGMA application_id = {APPLICATION}")
                    db.execute(f"PRAGMA user_version = {version}")
        except BaseException:
            db.close()
            raise
    return db


def open_reader(path: Path, version: int) -> sqlite3.Connection:
    """Open a read-only connection. Raises StorageError if the file is not there or not ours."""
    with explained(path):
        db = connect(path, read_only=True)
        try:
            known = check(db, path, version)
        except BaseException:
            db.close()
            raise
    if not known:
        db.close()
        raise StorageError(f"{path} is empty: nothing was ever stored there")
    return db


@contextmanager
def transaction(db: sqlite3.Connection, begin: str = "BEGIN IMMEDIATE") -> Iterator[None]:
    """Commit what the block did, or nothing of it."""
    db.execute(begin)
    try:
        yield
        db.execute("COMMIT")
    except BaseException:
        # SQLite has rolled back by itself after some errors, a full disk among them.
        if db.in_transaction:
            db.execute("ROLLBACK")
        raise
