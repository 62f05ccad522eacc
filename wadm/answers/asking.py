"""Asking: from the text that somebody wrote to a question, and from material to an answer."""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from enum import StrEnum
from typing import Any

import attrs

from wadm.answers import parameters
from wadm.answers.question import Material, Parameter, Question, Span, UnfitError, Values
from wadm.instants import iso, parse_instant
from wadm.market import HOUR, MINUTE, Instrument
from wadm.numbers import plain
from wadm.questions import (
    ConflictingParameters,
    MissingParameter,
    QuestionError,
    UnknownParameter,
    find_instrument,
    nearest,
)
from wadm.sessions import EXPECTED, UTC_DAY, Session, SessionError
from wadm.timeframes import TIMEFRAMES, window

#: The parameters of every question.
WINDOW = ("exchange", "symbol", "timeframe", "session", "start", "end")
SESSION = "session"
WINDOWS = (*TIMEFRAMES, SESSION)
#: A parameter of some questions: their window, where no other is asked for, is so many hours up to now.
HOURS = parameters.HOURS.name


@attrs.frozen
class Asked:
    """A question as it was asked. ``timeframe`` says the window where ``start`` and ``end`` (µs) are None."""

    question: Question
    instrument: Instrument
    timeframe: str | None
    session: Session
    start: int | None
    end: int | None
    values: Values

    @property
    def rolling(self) -> bool:
        """Whether the window is so many hours up to now."""
        return self.timeframe is None and self.start is None and self.values.get(HOURS) is not None

    def span(self, market_time: int) -> Span:
        """Return the window, given how far the market is known (µs)."""
        if self.start is not None and self.end is not None:
            start, end = self.start, self.end
        elif self.rolling:
            end = window("1m", market_time)[1]
            start = end - self.values[HOURS] * HOUR
        elif self.timeframe == SESSION or self.timeframe is None:
            start, end = self.session.window(market_time)
        else:
            start, end = window(self.timeframe, market_time)
        return Span(self.timeframe, self.session, start, end, market_time)


def read(
    question: Question,
    given: Mapping[str, str],
    instruments: Mapping[str, Instrument],
    *,
    everything: bool = False,
) -> Asked:
    """Read a question. Raises QuestionError naming the parameter, its value and what was expected.

    ``everything`` allows it to name no window at all: all that is known is meant then.
    """
    known = [parameter.name for parameter in question.parameters]
    for name, value in given.items():
        if name not in known and name not in WINDOW:
            raise UnknownParameter(name, value, nearest(name, [*WINDOW, *known]))
    instrument = find_instrument(given.get("exchange"), given.get("symbol"), instruments)
    timeframe, start, end = _window(question, given, everything=everything or HOURS in known)
    values = read_values(question.parameters, given, instrument)
    if HOURS in values and (timeframe is not None or start is not None):
        if HOURS in given:
            raise ConflictingParameters(HOURS, given[HOURS], "either hours or another window, not both")
        values[HOURS] = None
    return Asked(question, instrument, timeframe, _session(given), start, end, values)


def respond(asked: Asked, material: Material) -> dict[str, object]:
    """Return the whole answer: heading, parameters, the question's own numbers, coverage."""
    question, span = asked.question, material.span
    return {
        "exchange": material.instrument.exchange,
        "symbol": material.instrument.symbol,
        "timeframe": span.timeframe,
        "start": iso(span.start),
        "end": iso(span.end),
        **({SESSION: str(span.session)} if span.timeframe == SESSION else {}),
        "algorithm": question.algorithm,
        "volume_unit": "base",
        "parameters": {name: written(value) for name, value in asked.values.items()},
        **question.answer(material, asked.values),
        "coverage": material.coverage.answer(),
    }


def _window(
    question: Question, given: Mapping[str, str], *, everything: bool
) -> tuple[str | None, int | None, int | None]:
    timeframe, start, end = given.get("timeframe"), given.get("start"), given.get("end")
    if timeframe is None and start is None and end is None:
        if everything:
            return None, None, None
        if question.default_timeframe is None:
            raise MissingParameter("timeframe", None, f"one of {', '.join(WINDOWS)}, or start and end")
        return question.default_timeframe, None, None
    if timeframe is not None:
        if start is not None or end is not None:
            raise ConflictingParameters("timeframe", timeframe, "either timeframe or start and end, not both")
        if timeframe not in WINDOWS:
            raise QuestionError("timeframe", timeframe, f"one of {', '.join(WINDOWS)}")
        return timeframe, None, None
    first, last = read_instant("start", start), read_instant("end", end)
    if last <= first:
        raise QuestionError("end", end, f"a time after start ({start})")
    return None, first, last


def read_instant(name: str, text: str | None) -> int:
    """Return a time that somebody wrote (µs). Raises QuestionError."""
    expected = "an ISO 8601 time, such as 2024-08-08T23:55:00Z"
    if text is None:
        raise MissingParameter(name, None, expected)
    try:
        # A plus sign in a query string arrives as a space.
        return parse_instant(text.replace(" ", "+") if "T" in text else text)
    except ValueError:
        raise QuestionError(name, text, expected) from None


def _session(given: Mapping[str, str]) -> Session:
    text = given.get(SESSION)
    try:
        return UTC_DAY if text is None else Session.parse(text)
    except SessionError:
        raise QuestionError(SESSION, text, EXPECTED) from None


def read_values(
    parameters: Sequence[Parameter], given: Mapping[str, str], instrument: Instrument
) -> dict[str, Any]:
    """Return the values of parameters, defaults filled in. Raises QuestionError."""
    values: dict[str, Any] = {}
    for parameter in parameters:
        text = given.get(parameter.name)
        if text is None:
            if parameter.required:
                raise MissingParameter(parameter.name, None, parameter.expected)
            values[parameter.name] = parameter.default
            continue
        try:
            values[parameter.name] = parameter.read(text, instrument)
        except UnfitError as unfit:
            raise QuestionError(parameter.name, text, unfit.expected) from None
        except ValueError:
            raise QuestionError(parameter.name, text, parameter.expected) from None
    return values


def written(value: object) -> object:
    """Return the value of a parameter as it stands in answers."""
    if isinstance(value, tuple):
        return [written(one) for one in value]
    if isinstance(value, StrEnum):
        return str(value)
    return plain(value) if isinstance(value, Decimal) else value


def on_whole_minutes(span: Span) -> bool:
    """Say whether bars can answer exactly; a finer window needs the raw trades."""
    return span.start % MINUTE == 0 and span.end % MINUTE == 0
