"""Journal entries as bytes: MessagePack around packed columns of integers. Exact in both directions."""

from collections.abc import Sequence
from decimal import Decimal
from typing import NamedTuple

import msgspec

from actors.messages import BarRecord, Entry, GapRecord, OrderFlowRecord, ProfileRecord, TradeBatch
from actors.storage.errors import StorageError
from wadm import bar as bars
from wadm import columns
from wadm.analytics.order_flow import OrderFlow
from wadm.analytics.profile import Profile, ValueAreaMethod
from wadm.coverage import AnyGap, SuspectedGap
from wadm.exchanges.base import Gap
from wadm.market import IdKind, TradeId, Trades

FORMAT = 1

#: Stands where a gap's ids say what they count: it is one that is suspected, and its ids are times (µs).
TIMES = "time"

#: A gap's states, weakest first: a stronger one replaces a weaker one, as a higher revision does.
GAP_STATES = ("open", "unfillable", "filled")


class RecordRow(NamedTuple):
    """A record's natural key, its revision and the rest of it as bytes. One table holds every kind."""

    kind: str
    timeframe: str
    start: int
    end: int
    revision: int
    payload: bytes


class _Batch(msgspec.Struct, array_like=True, frozen=True):
    format: int
    id_kind: IdKind
    price_decimals: int
    quantity_decimals: int
    received_at: int
    market_time: int
    ids: bytes | list[int | str]
    times: bytes
    prices: bytes
    quantities: bytes
    counts: bytes


class _Profile(msgspec.Struct, array_like=True, frozen=True):
    format: int
    partial: bool
    row_size: str
    quantity_decimals: int
    poc: int | None
    vah: int | None
    val: int | None
    value_area_volume: str
    value_area: str
    method: ValueAreaMethod
    numbers: bytes
    buys: bytes
    sells: bytes
    buy_counts: bytes
    sell_counts: bytes


class _OrderFlow(msgspec.Struct, array_like=True, frozen=True):
    format: int
    partial: bool
    quantity_decimals: int
    figures: bytes
    imbalance_ratio: str | None
    exact_path: bool


class _Gap(msgspec.Struct, array_like=True, frozen=True):
    format: int
    at: int
    state: str
    reason: str


_encode = msgspec.msgpack.Encoder().encode
_batches = msgspec.msgpack.Decoder(_Batch)
_profiles = msgspec.msgpack.Decoder(_Profile)
_order_flows = msgspec.msgpack.Decoder(_OrderFlow)
_gaps = msgspec.msgpack.Decoder(_Gap)

#: The whole numbers of an OrderFlow, in the order of their column.
_FIGURES = (
    "buy_volume", "sell_volume", "buy_trades", "sell_trades",
    "delta", "delta_high", "delta_low", "cvd", "session_start",
)  # fmt: skip


def encode_batch(batch: TradeBatch) -> bytes:
    """Return a batch of trades as bytes, but for its names and numbers, which the journal keeps beside it."""
    trades = batch.trades
    return _encode(
        _Batch(
            FORMAT, trades.id_kind, trades.price_decimals, trades.quantity_decimals,
            batch.received_at, batch.market_time,
            _pack_ids(trades.ids),
            columns.pack_rising(trades.times),
            columns.pack_rising(trades.prices),
            columns.pack(trades.signed_quantities),
            columns.pack(trades.counts),
        )
    )  # fmt: skip


def _pack_ids(ids: Sequence[TradeId]) -> bytes | list[int | str]:
    numbers = [trade_id for trade_id in ids if isinstance(trade_id, int)]
    return columns.pack_rising(numbers) if len(numbers) == len(ids) else list(ids)


def decode_batch(exchange: str, symbol: str, incarnation: int, number: int, payload: bytes) -> TradeBatch:
    """Return the batch. ``clock`` is 0.0: a monotonic clock means nothing to a later process."""
    stored = _batches.decode(payload)
    _check(stored.format)
    trades = Trades(
        exchange, symbol, stored.id_kind, stored.price_decimals, stored.quantity_decimals,
        stored.ids if isinstance(stored.ids, list) else columns.unpack_rising(stored.ids),
        columns.unpack_rising(stored.times),
        columns.unpack_rising(stored.prices),
        columns.unpack(stored.quantities),
        columns.unpack(stored.counts),
    )  # fmt: skip
    return TradeBatch(trades, incarnation, number, stored.received_at, 0.0, stored.market_time)


