"""The data manager: a MongoDB database of the daemon's as programs use it, repositories and all."""

from collections.abc import Callable, Mapping
from decimal import Decimal
from types import TracebackType
from typing import Any, Self

import attrs

from actors.answers.stored import Stored
from actors.storage.journal import wall_clock
from actors.storage.mongo import maintenance, schema
from actors.storage.mongo.connection import Connection
from actors.storage.mongo.maintenance import CollectionOptimization, DatabaseStats, is_time_series
from actors.storage.mongo.repositories.books import OrderBookRepository
from actors.storage.mongo.repositories.levels import LiquidityLevelRepository
from actors.storage.mongo.repositories.order_flow import OrderFlowRepository
from actors.storage.mongo.repositories.profiles import VolumeProfileRepository
from actors.storage.mongo.repositories.trades import TradeRepository
from actors.storage.mongo.store import MongoStore
from actors.storage.mongo.wording import Instant, instant
from actors.storage.store_reader import StoreReader
from wadm.answers import levels, overview, session
from wadm.answers.question import Question
from wadm.instants import iso
from wadm.lifetimes import Lifetimes
from wadm.market import DAY, HOUR, MINUTE
from wadm.numbers import plain
from wadm.questions import QuestionError, Unavailable
from wadm.sections import StorageSettings

#: No journal is followed: what programs store comes from them.
_FOLLOWS = "programs"

#: The longest window, in hours: bars are kept for a week.
MOST_HOURS = 168

#: Hours up to which levels are looked for in bars of 5 minutes; beyond, in bars of 15.
_FINE_HOURS = 120


