"""The journal's one writing connection, and how its write-ahead log is folded into the file."""

import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import attrs

from actors.storage import files
from actors.storage.journal_view import SCHEMA, JournalView
from actors.storage.tier_log import TABLES as TIER_TABLES

#: With so much (bytes) in the write-ahead log, commits are held up for as long as it takes to begin it anew.
LOG_LIMIT = 16 << 20

#: Sequence numbers left out after a power failure: more than the commits that one can take along.
LEAP = 1 << 20

_BOOT = Path("/proc/sys/kernel/random/boot_id")

#: Beside what a journal begins with; one written before these were known gets them, too.
_ADDED = (
    "CREATE TABLE IF NOT EXISTS moments(seq INTEGER PRIMARY KEY, at INTEGER NOT NULL)",
    # Every index ends with the sequence number: one stream's batches in the order of the journal.
    "CREATE INDEX IF NOT EXISTS batches_in_order ON batches(stream)",
    *TIER_TABLES,
)


@attrs.define(eq=False)
class JournalFile(JournalView):
    """A journal's file, open for writing. Whoever writes takes its turn."""

    _db: sqlite3.Connection = attrs.field(init=False, repr=False)
    _turn: threading.Lock = attrs.field(factory=threading.Lock, init=False, repr=False)
    _folding: threading.Lock = attrs.field(factory=threading.Lock, init=False, repr=False)

    def _open(self, create: Callable[[sqlite3.Connection], None]) -> bool:
        """Open the file; return whether the machine itself may have failed since it was last open."""
        self._db = files.open_writer(self.path, SCHEMA, create)
        boot = _boot()
        try:
            with files.explained(self.path), files.transaction(self._db):
                for one in _ADDED:
                    self._db.execute(one)
                was = self._db.execute("SELECT value FROM meta WHERE name = 'boot'").fetchone()
                self._db.execute("REPLACE INTO meta(name, value) VALUES ('boot', ?)", (boot,))
            self.checkpoint()
        except BaseException:
            self._db.close()
            raise
        return was is not None and was[0] not in ("", boot)

    def checkpoint(self) -> None:
        """Flush what was committed, and fold it into the file, in a thread other than the one that appends.

        Commits go on meanwhile. Only where the log has grown past its limit are they held up while it is
        begun anew, which by then is little. Raises DiskFull, and other StorageErrors.
        """
        with self._folding, files.explained(self.path):
            db = files.connect(self.path, read_only=False)
            try:
                _, pages, _ = db.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
                if pages * files.PAGE >= LOG_LIMIT:
                    with self._turn:
                        db.execute("PRAGMA wal_checkpoint(PASSIVE)")
            finally:
                db.close()

    def taken(self) -> int:
        """Return how much of the file (bytes) the entries and their indexes take: the rest is free."""
        with self._reading() as db:
            pages, free = (
                db.execute(f"PRAGMA {name}").fetchone()[0] for name in ("page_count", "freelist_count")
            )
        return int(pages - free) * files.PAGE

    def size(self) -> int:
        """Return what file and write-ahead log take of the disk (bytes)."""
        log = self.path.with_name(f"{self.path.name}-wal")
        return sum(one.stat().st_size for one in (self.path, log) if one.exists())

    def close(self) -> None:
        """Close every connection. The writer goes last: it folds the write-ahead log into the file."""
        JournalView.close(self)
        with self._turn:
            # Unwritten, the next start takes this for a failure of the machine, and leaves numbers out.
            with suppress(sqlite3.Error):
                self._db.execute("UPDATE meta SET value = '' WHERE name = 'boot'")
            self._db.close()

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        with self._turn, files.explained(self.path), files.transaction(self._db):
            yield self._db


def _boot() -> str:
    """Return the name of this run of the machine, where the system gives one."""
    try:
        return _BOOT.read_text().strip()
    except OSError:
        return "unknown"
