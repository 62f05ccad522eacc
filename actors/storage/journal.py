"""The journal: everything the daemon learns, in one local SQLite file, in the order it was learnt.

What can be lost: the death of the process (SIGKILL) loses at most what was not committed yet. A power
failure may also lose the commits since the last checkpoint (at most 16 MB of them, less what the system wrote
out by itself), and never a part of a commit: WAL with ``synchronous=NORMAL`` flushes at checkpoints only.
"""

import sqlite3
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import attrs

from actors.messages import Entry, GapRecord, TradeBatch
from actors.storage import files
from actors.storage.journal_view import SCHEMA, JournalView
from actors.storage.payload import RecordRow, encode_batch, encode_record
from wadm.market import MINUTE

#: Entries are forgotten by whole segments of this length (µs of ingestion).
SEGMENT = 10 * MINUTE

#: Entries deleted per transaction while trimming: few enough that a commit behind one hardly waits.
SLICE = 200

#: Rest (s) between two slices, in which a waiting commit takes its turn.
YIELD = 0.002

_TABLES = (
    "CREATE TABLE meta(name TEXT PRIMARY KEY, value) WITHOUT ROWID",
    "CREATE TABLE streams(id INTEGER PRIMARY KEY, exchange TEXT NOT NULL, symbol TEXT NOT NULL, "
    "UNIQUE(exchange, symbol))",
    "CREATE TABLE segments(id INTEGER PRIMARY KEY, first_seq INTEGER NOT NULL, last_seq INTEGER NOT NULL)",
    "CREATE TABLE batches(seq INTEGER PRIMARY KEY, stream INTEGER NOT NULL, "
    "incarnation INTEGER NOT NULL, number INTEGER NOT NULL, "
    "first_time INTEGER NOT NULL, last_time INTEGER NOT NULL, payload BLOB NOT NULL)",
    "CREATE UNIQUE INDEX batches_once ON batches(stream, incarnation, number)",
    "CREATE INDEX batches_by_time ON batches(stream, last_time, first_time)",
    "CREATE TABLE records(seq INTEGER PRIMARY KEY, stream INTEGER NOT NULL, kind TEXT NOT NULL, "
    'timeframe TEXT NOT NULL, start INTEGER NOT NULL, "end" INTEGER NOT NULL, revision INTEGER NOT NULL, '
    "payload BLOB NOT NULL)",
    'CREATE UNIQUE INDEX records_once ON records(stream, kind, timeframe, start, "end", revision)',
)

# The conflict names its columns, so that a sequence number given twice is an error and not a duplicate.
_PUT_BATCH = (
    "INSERT INTO batches(seq, stream, incarnation, number, first_time, last_time, payload) "
    "VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT(stream, incarnation, number) DO NOTHING"
)
_PUT_RECORD = (
    'INSERT INTO records(seq, stream, kind, timeframe, start, "end", revision, payload) '
    'VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT(stream, kind, timeframe, start, "end", revision) DO NOTHING'
)
_PUT_SEGMENT = (
    "INSERT INTO segments(id, first_seq, last_seq) VALUES (?, ?, ?) "
    "ON CONFLICT(id) DO UPDATE SET last_seq = excluded.last_seq"
)

BatchRow = tuple[int, int, int, int, bytes]


def wall_clock() -> int:
    """Return the time now (µs): retention counts from ingestion."""
    return time.time_ns() // 1_000


