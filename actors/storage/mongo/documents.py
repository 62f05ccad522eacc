"""Records as MongoDB documents, and back; trades are in ``trade_documents``.

Money is Decimal128, made from scaled integers. Times are BSON dates, which count milliseconds; what happens
at an instant also has it exactly, in µs (``time_us``, ``noticed_us``, ``stored_us``, ``last_touch_us``), and
windows start and end with whole minutes. A document says when it ``expires_at``, counted from when it was
stored; a bar does not, and says when it was stored (``stored_at``).

``packed`` holds a bar, a profile or an order flow as the journal has it, exact however long its numbers are
and however many its rows. Everything beside it is there to be found, aggregated and read by other programs. A
Decimal128 has 34 digits; a trade, book or level with longer numbers has these as text in ``exact``.

A profile's rows can be asked for as ``nodes``. ``price_levels`` names its fields by price, most of which have
a dot in them and so cannot be reached by a path: it is for who reads the whole document.
"""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from actors.messages import (
    BarRecord,
    BookRecord,
    GapRecord,
    LevelMark,
    LevelsRecord,
    OrderFlowRecord,
    ProfileRecord,
)
from actors.storage.mongo.values import (
    Document,
    date,
    decimal128,
    fits,
    micros,
    of_decimal,
    plain_decimal,
    to_scale,
    whole,
)
from actors.storage.payload import GAP_STATES, TIMES, RecordRow, decode_record, encode_record, gap_of
from wadm.analytics.levels import LiquidityType
from wadm.analytics.profile import Profile
from wadm.numbers import from_decimal, plain, plain_scaled

Found = Mapping[str, Any]

#: Rows of a profile that are written out one by one. A document holds 16 MiB, and a row takes some 170 bytes.
MOST_ROWS = 50_000

#: Bytes of ``packed`` beyond which a profile is stored without: its figures stay, its rows are in the bars.
MOST_PACKED = 4 << 20


def book_document(record: BookRecord, expires_at: int) -> Document:
    """Return an order book's document."""
    prices, quantities = record.price_decimals, record.quantity_decimals

    def side(levels: Sequence[tuple[int, int]]) -> list[Document]:
        return [
            {"price": decimal128(price, prices), "quantity": decimal128(quantity, quantities)}
            for price, quantity in levels
        ]

    def text(levels: Sequence[tuple[int, int]]) -> list[list[str]]:
        return [[plain_scaled(price, prices), plain_scaled(size, quantities)] for price, size in levels]

    document: Document = {
        "exchange": record.exchange,
        "symbol": record.symbol,
        "timestamp": date(record.at),
        "time_us": whole(record.at, "a book's time"),
        "sequence": whole(record.sequence, "a book's sequence"),
        "price_decimals": prices,
        "quantity_decimals": quantities,
        "bids": side(record.bids),
        "asks": side(record.asks),
        "expires_at": date(expires_at),
    }
    if not all(fits(number) for level in (*record.bids, *record.asks) for number in level):
        document["exact"] = {"bids": text(record.bids), "asks": text(record.asks)}
    return document


def book_record(found: Found) -> BookRecord:
    """Return the order book of a document."""
    prices, quantities = found["price_decimals"], found["quantity_decimals"]

    def side(name: str) -> list[tuple[int, int]]:
        if "exact" in found:
            return [
                (_scaled(Decimal(price), prices), _scaled(Decimal(size), quantities))
                for price, size in found["exact"][name]
            ]
        return [
            (to_scale(level["price"], prices), to_scale(level["quantity"], quantities))
            for level in found[name]
        ]

    return BookRecord(
        found["exchange"], found["symbol"], int(found["time_us"]), int(found["sequence"]),
        prices, quantities, side("bids"), side("asks"),
    )  # fmt: skip


