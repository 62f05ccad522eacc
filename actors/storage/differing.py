"""Where two tellings of the same thing differ: field by field, as a person reads them."""

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import attrs

from actors.messages import BarRecord, OrderFlowRecord, ProfileRecord
from actors.storage.transfer import entries
from actors.storage.transfer.sheets import BARS, ORDER_FLOW, PROFILES, Sheet
from wadm.analytics.order_flow import order_flow
from wadm.analytics.profile import RowSizeError, profile
from wadm.bar import Bar
from wadm.numbers import plain

#: (field, as stored, as counted again)
Found = tuple[str, object, object]

#: What bars do not tell: how a record came about, and what rests on more than its own span.
_ABOUT = frozenset(
    {
        "revision",
        "partial",
        "packed",
        "cumulative_delta",
        "session_start",
        "large_trades",
        "absorption_events",
    }
)


def in_bars(stored: Bar, counted: Bar) -> Iterator[Found]:
    """Yield where two bars differ. How far delta went counts where both know, and orders in a first revision.

    A late trade's order is told apart from one that was counted before.
    """
    name = ("", "")
    yield from _in_rows(
        BARS, *(entries.row_of(BARS, BarRecord(*name, bar), name) for bar in (stored, counted))
    )
    scales = [max(stored.price_decimals, counted.price_decimals)]
    scales.append(max(stored.quantity_decimals, counted.quantity_decimals))
    ours, theirs = (_scaled(bar, *scales) for bar in (stored, counted))
    fields = ["open", "close"]
    if stored.exact_path and counted.exact_path:
        fields += ["delta_high", "delta_low"]
    for field in fields:
        if (one := getattr(ours, field)) != (other := getattr(theirs, field)):
            yield (f"{field} (time, id, price)" if field in ("open", "close") else field), one, other
    if not stored.revision and ours.orders.sizes and ours.orders != theirs.orders:
        yield "orders", len(ours.orders.largest), len(theirs.orders.largest)


def _scaled(bar: Bar, price_decimals: int, quantity_decimals: int) -> Bar:
    same = attrs.evolve(bar, orders=attrs.evolve(bar.orders))
    same.rescale(price_decimals, quantity_decimals)
    return same


def in_windows(stored: ProfileRecord | OrderFlowRecord, bar: Bar) -> Iterator[Found]:
    """Yield where a record differs from what the bar of its window makes."""
    name = stored.exchange, stored.symbol
    if isinstance(stored, OrderFlowRecord):
        again = attrs.evolve(stored, order_flow=order_flow(bar, bar))
        rows = (entries.row_of(ORDER_FLOW, one, name) for one in (stored, again))
        yield from _in_rows(ORDER_FLOW, *rows)
        return
    made = stored.profile
    try:
        remade = profile(bar, made.row_size, made.value_area, made.method)
    except RowSizeError as error:
        yield "row_size", plain(made.row_size), str(error)
        return
    rows = (entries.row_of(PROFILES, one, name) for one in (stored, attrs.evolve(stored, profile=remade)))
    yield from _in_rows(PROFILES, *rows)


def _in_rows(sheet: Sheet, stored: Any, counted: Any) -> Iterator[Found]:
    for column, one, other in zip(sheet.names, stored, counted, strict=True):
        if one == other or column in _ABOUT:
            continue
        if not isinstance(one, list):
            yield column, _told(one), _told(other)
            continue
        ours, theirs = {row[0]: row for row in one}, {row[0]: row for row in other}
        for price in sorted(ours.keys() | theirs.keys()):
            if ours.get(price) != theirs.get(price):
                yield f"{column} at {plain(price)}", _told(ours.get(price)), _told(theirs.get(price))


def _told(value: object) -> object:
    """Return a value as JSON has it."""
    if isinstance(value, tuple):
        return [_told(one) for one in value]
    return plain(value) if isinstance(value, Decimal) else value
