"""The MongoDB store: pymongo's blocking client, called in threads as every store is."""

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import attrs
from pymongo.collection import Collection
from pymongo.database import Database

from actors.messages import (
    BookRecord,
    Entry,
    GapRecord,
    Kind,
    LevelMark,
    OrderFlowRecord,
    ProfileRecord,
    TradeBatch,
)
from actors.storage.errors import StorageError
from actors.storage.journal import wall_clock
from actors.storage.mongo import documents, migrations, schema, trade_series
from actors.storage.mongo.connection import Connection
from actors.storage.mongo.making import check_server, make, version_of
from actors.storage.mongo.trade_documents import trade_runs
from actors.storage.mongo.values import Document, date, first_date, micros
from actors.storage.mongo.writing import document_lists, write_records, write_trades
from wadm import bar as bar_codec
from wadm.bar import Bar, BarFormatError, Digest
from wadm.lifetimes import Lifetimes
from wadm.market import DAY, Trades
from wadm.sections import StorageSettings


@attrs.define(eq=False)
class MongoStore:
    """A ``Store`` in a MongoDB database, which follows the journal named ``follows`` (its identity).

    A server that stands alone has no transactions, so entries go first and the cursor last: what a failure
    cuts short is stored again, and stored once, since every document is known by its natural key.
    ``read_only`` never writes, not even collections. ``lifetimes`` count by ``clock`` (µs), from when
    something was stored or revised; the server itself removes what has expired. ``time_series`` keeps raw
    trades in a time series: see ``trade_series``.
    """

    url: str = attrs.field(repr=False)
    follows: str
    read_only: bool = False
    lifetimes: Lifetimes = attrs.field(factory=lambda: Lifetimes.of(StorageSettings()))
    time_series: bool = False
    clock: Callable[[], int] = attrs.field(default=wall_clock, repr=False)
    connection: Connection = attrs.field(init=False)
    _ready: bool = attrs.field(default=False, init=False)
    _opening: threading.Lock = attrs.field(factory=threading.Lock, init=False, repr=False)

    def __attrs_post_init__(self) -> None:
        self.connection = Connection(self.url)

    @property
    def name(self) -> str:
        """``mongodb``."""
        return "mongodb"

    @property
    def keeps(self) -> frozenset[Kind]:
        """Every kind of entries."""
        return frozenset(Kind)

    @property
    def address(self) -> str:
        """Where the store is, for a person."""
        return self.connection.address

    @property
    def _cursor_id(self) -> str:
        return f"cursor:{self.follows}"

    def initialise(self) -> None:
        """See ``Store``. Any other method does this first where it was not done yet."""
        with self._opening:
            self._ready = False
            with self.connection.explained():
                if self.read_only:
                    self._check_schema()
                else:
                    self._prepare()
            self._ready = True

    def _check_schema(self) -> None:
        found = version_of(self.connection.database, self.address)
        if found is None:
            raise StorageError(f"{self.address} is empty: nothing was ever stored there")
        migrations.check_version(found, self.address)
        if found < schema.SCHEMA:
            raise StorageError(
                f"{self.address} has schema {found}, this version reads {schema.SCHEMA}: "
                "run `wadm storage migrate`"
            )

    def _prepare(self) -> None:
        database = self.connection.database
        check_server(database, self.address)
        migrations.migrate(database, self.address)
        wanted = dict[str, schema.Collection | schema.TimeSeries](schema.COLLECTIONS)
        if self.time_series:
            wanted[schema.TRADES] = schema.TRADE_SERIES
        make(database, wanted.values(), self.address)
        # From now on a cursor that is not there says that the database was emptied.
        database[schema.META].update_one({"_id": self._cursor_id}, {"$max": {"seq": 0}}, upsert=True)

    def schema(self) -> tuple[int | None, int]:
        """See ``Store``."""
        with self.connection.explained():
            return version_of(self.connection.database, self.address), schema.SCHEMA

    def migrate(self) -> None:
        """See ``Store``."""
        if self.read_only:
            raise StorageError(f"{self.address} is open for reading only: nothing can be migrated")
        self.initialise()

    def cursor(self) -> int:
        """See ``Store``."""
        with self._connected() as database:
            found = database[schema.META].find_one({"_id": self._cursor_id})
        return 0 if found is None else int(found["seq"])

    def apply(self, entries: Sequence[Entry], cursor: int) -> None:
        """See ``Store``. Raises StorageError as well where the database was emptied since it was opened."""
        if self.read_only:
            raise StorageError(f"{self.address} is open for reading only: nothing can be stored")
        now = self.clock()
        lists = document_lists(entries, now, self.lifetimes)
        runs = [entry.trades for entry in entries if isinstance(entry, TradeBatch) and len(entry.trades)]
        self._check_not_emptied()
        with self._connected() as database:
            self._write_trades(database[schema.TRADES], runs, now + self.lifetimes.raw)
            for name, made in lists.items():
                write_records(database[name], made)
            database[schema.META].update_one({"_id": self._cursor_id}, {"$max": {"seq": cursor}})

    def _write_trades(
        self, collection: Collection[Document], runs: Sequence[Trades], expires_at: int
    ) -> None:
        if self.time_series:
            absent = trade_series.absent(collection, runs)
            write_trades(collection, absent, lambda run: trade_series.tail(run, expires_at))
        else:
            tail = {"expires_at": date(expires_at)}
            write_trades(collection, runs, lambda _: tail)

    def _check_not_emptied(self) -> None:
        """Raise StorageError if the server came back without what it had, which no error of its own tells."""
        with self._connected() as database:
            found = database[schema.META].find_one({"_id": self._cursor_id})
        if found is None:
            self._ready = False
            raise StorageError(f"{self.address} was emptied: what the journal still has is stored anew")

    def trades(self, exchange: str, symbol: str, start: int, end: int) -> list[Trades]:
        """See ``Store``. A run for each kind of ids."""
        with self._connected() as database:
            found = _at(database[schema.TRADES], exchange, symbol, start, end)
            return trade_runs(exchange, symbol, found)

    def books(self, exchange: str, symbol: str, start: int, end: int) -> list[BookRecord]:
        """See ``Store``."""
        with self._connected() as database:
            found = _at(database[schema.ORDERBOOKS], exchange, symbol, start, end)
            return sorted(map(documents.book_record, found), key=lambda record: record.at)

    def bars(self, exchange: str, symbol: str, start: int, end: int) -> list[Bar]:
        """See ``Store``."""
        with self._packed_bars(exchange, symbol, start, end) as found:
            return [bar_codec.decode(packed) for packed in found]

    def packed_bars(self, exchange: str, symbol: str, start: int, end: int) -> list[tuple[Digest, bytes]]:
        """See ``Store``."""
        with self._packed_bars(exchange, symbol, start, end) as found:
            return [(bar_codec.digest(packed), packed) for packed in found]

    @contextmanager
    def _packed_bars(self, exchange: str, symbol: str, start: int, end: int) -> Iterator[Iterator[bytes]]:
        names = {"exchange": exchange, "symbol": symbol, "timeframe": "1m"}
        with self._connected() as database:
            found = _between(database[schema.BARS], names, "start_time", start, end, only="packed")
            try:
                yield (bytes(one["packed"]) for one in found)
            except BarFormatError as error:
                raise StorageError(
                    f"{self.address} holds a bar of {symbol} that cannot be read: {error}"
                ) from error

    def extent(self, exchange: str, symbol: str) -> tuple[int, int] | None:
        """See ``Store``."""
        names = {"exchange": exchange, "symbol": symbol, "timeframe": "1m"}
        with self._connected() as database:
            first, last = (
                database[schema.BARS].find_one(names, sort=[("start_time", order)]) for order in (1, -1)
            )
        return (
            None if first is None or last is None else (micros(first["start_time"]), micros(last["end_time"]))
        )

    def symbols(self) -> list[tuple[str, str]]:
        """See ``Store``."""
        order, wanted = [("exchange", 1), ("symbol", 1)], {"_id": False, "exchange": True, "symbol": True}
        found: list[tuple[str, str]] = []
        after: Document = {}
        # From each symbol to the next by the index: a $group would read every bar.
        with self._connected() as database:
            while one := database[schema.BARS].find_one(after, wanted, sort=order):
                exchange, symbol = one["exchange"], one["symbol"]
                found.append((exchange, symbol))
                after = {
                    "$or": [
                        {"exchange": exchange, "symbol": {"$gt": symbol}},
                        {"exchange": {"$gt": exchange}},
                    ]
                }
        return found

    def profiles(
        self, exchange: str, symbol: str, timeframe: str, start: int, end: int
    ) -> list[ProfileRecord]:
        """See ``Store``. One of so many rows that it was stored without them is left out."""
        names = {"exchange": exchange, "symbol": symbol, "timeframe": timeframe}
        with self._connected() as database:
            found = _between(database[schema.VOLUME_PROFILES], names, "start_time", start, end, leave=_ROWS)
            return [documents.profile_record(one) for one in found if "packed" in one]

    def order_flows(
        self, exchange: str, symbol: str, timeframe: str, start: int, end: int
    ) -> list[OrderFlowRecord]:
        """See ``Store``."""
        names = {"exchange": exchange, "symbol": symbol, "timeframe": timeframe}
        with self._connected() as database:
            found = _between(database[schema.ORDER_FLOW], names, "timestamp", start, end)
            return [documents.order_flow_record(one) for one in found]

    def gaps(self, exchange: str, symbol: str, start: int, end: int) -> list[GapRecord]:
        """See ``Store``."""
        asked = {"symbol": symbol, "exchange": exchange, "noticed_us": {"$gte": start, "$lt": end}}
        with self._connected() as database:
            found = database[schema.GAPS].find(
                {**asked, "noticed_at": {"$gte": date(start), "$lt": first_date(end)}}
            )
            order = [("noticed_us", 1), ("id_kind", 1), ("first_id", 1), ("last_id", 1)]
            return [documents.gap_record(one) for one in found.sort(order)]

    def levels(self, exchange: str, symbol: str) -> list[LevelMark]:
        """See ``Store``."""
        names = {"exchange": exchange, "symbol": symbol}
        with self._connected() as database:
            collection = database[schema.LIQUIDITY_LEVELS]
            newest = collection.find_one(names, sort=[("as_of", -1), ("revision", -1)])
            if newest is None:
                return []
            asked = {**names, "as_of": newest["as_of"], "revision": newest["revision"]}
            found = map(documents.level_mark, collection.find(asked))
            return sorted(found, key=lambda mark: (mark.price, mark.kind))

    def expire(self, now: int) -> int:
        """See ``Store``. The server forgets by itself, but for a time series."""
        if not self.time_series:
            return 0
        with self._connected() as database:
            return trade_series.forget_expired(database[schema.TRADES], now)

    def ripe_days(self, stored_before: int) -> list[tuple[str, str, int]]:
        """See ``Store``."""
        day = {"$dateTrunc": {"date": "$start_time", "unit": "day"}}
        name = {"exchange": "$exchange", "symbol": "$symbol", "day": day}
        before = {"stored_at": {"$lte": date(stored_before)}, "stored_us": {"$lt": stored_before}}
        with self._connected() as database:
            bars = database[schema.BARS]
            some = list(bars.aggregate([{"$match": before}, {"$group": {"_id": name}}]))
            days = sorted(
                (one["_id"]["exchange"], one["_id"]["symbol"], micros(one["_id"]["day"])) for one in some
            )
            return [day for day in days if not _has_later(bars, *day, stored_before)]

    def forget_bars(self, exchange: str, symbol: str, revisions: Mapping[int, int]) -> int:
        """See ``Store``."""
        names = {"exchange": exchange, "symbol": symbol, "timeframe": "1m"}
        starts: dict[int, list[Any]] = {}
        for start, revision in revisions.items():
            starts.setdefault(revision, []).append(date(start))
        with self._connected() as database:
            return sum(
                database[schema.BARS]
                .delete_many({**names, "start_time": {"$in": dates}, "revision": revision})
                .deleted_count
                for revision, dates in starts.items()
            )

    def close(self) -> None:
        """See ``Store``."""
        self.connection.close()

    @contextmanager
    def _connected(self) -> Iterator[Database[Document]]:
        if not self._ready:
            self.initialise()
        with self.connection.explained():
            yield self.connection.database