def bar_document(record: BarRecord, stored_at: int) -> Document:
    """Return a one-minute bar's document."""
    bar = record.bar

    def price(scaled: int | None) -> Any:
        return None if scaled is None else decimal128(scaled, bar.price_decimals)

    buy, sell = bar.buy_volume, bar.sell_volume
    volumes = {"volume": buy + sell, "buy_volume": buy, "sell_volume": sell, "delta": bar.delta}
    return {
        "exchange": record.exchange,
        "symbol": record.symbol,
        "timeframe": "1m",
        "start_time": date(bar.start),
        "end_time": date(bar.end),
        "revision": bar.revision,
        "partial": bar.partial,
        "open": price(bar.open and bar.open[2]),
        "high": price(bar.high),
        "low": price(bar.low),
        "close": price(bar.close and bar.close[2]),
        **{name: decimal128(scaled, bar.quantity_decimals) for name, scaled in volumes.items()},
        "trade_count": bar.buy_trades + bar.sell_trades,
        "packed": record.packed,
        "stored_at": date(stored_at),
        "stored_us": stored_at,
    }


def profile_document(record: ProfileRecord, expires_at: int) -> Document:
    """Return a volume profile's document.

    One of very many rows is stored without ``nodes`` and ``price_levels``; of yet more rows, without
    ``packed``: it then has no rows at all, and ``rows`` says how many there were.
    """
    profile = record.profile
    decimals = profile.quantity_decimals
    size, price_decimals = from_decimal(profile.row_size)

    def edge(row: int | None) -> Any:
        return None if row is None else decimal128(row * size, price_decimals)

    document = {
        "exchange": record.exchange,
        "symbol": record.symbol,
        "timeframe": record.timeframe,
        "start_time": date(record.start),
        "end_time": date(record.end),
        "revision": record.revision,
        "partial": record.partial,
        "poc_price": edge(profile.poc),
        "vah_price": edge(profile.vah),
        "val_price": edge(profile.val),
        "total_volume": decimal128(sum(row[0] + row[1] for row in profile.rows.values()), decimals),
        "value_area_volume": decimal128(profile.value_area_volume, decimals),
        "trade_count": sum(row[2] + row[3] for row in profile.rows.values()),
        "row_size": of_decimal(profile.row_size),
        "value_area": of_decimal(profile.value_area),
        "method": str(profile.method),
        "rows": len(profile.rows),
        **_rows(profile, size, price_decimals),
        "expires_at": date(expires_at),
    }
    packed = encode_record(record).payload
    if len(packed) <= MOST_PACKED:
        document["packed"] = packed
    return document


def _rows(profile: Profile, size: int, price_decimals: int) -> Document:
    if len(profile.rows) > MOST_ROWS:
        return {"price_levels": {}, "nodes": []}
    decimals, rows = profile.quantity_decimals, sorted(profile.rows.items())
    nodes = [
        {
            "price_level": decimal128(number * size, price_decimals),
            "volume": decimal128(buy + sell, decimals),
            "buy_volume": decimal128(buy, decimals),
            "sell_volume": decimal128(sell, decimals),
            "trade_count": buys + sells,
        }
        for number, (buy, sell, buys, sells) in rows
    ]
    edges = [plain_scaled(number * size, price_decimals) for number, _ in rows]
    return {
        "price_levels": {edge: node["volume"] for edge, node in zip(edges, nodes, strict=True)},
        "nodes": nodes,
    }


def profile_record(found: Found) -> ProfileRecord:
    """Return the volume profile of a document that has ``packed``."""
    record = _unpacked("profile", found, found["start_time"])
    assert isinstance(record, ProfileRecord)
    return record


def _unpacked(kind: str, found: Found, start: Any) -> Any:
    window = found["timeframe"], micros(start), micros(found["end_time"]), found["revision"]
    return decode_record(found["exchange"], found["symbol"], RecordRow(kind, *window, found["packed"]))


#: An OrderFlow's volumes and the fields they are in.
_VOLUMES = {
    "delta": "delta",
    "cumulative_delta": "cvd",
    "delta_high": "delta_high",
    "delta_low": "delta_low",
    "buy_volume": "buy_volume",
    "sell_volume": "sell_volume",
    "total_volume": "volume",
}


