"""A window cut into bars of a timeframe, for questions that go through them one after the other."""

from collections.abc import Sequence

from wadm import bar as bars
from wadm.answers.parameters import one_of
from wadm.answers.question import Material, Needs, Parameter, Span, Values
from wadm.bar import Bar
from wadm.questions import QuestionError
from wadm.timeframes import TIMEFRAMES

#: Bars of one answer: more are refused, for no reader has a use for them.
MOST = 1_500

BAR = Parameter(
    "bar", "length of the bars that the window is cut into", f"one of {', '.join(TIMEFRAMES)}",
    one_of(*TIMEFRAMES), "5m",
)  # fmt: skip


def needs(span: Span, values: Values) -> Needs:
    """Ask for the minutes of the window. Raises QuestionError where it holds too many bars."""
    count = -(-(span.end - span.start) // TIMEFRAMES[values["bar"]])
    if count > MOST:
        raise QuestionError(
            "bar", values["bar"], f"longer bars: the window holds {count}, at most {MOST} are given"
        )
    return Needs(minutes=(span.start, span.end))


def within(material: Material, values: Values) -> list[Bar]:
    """Return the window as bars; one that reaches beyond the window is named by what of it lies inside."""
    span = material.span
    return clipped(cut(material.minutes, TIMEFRAMES[values["bar"]]), span.start, span.end)


def clipped(cut_up: list[Bar], start: int, end: int) -> list[Bar]:
    """Name the bars by what of them lies in ``[start, end)``: nothing else was merged."""
    for one in cut_up:
        one.start, one.end = max(one.start, start), min(one.end, end)
    return cut_up


def cut(minutes: Sequence[Bar], length: int) -> list[Bar]:
    """Return one-minute bars, ascending, merged to bars of ``length`` (µs); those without trades left out."""
    grouped: dict[int, list[Bar]] = {}
    for one in minutes:
        if one.rows:
            grouped.setdefault(one.start - one.start % length, []).append(one)
    return [bars.merge(parts, start, start + length) for start, parts in grouped.items()]
