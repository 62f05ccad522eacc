"""Records as rows of the SQL tables, and back. Exact in both directions."""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from actors.messages import BarRecord, GapRecord, LevelMark, LevelsRecord, OrderFlowRecord, ProfileRecord
from actors.storage.payload import GAP_STATES, TIMES, gap_of
from wadm.analytics.levels import LiquidityType
from wadm.analytics.order_flow import OrderFlow
from wadm.analytics.profile import Profile, ValueAreaMethod
from wadm.numbers import from_decimal, to_decimal

Row = dict[str, Any]


def bar_figures(record: BarRecord) -> Row:
    """Return what a one-minute bar says of itself, by column."""
    bar = record.bar

    def price(scaled: int | None) -> Decimal | None:
        return None if scaled is None else to_decimal(scaled, bar.price_decimals)

    def volume(scaled: int) -> Decimal:
        return to_decimal(scaled, bar.quantity_decimals)

    return {
        "start_time": bar.start,
        "end_time": bar.end,
        "revision": bar.revision,
        "partial": bar.partial,
        "open": price(bar.open and bar.open[2]),
        "high": price(bar.high),
        "low": price(bar.low),
        "close": price(bar.close and bar.close[2]),
        "volume": volume(bar.buy_volume + bar.sell_volume),
        "buy_volume": volume(bar.buy_volume),
        "delta": volume(bar.delta),
        "trades": bar.buy_trades + bar.sell_trades,
        "packed": record.packed,
    }


def bar_row(record: BarRecord) -> Row:
    """Return a one-minute bar's row."""
    names = {"exchange": record.exchange, "symbol": record.symbol, "timeframe": "1m"}
    return names | bar_figures(record)


def _window_row(record: ProfileRecord | OrderFlowRecord) -> Row:
    return {
        "exchange": record.exchange,
        "symbol": record.symbol,
        "timeframe": record.timeframe,
        "start_time": record.start,
        "end_time": record.end,
        "revision": record.revision,
        "partial": record.partial,
    }


def profile_row(record: ProfileRecord) -> Row:
    """Return a volume profile's row."""
    profile = record.profile

    def edge(row: int | None) -> Decimal | None:
        return None if row is None else Decimal(profile.price(row))

    nodes = [
        [profile.price(number), *map(profile.volume, (buy + sell, buy, sell)), buys + sells, buys]
        for number, (buy, sell, buys, sells) in sorted(profile.rows.items())
    ]
    volume = sum(row[0] + row[1] for row in profile.rows.values())
    return _window_row(record) | {
        "poc": edge(profile.poc),
        "vah": edge(profile.vah),
        "val": edge(profile.val),
        "row_size": profile.row_size,
        "volume": to_decimal(volume, profile.quantity_decimals),
        "value_area_volume": to_decimal(profile.value_area_volume, profile.quantity_decimals),
        "value_area": profile.value_area,
        "method": str(profile.method),
        "quantity_decimals": profile.quantity_decimals,
        "nodes": nodes,
    }


def profile_record(row: Mapping[str, Any]) -> ProfileRecord:
    """Return the volume profile of a row."""
    size, decimals = row["row_size"], row["quantity_decimals"]

    def number(edge: Decimal | None) -> int | None:
        return None if edge is None else _number(edge, size)

    profile = Profile(
        size,
        decimals,
        {_number(Decimal(node[0]), size): _sides(node, decimals) for node in row["nodes"]},
        number(row["poc"]),
        number(row["vah"]),
        number(row["val"]),
        _scaled(row["value_area_volume"], decimals),
        row["value_area"],
        ValueAreaMethod(row["method"]),
    )
    return ProfileRecord(*_window(row), profile)


def _number(edge: Decimal, size: Decimal) -> int:
    """Return the number of the row with this lower edge."""
    numerator, denominator = size.as_integer_ratio()
    top, bottom = edge.as_integer_ratio()
    return top * denominator // (bottom * numerator)


def _sides(node: Sequence[Any], decimals: int) -> tuple[int, int, int, int]:
    _, _, buy, sell, count, buys = node
    return _scaled(Decimal(buy), decimals), _scaled(Decimal(sell), decimals), buys, count - buys


def _scaled(number: Decimal, decimals: int) -> int:
    scaled, own = from_decimal(number)
    return scaled * int(10 ** (decimals - own))


def _window(row: Mapping[str, Any]) -> tuple[str, str, str, int, int, int, bool]:
    return (
        row["exchange"], row["symbol"], row["timeframe"],
        row["start_time"], row["end_time"], row["revision"], row["partial"],
    )  # fmt: skip


#: An OrderFlow's volumes and the columns they are in.
_VOLUMES = {
    "buy_volume": "buy_volume",
    "sell_volume": "sell_volume",
    "volume": "total_volume",
    "delta": "delta",
    "delta_high": "delta_high",
    "delta_low": "delta_low",
    "cvd": "cumulative_delta",
}
_PLAIN = ("buy_trades", "sell_trades", "session_start", "imbalance_ratio", "exact_path", "quantity_decimals")
_COUNTS = ("large_trades", "absorption_events")


def order_flow_row(record: OrderFlowRecord) -> Row:
    """Return an order flow's row."""
    flow = record.order_flow
    volumes = {
        column: to_decimal(getattr(flow, name), flow.quantity_decimals) for name, column in _VOLUMES.items()
    }
    counts = {name: getattr(record, name) for name in _COUNTS}
    return _window_row(record) | volumes | {name: getattr(flow, name) for name in _PLAIN} | counts


def order_flow_record(row: Mapping[str, Any]) -> OrderFlowRecord:
    """Return the order flow of a row."""
    decimals = row["quantity_decimals"]
    figures: dict[str, Any] = {name: row[name] for name in _PLAIN}
    for name, column in _VOLUMES.items():
        figures[name] = _scaled(row[column], decimals)
    del figures["volume"]  # the sum of two others
    return OrderFlowRecord(*_window(row), OrderFlow(**figures), **{name: row[name] for name in _COUNTS})


def level_rows(record: LevelsRecord) -> list[Row]:
    """Return the rows of liquidity levels, one for each."""
    return [
        {
            "exchange": record.exchange,
            "symbol": record.symbol,
            "liquidity_type": str(level.kind),
            "price": level.price,
            "strength": level.strength,
            "volume": level.volume,
            "touches": level.touches,
            "last_touch": level.last_touch,
            "as_of": record.end,
            "revision": record.revision,
        }
        for level in record.levels
    ]


def level_mark(row: Mapping[str, Any]) -> LevelMark:
    """Return the liquidity level of a row."""
    names = ("price", "strength", "volume", "touches", "last_touch")
    return LevelMark(LiquidityType(row["liquidity_type"]), *(row[name] for name in names))


def gap_row(record: GapRecord) -> Row:
    """Return a gap's row."""
    gap = record.gap
    return {
        "exchange": gap.exchange,
        "symbol": gap.symbol,
        "id_kind": str(gap.id_kind or TIMES),
        "first_id": gap.first,
        "last_id": gap.last,
        "noticed_at": gap.at,
        "state": record.state,
        "reason": record.reason.replace("\0", ""),  # which PostgreSQL's text cannot hold
        "revision": GAP_STATES.index(record.state),
    }


def gap_record(row: Mapping[str, Any]) -> GapRecord:
    """Return the gap of a row."""
    ids = row["first_id"], row["last_id"]
    gap = gap_of(row["exchange"], row["symbol"], row["id_kind"], ids, row["noticed_at"])
    return GapRecord(gap, row["state"], row["reason"])
