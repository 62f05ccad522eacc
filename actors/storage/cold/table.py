"""Bars and profiles as Arrow tables: what pandas, Polars and DuckDB show of a cold file.

Money is ``decimal128(38, 18)`` in every file, so that files of different days go together; a number of more
than 20 digits before its point, which no market has, is null there and exact in ``packed``.
"""

from array import array
from collections.abc import Sequence
from decimal import Decimal
from itertools import chain
from typing import Any

import pyarrow as pa

from wadm.analytics.profile import Profile
from wadm.bar import Bar
from wadm.numbers import MAX_DECIMALS, to_decimal

#: Digits of a decimal128.
_DIGITS = 38
_BOUND = 10 ** (_DIGITS - MAX_DECIMALS)

MONEY = pa.decimal128(_DIGITS, MAX_DECIMALS)
TIME = pa.timestamp("us", tz="UTC")
COUNT = pa.int64()

ROW = pa.struct(
    [("price", MONEY), ("buy", MONEY), ("sell", MONEY), ("buy_count", COUNT), ("sell_count", COUNT)]
)
NODE = pa.struct([("price", MONEY), ("volume", MONEY), ("buy", MONEY), ("sell", MONEY), ("count", COUNT)])

_PRICES = ("open", "high", "low", "close")
_VOLUMES = ("volume", "buy_volume", "sell_volume", "delta", "delta_high", "delta_low")

BARS = pa.schema(
    [
        pa.field("start_time", TIME, nullable=False),
        pa.field("end_time", TIME, nullable=False),
        *(pa.field(name, MONEY) for name in (*_PRICES, *_VOLUMES)),
        *(pa.field(name, COUNT, nullable=False) for name in ("trades", "buy_trades", "sell_trades")),
        pa.field("revision", COUNT, nullable=False),
        pa.field("partial", pa.bool_(), nullable=False),
        pa.field("rows", pa.list_(ROW), nullable=False),
        pa.field("packed", pa.binary(), nullable=False),
    ]
)

PROFILES = pa.schema(
    [
        pa.field("start_time", TIME, nullable=False),
        pa.field("end_time", TIME, nullable=False),
        *(pa.field(name, MONEY) for name in ("poc", "vah", "val")),
        *(pa.field(name, MONEY) for name in ("row_size", "volume", "value_area_volume", "value_area")),
        pa.field("method", pa.string(), nullable=False),
        pa.field("partial", pa.bool_(), nullable=False),
        pa.field("nodes", pa.list_(NODE), nullable=False),
    ]
)


def bars_table(bars: Sequence[Bar], packed: Sequence[bytes]) -> pa.Table:
    """Return bars, with their packed form, as a table."""
    return pa.Table.from_arrays([*_figures(bars), _rows(bars), pa.array(packed, pa.binary())], schema=BARS)


def _figures(bars: Sequence[Bar]) -> list[Any]:
    """Return the columns of one value a bar."""
    values: list[tuple[Any, list[object]]] = [
        (TIME, [bar.start for bar in bars]),
        (TIME, [bar.end for bar in bars]),
    ]
    values += [(MONEY, [_price(bar, getattr(bar, name)) for bar in bars]) for name in _PRICES]
    sides = [(bar.buy_volume, bar.sell_volume, bar) for bar in bars]
    values += [
        (MONEY, [_money(buy + sell, bar.quantity_decimals) for buy, sell, bar in sides]),
        (MONEY, [_money(buy, bar.quantity_decimals) for buy, _, bar in sides]),
        (MONEY, [_money(sell, bar.quantity_decimals) for _, sell, bar in sides]),
    ]
    values += [
        (MONEY, [_money(getattr(bar, name), bar.quantity_decimals) for bar in bars]) for name in _VOLUMES[3:]
    ]
    counts = [(bar.buy_trades, bar.sell_trades) for bar in bars]
    values += [
        (COUNT, [buys + sells for buys, sells in counts]),
        (COUNT, [buys for buys, _ in counts]),
        (COUNT, [sells for _, sells in counts]),
        (COUNT, [bar.revision for bar in bars]),
        (pa.bool_(), [bar.partial for bar in bars]),
    ]
    return [pa.array(column, kind) for kind, column in values]