def encode_record(record: BarRecord | ProfileRecord | OrderFlowRecord | GapRecord) -> RecordRow:
    """Return a record as its row."""
    if isinstance(record, BarRecord):
        bar = record.bar
        return RecordRow("bar", "1m", bar.start, bar.end, bar.revision, bars.encode(bar))
    if isinstance(record, ProfileRecord):
        payload = _profile_bytes(record)
        return RecordRow("profile", record.timeframe, record.start, record.end, record.revision, payload)
    if isinstance(record, OrderFlowRecord):
        payload = _order_flow_bytes(record)
        return RecordRow("order_flow", record.timeframe, record.start, record.end, record.revision, payload)
    gap = record.gap
    payload = _encode(_Gap(FORMAT, gap.at, record.state, record.reason))
    kind = gap.id_kind or TIMES
    return RecordRow("gap", kind, gap.first, gap.last, GAP_STATES.index(record.state), payload)


def _profile_bytes(record: ProfileRecord) -> bytes:
    profile = record.profile
    rows = sorted(profile.rows.items())
    return _encode(
        _Profile(
            FORMAT, record.partial, str(profile.row_size), profile.quantity_decimals,
            profile.poc, profile.vah, profile.val,
            str(profile.value_area_volume), str(profile.value_area), profile.method,
            columns.pack_rising([number for number, _ in rows]),
            *(columns.pack([row[index] for _, row in rows]) for index in range(4)),
        )
    )  # fmt: skip


def _order_flow_bytes(record: OrderFlowRecord) -> bytes:
    flow = record.order_flow
    figures = columns.pack([getattr(flow, name) for name in _FIGURES])
    imbalance = None if flow.imbalance_ratio is None else str(flow.imbalance_ratio)
    return _encode(
        _OrderFlow(FORMAT, record.partial, flow.quantity_decimals, figures, imbalance, flow.exact_path)
    )


def decode_record(exchange: str, symbol: str, row: RecordRow) -> Entry:
    """Return the record of a row."""
    if row.kind == "bar":
        return BarRecord(exchange, symbol, bars.decode(row.payload))
    if row.kind == "profile":
        return _profile_record(exchange, symbol, row)
    if row.kind == "order_flow":
        return _order_flow_record(exchange, symbol, row)
    stored = _gaps.decode(row.payload)
    _check(stored.format)
    gap = gap_of(exchange, symbol, row.timeframe, (row.start, row.end), stored.at)
    return GapRecord(gap, stored.state, stored.reason)


def gap_of(exchange: str, symbol: str, id_kind: str, span: tuple[int, int], at: int) -> AnyGap:
    """Return a gap of what was stored of it."""
    if id_kind == TIMES:
        return SuspectedGap(exchange, symbol, *span)
    return Gap(exchange, symbol, IdKind(id_kind), *span, at)


def _profile_record(exchange: str, symbol: str, row: RecordRow) -> ProfileRecord:
    stored = _profiles.decode(row.payload)
    _check(stored.format)
    sides = zip(
        *map(columns.unpack, (stored.buys, stored.sells, stored.buy_counts, stored.sell_counts)), strict=True
    )
    numbers = columns.unpack_rising(stored.numbers)
    profile = Profile(
        Decimal(stored.row_size), stored.quantity_decimals,
        {number: list(side) for number, side in zip(numbers, sides, strict=True)},
        stored.poc, stored.vah, stored.val,
        int(stored.value_area_volume), Decimal(stored.value_area), stored.method,
    )  # fmt: skip
    return ProfileRecord(
        exchange, symbol, row.timeframe, row.start, row.end, row.revision, stored.partial, profile
    )


def _order_flow_record(exchange: str, symbol: str, row: RecordRow) -> OrderFlowRecord:
    stored = _order_flows.decode(row.payload)
    _check(stored.format)
    flow = OrderFlow(
        quantity_decimals=stored.quantity_decimals,
        imbalance_ratio=None if stored.imbalance_ratio is None else Decimal(stored.imbalance_ratio),
        exact_path=stored.exact_path,
        **dict(zip(_FIGURES, columns.unpack(stored.figures), strict=True)),
    )
    return OrderFlowRecord(
        exchange, symbol, row.timeframe, row.start, row.end, row.revision, stored.partial, flow
    )


def _check(found: int) -> None:
    if found != FORMAT:
        raise StorageError(
            f"a journal entry has format {found}, this version reads {FORMAT}: upgrade to read it"
        )
