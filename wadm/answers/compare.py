"""``compare``: one symbol on several exchanges. No ``Question``, for it has several instruments.

Whoever serves it calls ``read``, fetches the material of the same window of each exchange, and ``respond``.
"""

from collections.abc import Callable, Mapping, Sequence

import attrs

from wadm import views
from wadm.analytics.compare import ALGORITHM, Comparison, Source, common_tick, compare, together
from wadm.analytics.profile import RowSizeError
from wadm.analytics.vwap import Vwap
from wadm.answers import profile
from wadm.answers.asking import SESSION, WINDOW, Asked, read_values, written
from wadm.answers.asking import read as read_question
from wadm.answers.parameters import AUTO_ROW_SIZE, METHOD, VALUE_AREA
from wadm.answers.question import Material, Values
from wadm.bar import Bar
from wadm.instants import iso
from wadm.market import Instrument
from wadm.numbers import plain, plain_fraction, plain_scaled
from wadm.questions import MissingParameter, QuestionError, UnknownParameter, UnknownSymbol, nearest

NAME = "compare"
TITLE = "One symbol on several exchanges: volume, share, VWAP, last price, delta and POC of each and of all"
PARAMETERS = (AUTO_ROW_SIZE, VALUE_AREA, METHOD)
#: What is read of each exchange: its bar.
_BARS = attrs.evolve(profile.QUESTION, parameters=(), default_timeframe="1h")


@attrs.frozen
class Compared:
    """A comparison as it was asked: the same window of each exchange that follows the symbol."""

    instrument: Instrument
    values: Values
    asked: Sequence[Asked]


def read(
    given: Mapping[str, str], instruments: Mapping[str, Instrument], market_time: Callable[[str], int]
) -> Compared:
    """Read a comparison; ``market_time`` tells how far a symbol (``exchange:SYMBOL``) is known (µs).

    Raises QuestionError.
    """
    symbol = given.get("symbol", "").upper()
    followed = {one.key: one for one in instruments.values() if one.symbol == symbol}
    if not followed:
        known = sorted({one.symbol for one in instruments.values()})
        if not symbol:
            raise MissingParameter("symbol", None, f"one of {', '.join(known[:12])}")
        raise UnknownSymbol("symbol", symbol, nearest(symbol, known))
    names = [one.name for one in PARAMETERS]
    _check(given, names)
    common = instrument_of(symbol, list(followed.values()))
    window = {name: value for name, value in given.items() if name not in names}
    asked = [
        read_question(_BARS, {**window, "exchange": one.exchange}, followed) for one in followed.values()
    ]
    span = asked[0].span(max(market_time(key) for key in followed))
    return Compared(
        common,
        read_values(PARAMETERS, given, common),
        [attrs.evolve(one, start=span.start, end=span.end) for one in asked],
    )


def _check(given: Mapping[str, str], names: Sequence[str]) -> None:
    known = [*(name for name in WINDOW if name != "exchange"), *names]
    for name, value in given.items():
        if name not in known:
            raise UnknownParameter(name, value, nearest(name, known))


def respond(compared: Compared, materials: Sequence[Material]) -> dict[str, object]:
    """Return the whole answer, with the coverage of each exchange."""
    span = materials[0].span
    return {
        "symbol": compared.instrument.symbol,
        "timeframe": compared.asked[0].timeframe,
        "start": iso(span.start),
        "end": iso(span.end),
        **({SESSION: str(span.session)} if span.timeframe == SESSION else {}),
        "algorithm": ALGORITHM,
        "parameters": {name: written(value) for name, value in compared.values.items()},
        **answer(
            {one.instrument.exchange: one.bar for one in materials}, compared.instrument, compared.values
        ),
        "coverage": {one.instrument.exchange: one.coverage.answer() for one in materials},
    }


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
        "mean_last_price": plain_fraction(made.mean_last),
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
        "share": plain_fraction(one.share),
        "vwap": _vwap(one.vwap),
        "last_price": None if bar.close is None else plain_scaled(bar.close[2], bar.price_decimals),
        "last_price_difference": plain_fraction(one.difference),
        "last_price_difference_bps": plain_fraction(share_of_mean, 4),
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
