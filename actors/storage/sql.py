"""The SQL store: SQLite by default, PostgreSQL by the same code. SQLAlchemy Core, no ORM."""

import sqlite3
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import attrs
from sqlalchemy import Connection, Engine, Table, inspect, select, tuple_
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from actors.messages import BarRecord, Entry, GapRecord, OrderFlowRecord, ProfileRecord
from actors.storage import engines, files, rows, tables
from actors.storage.errors import StorageError, explain
from actors.storage.tables import SCHEMA, metadata, upsert
from wadm import bar as bar_codec
from wadm.bar import Bar, BarFormatError

_ROWS: dict[type, tuple[Table, Any]] = {
    BarRecord: (tables.bars, rows.bar_row),
    ProfileRecord: (tables.volume_profiles, rows.profile_row),
    OrderFlowRecord: (tables.order_flow, rows.order_flow_row),
    GapRecord: (tables.gaps, rows.gap_row),
}


@attrs.define(eq=False)
class SqlStore:
    """A ``Store`` behind an SQLAlchemy URL, which follows the journal named ``follows`` (its identity).

    Raw trades are not kept here: the journal has them. ``read_only`` never writes, not even tables.
    """

    url: str
    follows: str
    read_only: bool = False
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
    def keeps_trades(self) -> bool:
        """See ``Store``."""
        return False

    @property
    def address(self) -> str:
        """Where the store is, for a person."""
        return engines.address(self.url)

    def initialise(self) -> None:
        """See ``Store``. Any other method does this first where it was not done yet."""
        with self._opening:
            self._ready = False
            if not self.read_only:
                self._make_tables()
            self._check_version()
            self._ready = True

    def _make_tables(self) -> None:
        if self.name == "sqlite":
            # Marks a new file as ours in WAL mode, and refuses a foreign one before anything touches it.
            files.open_writer(Path(self.address), SCHEMA, lambda _: None).close()
        with self._explained(), self._engine.begin() as db:
            if not inspect(db).has_table(tables.meta.name):
                metadata.create_all(db)
                db.execute(tables.meta.insert(), {"name": "schema", "value": str(SCHEMA)})

    def _check_version(self) -> None:
        with self._explained(), self._engine.connect() as db:
            ours = inspect(db).has_table(tables.meta.name)
            version = select(tables.meta.c.value).where(tables.meta.c.name == "schema")
            found = db.scalar(version) if ours else None
        if found != str(SCHEMA):
            raise StorageError(
                f"{self.address} has schema {found}, this version reads {SCHEMA}: "
                "use the version that wrote it, or another database"
            )

    def cursor(self) -> int:
        """See ``Store``."""
        table = tables.sink_cursor
        with self._connected() as db:
            return db.scalar(select(table.c.seq).where(table.c.journal == self.follows)) or 0

    def apply(self, entries: Sequence[Entry], cursor: int) -> None:
        """See ``Store``."""
        grouped = _grouped(entries)
        with self._connected() as db, db.begin():
            for table, found in grouped.items():
                db.execute(upsert(self.name, table), found)
            moved = {"journal": self.follows, "seq": cursor}
            db.execute(upsert(self.name, tables.sink_cursor, rising="seq"), moved)

    def bars(self, exchange: str, symbol: str, start: int, end: int) -> list[Bar]:
        """See ``Store``."""
        names = {"exchange": exchange, "symbol": symbol, "timeframe": "1m"}
        found = self._between(tables.bars, names, "start_time", start, end)
        try:
            return [bar_codec.decode(row["packed"]) for row in found]
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
        return found

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
        if not self._ready:
            self.initialise()
        with self._explained(), self._engine.connect() as db:
            yield db

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except SQLAlchemyError as error:
            cause = error.orig if isinstance(error, DBAPIError) else error
            if isinstance(cause, sqlite3.Error):
                raise explain(cause, self.address) from error
            first_line = str(cause).partition("\n")[0]
            raise StorageError(
                f"the store at {self.address} failed ({first_line}): "
                "check that its server runs and that its URL is right"
            ) from error


def _grouped(entries: Sequence[Entry]) -> dict[Table, list[rows.Row]]:
    """Return the entries as rows by table, one row per natural key: the one of the highest revision."""
    grouped: dict[Table, dict[tuple[Any, ...], rows.Row]] = {}
    for entry in entries:
        if type(entry) not in _ROWS:
            continue
        table, to_row = _ROWS[type(entry)]
        row = to_row(entry)
        chosen = grouped.setdefault(table, {})
        key = tuple(row[column.name] for column in table.primary_key.columns)
        # PostgreSQL refuses to touch a row twice in one statement, so the choice is made here.
        if key not in chosen or row["revision"] > chosen[key]["revision"]:
            chosen[key] = row
    return {table: list(chosen.values()) for table, chosen in grouped.items()}
