"""Raw trades as MongoDB documents, and back.

There are thousands of them a second, so their BSON is written by hand: the same bytes as ``bson.encode`` of
``trade_document`` makes, in a sixth of the time.
"""

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from struct import Struct
from typing import Any

import bson
from bson.raw_bson import RawBSONDocument

from actors.storage.errors import StorageError
from actors.storage.mongo.values import Document, date, decimal128, fits, halves, scaled_of
from wadm.market import MILLISECOND, IdKind, TradeId, Trades
from wadm.numbers import from_decimal, plain_scaled

_INT64 = 1 << 63

_LENGTH = Struct("<i")
_NUMBER = Struct("<q")

#: What follows the id, up to the tail: price, quantity, side and maker, timestamp, time_us, trade_count.
_PRICE, _QUANTITY = b"\x13price\0", b"\x13quantity\0"
_BOUGHT, _SOLD = (
    bson.encode({"side": side, "is_buyer_maker": maker})[4:-1] + b"\x09timestamp\0"
    for side, maker in (("buy", False), ("sell", True))
)
_TIME, _COUNT = b"\x12time_us\0", b"\x12trade_count\0"


def _middle(side: bytes) -> Struct:
    pieces = len(_PRICE), len(_QUANTITY), len(side), len(_TIME), len(_COUNT)
    return Struct("<{}sQQ{}sQQ{}sq{}sq{}sq".format(*pieces))


_BOUGHT_MIDDLE, _SOLD_MIDDLE = _middle(_BOUGHT), _middle(_SOLD)


def trade_document(trades: Trades, index: int, tail: Document) -> Document:
    """Return the document of one trade; ``tail`` is what every one of them ends with: ``expires_at``."""
    price, signed = trades.prices[index], trades.signed_quantities[index]
    document = {
        "exchange": trades.exchange,
        "symbol": trades.symbol,
        "id_kind": str(trades.id_kind),
        "trade_id": _checked(trades.ids[index]),
        "price": decimal128(price, trades.price_decimals),
        "quantity": decimal128(abs(signed), trades.quantity_decimals),
        "side": "buy" if signed > 0 else "sell",
        "is_buyer_maker": signed <= 0,
        "timestamp": date(trades.times[index]),
        "time_us": bson.Int64(trades.times[index]),
        "trade_count": bson.Int64(trades.counts[index]),
        **tail,
    }
    if not (fits(price) and fits(signed)):
        document["exact"] = {
            "price": plain_scaled(price, trades.price_decimals),
            "quantity": plain_scaled(abs(signed), trades.quantity_decimals),
        }
    return document


def _checked(trade_id: TradeId) -> TradeId:
    if isinstance(trade_id, str):
        return trade_id
    if not -_INT64 <= trade_id < _INT64:
        raise StorageError(f"MongoDB cannot hold the trade id {trade_id}: its whole numbers have 64 bits")
    return bson.Int64(trade_id)


def trade_documents(trades: Trades, tail: Document) -> list[RawBSONDocument]:
    """Return the documents of a run of trades, ready to be sent; see ``trade_document``."""
    names = {"exchange": trades.exchange, "symbol": trades.symbol, "id_kind": str(trades.id_kind)}
    head, end = bson.encode(names)[4:-1], bson.encode(tail)[4:-1] + b"\0"
    upper_price, upper_quantity = halves(0, trades.price_decimals)[1], halves(0, trades.quantity_decimals)[1]
    columns = zip(
        trades.ids, trades.times, trades.prices, trades.signed_quantities, trades.counts, strict=True
    )
    number_head = head + b"\x12trade_id\0"
    text_head = head + b"\x02trade_id\0"
    made = []
    for index, (trade_id, time, price, signed, count) in enumerate(columns):
        if signed > 0:
            middle, quantity, side = _BOUGHT_MIDDLE, signed, _BOUGHT
        else:
            middle, quantity, side = _SOLD_MIDDLE, -signed, _SOLD
        if not (0 <= price < _INT64 and quantity < _INT64):  # the lower half would not hold it
            made.append(RawBSONDocument(bson.encode(trade_document(trades, index, tail))))
            continue
        start = (
            number_head + _NUMBER.pack(_checked(trade_id))
            if isinstance(trade_id, int)
            else text_head + _text(trade_id)
        )
        rest = middle.pack(
            _PRICE, price, upper_price, _QUANTITY, quantity, upper_quantity,
            side, time // MILLISECOND, _TIME, time, _COUNT, count,
        )  # fmt: skip
        length = _LENGTH.pack(4 + len(start) + len(rest) + len(end))
        made.append(RawBSONDocument(b"".join((length, start, rest, end))))
    return made


def _text(trade_id: str) -> bytes:
    encoded = trade_id.encode()
    return _LENGTH.pack(len(encoded) + 1) + encoded + b"\0"


def trade_runs(exchange: str, symbol: str, found: Iterable[Mapping[str, Any]]) -> list[Trades]:
    """Return the trades of a symbol's documents: one run for each kind of id, ascending by time, then by id.

    Ids that are names say nothing of their order: such trades stay in the order given.
    """
    kinds: dict[str, list[Mapping[str, Any]]] = {}
    for document in found:
        kinds.setdefault(document["id_kind"], []).append(document)
    return [_run(exchange, symbol, IdKind(kind), documents) for kind, documents in sorted(kinds.items())]


def _run(exchange: str, symbol: str, kind: IdKind, documents: list[Mapping[str, Any]]) -> Trades:
    if all(isinstance(one["trade_id"], int) for one in documents):
        documents.sort(key=lambda one: (one["time_us"], one["trade_id"]))
    else:
        documents.sort(key=lambda one: one["time_us"])
    prices, price_decimals = _column(documents, "price")
    quantities, quantity_decimals = _column(documents, "quantity")
    return Trades(
        exchange, symbol, kind, price_decimals, quantity_decimals,
        [one["trade_id"] if isinstance(one["trade_id"], str) else int(one["trade_id"]) for one in documents],
        [int(one["time_us"]) for one in documents],  # Int64 is not quite an int
        prices,
        [-size if one["is_buyer_maker"] else size for size, one in zip(quantities, documents, strict=True)],
        [int(one["trade_count"]) for one in documents],
    )  # fmt: skip


def _column(documents: Sequence[Mapping[str, Any]], name: str) -> tuple[list[int], int]:
    """Return one column of numbers at the decimals that all of them fit."""
    numbers = [
        from_decimal(Decimal(one["exact"][name])) if "exact" in one else scaled_of(one[name])
        for one in documents
    ]
    decimals = max(own for _, own in numbers)
    return [scaled * int(10 ** (decimals - own)) for scaled, own in numbers], decimals
