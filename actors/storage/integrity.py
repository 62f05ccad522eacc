"""Whether an SQLite file of ours is whole: every page of it is read."""

import sqlite3
from contextlib import closing
from pathlib import Path

from actors.storage import files
from actors.storage.errors import StorageError, explain
from actors.storage.pages import broken_page

#: Faults that are told of one file.
TOLD = 10


def faults(path: Path) -> list[str]:
    """Return what is wrong with a file, one sentence each that names the file and the page."""
    try:
        with files.explained(path), closing(files.connect(path, read_only=True)) as db:
            try:
                found = [str(line) for (line,) in db.execute(f"PRAGMA integrity_check({TOLD})")]
            except sqlite3.DatabaseError as error:
                return [_located(db, path, error)]
    except StorageError as error:
        return [str(error)]
    if found == ["ok"]:
        return []
    lines = [line for text in found for line in text.splitlines() if line and not line.startswith("***")]
    return [_said(path, line) for line in lines[:TOLD]]


def _located(db: sqlite3.Connection, path: Path, error: sqlite3.DatabaseError) -> str:
    """Return the sentence of damage that ended the check, with its page where that can be found."""
    said = explain(error, path)
    log = path.with_name(f"{path.name}-wal")
    if log.exists() and log.stat().st_size:
        return str(said)
    trees = db.execute("SELECT name, rootpage FROM sqlite_master WHERE rootpage > 0").fetchall()
    for name, root in trees:
        page = broken_page(path, root)
        if page is not None:
            return _said(path, f"page {page} of {name}: {error}")
    return str(said)


def _said(path: Path, what: str) -> str:
    return f"{path} is damaged ({what}): restore it from a backup, or move it away to start anew"
