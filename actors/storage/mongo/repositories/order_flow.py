"""Order flow of the windows of every timeframe."""

from collections.abc import Mapping
from typing import Any

import attrs

from actors.messages import OrderFlowRecord
from actors.storage.mongo import schema
from actors.storage.mongo.documents import order_flow_document, order_flow_record
from actors.storage.mongo.repositories.by_symbol import SymbolExchangeRepository
from actors.storage.mongo.repositories.flow_windows import CumulativeDelta, DeltaAnalysis, FlowWindows
from actors.storage.mongo.repositories.repository import MOST
from actors.storage.mongo.values import Document
from actors.storage.mongo.wording import Instant, instant
from wadm.market import HOUR
from wadm.questions import QuestionError
from wadm.timeframes import TIMEFRAMES

#: Figures are read from ``packed``: a Decimal128 costs a few µs to decode, and a day has hundreds of windows.
_READ = {"_id": 0, "exchange": 1, "timestamp": 1, "packed": 1}

#: What is not read of a record, as ``packed`` has it.
_WRITTEN_OUT = (
    "delta", "cumulative_delta", "delta_high", "delta_low", "buy_volume", "sell_volume", "total_volume",
    "imbalance_ratio", "session_start",
)  # fmt: skip


@attrs.frozen(eq=False)
class OrderFlowRepository(SymbolExchangeRepository[OrderFlowRecord]):
    """The collection ``order_flow``; its time is a window's start."""

    name = schema.ORDER_FLOW
    unread = ("_id", "expires_at", *_WRITTEN_OUT)

    def get_delta_analysis(
        self,
        symbol: str,
        hours_back: int = 24,
        exchange: str | None = None,
        *,
        timeframe: str = "5m",
        now: Instant | None = None,
    ) -> DeltaAnalysis:
        """Return the delta of the windows that began in the ``hours_back`` hours before ``now``.

        ``now`` is the end of the newest window where none is given. Raises QuestionError where no exchange is
        named and the windows are of several: deltas of spot and of futures make no sum.
        """
        names = self._names(symbol, exchange, timeframe)
        return self._windows(names, hours_back, now).analysis(exchange)

    def get_cumulative_delta_trend(
        self,
        symbol: str,
        hours_back: int = 24,
        exchange: str | None = None,
        *,
        timeframe: str = "5m",
        now: Instant | None = None,
    ) -> list[CumulativeDelta]:
        """Return the CVD at the end of each window that began in those hours before ``now``, ascending.

        ``now`` and ``exchange`` are as ``get_delta_analysis`` has them.
        """
        return self._windows(self._names(symbol, exchange, timeframe), hours_back, now).trend()

    def _windows(self, names: Mapping[str, Any], hours: int, now: Instant | None) -> FlowWindows:
        """Return the windows of these names that began in the ``hours`` before ``now``."""
        timeframe = names["timeframe"]
        length = TIMEFRAMES[timeframe]
        if not 1 <= hours <= (most := MOST * length // HOUR):
            raise QuestionError("hours_back", str(hours), f"a whole number from 1 to {most}")
        if now is None:
            newest = self._newest(names)
            if newest is None:
                return FlowWindows.of([], timeframe, None)
            now = newest + length
        end = instant("now", now)
        start = end - hours * HOUR
        found = self._figures({"$and": [names, self._within(start, end)]})
        if len(on := sorted({one["exchange"] for one in found})) > 1:
            expected = f"one of {', '.join(on)}: {names['symbol']} is on each of them"
            raise QuestionError("exchange", None, expected)
        return FlowWindows.of(found, timeframe, (start, end))

    def _figures(self, condition: Mapping[str, Any]) -> list[Document]:
        """Return what is measured of the windows of a filter, ascending."""
        with self._explained():
            return list(self._collection.find(condition, _READ, limit=MOST, sort=list(self._by_time(1))))

    def _document(self, record: OrderFlowRecord, expires_at: int) -> Document:
        return order_flow_document(record, expires_at)

    def _record(self, found: Document) -> OrderFlowRecord:
        return order_flow_record(found)
