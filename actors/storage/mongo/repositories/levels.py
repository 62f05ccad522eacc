"""Liquidity levels, a heuristic of the daemon's: see ``wadm.analytics.levels`` for what makes a level."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import attrs

from actors.messages import LevelMark, LevelsRecord
from actors.storage.mongo import schema
from actors.storage.mongo.documents import level_documents, level_mark
from actors.storage.mongo.repositories.by_symbol import SymbolExchangeRepository
from actors.storage.mongo.values import Document, date, micros
from actors.storage.mongo.wording import stored
from wadm.analytics.levels import LiquidityType

_STRONGEST_FIRST = [("strength", -1)]


@attrs.frozen
class LiquidityLevel:
    """A level of a symbol: it became one at ``created_at`` (µs), and last was one at ``as_of`` (µs)."""

    exchange: str
    symbol: str
    mark: LevelMark
    created_at: int
    as_of: int
    revision: int = 0


@attrs.frozen(eq=False)
class LiquidityLevelRepository(SymbolExchangeRepository[LiquidityLevel]):
    """The collection ``liquidity_levels``; its time is when a level last was one."""

    name = schema.LIQUIDITY_LEVELS
    time = "as_of"

    def get_latest_levels(
        self, symbol: str, exchange: str | None = None, *, limit: int = 1_000
    ) -> list[LiquidityLevel]:
        """Return the levels last known of a symbol, on each exchange its own, ascending by price."""
        exchanges = self._exchanges(symbol) if exchange is None else [exchange]
        found: list[LiquidityLevel] = []
        for name in exchanges:
            names = {"exchange": name, "symbol": symbol}
            as_of = self._newest(names)
            if as_of is not None:
                found += self._found(self._wording.condition({**names, self.time: as_of}), limit)
        return sorted(found, key=lambda one: (one.mark.price, one.mark.kind, one.exchange))

    def find_strongest(
        self,
        symbol: str,
        exchange: str | None = None,
        *,
        kind: LiquidityType | None = None,
        min_strength: Decimal = Decimal(0),
        limit: int = 100,
    ) -> list[LiquidityLevel]:
        """Return the levels of ``min_strength`` (0 to 100) or more, the strongest first, past ones too."""
        return self._strongest(symbol, exchange, {
            "strength": {"$gte": stored("min_strength", min_strength)},
            **({} if kind is None else {"liquidity_type": str(kind)}),
        }, limit)  # fmt: skip

    def find_by_price_range(
        self,
        symbol: str,
        min_price: Decimal,
        max_price: Decimal,
        exchange: str | None = None,
        *,
        limit: int = 100,
    ) -> list[LiquidityLevel]:
        """Return the levels at ``min_price`` to ``max_price``, both included, the strongest first."""
        price = {"$gte": stored("min_price", min_price), "$lte": stored("max_price", max_price)}
        return self._strongest(symbol, exchange, {"price": price}, limit)

    def _strongest(
        self, symbol: str, exchange: str | None, condition: Mapping[str, Any], limit: int
    ) -> list[LiquidityLevel]:
        names = {"symbol": symbol, **({} if exchange is None else {"exchange": exchange})}
        return self._found({**names, **condition}, limit, _STRONGEST_FIRST)

    def _document(self, record: LiquidityLevel, expires_at: int) -> Document:
        levels = LevelsRecord(
            record.exchange, record.symbol, record.created_at, record.as_of, record.revision, (record.mark,)
        )
        (document,) = level_documents(levels, expires_at)
        return {**document, "created_at": date(record.created_at)}

    def _record(self, found: Document) -> LiquidityLevel:
        return LiquidityLevel(
            found["exchange"],
            found["symbol"],
            level_mark(found),
            micros(found["created_at"]),
            micros(found["as_of"]),
            found["revision"],
        )
