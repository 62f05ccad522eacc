"""Questions about the market, read from the text a person, a program or an agent wrote.

Every door (HTTP, MCP, the command line) reads its parameters here, so that the same mistake gets the same
sentence everywhere.
"""

from collections.abc import Iterable, Mapping
from decimal import Decimal
from difflib import get_close_matches

import attrs

from wadm.analytics.profile import DEFAULT_VALUE_AREA, RowSizeError, ValueAreaMethod, check_row_size
from wadm.instants import parse_instant
from wadm.market import MINUTE, Instrument
from wadm.mistakes import Mistake
from wadm.numbers import NumberError, parse, plain, to_decimal
from wadm.timeframes import TIMEFRAMES


class QuestionError(Mistake):
    """A question that cannot be answered as it was asked. ``str()`` is a sentence for the asker.

    ``code`` is stable and for programs; ``status`` is the HTTP status that means the same.
    """

    status = 422
    code = "bad_value"

    def __init__(self, parameter: str, value: str | None, expected: str) -> None:
        got = "is missing" if value is None else f"is {value[:80]!r}"
        super().__init__(f"{parameter} {got}; expected {expected}.")
        self.parameter, self.value, self.expected = parameter, value, expected


class MissingParameter(QuestionError):
    """Something the question needs was not given."""

    status = 400
    code = "missing_parameter"


class ConflictingParameters(QuestionError):
    """Two parameters that exclude each other were given."""

    status = 400
    code = "conflicting_parameters"


class UnknownParameter(QuestionError):
    """A parameter that this question does not have."""

    status = 400
    code = "unknown_parameter"


class UnknownExchange(QuestionError):
    """An exchange this daemon does not follow."""

    status = 404
    code = "unknown_exchange"


class UnknownSymbol(QuestionError):
    """A symbol this daemon does not follow on that exchange."""

    status = 404
    code = "unknown_symbol"


class Unavailable(QuestionError):
    """The answer cannot be had at the moment; the same question may be asked again."""

    status = 503
    code = "unavailable"

    def __init__(self, what: str, why: str) -> None:
        Exception.__init__(self, f"{what} is not available: {why}. Ask again shortly.")
        self.parameter, self.value, self.expected = what, None, why


#: The parameters of a question about a window.
PARAMETERS = ("exchange", "symbol", "timeframe", "start", "end", "row_size", "value_area", "method")


@attrs.frozen
class Window:
    """Which trades are meant, and how the profile of them is to be made.

    Either ``timeframe`` (its current window) or ``start`` and ``end`` (µs) is set; all three may be None
    where everything stored is meant.
    """

    instrument: Instrument
    timeframe: str | None
    start: int | None
    end: int | None
    row_size: Decimal | None
    value_area: Decimal
    method: ValueAreaMethod


def find_instrument(
    exchange: str | None, symbol: str | None, instruments: Mapping[str, Instrument]
) -> Instrument:
    """Return the instrument named, or say which there are."""
    exchanges = sorted({instrument.exchange for instrument in instruments.values()})
    if not exchange:
        raise MissingParameter("exchange", None, _one_of(exchanges))
    if exchange not in exchanges:
        raise UnknownExchange("exchange", exchange, _nearest(exchange, exchanges))
    symbols = sorted(one.symbol for one in instruments.values() if one.exchange == exchange)
    if not symbol:
        raise MissingParameter("symbol", None, _one_of(symbols))
    found = instruments.get(f"{exchange}:{symbol.upper()}")
    if found is None:
        raise UnknownSymbol("symbol", symbol, _nearest(symbol.upper(), symbols))
    return found


def read_window(
    given: Mapping[str, str], instruments: Mapping[str, Instrument], *, everything: bool = False
) -> Window:
    """Read a question about a window. ``everything`` allows it to name no window at all."""
    for name in given:
        if name not in PARAMETERS:
            raise UnknownParameter(name, given[name], _nearest(name, PARAMETERS))
    instrument = find_instrument(given.get("exchange"), given.get("symbol"), instruments)
    timeframe, start, end = _span(given, everything=everything)
    return Window(
        instrument,
        timeframe,
        start,
        end,
        _row_size(given.get("row_size"), instrument),
        _value_area(given.get("value_area")),
        _method(given.get("method")),
    )


def _span(given: Mapping[str, str], *, everything: bool) -> tuple[str | None, int | None, int | None]:
    timeframe, start, end = given.get("timeframe"), given.get("start"), given.get("end")
    if timeframe is not None:
        if start is not None or end is not None:
            raise ConflictingParameters("timeframe", timeframe, "either timeframe or start and end, not both")
        if timeframe not in TIMEFRAMES:
            raise QuestionError("timeframe", timeframe, _one_of(TIMEFRAMES))
        return timeframe, None, None
    if start is None and end is None:
        if everything:
            return None, None, None
        raise MissingParameter("timeframe", None, f"{_one_of(TIMEFRAMES)}, or start and end")
    first, last = _instant("start", start), _instant("end", end)
    if last <= first:
        raise QuestionError("end", end, f"a time after start ({start})")
    return None, first, last


def _instant(name: str, text: str | None) -> int:
    expected = "an ISO 8601 time on a whole minute, such as 2024-08-08T23:55:00Z"
    if text is None:
        raise MissingParameter(name, None, expected)
    try:
        # A plus sign in a query string arrives as a space.
        instant = parse_instant(text.replace(" ", "+") if "T" in text else text)
    except ValueError:
        raise QuestionError(name, text, expected) from None
    if instant % MINUTE:
        raise QuestionError(name, text, expected)
    return instant


def _row_size(text: str | None, instrument: Instrument) -> Decimal | None:
    if text is None:
        return None
    row_size = _decimal("row_size", text, "a positive multiple of the symbol's tick, such as 10")
    try:
        check_row_size(row_size, instrument.tick)
    except RowSizeError as error:
        tick = instrument.tick
        expected = "a positive number" if tick is None else f"a positive multiple of the tick {plain(tick)}"
        raise QuestionError("row_size", text, expected) from error
    return row_size


def _value_area(text: str | None) -> Decimal:
    if text is None:
        return DEFAULT_VALUE_AREA
    expected = "a share of the volume above 0 and up to 1, such as 0.7"
    share = _decimal("value_area", text, expected)
    if not 0 < share <= 1:
        raise QuestionError("value_area", text, expected)
    return share


def _method(text: str | None) -> ValueAreaMethod:
    try:
        return ValueAreaMethod.PAIR if text is None else ValueAreaMethod(text)
    except ValueError:
        raise QuestionError("method", text, _one_of(ValueAreaMethod)) from None


def _decimal(name: str, text: str, expected: str) -> Decimal:
    try:
        return to_decimal(*parse(text))
    except NumberError:
        raise QuestionError(name, text, expected) from None


def _one_of(names: Iterable[str]) -> str:
    listed = list(names)
    if not listed:
        return "one that this daemon follows; it follows none yet"
    shown = ", ".join(listed[:12])
    return f"one of {shown}" + (f" and {len(listed) - 12} more" if len(listed) > 12 else "")


def _nearest(name: str, names: Iterable[str]) -> str:
    listed = list(names)
    near = get_close_matches(name, listed, n=1)
    return _one_of(listed) + (f" (did you mean {near[0]}?)" if near else "")
