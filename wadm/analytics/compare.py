"""One symbol on several exchanges: the same window of each beside the others, and all of it together.

Volumes are in base units on every exchange that is followed (inverse contracts, which count in quote units,
are not), so that they add up. A share is of the volume of all. ``mean_last`` is the mean of the last prices,
weighted by the volumes of the window: an exchange without trades has no say in it. The merged profile is made
of every exchange's exact prices at one row size, which is a multiple of every tick (see ``common_tick``).

What depends on the order of trades (open, close, the extremes of delta) has no meaning over exchanges whose
clocks differ: the merged bar has none of it.
"""

from collections.abc import Iterable, Mapping
from decimal import Decimal
from fractions import Fraction
from math import lcm

import attrs

from wadm import bar as bars
from wadm.analytics.profile import DEFAULT_VALUE_AREA, Profile, ValueAreaMethod, profile
from wadm.analytics.vwap import Vwap, vwap
from wadm.bar import Bar
from wadm.numbers import from_decimal, to_decimal

ALGORITHM = "compare/1"


@attrs.frozen
class Source:
    """What one exchange had of it. ``share`` is None where nothing was traded anywhere.

    ``last`` is the last price, ``difference`` how far it lies above ``mean_last``; both in quote units.
    """

    exchange: str
    bar: Bar
    profile: Profile
    share: Fraction | None
    vwap: Vwap | None
    last: Fraction | None
    difference: Fraction | None


@attrs.frozen
class Comparison:
    """The exchanges, most volume first, then by name; and their merge, which has no open and no close."""

    sources: tuple[Source, ...]
    merged: Bar
    profile: Profile
    vwap: Vwap | None
    mean_last: Fraction | None


def compare(
    found: Mapping[str, Bar],
    row_size: Decimal,
    value_area: Decimal = DEFAULT_VALUE_AREA,
    method: ValueAreaMethod = ValueAreaMethod.PAIR,
) -> Comparison:
    """Return the bars of one window, by exchange, compared. There is at least one.

    Raises RowSizeError where there would be too many rows.
    """
    merged = together(found.values())
    volumes = {exchange: volume(bar) for exchange, bar in found.items()}
    total = sum(volumes.values(), Fraction())
    lasts = {exchange: last for exchange, bar in found.items() if (last := last_price(bar)) is not None}
    mean = (
        sum((volumes[exchange] * last for exchange, last in lasts.items()), Fraction()) / total
        if total
        else None
    )

    def source(exchange: str) -> Source:
        bar, last = found[exchange], lasts.get(exchange)
        return Source(
            exchange,
            bar,
            profile(bar, row_size, value_area, method),
            volumes[exchange] / total if total else None,
            vwap(bar),
            last,
            None if last is None or mean is None else last - mean,
        )

    names = sorted(found, key=lambda exchange: (-volumes[exchange], exchange))
    made = profile(merged, row_size, value_area, method)
    return Comparison(tuple(map(source, names)), merged, made, vwap(merged), mean)


def together(found: Iterable[Bar]) -> Bar:
    """Return bars of one window merged, without open and close: their ids are of different kinds."""
    unmarked = [attrs.evolve(bar, open=None, close=None) for bar in found]
    merged = bars.merge(unmarked, unmarked[0].start, unmarked[0].end)
    merged.delta_high = merged.delta_low = 0
    merged.exact_path = False
    return merged


def volume(bar: Bar) -> Fraction:
    """Return everything traded, in base units."""
    return Fraction(bar.buy_volume + bar.sell_volume, 10**bar.quantity_decimals)


def last_price(bar: Bar) -> Fraction | None:
    """Return the last price in quote units, None where nothing was traded."""
    return None if bar.close is None else Fraction(bar.close[2], 10**bar.price_decimals)


def common_tick(ticks: Iterable[Decimal | None]) -> Decimal | None:
    """Return the smallest number that every tick divides, None where none is known."""
    known = [from_decimal(tick) for tick in ticks if tick]
    if not known:
        return None
    decimals = max(one for _, one in known)
    return to_decimal(lcm(*(scaled * 10 ** (decimals - one) for scaled, one in known)), decimals)
