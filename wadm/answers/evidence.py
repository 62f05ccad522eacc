"""What a signal was seen by: the numbers behind absorption, exhaustion and CVD divergence."""

from collections.abc import Sequence
from fractions import Fraction

from wadm import views
from wadm.analytics.absorption import Absorption
from wadm.analytics.divergence import Divergence
from wadm.analytics.exhaustion import Exhaustion
from wadm.analytics.profile import Profile
from wadm.bar import Bar
from wadm.instants import iso
from wadm.numbers import plain_fraction, plain_or_none, plain_scaled, ratio

#: Decimals of a median or mean volume beyond those of the volumes; rounded half to even.
PLACES = 4


def absorbed(bar: Bar, made: Profile, one: Absorption) -> dict[str, object]:
    """Say what a row of a bar took, and what that was compared with."""
    numbers = views.candle(bar)
    return {
        "price": made.price(one.row),
        "volume": made.volume(one.volume),
        "delta": made.volume(one.delta),
        "median_row_volume": _volume(one.median, made),
        "volume_over_median": plain_fraction(one.volume / one.median),
        "delta_over_volume": plain_fraction(Fraction(abs(one.delta), one.volume)),
        "open": numbers["open"],
        "close": numbers["close"],
        "moved_rows": plain_fraction(one.moved),
    }


def dried_up(bar: Bar, made: Profile, one: Exhaustion) -> dict[str, object]:
    """Say which rows of a bar dried up towards its extreme."""
    numbers = views.candle(bar)
    return {
        "price": numbers["high"] if one.side == "buy" else numbers["low"],
        "beyond": plain_scaled(one.beyond, one.price_decimals),
        "delta": numbers["delta"],
        "rows": [
            {"price": made.price(row), "volume": made.volume(volume)}
            for row, volume in zip(one.rows, one.volumes, strict=True)
        ],
        "mean_row_volume": _volume(one.mean, made),
    }


def diverged(bars: Sequence[Bar], one: Divergence, known_until: int) -> dict[str, object]:
    """Say which two swings disagree; ``known_until`` (µs) tells whether the later one is confirmed."""
    earlier, later, confirmed = bars[one.earlier], bars[one.later], bars[one.confirmed]
    return {
        "direction": one.kind,
        "earlier_start": iso(earlier.start),
        "earlier_price": plain_scaled(one.prices[0], one.price_decimals),
        "price": plain_scaled(one.prices[1], one.price_decimals),
        "cvd_change": plain_scaled(one.cvd_change, one.quantity_decimals),
        "delta": plain_scaled(later.delta, later.quantity_decimals),
        "confirmed_at": iso(confirmed.end),
        "confirmed": confirmed.end <= known_until and not confirmed.partial,
    }


def _volume(scaled: Fraction, made: Profile) -> str | None:
    """Return a scaled volume to PLACES decimals beyond those of the volumes."""
    decimals = made.quantity_decimals
    found = ratio(scaled.numerator, scaled.denominator * 10**decimals, decimals + PLACES)
    return plain_or_none(found)
