"""A consistent copy of a data directory, made while a daemon runs on it; itself a data directory.

The store is copied before the journal: what the store's cursor says it has is then in the copy of the store,
and all that came after is in the copy of the journal. The other way round, the cursor would be ahead of its
journal, and what the journal numbers next would be taken for known. The cold tier is copied last: a day that
is moved there meanwhile is then found in both, which is harmless, and not in neither.

Trimming may come in between and take from the journal what the copied store did not have yet. Both are then
copied again. The copy is a journal of its own name: a server that both it and the original reach has another
cursor for each. API keys (their digests) and the audit log come along: whoever had access has it there.
"""

import os
import shutil
import sqlite3
import tempfile
import uuid
from contextlib import closing
from pathlib import Path

import attrs

from actors.access.register import FILE_NAME as ACCESS
from actors.following import followed
from actors.storage import files, integrity
from actors.storage.engines import EMBEDDED, embedded_url
from actors.storage.errors import DiskFull, StorageError
from actors.storage.journal_view import FILE_NAME, JournalView
from actors.storage.sql import SqlStore
from wadm.mistakes import Mistake

#: The cold tier inside a data directory.
COLD = "cold"

#: Attempts to copy store and journal without the journal being trimmed in between.
ATTEMPTS = 3


class BackupError(Mistake):
    """A destination that cannot be used; one sentence."""


@attrs.frozen
class BackedUp:
    """What was copied: bytes in all, rows by table and file, and how far store and journal had come."""

    destination: Path
    size: int
    rows: dict[str, int]
    cursor: int | None
    last_seq: int


def back_up(directory: Path, destination: Path) -> BackedUp:
    """Copy a data directory. Raises BackupError or StorageError, and leaves nothing half-made."""
    JournalView.of_run(directory).close()
    target = destination.absolute()
    _check_free(directory.absolute(), target)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(
            prefix=f".{target.name}-", dir=target.parent, ignore_cleanup_errors=True
        ) as made:
            fresh = Path(made) / target.name
            fresh.mkdir()
            done = _copy(directory, fresh)
            _flush(fresh)
            fresh.rename(target)
    except OSError as error:
        if error.errno is not None and "space" in os.strerror(error.errno):
            raise DiskFull(f"no room left for a backup at {destination}: free space on its disk") from error
        raise BackupError(f"a backup cannot be made at {destination}: {error.strerror or error}") from error
    return attrs.evolve(done, destination=destination)


def _check_free(directory: Path, target: Path) -> None:
    if target == directory or directory in target.parents:
        raise BackupError(f"{target} lies in the data directory itself: choose another place for the backup")
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise BackupError(f"{target} is there already: a backup overwrites nothing; name a new folder")


def _copy(directory: Path, fresh: Path) -> BackedUp:
    for _ in range(ATTEMPTS):
        cursor = _copy_databases(directory, fresh)
        if cursor is not None:
            break
    else:
        raise StorageError(
            f"the journal in {directory} was trimmed faster than it could be copied: try again"
        )
    if (directory / ACCESS).is_file():
        _copy_database(directory / ACCESS, fresh / ACCESS)
    if (directory / followed.NAME).is_file():
        shutil.copy2(directory / followed.NAME, fresh)
    if (directory / COLD).is_dir():
        # What is being written has a # in its name.
        shutil.copytree(directory / COLD, fresh / COLD, ignore=shutil.ignore_patterns("*#*"))
    return _checked(fresh)


def _copy_databases(directory: Path, fresh: Path) -> int | None:
    """Copy store and journal; return the store's cursor, None where the journal was trimmed meanwhile."""
    view = JournalView(directory)
    try:
        name, first = view.identity(), view.first_seq()
    finally:
        view.close()
    has_store = (directory / EMBEDDED).is_file()
    if has_store:
        _copy_database(directory / EMBEDDED, fresh / EMBEDDED)
    _copy_database(directory / FILE_NAME, fresh / FILE_NAME)
    cursor = _cursor(fresh, name) if has_store else 0
    copied = JournalView(fresh)
    try:
        trimmed = max(first, cursor + 1) < copied.first_seq()
    finally:
        copied.close()
    if trimmed and has_store:
        return None
    _rename(fresh, name, uuid.uuid4().hex, has_store=has_store)
    return cursor


def _copy_database(source: Path, target: Path) -> None:
    """Copy a database as it is at this moment: in one step, as a writer would make it begin again."""
    with files.explained(source), closing(files.connect(source, read_only=True)) as db:
        target.unlink(missing_ok=True)
        with closing(sqlite3.connect(target, isolation_level=None)) as copy:
            db.backup(copy)


def _cursor(directory: Path, journal: str) -> int:
    """Return the cursor of a copied store."""
    store = SqlStore(embedded_url(directory), journal, read_only=True)
    try:
        return store.cursor()
    finally:
        store.close()


def _rename(directory: Path, old: str, new: str, *, has_store: bool) -> None:
    """Give the copied journal a name of its own, and the copied store its cursor in it."""
    path = directory / FILE_NAME
    with files.explained(path), closing(files.connect(path, read_only=False)) as db, files.transaction(db):
        db.execute("UPDATE meta SET value = ? WHERE name = 'identity'", (new,))
        # How far each had come is told of the original's followers.
        if db.execute("SELECT count(*) FROM sqlite_master WHERE name = 'places'").fetchone()[0]:
            db.execute("DELETE FROM places")
    if has_store:
        path = directory / EMBEDDED
        with files.explained(path), closing(files.connect(path, read_only=False)) as db:
            db.execute("UPDATE sink_cursor SET journal = ? WHERE journal = ?", (new, old))


def _checked(fresh: Path) -> BackedUp:
    """Read the copies to the last page. Raises StorageError where one is not whole."""
    rows: dict[str, int] = {}
    for name in (FILE_NAME, EMBEDDED, ACCESS):
        if not (fresh / name).is_file():
            continue
        found = integrity.faults(fresh / name)
        if found:
            raise StorageError(f"the backup is not whole: {found[0]}")
        rows |= {f"{name}:{table}": count for table, count in _rows(fresh / name).items()}
    view = JournalView(fresh)
    try:
        last, name = view.last_seq(), view.identity()
    finally:
        view.close()
    cursor = _cursor(fresh, name) if (fresh / EMBEDDED).is_file() else None
    if cursor is not None and cursor > last:
        raise StorageError(f"the backup's store is ahead of its journal ({cursor} > {last}): try again")
    for path in fresh.glob("*.sqlite3"):
        # Whoever closes a file last, and may write, takes its log away.
        with files.explained(path), closing(files.connect(path, read_only=False)) as db:
            db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    size = sum(one.stat().st_size for one in fresh.rglob("*") if one.is_file())
    return BackedUp(fresh, size, rows, cursor, last)


def _rows(path: Path) -> dict[str, int]:
    with files.explained(path), closing(files.connect(path, read_only=True)) as db:
        names = [name for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        return {
            name: int(db.execute(f'SELECT count(*) FROM "{name}"').fetchone()[0]) for name in sorted(names)
        }


def _flush(folder: Path) -> None:
    """Have every file on the disk before the backup gets its name."""
    for path in [*folder.rglob("*"), folder]:
        handle = os.open(path, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
