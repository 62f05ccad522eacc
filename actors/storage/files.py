"""SQLite files of ours: how they are opened, told from foreign ones, and never overwritten."""

import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

from actors.storage.errors import StorageError, explain

#: ``PRAGMA application_id`` of every journal: "WADM" in ASCII.
APPLICATION = 0x5741444D

#: How long (s) to wait for another connection's lock. Only the closing of a reader ever holds one.
BUSY_TIMEOUT = 5.0

#: Bytes in a page of our files.
PAGE = 4096

#: Pages in the write-ahead log at which a commit folds them into the file by itself. It waits for the disk
#: meanwhile, so a daemon does that in a thread of its own, long before.
CHECKPOINT = 8_192


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
    # One look: whoever makes the tables at this moment has made all of them or none.
    empty, application, found = db.execute(
        "SELECT NOT EXISTS (SELECT 1 FROM sqlite_master), application_id, user_version "
        "FROM pragma_application_id, pragma_user_version"
    ).fetchone()
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
            if not known:
                db.execute(f"PRAGMA page_size = {PAGE}")
            _use_wal(db)
            db.execute("PRAGMA synchronous = NORMAL")
            db.execute(f"PRAGMA wal_autocheckpoint = {CHECKPOINT}")
            db.execute(f"PRAGMA journal_size_limit = {CHECKPOINT * PAGE}")
            if not known:
                with transaction(db):
                    if not check(db, path, version):  # or another was faster
                        create(db)
                        db.execute(f"PRAGMA application_id = {APPLICATION}")
                        db.execute(f"PRAGMA user_version = {version}")
        except BaseException:
            db.close()
            raise
    return db


def _use_wal(db: sqlite3.Connection) -> None:
    """Switch to WAL mode. Where two do so at once, SQLite turns one away instead of letting it wait."""
    deadline = time.monotonic() + BUSY_TIMEOUT
    while True:
        try:
            db.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
            time.sleep(0.01)
        else:
            return


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
