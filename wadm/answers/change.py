"""How far price went in a window, as several questions answer it."""

from fractions import Fraction

from wadm.bar import Bar
from wadm.numbers import plain_or_none, plain_scaled, ratio


def change(bar: Bar) -> dict[str, str | None]:
    """Return the change from open to close and the range from low to high, each also in percent of the open.

    Null where nothing was traded; percentages are rounded half to even to 8 decimals.
    """
    if bar.open is None or bar.close is None or bar.high is None or bar.low is None:
        return dict.fromkeys(("change", "change_percent", "range", "range_percent"))
    opened, went, span = bar.open[2], bar.close[2] - bar.open[2], bar.high - bar.low
    return {
        "change": plain_scaled(went, bar.price_decimals),
        "change_percent": _percent(went, opened),
        "range": plain_scaled(span, bar.price_decimals),
        "range_percent": _percent(span, opened),
    }


def _percent(part: int, whole: int) -> str | None:
    found = ratio(100 * part, whole)
    return plain_or_none(found)


def base_volume(bar: Bar) -> Fraction:
    """Return the volume of a bar in base units."""
    return Fraction(bar.buy_volume + bar.sell_volume, 10**bar.quantity_decimals)
