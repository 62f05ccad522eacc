"""The volume-weighted average price since an anchor, and its bands.

VWAP = Σ price·volume / Σ volume; its variance, weighted by volume, is Σ volume·price² / Σ volume - VWAP².
A band lies so many standard deviations from it. Taken from exact prices, not from rows: a bar holds every
price with its volume, so that no trade has to be looked at again.
"""

from collections.abc import Sequence
from decimal import Decimal
from fractions import Fraction
from math import isqrt

import attrs

from wadm.bar import Bar
from wadm.numbers import from_decimal, to_decimal

ALGORITHM = "vwap/1"

#: Decimals of answers beyond those of the prices; rounded half to even, bands from the rounded deviation.
PLACES = 4


@attrs.frozen
class Vwap:
    """VWAP and standard deviation in quote units, rounded to the price's decimals plus PLACES."""

    vwap: Decimal
    deviation: Decimal

    def band(self, deviations: Decimal) -> tuple[Decimal, Decimal]:
        """Return the lower and the upper edge of a band, in full: nothing more is rounded."""
        (mean, decimals), (one, finer) = from_decimal(self.vwap), from_decimal(self.deviation)
        times, finest = from_decimal(deviations)
        places = max(decimals, finer + finest)
        middle, away = mean * 10 ** (places - decimals), one * times * 10 ** (places - finer - finest)
        return to_decimal(middle - away, places), to_decimal(middle + away, places)


def vwap(bar: Bar) -> Vwap | None:
    """Return the VWAP of a bar, None where nothing was traded."""
    weights: Sequence[tuple[int, int]] = [(price, row[0] + row[1]) for price, row in bar.rows.items()]
    volume = sum(weight for _, weight in weights)
    if not volume:
        return None
    first = sum(price * weight for price, weight in weights)
    second = sum(price * price * weight for price, weight in weights)
    places = bar.price_decimals + PLACES
    mean = Fraction(first, volume)
    variance = Fraction(second, volume) - mean * mean
    return Vwap(
        to_decimal(round(mean * 10**PLACES), places),
        to_decimal(_root(variance * 10 ** (2 * PLACES)), places),
    )


def _root(square: Fraction) -> int:
    """Return the square root, rounded to the nearest whole number."""
    down = isqrt(square.numerator // square.denominator)
    return down + (square > Fraction(2 * down + 1, 2) ** 2)
