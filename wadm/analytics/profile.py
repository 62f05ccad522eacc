"""The volume profile: volume by row of price, its point of control and its value area.

``row = floor(price / row_size)``; rows are contiguous, rows without volume included, and a row is named by
its lower edge. The point of control (POC) is the row of most volume; a tie goes to the row nearest the
middle of the profile's range, then to the lower one. The value area starts at the POC and grows until it
holds its share of the volume:

- ``pair``: the next two rows above and the next two below are summed; the larger pair joins whole, a tie
  goes up; a side with fewer than two rows left offers what it has (J. Dalton, *Mind Over Markets*, App. 1).
- ``single_row``: one row at a time by the same comparison (CBOT, *Market Profile*).
"""

import hashlib
from bisect import bisect_left, bisect_right
from collections.abc import Mapping, Sequence
from decimal import ROUND_CEILING, Decimal
from enum import StrEnum
from fractions import Fraction
from functools import cached_property

import attrs

from wadm.bar import Bar, Row
from wadm.numbers import from_decimal, plain, plain_scaled

ALGORITHM = "volume-profile/1"

DEFAULT_VALUE_AREA = Decimal("0.7")

#: More rows than this between low and high are refused: no reader and no screen has a use for them.
MAX_ROWS = 2_000_000


class RowSizeError(ValueError):
    """A row size that does not fit the symbol's tick or the span of prices."""


class ValueAreaMethod(StrEnum):
    """How the value area grows."""

    PAIR = "pair"
    SINGLE_ROW = "single_row"


@attrs.frozen
class Profile:
    """A volume profile. Row numbers count ``row_size``; volumes are scaled by ``10**quantity_decimals``.

    ``poc``, ``vah`` and ``val`` are row numbers, None where nothing was traded.
    """

    row_size: Decimal
    quantity_decimals: int
    rows: Mapping[int, Row]
    poc: int | None
    vah: int | None
    val: int | None
    value_area_volume: int
    value_area: Decimal
    method: ValueAreaMethod

    def price(self, row: int) -> str:
        """Return the lower edge of a row in plain notation."""
        size, decimals = self._scaled_size
        return plain_scaled(row * size, decimals)

    @cached_property
    def _scaled_size(self) -> tuple[int, int]:
        return from_decimal(self.row_size)

    def volume(self, scaled: int) -> str:
        """Return a scaled volume in plain notation."""
        return plain_scaled(scaled, self.quantity_decimals)

    def sha256(self) -> str:
        """Return the digest of the lines ``row,buy,sell,count``, ascending, of the rows that traded."""
        lines = [
            f"{self.price(number)},{self.volume(buy)},{self.volume(sell)},{buys + sells}\n"
            for number, (buy, sell, buys, sells) in sorted(self.rows.items())
        ]
        return hashlib.sha256("".join(lines).encode()).hexdigest()


def check_row_size(row_size: Decimal, tick: Decimal | None) -> None:
    """Raise RowSizeError unless ``row_size`` is a positive multiple of the tick, where that is known."""
    if not row_size.is_finite() or row_size <= 0:
        raise RowSizeError(f"row_size {row_size:f} is not positive")
    if tick and Fraction(row_size) % Fraction(tick):
        raise RowSizeError(f"row_size {plain(row_size)} is not a multiple of the tick {plain(tick)}")


def profile(
    bar: Bar,
    row_size: Decimal,
    value_area: Decimal = DEFAULT_VALUE_AREA,
    method: ValueAreaMethod = ValueAreaMethod.PAIR,
) -> Profile:
    """Return the profile of a bar at ``row_size``, near-linear in the bar's prices.

    Raises RowSizeError where low to high would be more than MAX_ROWS rows.
    """
    rows = rows_of(bar, row_size)
    if not rows:
        return Profile(row_size, bar.quantity_decimals, rows, None, None, None, 0, value_area, method)
    low, high = min(rows), max(rows)
    if high - low >= MAX_ROWS:
        raise RowSizeError(
            f"row_size {plain(row_size)} gives {high - low + 1} rows from low to high; "
            f"at most {MAX_ROWS} are served: ask for larger rows"
        )
    volumes = {number: row[0] + row[1] for number, row in rows.items()}
    most = max(volumes.values())
    tied = (number for number, volume in volumes.items() if volume == most)
    poc = min(tied, key=lambda number: (abs(2 * number - low - high), number))
    step = 2 if method is ValueAreaMethod.PAIR else 1
    val, vah, volume = _grow(volumes, poc, value_area, step)
    return Profile(row_size, bar.quantity_decimals, rows, poc, vah, val, volume, value_area, method)


def rows_of(bar: Bar, row_size: Decimal) -> dict[int, Row]:
    """Return the bar's prices gathered into rows of ``row_size``."""
    size, decimals = from_decimal(row_size)
    if bar.price_decimals > decimals:
        size *= 10 ** (bar.price_decimals - decimals)
    factor = 10 ** max(0, decimals - bar.price_decimals)
    rows: dict[int, Row] = {}
    for price, seen in bar.rows.items():
        number = price * factor // size
        row = rows.get(number)
        if row is None:
            rows[number] = seen
        else:
            buy, sell, buys, sells = row
            more_buy, more_sell, more_buys, more_sells = seen
            rows[number] = buy + more_buy, sell + more_sell, buys + more_buys, sells + more_sells
    return rows


def _grow(volumes: Mapping[int, int], poc: int, share: Decimal, step: int) -> tuple[int, int, int]:
    """Return ``(lowest row, highest row, volume)`` of the value area. See the module's text for the rule."""
    numerator, denominator = share.as_integer_ratio()
    target = sum(volumes.values()) * numerator
    traded = sorted(volumes)
    low, high = traded[0], traded[-1]
    bottom = top = poc
    volume = volumes[poc]
    while volume * denominator < target and (bottom > low or top < high):
        upper = range(top + 1, min(top + step, high) + 1)
        lower = range(max(bottom - step, low), bottom)
        above = sum(volumes.get(row, 0) for row in upper)
        below = sum(volumes.get(row, 0) for row in lower)
        if not above and not below:
            # Nothing on either side: the rule walks up (down from the top) to what traded next. Go at once.
            top, bottom = _past_empty(traded, top, bottom, step)
        elif upper and (not lower or above >= below):
            top, volume = upper[-1], volume + above
        else:
            bottom, volume = lower[0], volume + below
    return bottom, top, volume


def _past_empty(traded: Sequence[int], top: int, bottom: int, step: int) -> tuple[int, int]:
    """Return ``(top, bottom)`` after the steps that join only empty rows, and at least one step."""
    if top < traded[-1]:
        gap = traded[bisect_right(traded, top)] - top - 1
        return min(top + max(gap // step, 1) * step, traded[-1]), bottom
    gap = bottom - traded[bisect_left(traded, bottom) - 1] - 1
    return top, max(bottom - max(gap // step, 1) * step, traded[0])


def readable_row_size(
    low: int, high: int, price_decimals: int, tick: Decimal | None, rows: int = 40
) -> Decimal:
    """Return the smallest 1, 2 or 5 times a power of ten that shows ``low``..``high`` in about ``rows`` rows.

    Prices are scaled by ``10**price_decimals``. The result is a multiple of the tick where that is known.
    """
    unit = tick or Decimal(1).scaleb(-price_decimals)
    least = max(Decimal(high - low).scaleb(-price_decimals) / rows, unit)
    step = Decimal(1).scaleb(least.adjusted())
    for factor in (1, 2, 5, 10):
        if step * factor >= least:
            size = step * factor
            break
    return (size / unit).to_integral_value(ROUND_CEILING) * unit
