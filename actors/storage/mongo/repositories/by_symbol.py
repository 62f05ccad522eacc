"""The base of repositories whose documents are of a symbol on an exchange, at a time."""

from collections.abc import Mapping
from typing import Any, ClassVar, TypeVar

import attrs

from actors.storage.mongo.repositories.repository import Repository, Sort
from actors.storage.mongo.values import micros
from actors.storage.mongo.wording import Instant, instant
from wadm.market import MILLISECOND, MINUTE
from wadm.questions import QuestionError, nearest
from wadm.timeframes import TIMEFRAMES

T = TypeVar("T")

_NEWEST_FIRST, _OLDEST_FIRST = -1, 1


@attrs.frozen(eq=False)
class SymbolExchangeRepository(Repository[T]):
    """Documents of symbols. Where ``exchange`` is None those of every exchange are meant.

    To name the exchange spares the question which there are. ``timeframe`` chooses among windows (profiles,
    order flow): of these all where none is named.
    """

    #: the date that documents are ordered by
    time: ClassVar[str] = "timestamp"

    def find_recent(
        self,
        minutes: int = 5,
        symbol: str | None = None,
        exchange: str | None = None,
        *,
        timeframe: str | None = None,
        now: Instant | None = None,
        limit: int = 100,
    ) -> list[T]:
        """Return what is of the last ``minutes`` up to ``now``, the newest first (by the millisecond).

        ``now`` is the time of the newest document where none is given: the market's time, which is not the
        clock's in a replay. Only trades can be asked for without a symbol.
        """
        names = self._names(symbol, exchange, timeframe)
        newest = self._newest(names) if now is None else instant("now", now)
        if newest is None:
            return []
        until = newest + MILLISECOND if now is None else newest + 1
        span = self._within(until - minutes * MINUTE, until)
        return self._found({"$and": [names, span]}, limit, self._by_time(_NEWEST_FIRST))

    def find_between(
        self,
        symbol: str,
        start: Instant,
        end: Instant,
        exchange: str | None = None,
        *,
        timeframe: str | None = None,
        limit: int = 1_000,
    ) -> list[T]:
        """Return the first ``limit`` of ``[start, end)``, ascending in time (windows: by their start)."""
        names = self._names(symbol, exchange, timeframe)
        return self._found({"$and": [names, self._within(start, end)]}, limit, self._by_time(_OLDEST_FIRST))

    def _by_time(self, direction: int) -> Sort:
        return [(self.time, direction)]

    def _within(self, start: Instant, end: Instant) -> Mapping[str, Any]:
        bounds = {"$gte": instant("start", start), "$lt": instant("end", end)}
        return self._wording.condition({self.time: bounds})

    def _newest(self, names: Mapping[str, Any]) -> int | None:
        """Return the millisecond (µs) of the newest document, None while there is none."""
        with self._explained():
            found = self._collection.find_one(
                names, {"_id": 0, self.time: 1}, sort=list(self._by_time(_NEWEST_FIRST))
            )
        return None if found is None else micros(found[self.time])

    def _names(
        self, symbol: str | None, exchange: str | None, timeframe: str | None = None
    ) -> dict[str, Any]:
        """Return the filter of names. With it, an index gives documents in the order of their time."""
        names: dict[str, Any] = {} if exchange is None else {"exchange": exchange}
        if "timeframe" in self._schema.fields:
            names["timeframe"] = {"$in": list(TIMEFRAMES)} if timeframe is None else _known(timeframe)
        elif timeframe is not None:
            raise QuestionError("timeframe", timeframe, f"none: {self.name} has no timeframes")
        if symbol is not None:
            names["symbol"] = symbol
            if exchange is None and "timeframe" not in names:
                names["exchange"] = {"$in": self._exchanges(symbol)}
        elif self.time not in {index.keys[0][0] for index in self._schema.indexes}:
            raise QuestionError("symbol", None, f"a symbol: {self.name} cannot be searched by time alone")
        return names

    def _exchanges(self, symbol: str) -> list[str]:
        """Return the exchanges of which there are documents of a symbol: by the index, or there are few."""
        with self._explained():
            return sorted(self._collection.distinct("exchange", {"symbol": symbol}))


def _known(timeframe: str) -> str:
    if timeframe not in TIMEFRAMES:
        raise QuestionError("timeframe", timeframe, nearest(timeframe, TIMEFRAMES))
    return timeframe
