"""Raw trades, for as long as they are kept (an hour, unless the settings say otherwise)."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Literal, TypedDict

import attrs
import bson
import msgspec

from actors.storage.mongo import schema
from actors.storage.mongo.repositories.by_symbol import SymbolExchangeRepository
from actors.storage.mongo.trade_documents import trade_document
from actors.storage.mongo.values import Document, date, plain_decimal, scaled_of
from actors.storage.mongo.wording import Instant, exact, stored
from wadm.market import IdKind, TradeId, Trades
from wadm.numbers import from_decimal, ratio, to_decimal
from wadm.questions import QuestionError


class Trade(msgspec.Struct, frozen=True, gc=False):
    """One trade. ``time_us`` is the exchange's time in µs; ``side`` is the taker's, the aggressor's.

    ``trade_count`` is how many trades it stands for: an aggregate counts for all its fills.
    """

    exchange: str
    symbol: str
    trade_id: TradeId
    price: Decimal
    quantity: Decimal
    side: Literal["buy", "sell"]
    time_us: int
    id_kind: IdKind = IdKind.TRADE
    trade_count: int = 1

    @property
    def is_buyer_maker(self) -> bool:
        """Whether the buyer's order was in the book: the taker sold."""
        return self.side == "sell"


class VolumeBySide(TypedDict):
    """What takers bought and sold, in base units; shares to 8 decimals, None where there was no trade."""

    volume: Decimal
    buy_volume: Decimal
    sell_volume: Decimal
    delta: Decimal
    buy_share: Decimal | None
    trades: int
    buy_trades: int
    sell_trades: int
    buy_trades_share: Decimal | None


@attrs.frozen(eq=False)
class TradeRepository(SymbolExchangeRepository[Trade]):
    """The collection ``trades``."""

    name = schema.TRADES
    unread = ("_id", "expires_at", "is_buyer_maker", "timestamp")

    def find_by_price_range(
        self,
        symbol: str,
        min_price: Decimal,
        max_price: Decimal,
        exchange: str | None = None,
        *,
        start: Instant | None = None,
        end: Instant | None = None,
        limit: int = 100,
    ) -> list[Trade]:
        """Return the newest trades at ``min_price`` to ``max_price``, both included, the newest first.

        ``start`` and ``end`` bound what is searched where such trades are rare: by default all that is kept.
        """
        price = {"$gte": stored("min_price", min_price), "$lte": stored("max_price", max_price)}
        condition = {**self._names(symbol, exchange), "price": price}
        return self._newest_first(condition, start, end, limit)

    def find_large_trades(
        self,
        symbol: str,
        min_quantity: Decimal,
        exchange: str | None = None,
        *,
        start: Instant | None = None,
        end: Instant | None = None,
        limit: int = 100,
    ) -> list[Trade]:
        """Return the newest trades of ``min_quantity`` (base units) or more, the newest first."""
        quantity = {"$gte": stored("min_quantity", min_quantity)}
        condition = {**self._names(symbol, exchange), "quantity": quantity}
        return self._newest_first(condition, start, end, limit)

    def get_volume_by_side(
        self, symbol: str, start: Instant, end: Instant, exchange: str | None = None
    ) -> VolumeBySide:
        """Return what was bought and sold in ``[start, end)``, of the trades that are still kept.

        The server adds up, in Decimal128: exactly, as long as a sum has no more than 34 digits.
        """
        group = {"_id": "$side", "volume": {"$sum": "$quantity"}, "trades": {"$sum": "$trade_count"}}
        matching = {"$and": [self._names(symbol, exchange), self._within(start, end)]}
        with self._explained():
            found = list(self._collection.aggregate([{"$match": matching}, {"$group": group}]))
        return _by_side({one["_id"]: one for one in found})

    def _newest_first(
        self, condition: Document, start: Instant | None, end: Instant | None, limit: int
    ) -> list[Trade]:
        bounds = {name: at for name, at in (("$gte", start), ("$lt", end)) if at is not None}
        span = [self._wording.condition({self.time: bounds})] if bounds else []
        return self._found({"$and": [condition, *span]}, limit, self._by_time(-1))

    def _document(self, record: Trade, expires_at: int) -> Document:
        price, price_decimals = from_decimal(exact("price", record.price))
        quantity, quantity_decimals = from_decimal(exact("quantity", record.quantity))
        if record.side not in ("buy", "sell"):
            raise QuestionError("side", record.side, "buy or sell")
        signed = quantity if record.side == "buy" else -quantity
        run = Trades(
            record.exchange, record.symbol, record.id_kind, price_decimals, quantity_decimals,
            [record.trade_id], [record.time_us], [price], [signed], [record.trade_count],
        )  # fmt: skip
        return {"_id": bson.ObjectId(), **trade_document(run, 0, {"expires_at": date(expires_at)})}

    def _record(self, found: Document) -> Trade:
        trade_id, longer = found["trade_id"], found.get("exact")
        return Trade(
            found["exchange"],
            found["symbol"],
            trade_id if isinstance(trade_id, str) else int(trade_id),
            Decimal(longer["price"]) if longer else plain_decimal(found["price"]),
            Decimal(longer["quantity"]) if longer else plain_decimal(found["quantity"]),
            found["side"],
            int(found["time_us"]),
            IdKind(found["id_kind"]),
            int(found["trade_count"]),
        )


def _by_side(found: Mapping[str, Document]) -> VolumeBySide:
    scaled = {side: scaled_of(one["volume"]) for side, one in found.items()}
    decimals = max((own for _, own in scaled.values()), default=0)

    def volume(side: str) -> int:
        number, own = scaled.get(side, (0, 0))
        return number * int(10 ** (decimals - own))

    def count(side: str) -> int:
        return int(found[side]["trades"]) if side in found else 0

    buy, sell, buys, sells = volume("buy"), volume("sell"), count("buy"), count("sell")
    return {
        "volume": to_decimal(buy + sell, decimals),
        "buy_volume": to_decimal(buy, decimals),
        "sell_volume": to_decimal(sell, decimals),
        "delta": to_decimal(buy - sell, decimals),
        "buy_share": ratio(buy, buy + sell),
        "trades": buys + sells,
        "buy_trades": buys,
        "sell_trades": sells,
        "buy_trades_share": ratio(buys, buys + sells),
    }