@attrs.define(eq=False)
class DataManager:
    """A database of the daemon's, for programs beside it.

    So::

        with DataManager.open("mongodb://127.0.0.1:27017/wadm") as manager:
            overview = manager.get_market_overview("BTCUSDT", hours_back=24)
            trades = manager.trades.find_recent(minutes=5, symbol="BTCUSDT")

    The four questions are answered from stored bars by the daemon's own measures, in the shape of its own
    answers: numbers as plain text, coverage stated. Where no ``exchange`` is named the symbol must be on one
    only. Where no ``now`` (µs, or a datetime with a zone) is given, windows end with the newest bar.

    Every method blocks, may be called from any thread, and raises StorageError or QuestionError, a sentence
    each.
    """

    store: MongoStore
    trades: TradeRepository = attrs.field(init=False)
    order_books: OrderBookRepository = attrs.field(init=False)
    volume_profiles: VolumeProfileRepository = attrs.field(init=False)
    order_flow: OrderFlowRepository = attrs.field(init=False)
    liquidity_levels: LiquidityLevelRepository = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        lifetimes, connection, clock = self.store.lifetimes, self.store.connection, self.store.clock
        self.trades = TradeRepository(connection, lifetimes.raw, clock)
        self.order_books = OrderBookRepository(connection, lifetimes.raw, clock)
        self.volume_profiles = VolumeProfileRepository(connection, lifetimes.indicators, clock)
        self.order_flow = OrderFlowRepository(connection, lifetimes.indicators, clock)
        self.liquidity_levels = LiquidityLevelRepository(connection, lifetimes.indicators, clock)

    @classmethod
    def open(
        cls,
        url: str,
        *,
        lifetimes: Lifetimes | None = None,
        read_only: bool = False,
        clock: Callable[[], int] = wall_clock,
    ) -> Self:
        """Open a database by its URL; collections and indexes that are missing are made.

        ``lifetimes`` are those of the daemon's settings, the default ones where none are given. ``read_only``
        makes nothing, for a user that may only read. What is stored is kept from ``clock`` (µs) on.
        """
        probe = Connection(url)
        try:
            series = is_time_series(probe, schema.TRADES)
        finally:
            probe.close()
        lifetimes = Lifetimes.of(StorageSettings()) if lifetimes is None else lifetimes
        manager = cls(MongoStore(url, _FOLLOWS, read_only, lifetimes, series, clock))
        try:
            manager.store.initialise()
        except BaseException:
            manager.close()
            raise
        return manager

    def close(self) -> None:
        """Let go of every connection."""
        self.store.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def get_market_overview(
        self, symbol: str, hours_back: int = 24, exchange: str | None = None, *, now: Instant | None = None
    ) -> dict[str, Any]:
        """Return where a market stood at the end of the last hours: the daemon's ``overview``.

        Its ``now`` is empty: tickers are not stored, and the newest book is in ``order_books``.
        """
        named = self._named(symbol, exchange)
        return self._ask(overview.QUESTION, {**named, **_window(hours_back, now)})

    def get_trading_session_analysis(
        self, symbol: str, session_start: Instant, session_end: Instant, exchange: str | None = None
    ) -> dict[str, Any]:
        """Return the daemon's ``session`` analysis of a span of whole minutes, at most 7 days."""
        start, end = instant("session_start", session_start), instant("session_end", session_end)
        return self._ask(session.QUESTION, {**self._named(symbol, exchange), **_span(start, end)})

    def find_liquidity_zones(
        self,
        symbol: str,
        current_price: Decimal | None = None,
        price_range_percent: Decimal | float = 1,
        exchange: str | None = None,
        *,
        hours_back: int = 24,
        now: Instant | None = None,
    ) -> dict[str, Any]:
        """Return the daemon's liquidity ``zones`` of the last hours near a price, the last one by default.

        ``price_range_percent`` is how far from the price, in percent of it.
        """
        named = self._named(symbol, exchange)
        if now is None:
            now = self._extent(named)[1]
        given = {
            **named,
            **_window(hours_back, now),
            "bar": "5m" if hours_back <= _FINE_HOURS else "15m",
            "within": str(price_range_percent),
        }
        if current_price is not None:
            given["price"] = plain(current_price)
        return self._ask(levels.NEAR, given)

    def get_symbols_activity_summary(
        self, hours_back: int = 24, exchange: str | None = None, *, now: Instant | None = None
    ) -> list[dict[str, Any]]:
        """Return the daemon's ``activity`` of every symbol in the last hours, the largest turnover first."""
        named = {} if exchange is None else {"exchange": exchange}
        found: Any = self._stored.activity({**named, **_window(hours_back, now)})
        return list(found["symbols"])

    def cleanup_old_data(self, days_to_keep: int, *, now: Instant | None = None) -> dict[str, int]:
        """Delete what was stored more than ``days_to_keep`` days before ``now``; return counts by collection.

        ``now`` is the clock's where none is given: data is as old as its storing, not as its market. Bars are
        never deleted here, however old: each leaves once it was seen in the cold tier. For ``wadm storage``.
        """
        if days_to_keep < 0:
            raise QuestionError("days_to_keep", str(days_to_keep), "a whole number of 0 or more")
        at = self.store.clock() if now is None else instant("now", now)
        return maintenance.clean_up(self.store.connection, self.store.lifetimes, at - days_to_keep * DAY)

    def get_database_stats(self) -> DatabaseStats:
        """Return what is in the database and what it takes on disk. For ``wadm storage``."""
        return maintenance.stats(self.store.connection)

    def optimize_database(self) -> dict[str, CollectionOptimization]:
        """Make missing indexes, compact what may be compacted; return what was done. For ``wadm storage``."""
        self.store.initialise()
        return maintenance.optimize(self.store.connection)

    @property
    def _stored(self) -> Stored:
        """Who answers questions. Each has its own: it remembers what it read, and is of one thread."""
        return Stored(StoreReader(self.store))

    def _ask(self, question: Question, given: Mapping[str, str]) -> dict[str, Any]:
        return self._stored.ask(question, given)

    def _named(self, symbol: str, exchange: str | None) -> dict[str, str]:
        """Return the parameters that name a symbol. Raises QuestionError where several are meant."""
        if exchange is not None:
            return {"exchange": exchange, "symbol": symbol}
        on = [name for name, listed in self.store.symbols() if listed == symbol]
        if not on:
            raise Unavailable(symbol, "no bar of it is stored")
        if len(on) > 1:
            raise QuestionError("exchange", None, f"one of {', '.join(on)}: {symbol} is on each of them")
        return {"exchange": on[0], "symbol": symbol}

    def _extent(self, named: Mapping[str, str]) -> tuple[int, int]:
        extent = self.store.extent(named["exchange"], named["symbol"])
        if extent is None:
            raise Unavailable(named["symbol"], "no bar of it is stored")
        return extent


def _window(hours_back: int, now: Instant | None) -> dict[str, str]:
    """Return the parameters of a window of so many hours, up to the minute that holds ``now``."""
    if not 1 <= hours_back <= MOST_HOURS:
        raise QuestionError("hours_back", str(hours_back), f"a whole number from 1 to {MOST_HOURS}")
    if now is None:
        return {"hours": str(hours_back)}
    end = -(-instant("now", now) // MINUTE) * MINUTE
    return _span(end - hours_back * HOUR, end)


def _span(start: int, end: int) -> dict[str, str]:
    return {"start": iso(start), "end": iso(end)}
