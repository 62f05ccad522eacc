"""The developing profile: POC, VAH and VAL as they stood at each step's close while a window was open."""

from collections.abc import Iterator, Sequence
from decimal import Decimal

import attrs

from wadm.analytics.profile import Profile, ValueAreaMethod, profile, rows_of
from wadm.bar import Bar
from wadm.numbers import from_decimal

ALGORITHM = "developing-profile/1"


@attrs.frozen
class Development:
    """The profile of everything from the window's start to ``at`` (µs)."""

    at: int
    profile: Profile


def developing(
    minutes: Sequence[Bar],
    start: int,
    end: int,
    *,
    step: int,
    row_size: Decimal,
    value_area: Decimal,
    method: ValueAreaMethod,
) -> Iterator[Development]:
    """Yield the profile at each step's end (``step`` µs, counted from ``start``) at which something traded.

    ``minutes`` are the one-minute bars of ``[start, end)``, ascending. The last step is cut at ``end``.
    A step costs its own prices and the rows so far, not all prices so far.
    Raises RowSizeError where there would be too many rows.
    """
    so_far = Bar(start, end)
    at = start + step
    traded = False
    for bar in minutes:
        while bar.start >= at:
            if traded:
                yield Development(at, profile(so_far, row_size, value_area, method))
            at, traded = at + step, False
        so_far.absorb(_by_rows(bar, row_size))
        traded = traded or bool(bar.rows)
    if traded:
        yield Development(min(at, end), profile(so_far, row_size, value_area, method))


def _by_rows(bar: Bar, row_size: Decimal) -> Bar:
    """Return a bar's volume with each price at the lower edge of its row."""
    size, decimals = from_decimal(row_size)
    rows = {number * size: row for number, row in rows_of(bar, row_size).items()}
    return Bar(bar.start, bar.end, decimals, bar.quantity_decimals, rows)
