"""The SQL store: SQLite by default, PostgreSQL by the same code. SQLAlchemy Core, no ORM."""

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import attrs
from sqlalchemy import Connection, Delete, Engine, Table, select, tuple_

from actors.messages import BookRecord, Entry, GapRecord, Kind, LevelMark, OrderFlowRecord, ProfileRecord
from actors.storage import engines, files, migrations, rows, statements, tables, upserts
from actors.storage.errors import StorageError
from actors.storage.journal import wall_clock
from actors.storage.migrations import SCHEMA
from actors.storage.sql_errors import explained
from wadm import bar as bar_codec
from wadm.bar import Bar, BarFormatError, Digest
from wadm.lifetimes import Lifetimes
from wadm.market import Trades
from wadm.sections import StorageSettings

KEPT = frozenset({Kind.BAR, Kind.PROFILE, Kind.ORDER_FLOW, Kind.LEVELS, Kind.GAP})

#: What marks an SQLite file as ours (``PRAGMA user_version``). The schema's version stands in ``wadm_meta``,
#: as it does on a server.
FILE = 1

#: Rows forgotten in one transaction at most: whoever writes meanwhile hardly waits.
SLICE = 1_000


@attrs.define(eq=False)
class SqlStore:
    """A ``Store`` behind an SQLAlchemy URL, which follows the journal named ``follows`` (its identity).

    Raw trades and order books are not kept here: the journal has them. ``read_only`` never writes, not even
    tables. ``lifetimes`` count by ``clock`` (µs), from when something was stored or revised.
    """

    url: str = attrs.field(repr=engines.address)
    follows: str
    read_only: bool = False
    lifetimes: Lifetimes = attrs.field(factory=lambda: Lifetimes.of(StorageSettings()))
    clock: Callable[[], int] = attrs.field(default=wall_clock, repr=False)
    _engine: Engine = attrs.field(init=False, repr=False)
    _ready: bool = attrs.field(default=False, init=False)
    _opening: threading.Lock = attrs.field(factory=threading.Lock, init=False, repr=False)

    def __attrs_post_init__(self) -> None:
        self._engine = engines.open_engine(self.url, read_only=self.read_only)

    @property
    def name(self) -> str:
        """The dialect: ``sqlite`` or ``postgresql``."""
        return self._engine.dialect.name

    @property
    def keeps(self) -> frozenset[Kind]:
        """See ``Store``."""
        return KEPT

    @property
    def address(self) -> str:
        """Where the store is, for a person."""
        return engines.address(self.url)

    def initialise(self) -> None:
        """See ``Store``. Any other method does this first where it was not done yet."""
        with self._opening:
            self._prepare()

    def _prepare(self) -> None:
        self._ready = False
        if self.read_only:
            self._check_schema()
        else:
            self._migrate()
        self._ready = True

    def schema(self) -> tuple[int | None, int]:
        """See ``Store``."""
        return (self._found() if self._has_file() else None), SCHEMA

    def migrate(self) -> None:
        """See ``Store``."""
        if self.read_only:
            raise StorageError(f"{self.address} is open for reading only: nothing can be migrated")
        with self._opening:
            self._migrate()

    def _migrate(self) -> None:
        if self.name == "sqlite":
            # Marks a new file as ours in WAL mode, and refuses a foreign one before anything touches it.
            files.open_writer(Path(self.address), FILE, lambda _: None).close()
        if self._found() != SCHEMA:
            with explained(self.url), engines.migrating(self._engine) as db:
                migrations.migrate(db, self.address, self.clock(), self.lifetimes)

    def _check_schema(self) -> None:
        if self.name == "sqlite":
            files.open_reader(Path(self.address), FILE).close()
        version = self._found()
        migrations.refuse_newer(version, self.address)
        if version is None:
            raise StorageError(f"{self.address} is empty: nothing was ever stored there")
        if version < SCHEMA:
            raise StorageError(
                f"{self.address} has schema {version}, this version reads {SCHEMA}: "
                "run `wadm storage migrate`"
            )

    def _found(self) -> int | None:
        with explained(self.url), self._engine.connect() as db:
            return migrations.found(db, self.address)

    def _has_file(self) -> bool:
        """Return whether there is something to look into, without making it."""
        if self.name != "sqlite":
            return True
        path = Path(self.address)
        with suppress(OSError):  # what may not be seen, SQLite will say
            if not path.exists():
                return False
        with files.explained(path), closing(files.connect(path, read_only=True)) as db:
            return files.check(db, path, FILE)

    def cursor(self) -> int:
        """See ``Store``."""
        table = tables.sink_cursor
        with self._connected() as db:
            return db.scalar(select(table.c.seq).where(table.c.journal == self.follows)) or 0

    def apply(self, entries: Sequence[Entry], cursor: int) -> None:
        """See ``Store``."""
        grouped = upserts.grouped(entries, self._stamps())
        with self._writing() as db:
            for table, found in grouped.items():
                db.execute(statements.upsert(self.name, table), found)
            moved = {"journal": self.follows, "seq": cursor}
            db.execute(statements.upsert(self.name, tables.sink_cursor), moved)

    def _stamps(self) -> rows.Row:
        """Return what a row says of its storage."""
        now = self.clock()
        return {"stored_at": now, "created_at": now, "expires_at": now + self.lifetimes.indicators}

    def trades(self, exchange: str, symbol: str, start: int, end: int) -> list[Trades]:
        """See ``Store``."""
        return []

    def books(self, exchange: str, symbol: str, start: int, end: int) -> list[BookRecord]:
        """See ``Store``."""
        return []

    def bars(self, exchange: str, symbol: str, start: int, end: int) -> list[Bar]:
        """See ``Store``."""
        with self._readable(symbol):
            return [bar_codec.decode(packed) for packed in self._packed(exchange, symbol, start, end)]

    def packed_bars(self, exchange: str, symbol: str, start: int, end: int) -> list[tuple[Digest, bytes]]:
        """See ``Store``."""
        with self._readable(symbol):
            return [
                (bar_codec.digest(packed), packed) for packed in self._packed(exchange, symbol, start, end)
            ]

    def _packed(self, exchange: str, symbol: str, start: int, end: int) -> Sequence[bytes]:
        bars = tables.bars.c
        chosen = bars.exchange == exchange, bars.symbol == symbol, bars.timeframe == "1m"
        query = select(bars.packed).where(*chosen, bars.start_time >= start, bars.start_time < end)
        with self._connected() as db:
            return db.scalars(query.order_by(bars.start_time)).all()

    @contextmanager
    def _readable(self, symbol: str) -> Iterator[None]:
        try:
            yield
        except BarFormatError as error:
            raise StorageError(
                f"{self.address} holds a bar of {symbol} that cannot be read: {error}"
            ) from error

    def extent(self, exchange: str, symbol: str) -> tuple[int, int] | None:
        """See ``Store``."""
        start, end = tables.bars.c.start_time, tables.bars.c.end_time
        names = {"exchange": exchange, "symbol": symbol, "timeframe": "1m"}
        chosen = [tables.bars.c[name] == value for name, value in names.items()]
        # Two steps into the index: max(end) would read every bar.
        with self._connected() as db:
            first = db.scalar(select(start).where(*chosen).order_by(start).limit(1))
            last = db.scalar(select(end).where(*chosen).order_by(start.desc()).limit(1))
        return None if first is None or last is None else (first, last)

    def symbols(self) -> list[tuple[str, str]]:
        """See ``Store``."""
        names = tables.bars.c.exchange, tables.bars.c.symbol
        found: list[tuple[str, str]] = []
        after: tuple[str, str] = ("", "")
        # From each symbol to the next by the index: DISTINCT would read every bar.
        following = select(*names).order_by(*names).limit(1)
        with self._connected() as db:
            while row := db.execute(following.where(tuple_(*names) > after)).first():
                after = (row[0], row[1])
                found.append(after)
        return sorted(found)  # a server may have an order of its own

    def profiles(
        self, exchange: str, symbol: str, timeframe: str, start: int, end: int
    ) -> list[ProfileRecord]:
        """See ``Store``."""
        names = {"exchange": exchange, "symbol": symbol, "timeframe": timeframe}
        found = self._between(tables.volume_profiles, names, "start_time", start, end)
        return [rows.profile_record(row) for row in found]

    def order_flows(
        self, exchange: str, symbol: str, timeframe: str, start: int, end: int
    ) -> list[OrderFlowRecord]:
        """See ``Store``."""
        names = {"exchange": exchange, "symbol": symbol, "timeframe": timeframe}
        found = self._between(tables.order_flow, names, "start_time", start, end)
        return [rows.order_flow_record(row) for row in found]

    def gaps(self, exchange: str, symbol: str, start: int, end: int) -> list[GapRecord]:
        """See ``Store``."""
        names = {"exchange": exchange, "symbol": symbol}
        return [rows.gap_record(row) for row in self._between(tables.gaps, names, "noticed_at", start, end)]

    def levels(self, exchange: str, symbol: str) -> list[LevelMark]:
        """See ``Store``."""
        with self._connected() as db:
            found = db.execute(statements.newest_levels(exchange, symbol)).mappings()
            marks = [rows.level_mark(dict(row)) for row in found]
        return sorted(marks, key=lambda mark: (mark.price, mark.kind))

    def expire(self, now: int) -> int:
        """See ``Store``."""
        return sum(self._forget(statements.expired(table, now, SLICE)) for table in tables.EXPIRING)

    def ripe_days(self, stored_before: int) -> list[tuple[str, str, int]]:
        """See ``Store``."""
        with self._connected() as db:
            found = db.execute(statements.ripe_days(stored_before))
            return sorted((exchange, symbol, day) for exchange, symbol, day in found)

    def forget_bars(self, exchange: str, symbol: str, revisions: Mapping[int, int]) -> int:
        """See ``Store``."""
        chosen = sorted(revisions.items())
        gone = 0
        for first in range(0, len(chosen), SLICE):
            with self._writing() as db:
                gone += db.execute(
                    statements.these_bars(exchange, symbol, chosen[first : first + SLICE])
                ).rowcount
        return gone

    def _forget(self, expired: Delete) -> int:
        """Forget all that has expired, a slice at a time."""
        gone = 0
        while True:
            with self._writing() as db:
                slice_gone = db.execute(expired).rowcount
            gone += slice_gone
            if slice_gone < SLICE:
                return gone

    def _between(
        self, table: Table, names: Mapping[str, str], at: str, start: int, end: int
    ) -> list[rows.Row]:
        """Return the rows of these names whose time ``at`` lies in ``[start, end)``, ascending by it."""
        chosen = (table.c[name] == value for name, value in names.items())
        query = select(table).where(*chosen, table.c[at] >= start, table.c[at] < end)
        with self._connected() as db:
            found = db.execute(query.order_by(table.c[at], *table.primary_key)).mappings()
            return [dict(row) for row in found]

    def close(self) -> None:
        """See ``Store``."""
        self._engine.dispose()

    @contextmanager
    def _connected(self) -> Iterator[Connection]:
        self._open()
        with explained(self.url), self._engine.connect() as db:
            yield db

    @contextmanager
    def _writing(self) -> Iterator[Connection]:
        self._open()
        with explained(self.url), engines.writing(self._engine) as db:
            yield db

    def _open(self) -> None:
        with self._opening:
            if not self._ready:
                self._prepare()
