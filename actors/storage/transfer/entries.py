"""Entries as rows of their sheets, and back. Exact in both directions."""

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

import attrs

from actors.messages import (
    BarRecord,
    BookRecord,
    Entry,
    GapRecord,
    LevelMark,
    OrderFlowRecord,
    ProfileRecord,
)
from actors.storage.payload import GAP_STATES, TIMES, gap_of
from actors.storage.rows import bar_figures
from actors.storage.transfer.sheets import Row, Sheet
from wadm import bar as bars
from wadm.analytics.order_flow import OrderFlow
from wadm.analytics.profile import Profile, ValueAreaMethod
from wadm.market import MINUTE
from wadm.numbers import MAX_DECIMALS, from_decimal, to_decimal
from wadm.timeframes import TIMEFRAMES

Fields = dict[str, Any]


class EntryError(ValueError):
    """A row whose cells are sound one by one, but not together; ``str()`` says which."""


def row_of(sheet: Sheet, entry: Entry | LevelMark, name: tuple[str, str]) -> Row:
    """Return an entry of the symbol ``name`` (exchange, symbol) as a row of its sheet."""
    fields = _FIELDS[sheet.name](entry)
    fields |= {"exchange": name[0], "symbol": name[1]}
    return tuple(fields[column] for column in sheet.names)


def entry_of(sheet: Sheet, row: Row) -> Entry:
    """Return the entry of a row. Raises EntryError where the row's cells do not belong together."""
    fields: Fields = dict(zip(sheet.names, row, strict=True))
    try:
        entry = _ENTRIES[sheet.name](fields)
    except EntryError:
        raise
    except (ValueError, KeyError, ArithmeticError, TypeError) as error:
        raise EntryError(f"these cells are not {sheet.name} of this program ({error})") from error
    again = row_of(sheet, entry, (str(fields["exchange"]), str(fields["symbol"])))
    for name, given, made in zip(sheet.names, row, again, strict=True):
        if given != made:
            raise EntryError(
                f"{name} does not agree with the rest of its row: it was changed after the export"
            )
    return entry


def _bar_fields(record: BarRecord) -> Fields:
    bar = record.bar

    def volume(whole: int) -> Decimal:
        return to_decimal(whole, bar.quantity_decimals)

    rows = [
        (to_decimal(at, bar.price_decimals), volume(buy), volume(sell), buys, sells)
        for at, (buy, sell, buys, sells) in sorted(bar.rows.items())
    ]
    return {**bar_figures(record), "sell_volume": volume(bar.sell_volume), "rows": rows}


def _bar(fields: Fields) -> BarRecord:
    try:
        bar = bars.decode(fields["packed"])
    except bars.BarFormatError as error:
        raise EntryError(f"packed holds no bar ({error})") from error
    if bar.start % MINUTE or bar.end != bar.start + MINUTE:
        raise EntryError("start_time and end_time are not those of a minute")
    return BarRecord(fields["exchange"], fields["symbol"], bar)


def _window_fields(record: ProfileRecord | OrderFlowRecord) -> Fields:
    return {
        "timeframe": record.timeframe,
        "start_time": record.start,
        "end_time": record.end,
        "revision": record.revision,
        "partial": record.partial,
    }


def _window(fields: Fields) -> tuple[str, str, str, int, int, int, bool]:
    timeframe, start, end = fields["timeframe"], fields["start_time"], fields["end_time"]
    length = TIMEFRAMES.get(timeframe)
    if length is None:
        raise EntryError(f"timeframe is {timeframe!r}; expected one of {', '.join(TIMEFRAMES)}")
    if start % length or end != start + length:
        raise EntryError(f"start_time and end_time are not those of a window of {timeframe}")
    return (
        fields["exchange"], fields["symbol"], timeframe, start, end, fields["revision"], fields["partial"],
    )  # fmt: skip


def _profile_fields(record: ProfileRecord) -> Fields:
    made = record.profile

    def edge(row: int | None) -> Decimal | None:
        return None if row is None else Decimal(made.price(row))

    def volume(whole: int) -> Decimal:
        return to_decimal(whole, made.quantity_decimals)

    nodes = [
        (edge(number), volume(buy), volume(sell), buys, sells)
        for number, (buy, sell, buys, sells) in sorted(made.rows.items())
    ]
    return _window_fields(record) | {
        "row_size": made.row_size,
        "poc": edge(made.poc),
        "vah": edge(made.vah),
        "val": edge(made.val),
        "volume": volume(sum(row[0] + row[1] for row in made.rows.values())),
        "value_area_volume": volume(made.value_area_volume),
        "value_area": made.value_area,
        "method": str(made.method),
        "quantity_decimals": made.quantity_decimals,
        "nodes": nodes,
    }


def _profile(fields: Fields) -> ProfileRecord:
    size, decimals = fields["row_size"], decimals_of(fields, "quantity_decimals")

    def number(edge: Decimal | None) -> int | None:
        return None if edge is None else _number(edge, size)

    rows = {
        _number(price, size): (scaled(buy, decimals), scaled(sell, decimals), buys, sells)
        for price, buy, sell, buys, sells in fields["nodes"]
    }
    made = Profile(
        _normal(size), decimals, rows, number(fields["poc"]), number(fields["vah"]), number(fields["val"]),
        scaled(fields["value_area_volume"], decimals), _normal(fields["value_area"]),
        ValueAreaMethod(fields["method"]),
    )  # fmt: skip
    return ProfileRecord(*_window(fields), made)


