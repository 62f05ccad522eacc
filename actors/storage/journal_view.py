"""The journal as its readers see it: short read transactions on connections of their own."""

import math
import sqlite3
from collections import deque
from collections.abc import Collection, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from heapq import merge
from pathlib import Path
from typing import Any, Self

import attrs
import msgspec

from actors.messages import BookRecord, Entry, GapRecord, Kind, TradeBatch
from actors.storage import files, stretch, tier_log
from actors.storage.errors import JournalUnreadable, StorageError
from actors.storage.payload import JoinedIds, KeptIds, RecordRow, decode_batch, decode_ids, decode_record
from actors.storage.runs import within
from actors.storage.stretch import Stretch
from wadm.bar import Bar, Digest, decode, digest
from wadm.market import Trades

FILE_NAME = "journal.sqlite3"
SCHEMA = 1

EVERY_KIND = frozenset(Kind)

#: What a record weighs in a read that is bounded by weight, in trades.
RECORD = 10

#: Batches decoded between two read transactions of a long read, and those of which only the ids are.
PAGE = 256
PAGE_OF_IDS = 8_192


_BATCH = "seq, exchange, symbol, incarnation, number, payload"
_RECORD = 'seq, exchange, symbol, kind, timeframe, start, "end", revision, payload'

Numbered = tuple[int, Entry]

#: Kind, timeframe, start (µs) and revision of a window's record.
RecordedWindow = tuple[str, str, int, int]


def _batch(row: tuple[int, str, str, int, int, bytes]) -> TradeBatch:
    return decode_batch(*row[1:])


def _record(row: tuple[Any, ...]) -> Entry:
    return decode_record(row[1], row[2], RecordRow(*row[3:]))


