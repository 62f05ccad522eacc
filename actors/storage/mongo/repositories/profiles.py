"""Volume profiles of the windows of every timeframe."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, TypedDict

import attrs

from actors.messages import ProfileRecord
from actors.storage.mongo import schema
from actors.storage.mongo.documents import profile_document, profile_record
from actors.storage.mongo.repositories.by_symbol import SymbolExchangeRepository
from actors.storage.mongo.repositories.repository import MOST, Sort
from actors.storage.mongo.values import Document, micros, plain_decimal
from actors.storage.mongo.wording import Instant, instant
from wadm.market import DAY


class PocPoint(TypedDict):
    """Point of control and value area of one window (its times in µs), as lower edges of rows."""

    exchange: str
    timeframe: str
    start_time: int
    end_time: int
    poc_price: Decimal
    vah_price: Decimal
    val_price: Decimal
    total_volume: Decimal
    partial: bool


@attrs.frozen(eq=False)
class VolumeProfileRepository(SymbolExchangeRepository[ProfileRecord]):
    """The collection ``volume_profiles``. Profiles of so many rows that the store keeps none are left out."""

    name = schema.VOLUME_PROFILES
    #: rows are read from ``packed``, exact and far shorter
    unread = ("_id", "expires_at", "nodes", "price_levels")
    time = "start_time"

    def get_latest_profile(
        self, symbol: str, timeframe: str, exchange: str | None = None
    ) -> ProfileRecord | None:
        """Return the profile of the newest window of a timeframe that has ended, None while there is none.

        Where no exchange is named it is that of any that has the newest window.
        """
        return next(iter(self._found(self._names(symbol, exchange, timeframe), 1, [(self.time, -1)])), None)

    def get_poc_history(
        self,
        symbol: str,
        days_back: int,
        exchange: str | None = None,
        *,
        timeframe: str = "1d",
        now: Instant | None = None,
        limit: int = MOST,
    ) -> list[PocPoint]:
        """Return the POCs of the windows that began in the ``days_back`` days before ``now``, ascending.

        ``now`` is the end of the newest window where none is given. Windows without trades have no POC and
        are left out; of more than ``limit`` the newest are given.
        """
        names = self._names(symbol, exchange, timeframe)
        until = self._newest(names) if now is None else instant("now", now) - 1
        if until is None:
            return []
        span = {
            "$and": [
                names,
                self._within(until + 1 - days_back * DAY, until + 1),
                {"poc_price": {"$ne": None}},
            ]
        }
        found = self._documents(span, limit, [(self.time, -1)], without=("packed",))
        return [_point(one) for one in reversed(found)]

    def _found(self, condition: Mapping[str, Any], limit: int, sort: Sort = ()) -> list[ProfileRecord]:
        return super()._found({"$and": [condition, {"packed": {"$exists": True}}]}, limit, sort)

    def _document(self, record: ProfileRecord, expires_at: int) -> Document:
        return profile_document(record, expires_at)

    def _record(self, found: Document) -> ProfileRecord:
        return profile_record(found)


def _point(found: Document) -> PocPoint:
    return {
        "exchange": found["exchange"],
        "timeframe": found["timeframe"],
        "start_time": micros(found["start_time"]),
        "end_time": micros(found["end_time"]),
        "poc_price": plain_decimal(found["poc_price"]),
        "vah_price": plain_decimal(found["vah_price"]),
        "val_price": plain_decimal(found["val_price"]),
        "total_volume": plain_decimal(found["total_volume"]),
        "partial": found["partial"],
    }