@attrs.define(eq=False)
class Journal(JournalView):
    """The journal in ``directory``, open for writing. One per directory: see ``lock``.

    Appending and trimming may be called from different threads; they take turns.
    """

    clock: Callable[[], int] = wall_clock
    _db: sqlite3.Connection = attrs.field(init=False, repr=False)
    _turn: threading.Lock = attrs.field(factory=threading.Lock, init=False, repr=False)
    _streams: dict[tuple[str, str], int] = attrs.field(factory=dict, init=False, repr=False)
    _last: int = attrs.field(default=0, init=False)
    _segment: int = attrs.field(default=0, init=False)

    def __attrs_post_init__(self) -> None:
        self._db = files.open_writer(self.path, SCHEMA, _create)
        with files.explained(self.path):
            self._segment, self._last = self._db.execute(
                "SELECT coalesce(max(id), 0), coalesce(max(last_seq), 0) FROM segments"
            ).fetchone()

    def append(self, entries: Sequence[Entry]) -> int:
        """Commit the entries in one transaction and return the journal's last sequence number.

        An entry committed before (a batch by incarnation, symbol and number; a record by its natural key and
        revision) is left out. Raises DiskFull with nothing written, StorageError for any other failure.
        """
        rows = [_row(entry) for entry in entries]
        with self._writing() as db:
            seq = self._last
            for exchange, symbol, row in rows:
                put = _PUT_RECORD if isinstance(row, RecordRow) else _PUT_BATCH
                seq += db.execute(put, (seq + 1, self._stream(db, exchange, symbol), *row)).rowcount
            if seq > self._last:
                # A clock set back must not open an older segment again.
                segment = max(self._segment, self.clock() // SEGMENT)
                db.execute(_PUT_SEGMENT, (segment, self._last + 1, seq))
                self._segment = segment
        self._last = seq
        return seq

    def _stream(self, db: sqlite3.Connection, exchange: str, symbol: str) -> int:
        stream = self._streams.get((exchange, symbol))
        if stream is None:
            db.execute("INSERT OR IGNORE INTO streams(exchange, symbol) VALUES (?, ?)", (exchange, symbol))
            found = db.execute("SELECT id FROM streams WHERE exchange = ? AND symbol = ?", (exchange, symbol))
            stream = self._streams[exchange, symbol] = int(found.fetchone()[0])
        return stream

    def trim(self, before_ingested: int, not_after_seq: int) -> int:
        """Forget old segments; return how many entries went.

        An entry may go, whatever its kind, once its whole segment was ingested before ``before_ingested``
        (µs) and lies at or below ``not_after_seq``: what every sink has stored and no open bar needs. The
        file does not shrink: SQLite fills the freed pages again, so that it stays at the size of what is
        kept. Deletes in slices, between which appends take their turn.
        """
        with self._turn, files.explained(self.path):
            ripe = self._db.execute(
                "SELECT first_seq, last_seq FROM segments WHERE (id + 1) * ? <= ? AND last_seq <= ?",
                (SEGMENT, before_ingested, not_after_seq),
            ).fetchall()
        return sum(self._forget(first, last) for first, last in ripe)

    def _forget(self, first: int, last: int) -> int:
        gone = 0
        for start in range(first, last + 1, SLICE):
            bounds = (start, min(start + SLICE - 1, last))
            with self._writing() as db:
                for table in ("batches", "records"):
                    gone += db.execute(f"DELETE FROM {table} WHERE seq BETWEEN ? AND ?", bounds).rowcount
            time.sleep(YIELD)
        with self._writing() as db:
            # The newest segment's line stays: it remembers the last sequence number.
            db.execute("DELETE FROM segments WHERE last_seq = ? AND id < ?", (last, self._segment))
        return gone

    def next_epoch(self) -> int:
        """Count one more start of the daemon, and return the count."""
        with self._writing() as db:
            counted = db.execute("UPDATE meta SET value = value + 1 WHERE name = 'epoch' RETURNING value")
            return int(counted.fetchone()[0])

    def close(self) -> None:
        """Close every connection. The writer goes last: it folds the write-ahead log into the file."""
        JournalView.close(self)
        with self._turn:
            self._db.close()

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        with self._turn, files.explained(self.path):
            try:
                with files.transaction(self._db):
                    yield self._db
            except BaseException:
                self._streams.clear()  # the numbers of new streams were rolled back with the rest
                raise


def _create(db: sqlite3.Connection) -> None:
    for table in _TABLES:
        db.execute(table)
    db.execute("INSERT INTO meta(name, value) VALUES ('identity', ?), ('epoch', 0)", (uuid.uuid4().hex,))


def _row(entry: Entry) -> tuple[str, str, RecordRow | BatchRow]:
    """Return an entry's exchange and symbol and the rest of its row."""
    if isinstance(entry, TradeBatch):
        trades = entry.trades
        first = min(trades.times, default=entry.market_time)
        last = max(trades.times, default=entry.market_time)
        row = (entry.incarnation, entry.number, first, last, encode_batch(entry))
        return trades.exchange, trades.symbol, row
    owner = entry.gap if isinstance(entry, GapRecord) else entry
    return owner.exchange, owner.symbol, encode_record(entry)