def order_flow_document(record: OrderFlowRecord, expires_at: int) -> Document:
    """Return an order flow's document; ``timestamp`` is its window's start."""
    flow = record.order_flow
    return {
        "exchange": record.exchange,
        "symbol": record.symbol,
        "timeframe": record.timeframe,
        "timestamp": date(record.start),
        "end_time": date(record.end),
        "revision": record.revision,
        "partial": record.partial,
        **{
            field: decimal128(getattr(flow, name), flow.quantity_decimals) for field, name in _VOLUMES.items()
        },
        "imbalance_ratio": of_decimal(flow.imbalance_ratio),
        "buy_trades": flow.buy_trades,
        "sell_trades": flow.sell_trades,
        "large_trades_count": record.large_trades,
        "absorption_events": record.absorption_events,
        "session_start": date(flow.session_start),
        "exact_path": flow.exact_path,
        "packed": encode_record(record).payload,
        "expires_at": date(expires_at),
    }


def order_flow_record(found: Found) -> OrderFlowRecord:
    """Return the order flow of a document."""
    record = _unpacked("order_flow", found, found["timestamp"])
    assert isinstance(record, OrderFlowRecord)
    return record


def level_documents(record: LevelsRecord, expires_at: int) -> list[Document]:
    """Return the documents of levels as they stood at ``as_of``.

    A level is a price and a type: what is known of it is renewed for as long as it is one. ``created_at`` is
    when it first was, and stays.
    """
    return [_level_document(record, mark, expires_at) for mark in record.levels]


def _level_document(record: LevelsRecord, mark: LevelMark, expires_at: int) -> Document:
    numbers = {"price": mark.price, "strength": mark.strength, "volume": mark.volume}
    last_touch = mark.last_touch
    document: Document = {
        "exchange": record.exchange,
        "symbol": record.symbol,
        "liquidity_type": str(mark.kind),
        **{name: of_decimal(number) for name, number in numbers.items()},
        "touches": mark.touches,
        "last_touch": None if last_touch is None else date(last_touch),
        "last_touch_us": last_touch,
        "created_at": date(record.end),
        "as_of": date(record.end),
        "revision": record.revision,
        "expires_at": date(expires_at),
    }
    if not all(fits(from_decimal(number)[0]) for number in numbers.values()):
        document["exact"] = {name: plain(number) for name, number in numbers.items()}
    return document


def level_mark(found: Found) -> LevelMark:
    """Return the level of a document."""
    names = "price", "strength", "volume"
    price, strength, volume = (
        Decimal(found["exact"][name]) if "exact" in found else plain_decimal(found[name]) for name in names
    )
    kind, touched = LiquidityType(found["liquidity_type"]), found["last_touch_us"]
    last_touch = None if touched is None else int(touched)
    return LevelMark(kind, price, strength, volume, found["touches"], last_touch)


def gap_document(record: GapRecord) -> Document:
    """Return a gap's document.

    One that is suspected has ``id_kind`` "time": its ids are exchange times in µs. ``revision`` is the rank
    of ``state``: a gap once filled is not opened again by an older record.
    """
    gap = record.gap
    return {
        "exchange": gap.exchange,
        "symbol": gap.symbol,
        "id_kind": str(gap.id_kind or TIMES),
        "first_id": whole(gap.first, "a gap's first id"),
        "last_id": whole(gap.last, "a gap's last id"),
        "noticed_at": date(gap.at),
        "noticed_us": whole(gap.at, "a gap's time"),
        "state": record.state,
        "reason": record.reason,
        "revision": GAP_STATES.index(record.state),
    }


def gap_record(found: Found) -> GapRecord:
    """Return the gap of a document."""
    ids = int(found["first_id"]), int(found["last_id"])  # Int64 is not quite an int
    gap = gap_of(found["exchange"], found["symbol"], found["id_kind"], ids, int(found["noticed_us"]))
    return GapRecord(gap, found["state"], found["reason"])


def _scaled(number: Decimal, decimals: int) -> int:
    scaled, own = from_decimal(number)
    return scaled * int(10 ** (decimals - own))
