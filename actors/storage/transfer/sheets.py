"""The tables that data travels in: their names, their columns, and what stands in each."""

from decimal import Decimal
from enum import Enum

import attrs

#: A cell: times are µs inside, ISO 8601 or timestamps in a file; a list holds tuples of cells.
Cell = str | int | bool | bytes | Decimal | list[tuple["Cell", ...]] | None
Row = tuple[Cell, ...]


class Form(Enum):
    """What a column holds; its value is what a person is told was expected there."""

    TEXT = "text"
    WHOLE = "a whole number"
    EXACT = "a plain decimal number"
    MOMENT = "an ISO 8601 time in UTC"
    SWITCH = "true or false"
    BYTES = "base64"
    LIST = "a JSON list of rows"


@attrs.frozen
class Column:
    """A column; ``optional`` ones may be empty. ``items`` are the columns of the rows in a LIST."""

    name: str
    form: Form
    optional: bool = False
    items: tuple["Column", ...] = ()


@attrs.frozen
class Sheet:
    """A table. ``time`` names the column that a range is cut by; None where there is no such thing."""

    name: str
    columns: tuple[Column, ...]
    time: str | None = "start_time"

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the columns, in their order."""
        return tuple(column.name for column in self.columns)

    def place(self, name: str) -> int:
        """Return the place of a column."""
        return self.names.index(name)


def _columns(form: Form, names: str, *, optional: bool = False) -> tuple[Column, ...]:
    return tuple(Column(name, form, optional) for name in names.split())


_NAME = _columns(Form.TEXT, "exchange symbol")
_SPAN = _columns(Form.MOMENT, "start_time end_time")
_WINDOW = (
    *_NAME,
    *_columns(Form.TEXT, "timeframe"),
    *_SPAN,
    *_columns(Form.WHOLE, "revision"),
    *_columns(Form.SWITCH, "partial"),
)
_SIDES = (
    *_columns(Form.EXACT, "price buy_volume sell_volume"),
    *_columns(Form.WHOLE, "buy_trades sell_trades"),
)
_DEPTH = _columns(Form.EXACT, "price quantity")

#: ``side`` is the taker's; ``count`` is how many trades a record stands for.
TRADES = Sheet(
    "trades",
    (
        *_NAME,
        *_columns(Form.TEXT, "id_kind trade_id"),
        *_columns(Form.MOMENT, "time"),
        *_columns(Form.EXACT, "price quantity"),
        *_columns(Form.TEXT, "side"),
        *_columns(Form.WHOLE, "count price_decimals quantity_decimals"),
    ),
    "time",
)

#: One-minute bars. ``rows`` is the footprint; ``packed`` the whole bar in this program's own form.
BARS = Sheet(
    "bars",
    (
        *_NAME,
        *_SPAN,
        *_columns(Form.EXACT, "open high low close", optional=True),
        *_columns(Form.EXACT, "volume buy_volume sell_volume delta"),
        *_columns(Form.WHOLE, "trades revision"),
        *_columns(Form.SWITCH, "partial"),
        Column("rows", Form.LIST, items=_SIDES),
        *_columns(Form.BYTES, "packed"),
    ),
)

PROFILES = Sheet(
    "profiles",
    (
        *_WINDOW,
        *_columns(Form.EXACT, "row_size"),
        *_columns(Form.EXACT, "poc vah val", optional=True),
        *_columns(Form.EXACT, "volume value_area_volume value_area"),
        *_columns(Form.TEXT, "method"),
        *_columns(Form.WHOLE, "quantity_decimals"),
        Column("nodes", Form.LIST, items=_SIDES),
    ),
)

ORDER_FLOW = Sheet(
    "order_flow",
    (
        *_WINDOW,
        *_columns(
            Form.EXACT,
            "buy_volume sell_volume delta delta_high delta_low cumulative_delta",
        ),
        *_columns(Form.MOMENT, "session_start"),
        *_columns(Form.EXACT, "imbalance_ratio", optional=True),
        *_columns(Form.WHOLE, "buy_trades sell_trades quantity_decimals"),
        *_columns(Form.SWITCH, "exact_path"),
        *_columns(Form.WHOLE, "large_trades absorption_events", optional=True),
    ),
)

#: Ids that are missing; where ``id_kind`` is "time" trades are suspected missing between two times (µs).
GAPS = Sheet(
    "gaps",
    (
        *_NAME,
        *_columns(Form.TEXT, "id_kind"),
        *_columns(Form.WHOLE, "first_id last_id"),
        *_columns(Form.MOMENT, "noticed_at"),
        *_columns(Form.TEXT, "state"),
        *_columns(Form.TEXT, "reason", optional=True),
    ),
    "noticed_at",
)

LEVELS = Sheet(
    "levels",
    (
        *_NAME,
        *_columns(Form.TEXT, "kind"),
        *_columns(Form.EXACT, "price strength volume"),
        *_columns(Form.WHOLE, "touches"),
        *_columns(Form.MOMENT, "last_touch", optional=True),
    ),
    None,
)

#: The top of an order book, best first.
BOOKS = Sheet(
    "books",
    (
        *_NAME,
        *_columns(Form.MOMENT, "time"),
        *_columns(Form.WHOLE, "sequence price_decimals quantity_decimals"),
        Column("bids", Form.LIST, items=_DEPTH),
        Column("asks", Form.LIST, items=_DEPTH),
    ),
    "time",
)

SHEETS = {sheet.name: sheet for sheet in (TRADES, BARS, PROFILES, ORDER_FLOW, GAPS, LEVELS, BOOKS)}
