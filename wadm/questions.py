"""Questions about the market, read from the text a person, a program or an agent wrote.

Every door (HTTP, MCP, the command line) reads its parameters here, so that the same mistake gets the same
sentence everywhere.
"""

from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches

import attrs

from wadm.market import Instrument
from wadm.mistakes import Mistake


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


class NotFollowed(QuestionError):
    """Something that this daemon does not follow of a symbol it follows otherwise."""

    status = 404
    code = "not_followed"

    def __init__(self, what: str, parameter: str, value: str, remedy: str) -> None:
        Exception.__init__(self, f"{what} of {value} is not followed; {remedy}.")
        self.parameter, self.value, self.expected = parameter, value, remedy


class NotInPlayback(QuestionError):
    """A change that a recording does not allow."""

    status = 409
    code = "playback"


class TooFine(QuestionError):
    """A window within minutes whose single trades are no longer kept."""

    code = "trades_not_kept"

    def __init__(self, sentence: str) -> None:
        Exception.__init__(self, f"{sentence}.")
        self.parameter, self.value, self.expected = "start", None, "whole minutes"


class Unavailable(QuestionError):
    """The answer cannot be had at the moment; the same question may be asked again."""

    status = 503
    code = "unavailable"

    def __init__(self, what: str, why: str) -> None:
        Exception.__init__(self, f"{what} is not available: {why}. Ask again shortly.")
        self.parameter, self.value, self.expected = what, None, why


#: The parameters of a question about a book, and the most levels of each side that it may ask for.
DEPTH_PARAMETERS = ("exchange", "symbol", "levels")
MOST_LEVELS = 1_000
_LEVELS = 20


@attrs.frozen
class Depth:
    """Whose book is meant, and how many levels of each side."""

    instrument: Instrument
    levels: int


def find_instrument(
    exchange: str | None, symbol: str | None, instruments: Mapping[str, Instrument]
) -> Instrument:
    """Return the instrument named, or say which there are."""
    exchanges = sorted({instrument.exchange for instrument in instruments.values()})
    if not exchange:
        raise MissingParameter("exchange", None, _one_of(exchanges))
    if exchange not in exchanges:
        raise UnknownExchange("exchange", exchange, nearest(exchange, exchanges))
    symbols = sorted(one.symbol for one in instruments.values() if one.exchange == exchange)
    if not symbol:
        raise MissingParameter("symbol", None, _one_of(symbols))
    found = instruments.get(f"{exchange}:{symbol.upper()}")
    if found is None:
        raise UnknownSymbol("symbol", symbol, nearest(symbol.upper(), symbols))
    return found


def read_depth(given: Mapping[str, str], instruments: Mapping[str, Instrument]) -> Depth:
    """Read a question about a book."""
    _check_names(given, DEPTH_PARAMETERS)
    instrument = find_instrument(given.get("exchange"), given.get("symbol"), instruments)
    return Depth(instrument, read_whole("levels", given.get("levels"), _LEVELS, MOST_LEVELS))


def _check_names(given: Mapping[str, str], known: Sequence[str]) -> None:
    for name in given:
        if name not in known:
            raise UnknownParameter(name, given[name], nearest(name, known))


def read_whole(name: str, text: str | None, usual: int, most: int) -> int:
    """Return a whole number from 1 to ``most``, ``usual`` where none is given. Raises QuestionError."""
    if text is None:
        return usual
    if text.isascii() and text.isdigit() and len(text) < 9 and 1 <= int(text) <= most:
        return int(text)
    raise QuestionError(name, text, f"a whole number from 1 to {most}")


def _one_of(names: Iterable[str]) -> str:
    listed = list(names)
    if not listed:
        return "one that this daemon follows; it follows none yet"
    shown = ", ".join(listed[:12])
    return f"one of {shown}" + (f" and {len(listed) - 12} more" if len(listed) > 12 else "")


def nearest(name: str, names: Iterable[str]) -> str:
    """Return what was expected: one of some names, and the one that may have been meant."""
    listed = list(names)
    near = get_close_matches(name, listed, n=1)
    return _one_of(listed) + (f" (did you mean {near[0]}?)" if near else "")
