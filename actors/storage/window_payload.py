"""What is recorded of a window as bytes: its profile, its order flow, its levels."""

from collections.abc import Sequence
from decimal import Decimal

import msgspec

from actors.messages import LevelMark, LevelsRecord, OrderFlowRecord, ProfileRecord
from actors.storage.formats import check_format
from wadm import columns
from wadm.analytics.levels import LiquidityType
from wadm.analytics.order_flow import OrderFlow
from wadm.analytics.profile import Profile, ValueAreaMethod

FORMAT = 1

#: Format 1 of an order flow, of which there are records from before, counts no large trades and absorptions.
ORDER_FLOW_FORMAT = 2

#: Exchange, symbol, timeframe, start, end and revision of a window.
Window = tuple[str, str, str, int, int, int]


class _Profile(msgspec.Struct, array_like=True, frozen=True):
    format: int
    partial: bool
    row_size: str
    quantity_decimals: int
    # Numbers of rows, as text where they are longer than 64 bits.
    poc: int | str | None
    vah: int | str | None
    val: int | str | None
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
    large_trades: int | None = None
    absorption_events: int | None = None


class _Level(msgspec.Struct, array_like=True, frozen=True):
    kind: LiquidityType
    price: str
    strength: str
    volume: str
    touches: int
    last_touch: int | None


class _Levels(msgspec.Struct, array_like=True, frozen=True):
    format: int
    levels: list[_Level]


_encode = msgspec.msgpack.Encoder().encode
_profiles = msgspec.msgpack.Decoder(_Profile)
_order_flows = msgspec.msgpack.Decoder(_OrderFlow)
_levels = msgspec.msgpack.Decoder(_Levels)

#: The whole numbers of an OrderFlow, in the order of their column.
FIGURES = (
    "buy_volume", "sell_volume", "buy_trades", "sell_trades",
    "delta", "delta_high", "delta_low", "cvd", "session_start",
)  # fmt: skip


def encode_profile(record: ProfileRecord) -> bytes:
    """Return a profile as bytes."""
    profile = record.profile
    rows = sorted(profile.rows.items())
    return _encode(
        _Profile(
            FORMAT, record.partial, str(profile.row_size), profile.quantity_decimals,
            _packed_row(profile.poc), _packed_row(profile.vah), _packed_row(profile.val),
            str(profile.value_area_volume), str(profile.value_area), profile.method,
            columns.pack_rising([number for number, _ in rows]),
            *(columns.pack([row[index] for _, row in rows]) for index in range(4)),
        )
    )  # fmt: skip


def _packed_row(row: int | None) -> int | str | None:
    return row if row is None or -(1 << 63) <= row < 1 << 63 else str(row)


def _row(packed: int | str | None) -> int | None:
    return None if packed is None else int(packed)


def decode_profile(window: Window, payload: bytes) -> ProfileRecord:
    """Return the profile of a window."""
    stored = _profiles.decode(payload)
    check_format(stored.format, FORMAT)
    sides = zip(
        *map(columns.unpack, (stored.buys, stored.sells, stored.buy_counts, stored.sell_counts)), strict=True
    )
    numbers = columns.unpack_rising(stored.numbers)
    profile = Profile(
        Decimal(stored.row_size), stored.quantity_decimals,
        dict(zip(numbers, sides, strict=True)),
        _row(stored.poc), _row(stored.vah), _row(stored.val),
        int(stored.value_area_volume), Decimal(stored.value_area), stored.method,
    )  # fmt: skip
    return ProfileRecord(*window, stored.partial, profile)


def encode_order_flow(record: OrderFlowRecord) -> bytes:
    """Return an order flow as bytes."""
    flow = record.order_flow
    return _encode(
        _OrderFlow(
            ORDER_FLOW_FORMAT, record.partial, flow.quantity_decimals,
            columns.pack([getattr(flow, name) for name in FIGURES]),
            None if flow.imbalance_ratio is None else str(flow.imbalance_ratio),
            flow.exact_path, record.large_trades, record.absorption_events,
        )
    )  # fmt: skip


def decode_order_flow(window: Window, payload: bytes) -> OrderFlowRecord:
    """Return the order flow of a window."""
    stored = _order_flows.decode(payload)
    check_format(stored.format, ORDER_FLOW_FORMAT)
    flow = OrderFlow(
        quantity_decimals=stored.quantity_decimals,
        imbalance_ratio=None if stored.imbalance_ratio is None else Decimal(stored.imbalance_ratio),
        exact_path=stored.exact_path,
        **dict(zip(FIGURES, columns.unpack(stored.figures), strict=True)),
    )
    return OrderFlowRecord(*window, stored.partial, flow, stored.large_trades, stored.absorption_events)


def order_flow_figures(payload: bytes) -> tuple[int, bool, Sequence[int]]:
    """Return decimals, whether the path is exact, and FIGURES: for who goes through many windows."""
    stored = _order_flows.decode(payload)
    check_format(stored.format, ORDER_FLOW_FORMAT)
    return stored.quantity_decimals, stored.exact_path, columns.unpack(stored.figures)


def encode_levels(record: LevelsRecord) -> bytes:
    """Return the levels of a window as bytes."""
    levels = [
        _Level(one.kind, str(one.price), str(one.strength), str(one.volume), one.touches, one.last_touch)
        for one in record.levels
    ]
    return _encode(_Levels(FORMAT, levels))


def decode_levels(exchange: str, symbol: str, span: tuple[int, int, int], payload: bytes) -> LevelsRecord:
    """Return the levels of ``span`` (start, end, revision)."""
    stored = _levels.decode(payload)
    check_format(stored.format, FORMAT)
    levels = tuple(
        LevelMark(
            one.kind, Decimal(one.price), Decimal(one.strength), Decimal(one.volume),
            one.touches, one.last_touch,
        )
        for one in stored.levels
    )  # fmt: skip
    return LevelsRecord(exchange, symbol, *span, levels)
