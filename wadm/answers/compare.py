"""``compare``: one symbol on several exchanges. No ``Question``, for it has several instruments.

Whoever serves it reads ``PARAMETERS`` against ``instrument_of(…)``, whose tick every row size must be a
multiple of, fetches the bar of the same window of each exchange, and puts ``answer`` into its heading.
"""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from fractions import Fraction

from wadm import views
from wadm.analytics.compare import ALGORITHM, Comparison, Source, common_tick, compare, together
from wadm.analytics.profile import RowSizeError
from wadm.analytics.vwap import Vwap
from wadm.answers import profile
from wadm.answers.parameters import AUTO_ROW_SIZE, METHOD, VALUE_AREA
from wadm.answers.question import Values
from wadm.bar import Bar
from wadm.market import Instrument
from wadm.numbers import plain, plain_scaled, ratio
from wadm.questions import QuestionError

NAME = "compare"
PARAMETERS = (AUTO_ROW_SIZE, VALUE_AREA, METHOD)
__all__ = ["ALGORITHM", "NAME", "PARAMETERS", "answer", "instrument_of"]


def instrument_of(symbol: str, instruments: Sequence[Instrument]) -> Instrument:
    """Return a symbol as it is on all these exchanges together: at the tick they have in common."""
    return Instrument("", symbol, common_tick(one.tick for one in instruments))


def answer(found: Mapping[str, Bar], instrument: Instrument, values: Values) -> dict[str, object]:
    """Return what is particular to the comparison; heading, parameters and coverages are the caller's.

    ``found`` are the bars of one window by exchange, at least one; ``instrument`` is ``instrument_of(…)``;
    ``values`` are those of PARAMETERS, read. Raises QuestionError for the row size.
    """
    size = profile.row_size_of(values["row_size"], instrument, together(found.values()))
    try:
        made = compare(found, size, values["value_area"], values["method"])
    except RowSizeError as error:
        raise QuestionError("row_size", plain(size), f"larger rows, or auto: {error}") from error
    return {
        "volume_unit": "base",
        "row_size": plain(size),
        "mean_last_price": _rounded(made.mean_last),
        "exchanges": [_source(one, made) for one in made.sources],
        "all": _all(made),
    }


def _source(one: Source, made: Comparison) -> dict[str, object]:
    bar, share_of_mean = one.bar, None
    if one.difference is not None and made.mean_last:
        share_of_mean = one.difference / made.mean_last * 10_000
    return {
        "exchange": one.exchange,
        **_volumes(bar),
        "share": _rounded(one.share),
        "vwap": _vwap(one.vwap),
        "last_price": None if bar.close is None else plain_scaled(bar.close[2], bar.price_decimals),
        "last_price_difference": _rounded(one.difference),
        "last_price_difference_bps": _rounded(share_of_mean, 4),
        **views.value_area(one.profile),
    }


def _all(made: Comparison) -> dict[str, object]:
    rows = made.profile.rows
    return {
        **_volumes(made.merged),
        "vwap": _vwap(made.vwap),
        **views.value_area(made.profile),
        "rows": views.rows(made.profile, sorted(rows)),
    }


def _volumes(bar: Bar) -> dict[str, object]:
    decimals = bar.quantity_decimals
    return {
        "trades": bar.buy_trades + bar.sell_trades,
        "volume": plain_scaled(bar.buy_volume + bar.sell_volume, decimals),
        "buy_volume": plain_scaled(bar.buy_volume, decimals),
        "sell_volume": plain_scaled(bar.sell_volume, decimals),
        "delta": plain_scaled(bar.delta, decimals),
    }


def _vwap(found: Vwap | None) -> str | None:
    return None if found is None else plain(found.vwap)


def _rounded(value: Fraction | None, places: int = 8) -> str | None:
    if value is None:
        return None
    return plain(ratio(value.numerator, value.denominator, places) or Decimal(0))