def _number(edge: Decimal, size: Decimal) -> int:
    """Return the number of the row with this lower edge."""
    top, bottom = edge.as_integer_ratio()
    numerator, denominator = size.as_integer_ratio()
    number, rest = divmod(top * denominator, bottom * numerator)
    if rest:
        raise EntryError("a price in it is no multiple of row_size")
    return number


def _normal(number: Decimal) -> Decimal:
    return to_decimal(*from_decimal(number))


def scaled(number: Decimal, decimals: int) -> int:
    """Return a number scaled by ``10**decimals``. Raises EntryError where it is finer."""
    whole, own = from_decimal(number)
    if own > decimals:
        raise EntryError(f"a number in it has more than the {decimals} decimals named beside it")
    return whole * int(10 ** (decimals - own))


def decimals_of(fields: Fields, name: str) -> int:
    """Return a column that counts decimals. Raises EntryError."""
    if not 0 <= fields[name] <= MAX_DECIMALS:
        raise EntryError(f"{name} is {fields[name]}; expected 0 to {MAX_DECIMALS}")
    return int(fields[name])


#: An OrderFlow's volumes and the columns they are in.
_VOLUMES = {
    "buy_volume": "buy_volume",
    "sell_volume": "sell_volume",
    "delta": "delta",
    "delta_high": "delta_high",
    "delta_low": "delta_low",
    "cvd": "cumulative_delta",
}
_AS_IT_IS = ("buy_trades", "sell_trades", "session_start", "exact_path", "quantity_decimals")


def _order_flow_fields(record: OrderFlowRecord) -> Fields:
    flow = record.order_flow
    volumes = {
        column: to_decimal(getattr(flow, name), flow.quantity_decimals) for name, column in _VOLUMES.items()
    }
    return (
        _window_fields(record)
        | volumes
        | {name: getattr(flow, name) for name in _AS_IT_IS}
        | {
            "imbalance_ratio": flow.imbalance_ratio,
            "large_trades": record.large_trades,
            "absorption_events": record.absorption_events,
        }
    )


def _order_flow(fields: Fields) -> OrderFlowRecord:
    decimals, ratio = decimals_of(fields, "quantity_decimals"), fields["imbalance_ratio"]
    volumes: Fields = {name: scaled(fields[column], decimals) for name, column in _VOLUMES.items()}
    flow = OrderFlow(
        imbalance_ratio=None if ratio is None else _normal(ratio),
        **volumes,
        **{name: fields[name] for name in _AS_IT_IS},
    )
    return OrderFlowRecord(*_window(fields), flow, fields["large_trades"], fields["absorption_events"])


def _gap_fields(record: GapRecord) -> Fields:
    gap = record.gap
    return {
        "id_kind": str(gap.id_kind or TIMES),
        "first_id": gap.first,
        "last_id": gap.last,
        "noticed_at": gap.at,
        "state": record.state,
        "reason": record.reason or None,
    }


def _gap(fields: Fields) -> GapRecord:
    if fields["state"] not in GAP_STATES:
        raise EntryError(f"state is {fields['state']!r}; expected one of {', '.join(GAP_STATES)}")
    ids = fields["first_id"], fields["last_id"]
    if ids[0] > ids[1]:
        raise EntryError("first_id is above last_id")
    gap = gap_of(fields["exchange"], fields["symbol"], fields["id_kind"], ids, fields["noticed_at"])
    return GapRecord(gap, fields["state"], fields["reason"] or "")


def _level_fields(mark: LevelMark) -> Fields:
    return attrs.asdict(mark) | {"kind": str(mark.kind)}


def _book_fields(record: BookRecord) -> Fields:
    prices, quantities = record.price_decimals, record.quantity_decimals

    def side(levels: Any) -> list[tuple[Decimal, Decimal]]:
        return [(to_decimal(price, prices), to_decimal(size, quantities)) for price, size in levels]

    return {
        "time": record.at,
        "sequence": record.sequence,
        "price_decimals": prices,
        "quantity_decimals": quantities,
        "bids": side(record.bids),
        "asks": side(record.asks),
    }


def _book(fields: Fields) -> BookRecord:
    prices, quantities = decimals_of(fields, "price_decimals"), decimals_of(fields, "quantity_decimals")

    def side(levels: Any) -> list[tuple[int, int]]:
        return [(scaled(price, prices), scaled(size, quantities)) for price, size in levels]

    return BookRecord(
        fields["exchange"], fields["symbol"], fields["time"], fields["sequence"], prices, quantities,
        side(fields["bids"]), side(fields["asks"]),
    )  # fmt: skip


_FIELDS: Mapping[str, Callable[[Any], Fields]] = {
    "bars": _bar_fields,
    "profiles": _profile_fields,
    "order_flow": _order_flow_fields,
    "gaps": _gap_fields,
    "levels": _level_fields,
    "books": _book_fields,
}
_ENTRIES: Mapping[str, Callable[[Fields], Entry]] = {
    "bars": _bar,
    "profiles": _profile,
    "order_flow": _order_flow,
    "gaps": _gap,
    "books": _book,
}