@attrs.define(eq=False)
class JournalView:
    """Reads the journal in ``directory``. Any number of threads may use one view at once.

    Every method raises StorageError, with the path, where the file is missing, foreign or damaged.
    """

    directory: Path
    _idle: deque[sqlite3.Connection] = attrs.field(factory=deque, init=False, repr=False)
    _closed: bool = attrs.field(default=False, init=False)

    @classmethod
    def of_run(cls, directory: Path) -> Self:
        """Return the view of a data directory; StorageError where nothing was ever stored there."""
        if not (directory / FILE_NAME).is_file():
            raise StorageError(
                f"{directory} holds no data of wadm (no {FILE_NAME}): give the data directory of a run"
            )
        return cls(directory)

    @property
    def path(self) -> Path:
        """The journal's file."""
        return self.directory / FILE_NAME

    def read(
        self, after: int, limit: int, kinds: Collection[Kind] = EVERY_KIND, weight: float = math.inf
    ) -> tuple[list[Numbered], int]:
        """Return up to ``limit`` entries of these kinds that follow ``after``, and how far that read.

        They ascend by sequence number. The number returned is that of the last entry where there may be
        more, else the journal's last. Reading ends early with the entry that makes them as heavy as
        ``weight``: a trade weighs 1, a record ``RECORD``.
        """
        found: list[Numbered] = []
        with self._reading() as db, ExitStack() as opened:
            streams = [self._records_after(db, after, limit, sorted({*kinds} - {Kind.TRADES}), opened)]
            if Kind.TRADES in kinds:
                streams.append(self._batches_after(db, after, limit, opened))
            for numbered in merge(*streams, key=_seq):
                found.append(numbered)
                weight -= len(numbered[1].trades) if isinstance(numbered[1], TradeBatch) else RECORD
                if len(found) == limit or weight <= 0:
                    return found, numbered[0]
            return found, max(after, _last_seq(db))

    def _batches_after(
        self, db: sqlite3.Connection, after: int, limit: int, opened: ExitStack
    ) -> Iterator[Numbered]:
        rows = opened.enter_context(closing(db.cursor()))
        rows.execute(
            f"SELECT {_BATCH} FROM batches JOIN streams ON id = stream WHERE seq > ? ORDER BY seq LIMIT ?",
            (after, limit),
        )
        return ((row[0], _batch(row)) for row in rows)

    def _records_after(
        self, db: sqlite3.Connection, after: int, limit: int, kinds: Sequence[Kind], opened: ExitStack
    ) -> Iterator[Numbered]:
        marks = ",".join("?" * len(kinds))
        rows = opened.enter_context(closing(db.cursor()))
        rows.execute(
            f"SELECT {_RECORD} FROM records JOIN streams ON id = stream "
            f"WHERE seq > ? AND kind IN ({marks}) ORDER BY seq LIMIT ?",
            (after, *kinds, limit),
        )
        return ((row[0], _record(row)) for row in rows)

    def overlapping(self, exchange: str, symbol: str, start: int, end: int) -> Iterator[TradeBatch]:
        """Yield the batches still kept that have trades in ``[start, end)`` (µs, exchange time), whole.

        They come in the order in which they were journalled. The list of them is made at the first step;
        what is trimmed while this goes on is left out.
        """
        with self._reading() as db:
            query = (
                "SELECT seq FROM batches WHERE stream = ? AND last_time >= ? AND first_time < ? ORDER BY seq"
            )
            found = db.execute(query, (_stream(db, exchange, symbol), start, end))
            seqs = [seq for (seq,) in found]
        for page in range(0, len(seqs), PAGE):
            yield from self._batches_of(seqs[page : page + PAGE])

    def trades(self, exchange: str, symbol: str, start: int, end: int) -> Iterator[Trades]:
        """Yield the raw trades of ``[start, end)`` (µs, exchange time) that are still kept.

        Runs come in the order in which they were journalled, cut to the range. A trade that came over two
        connections may come twice: see ``runs.distinct``.
        """
        for batch in self.overlapping(exchange, symbol, start, end):
            cut = within(batch.trades, start, end)
            if len(cut):
                yield cut

    def _batches_of(self, seqs: list[int]) -> list[TradeBatch]:
        marks = ",".join("?" * len(seqs))
        with self._reading() as db:
            query = f"SELECT {_BATCH} FROM batches JOIN streams ON id = stream WHERE seq IN ({marks})"
            return [_batch(row) for row in db.execute(f"{query} ORDER BY seq", seqs)]

    def batches(
        self, exchange: str, symbol: str, incarnation: int, after_number: int, limit: int = PAGE
    ) -> list[TradeBatch]:
        """Return up to ``limit`` batches of one incarnation numbered above ``after_number``, ascending."""
        with self._reading() as db:
            rows = db.execute(
                f"SELECT {_BATCH} FROM batches JOIN streams ON id = stream "
                "WHERE stream = ? AND incarnation = ? AND number > ? ORDER BY number LIMIT ?",
                (_stream(db, exchange, symbol), incarnation, after_number, limit),
            )
            return [_batch(row) for row in rows]

    def ids(self, exchange: str, symbol: str) -> Iterator[KeptIds]:
        """Yield the ids of the batches that are kept, in the order in which they were journalled."""
        seq = 0
        while True:
            with self._reading() as db:
                rows = db.execute(
                    "SELECT seq, incarnation, number, last_time, payload FROM batches "
                    "WHERE stream = ? AND seq > ? ORDER BY seq LIMIT ?",
                    (_stream(db, exchange, symbol), seq, PAGE_OF_IDS),
                ).fetchall()
                found = [decode_ids(*row[1:]) for row in rows]
            yield from found
            if len(rows) < PAGE_OF_IDS:
                return
            seq = rows[-1][0]

    def joined_ids(self) -> dict[tuple[str, str], list[KeptIds]]:
        """Return the ids of all streams, in one pass; batches of a stream that go on as one are one of them.

        Such a one has the name of its first batch. Left out are streams without batches, and those whose ids
        are names.
        """
        joined, seq = JoinedIds(), 0
        while True:
            with self._reading() as db:
                end = db.execute(
                    "SELECT max(seq) FROM (SELECT seq FROM batches WHERE seq > ? ORDER BY seq LIMIT ?)",
                    (seq, PAGE_OF_IDS),
                ).fetchone()[0]
                if end is None:
                    found = joined.streams
                    streams = db.execute("SELECT id, exchange, symbol FROM streams").fetchall()
                    return {
                        (exchange, symbol): found[one] for one, exchange, symbol in streams if one in found
                    }
                rows = db.execute(
                    "SELECT stream, incarnation, number, last_time, payload FROM batches "
                    "WHERE seq > ? AND seq <= ? ORDER BY seq",
                    (seq, end),
                )
                joined.add(rows.fetchall())
            seq = end

    def newest(self, exchange: str, symbol: str, count: int) -> Stretch:
        """Return the batches of the newest ``count`` trades, by the exchange's time."""
        with self._reading() as db:
            found = stretch.newest(db, _stream(db, exchange, symbol), count)
            return Stretch(found, [], _first_seq(db), _last_seq(db))

    def following(self, exchange: str, symbol: str, seq: int, count: int, before: int = 0) -> Stretch:
        """Return the batches from ``seq`` on that have ``count`` trades, and ``before`` trades before it."""
        with self._reading() as db:
            stream = _stream(db, exchange, symbol)
            found = stretch.following(db, stream, seq, count)
            ahead = stretch.preceding(db, stream, seq, before) if before else []
            return Stretch(found, [batch for _, batch in ahead], _first_seq(db), _last_seq(db))

    def seq_at(self, exchange: str, symbol: str, at: int) -> tuple[int, int | None]:
        """Return the first sequence number with trades of ``at`` (µs, exchange time) or later.

        Beside it the time of the oldest trade kept, None while there are none.
        """
        with self._reading() as db:
            stream = _stream(db, exchange, symbol)
            found = stretch.seq_at(db, stream, at)
            return _last_seq(db) + 1 if found is None else found, stretch.oldest_time(db, stream)

    def bars(self, exchange: str, symbol: str, start: int, end: int, after: int = 0) -> list[Bar]:
        """Return the bars that start in ``[start, end)`` (µs) among the entries past ``after``.

        Ascending by start; of each bar the highest revision.
        """
        with self._reading() as db:
            return [decode(packed) for packed in _bars(db, exchange, symbol, (start, end), after)]

    def packed_bars(
        self, exchange: str, symbol: str, start: int, end: int, after: int = 0
    ) -> list[tuple[Digest, bytes]]:
        """Return the same as they were packed."""
        with self._reading() as db:
            found = _bars(db, exchange, symbol, (start, end), after)
            return [(digest(packed), packed) for packed in found]

    def windows(self, exchange: str, symbol: str, since: int) -> set[RecordedWindow]:
        """Return what is recorded of the windows that ended after ``since`` (µs)."""
        with self._reading() as db:
            found = db.execute(
                "SELECT kind, timeframe, start, revision FROM records "
                "WHERE stream = ? AND kind IN ('profile', 'order_flow') AND \"end\" > ?",
                (_stream(db, exchange, symbol), since),
            )
            return set(found.fetchall())

    def books(self, exchange: str, symbol: str, start: int, end: int) -> list[BookRecord]:
        """Return the order books of ``[start, end)`` (µs, exchange time) that are still kept, ascending."""
        with self._reading() as db:
            found = db.execute(
                f"SELECT {_RECORD} FROM records JOIN streams ON id = stream "
                "WHERE stream = ? AND kind = 'book' AND timeframe = '' AND start >= ? AND start < ? "
                "ORDER BY start",
                (_stream(db, exchange, symbol), start, end),
            )
            records = [_record(row) for row in found]
        return [record for record in records if isinstance(record, BookRecord)]

    def gaps(self, exchange: str, symbol: str, after: int = 0) -> list[GapRecord]:
        """Return the records of gaps past ``after``, in the order in which they were journalled."""
        with self._reading() as db:
            found = db.execute(
                f"SELECT {_RECORD} FROM records JOIN streams ON id = stream "
                "WHERE stream = ? AND kind = 'gap' AND seq > ? ORDER BY seq",
                (_stream(db, exchange, symbol), after),
            )
            records = [_record(row) for row in found]
        return [record for record in records if isinstance(record, GapRecord)]

    def bar_extent(self, exchange: str, symbol: str) -> tuple[int, int] | None:
        """Return the first start and last end (µs) of the bars kept here, None while there are none."""
        with self._reading() as db:
            first, last = db.execute(
                "SELECT min(start), max(\"end\") FROM records WHERE stream = ? AND kind = 'bar'",
                (_stream(db, exchange, symbol),),
            ).fetchone()
        return None if first is None else (first, last)

    def trades_extent(self, exchange: str, symbol: str) -> tuple[int, int] | None:
        """Return the first and last exchange time (µs) among the trades kept, None while there are none."""
        with self._reading() as db:
            first, last = db.execute(
                "SELECT min(first_time), max(last_time) FROM batches WHERE stream = ?",
                (_stream(db, exchange, symbol),),
            ).fetchone()
        return None if first is None else (first, last)

    def symbols(self) -> list[tuple[str, str]]:
        """Return every (exchange, symbol) that was ever journalled, sorted."""
        with self._reading() as db:
            return db.execute("SELECT exchange, symbol FROM streams ORDER BY exchange, symbol").fetchall()

    def holds(self) -> dict[str, int]:
        """Return how many entries are still kept, by kind; trades are counted in batches."""
        with self._reading() as db:
            (batches,) = db.execute("SELECT count(*) FROM batches").fetchone()
            records = db.execute("SELECT kind, count(*) FROM records GROUP BY kind ORDER BY kind")
            return {str(Kind.TRADES): batches, **dict(records.fetchall())}

    def first_seq(self) -> int:
        """Return the number of the oldest entry still kept; with none, the one after the journal's last."""
        with self._reading() as db:
            return _first_seq(db)

    def written_at(self, seq: int) -> int | None:
        """Return when an entry was committed (µs, to the second), None where that is not known."""
        with self._reading() as db:
            return written_at(db, seq)

    def places(self) -> dict[str, int]:
        """Return how far each target had come that followed this journal, when that was last noted."""
        with self._reading() as db:
            return tier_log.places(db)

    def losses(self, target: str | None = None) -> list[tier_log.Loss]:
        """Return what targets lost because the journal had to let it go, of one or of all."""
        with self._reading() as db:
            return tier_log.losses(db, target)

    def last_seq(self) -> int:
        """Return the last sequence number ever given, 0 at first. Trimming does not lower it."""
        with self._reading() as db:
            return _last_seq(db)

    def identity(self) -> str:
        """Return the journal's own name: a store's cursor into one journal means nothing in another."""
        with self._reading() as db:
            return str(db.execute("SELECT value FROM meta WHERE name = 'identity'").fetchone()[0])

    def close(self) -> None:
        """Close every connection; one in use closes as soon as it is given back."""
        self._closed = True
        while self._idle:
            self._idle.pop().close()

    @contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        """Lend a connection inside one read transaction, so that what the block reads belongs together."""
        try:
            db = self._idle.pop()
        except IndexError:
            db = files.open_reader(self.path, SCHEMA)
        try:
            with files.explained(self.path), files.transaction(db, "BEGIN"):
                yield db
        except StorageError as error:
            db.close()
            raise JournalUnreadable(str(error)) from error
        except (msgspec.MsgspecError, ValueError) as error:
            db.close()
            raise JournalUnreadable(
                f"{self.path} holds an entry that cannot be read ({error}): restore it from a backup, "
                "or move it away to start anew"
            ) from error
        except BaseException:
            db.close()
            raise
        self._idle.append(db)
        if self._closed:
            JournalView.close(self)


