"""The journal: everything the daemon learns, in one local SQLite file, in the order it was learnt.

What can be lost: the death of the process (SIGKILL) loses at most what was not committed yet. A power
failure may also lose the commits since the last checkpoint (a daemon makes one every two seconds, see
``checkpoints``), and never a part of a commit: WAL with ``synchronous=NORMAL`` flushes at checkpoints only. A
store that follows the journal may know what such a failure took; its sequence numbers are not used again.
"""

import sqlite3
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager

import attrs

from actors.messages import Entry, GapRecord, TradeBatch
from actors.storage import files, tier_log
from actors.storage.journal_file import LEAP, JournalFile
from actors.storage.letting_go import Follower, delete, loss_of, next_seq
from actors.storage.payload import RecordRow, encode_batch, encode_record
from wadm.market import MINUTE, SECOND

#: Entries are forgotten by whole segments of this length (µs of ingestion).
SEGMENT = 10 * MINUTE

#: Segments (an hour) that lie further in the future are taken for the work of a clock that was wrong.
AHEAD = 6

#: Entries deleted per transaction while trimming: few enough that a commit behind one hardly waits.
SLICE = 64

#: Rest between two slices, in which a waiting commit takes its turn: so many times as long as the slice took.
REST = 2.0

#: The time is noted with an entry this often (µs) at most: how long something waits is told from it.
MOMENT = SECOND

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
class Journal(JournalFile):
    """The journal in ``directory``, open for writing. One per directory: see ``lock``.

    Appending and trimming may be called from different threads; they take turns.
    """

    clock: Callable[[], int] = wall_clock
    _streams: dict[tuple[str, str], int] = attrs.field(factory=dict, init=False, repr=False)
    _last: int = attrs.field(default=0, init=False)
    _segment: int = attrs.field(default=0, init=False)
    _moment: int = attrs.field(default=0, init=False)
    #: the last number that there was when it was opened
    began: int = attrs.field(default=0, init=False)

    def __attrs_post_init__(self) -> None:
        failed = self._open(_create)
        try:
            with files.explained(self.path):
                self._segment, self._last = self._db.execute(
                    "SELECT coalesce(max(id), 0), coalesce(max(last_seq), 0) FROM segments"
                ).fetchone()
            if failed and self._last:
                self.leap(self._last + LEAP)
            self.began = self._last
        except BaseException:
            self.close()
            raise

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
                now = self.clock()
                segment = max(self._segment, now // SEGMENT)
                db.execute(_PUT_SEGMENT, (segment, self._last + 1, seq))
                if noted := not 0 <= now - self._moment < MOMENT:
                    db.execute("INSERT INTO moments(seq, at) VALUES (?, ?)", (self._last + 1, now))
        if seq > self._last:
            self._last, self._segment = seq, segment
            self._moment = now if noted else self._moment
        return seq

    def _stream(self, db: sqlite3.Connection, exchange: str, symbol: str) -> int:
        stream = self._streams.get((exchange, symbol))
        if stream is None:
            db.execute("INSERT OR IGNORE INTO streams(exchange, symbol) VALUES (?, ?)", (exchange, symbol))
            found = db.execute("SELECT id FROM streams WHERE exchange = ? AND symbol = ?", (exchange, symbol))
            stream = self._streams[exchange, symbol] = int(found.fetchone()[0])
        return stream

    def leap(self, seq: int) -> None:
        """Use no number up to ``seq`` any more."""
        with self._writing() as db:
            if seq > self._last:
                db.execute(_PUT_SEGMENT, (self._segment, self._last + 1, seq))
                self._last = seq

    def trim(self, before_ingested: int, not_after_seq: int) -> int:
        """Forget old segments; return how many entries went.

        An entry may go, whatever its kind, once its whole segment was ingested before ``before_ingested``
        (µs) and lies at or below ``not_after_seq``: what every sink has stored and no open bar needs. The
        file does not shrink: SQLite fills the freed pages again, so that it stays at the size of what is
        kept. Deletes in slices, between which appends take their turn.
        """
        self._set_clock_back()
        with self._turn, files.explained(self.path):
            ripe = self._db.execute(
                "SELECT first_seq, last_seq FROM segments WHERE (id + 1) * ? <= ? AND last_seq <= ?",
                (SEGMENT, before_ingested, not_after_seq),
            ).fetchall()
        return sum(self._forget(first, last) for first, last in ripe)

    def _forget(self, first: int, last: int) -> int:
        gone, start = 0, first
        while start <= last:
            began = time.perf_counter()
            with self._writing() as db:
                start = next_seq(db, start, last)
                gone += delete(db, start, min(start + SLICE - 1, last))
            start += SLICE
            time.sleep(REST * (time.perf_counter() - began))
        with self._writing() as db:
            # The newest segment's line stays: it remembers the last sequence number.
            db.execute("DELETE FROM segments WHERE last_seq = ? AND id < ?", (last, self._segment))
        return gone

    def shed(self, limit: int, before_ingested: int, followers: Sequence[Follower]) -> int:
        """Forget the oldest entries until the journal takes at most ``limit`` bytes; return how many went.

        Whoever has not passed them loses them, which is noted with the deletion, all or nothing. Entries
        ingested from ``before_ingested`` (µs) on stay: with these alone above the limit, the journal stays
        above it. Deletes in slices, between which appends take their turn.
        """
        self._set_clock_back()
        gone = 0
        while self.taken() > limit and (span := self._oldest(before_ingested)) is not None:
            began = time.perf_counter()
            with self._writing() as db:
                for one in followers:
                    loss = loss_of(db, one, *span, self.clock())
                    if loss is not None:
                        tier_log.note_loss(db, loss)
                gone += delete(db, *span)
                db.execute("DELETE FROM segments WHERE last_seq <= ? AND id < ?", (span[1], self._segment))
            time.sleep(REST * (time.perf_counter() - began))
        return gone

    def _set_clock_back(self) -> None:
        """Count what was ingested while the clock was far ahead as ingested now: it would never grow old."""
        now = self.clock()
        segment = now // SEGMENT
        if self._segment <= segment + AHEAD:
            return
        with self._writing() as db:
            first, last = db.execute(
                "SELECT min(first_seq), max(last_seq) FROM segments WHERE id >= ?", (segment,)
            ).fetchone()
            db.execute("DELETE FROM segments WHERE id >= ?", (segment,))
            db.execute(_PUT_SEGMENT, (segment, first, last))
            db.execute("UPDATE moments SET at = ? WHERE at > ?", (now, now))
            self._segment = segment

    def _oldest(self, before_ingested: int) -> tuple[int, int] | None:
        """Return the first and last number of the oldest slice that was ingested before that time."""
        first = self.first_seq()
        with self._reading() as db:
            (end,) = db.execute("SELECT min(seq) FROM moments WHERE at >= ?", (before_ingested,)).fetchone()
        last = min(first + SLICE, end if end is not None else self._last + 1) - 1
        return (first, last) if first <= last else None

    def note_places(self, places: Mapping[str, int]) -> None:
        """Remember how far each target has come, for the next start."""
        with self._writing() as db:
            tier_log.note_places(db, places)

    def note_loss(self, loss: tier_log.Loss) -> None:
        """Remember that a target lost something."""
        with self._writing() as db:
            tier_log.note_loss(db, loss)

    def next_epoch(self) -> int:
        """Count one more start of the daemon, and return the count."""
        with self._writing() as db:
            counted = db.execute("UPDATE meta SET value = value + 1 WHERE name = 'epoch' RETURNING value")
            return int(counted.fetchone()[0])

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        try:
            with JournalFile._writing(self) as db:  # noqa: SLF001  # the one overridden here
                yield db
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