#: What a profile has for others to read, and is not read here.
_ROWS = ("nodes", "price_levels")


def _at(
    collection: Collection[Document], exchange: str, symbol: str, start: int, end: int
) -> Iterator[Document]:
    """Return what happened in ``[start, end)`` (µs), ascending by the millisecond."""
    names = {"symbol": symbol, "exchange": exchange}
    dates = {"$gte": date(start), "$lt": first_date(end)}  # what the index has
    asked = {**names, "timestamp": dates, "time_us": {"$gte": start, "$lt": end}}
    return collection.find(asked).sort("timestamp", 1)


def _between(
    collection: Collection[Document],
    names: Mapping[str, str],
    at: str,
    start: int,
    end: int,
    *,
    only: str | None = None,
    leave: Sequence[str] = (),
) -> Iterator[Document]:
    """Return the documents of these names whose window starts in ``[start, end)`` (µs), ascending."""
    wanted = {only: True} if only else dict.fromkeys(leave, False)
    dates = {"$gte": first_date(start), "$lt": first_date(end)}
    return collection.find({**names, at: dates}, wanted or None).sort(at, 1)


def _has_later(bars: Collection[Document], exchange: str, symbol: str, day: int, stored_before: int) -> bool:
    asked = {
        "exchange": exchange,
        "symbol": symbol,
        "timeframe": "1m",
        "start_time": {"$gte": date(day), "$lt": date(day + DAY)},
        "stored_us": {"$gte": stored_before},
    }
    return bars.find_one(asked, {"_id": True}) is not None