def _bars(
    db: sqlite3.Connection, exchange: str, symbol: str, span: tuple[int, int], after: int
) -> Collection[bytes]:
    found = db.execute(
        "SELECT start, payload FROM records WHERE stream = ? AND kind = 'bar' AND timeframe = '1m' "
        "AND start >= ? AND start < ? AND seq > ? ORDER BY start, revision",
        (_stream(db, exchange, symbol), *span, after),
    )
    latest: dict[int, bytes] = dict(found.fetchall())
    return latest.values()


def written_at(db: sqlite3.Connection, seq: int) -> int | None:
    """Return when an entry was committed (µs), or one soon after where it was long ago."""
    before = db.execute("SELECT at FROM moments WHERE seq <= ? ORDER BY seq DESC LIMIT 1", (seq,)).fetchone()
    found = before or db.execute("SELECT at FROM moments ORDER BY seq LIMIT 1").fetchone()
    return None if found is None else int(found[0])


def _seq(numbered: Numbered) -> int:
    return numbered[0]


def _first_seq(db: sqlite3.Connection) -> int:
    tables = "batches", "records"
    firsts = [db.execute(f"SELECT min(seq) FROM {table}").fetchone()[0] for table in tables]
    return min((one for one in firsts if one is not None), default=_last_seq(db) + 1)


def _last_seq(db: sqlite3.Connection) -> int:
    return int(db.execute("SELECT coalesce(max(last_seq), 0) FROM segments").fetchone()[0])


def _stream(db: sqlite3.Connection, exchange: str, symbol: str) -> int:
    """Return the number of a stream, 0 for one that was never journalled."""
    row = db.execute(
        "SELECT id FROM streams WHERE exchange = ? AND symbol = ?", (exchange, symbol)
    ).fetchone()
    return 0 if row is None else int(row[0])