def _price(bar: Bar, found: Any) -> Decimal | None:
    """Return a price of a bar: a number, or the mark of a trade."""
    scaled = found[2] if isinstance(found, tuple) else found
    return None if scaled is None else _money(scaled, bar.price_decimals)


def _rows(bars: Sequence[Bar]) -> Any:
    """Return the footprints as lists of rows, ascending by price."""
    footprints = [sorted(bar.rows.items()) for bar in bars]
    columns: list[Any] = []
    for place in range(3):
        runs = [
            _amounts(
                [price for price, _ in rows] if place == 0 else [row[place - 1] for _, row in rows],
                bar.quantity_decimals if place else bar.price_decimals,
            )
            for bar, rows in zip(bars, footprints, strict=True)
        ]
        columns.append(pa.concat_arrays(runs) if runs else pa.array([], MONEY))
    for side in (2, 3):
        counted = chain.from_iterable((row[side] for _, row in rows) for rows in footprints)
        columns.append(pa.array(list(counted), COUNT))
    return _lists(columns, ROW, [len(rows) for rows in footprints])


def _lists(columns: Sequence[Any], kind: Any, lengths: Sequence[int]) -> Any:
    """Return lists of structs of these lengths, one behind the other."""
    offsets = [0]
    for length in lengths:
        offsets.append(offsets[-1] + length)
    structs = pa.StructArray.from_arrays(columns, fields=list(kind))
    return pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), structs, type=pa.list_(kind))


def _amounts(scaled: Sequence[int], decimals: int) -> Any:
    """Return numbers of one scale as money. Where they fit 64 bits, Arrow scales them, and not Python."""
    try:
        whole = array("q", scaled)
    except OverflowError:
        return pa.array([_money(one, decimals) for one in scaled], MONEY)
    integers = pa.Array.from_buffers(COUNT, len(whole), [None, pa.py_buffer(whole)])
    wide = integers.cast(pa.decimal128(_DIGITS, 0))
    # The same 128 bits, read with the point where it belongs.
    placed = pa.Array.from_buffers(pa.decimal128(_DIGITS, decimals), len(wide), wide.buffers())
    return placed.cast(MONEY)


def _money(scaled: int, decimals: int) -> Decimal | None:
    """Return a number exactly, None where it has more digits than the column."""
    return _fitting(to_decimal(scaled, decimals))


def _fitting(number: Decimal | None) -> Decimal | None:
    return number if number is not None and abs(number) < _BOUND else None


def profile_table(start: int, end: int, made: Profile, *, partial: bool) -> pa.Table:
    """Return the profile of ``[start, end)`` (µs) as a table of one row."""
    decimals, rows = made.quantity_decimals, sorted(made.rows.items())
    sides = [(row[0], row[1]) for _, row in rows]

    def edge(row: int | None) -> Decimal | None:
        return None if row is None else _fitting(Decimal(made.price(row)))

    nodes = [
        pa.array([edge(number) for number, _ in rows], MONEY),
        _amounts([buy + sell for buy, sell in sides], decimals),
        _amounts([buy for buy, _ in sides], decimals),
        _amounts([sell for _, sell in sides], decimals),
        pa.array([row[2] + row[3] for _, row in rows], COUNT),
    ]
    figures: list[tuple[Any, object]] = [
        (TIME, start),
        (TIME, end),
        *((MONEY, edge(row)) for row in (made.poc, made.vah, made.val)),
        (MONEY, _fitting(made.row_size)),
        (MONEY, _money(sum(buy + sell for buy, sell in sides), decimals)),
        (MONEY, _money(made.value_area_volume, decimals)),
        (MONEY, made.value_area),
        (pa.string(), str(made.method)),
        (pa.bool_(), partial),
    ]
    columns = [pa.array([value], kind) for kind, value in figures]
    return pa.Table.from_arrays([*columns, _lists(nodes, NODE, [len(rows)])], schema=PROFILES)
