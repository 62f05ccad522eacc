"""``cvd``: the cumulative volume delta bar by bar, from its session's start, and its trend in numbers."""

from collections.abc import Iterator, Mapping, Sequence

from wadm.analytics.cvd import ALGORITHM, Step, cvd, slope
from wadm.answers import steps
from wadm.answers.question import Material, Needs, Question, Span, Values
from wadm.bar import Bar
from wadm.instants import iso
from wadm.numbers import plain_or_none, plain_scaled, ratio
from wadm.sessions import Session
from wadm.timeframes import TIMEFRAMES

_BEFORE = "before"


def _needs(span: Span, values: Values) -> Needs:
    """Ask for the window's minutes, and for what its first session held before it."""
    since = span.session.window(span.start)[0]
    merged = {_BEFORE: (since, span.start)} if since < span.start else {}
    return Needs(minutes=steps.needs(span, values).minutes, merged=merged)


def _answer(material: Material, values: Values) -> Mapping[str, object]:
    before = material.merged.get(_BEFORE, Bar(0, 0))
    decimals = max(one.quantity_decimals for one in (before, *material.minutes))
    found = _steps(material, TIMEFRAMES[values["bar"]], before, decimals)

    def volume(scaled: int) -> str:
        return plain_scaled(scaled, decimals)

    return {
        "session": str(material.span.session),
        "trend": _trend(found, decimals),
        "bars": [
            {
                "start": iso(one.bar.start),
                "end": iso(one.bar.end),
                "since": iso(one.since),
                "delta": volume(one.delta),
                "cvd": volume(one.cvd),
                "cvd_high": volume(one.high),
                "cvd_low": volume(one.low),
                "delta_path": "exact" if one.bar.exact_path else "inexact",
            }
            for one in found
        ],
    }


def _steps(material: Material, length: int, before: Bar, decimals: int) -> list[Step]:
    first = material.span.session.window(material.span.start)[0]
    carried = before.delta * 10 ** (decimals - before.quantity_decimals)
    found: list[Step] = []
    for since, end, minutes in _by_session(material.minutes, material.span.session):
        cut = steps.clipped(
            steps.cut(minutes, length), max(since, material.span.start), min(end, material.span.end)
        )
        found += cvd(cut, since, carried if since == first else 0, decimals)
    return found


def _by_session(minutes: Sequence[Bar], session: Session) -> Iterator[tuple[int, int, list[Bar]]]:
    """Yield ``(start, end, minutes)`` of each session that minutes lie in."""
    place = 0
    while place < len(minutes):
        start, end = session.window(minutes[place].start)
        last = place
        while last < len(minutes) and minutes[last].start < end:
            last += 1
        yield start, end, list(minutes[place:last])
        place = last


def _trend(found: Sequence[Step], decimals: int) -> dict[str, object]:
    """Describe where CVD went, over the window and through any session's start in it."""
    if not found:
        names = ("first", "last", "change", "highest", "highest_in", "lowest", "lowest_in", "slope_per_bar")
        return {**dict.fromkeys(names), "bars_up": 0, "bars_down": 0}
    highest, lowest = max(found, key=lambda one: one.high), min(found, key=lambda one: one.low)
    deltas = [one.delta for one in found]
    rise = slope(deltas)
    per_bar = None if rise is None else ratio(rise.numerator, rise.denominator * 10**decimals)
    return {
        "first": plain_scaled(found[0].cvd, decimals),
        "last": plain_scaled(found[-1].cvd, decimals),
        "change": plain_scaled(sum(deltas), decimals),
        "highest": plain_scaled(highest.high, decimals),
        "highest_in": iso(highest.bar.start),
        "lowest": plain_scaled(lowest.low, decimals),
        "lowest_in": iso(lowest.bar.start),
        "slope_per_bar": plain_or_none(per_bar),
        "bars_up": sum(delta > 0 for delta in deltas),
        "bars_down": sum(delta < 0 for delta in deltas),
    }


QUESTION = Question(
    name="cvd",
    path="cvd",
    title="CVD bar by bar from its session's start, with its high and low within each bar, and its trend",
    algorithm=ALGORITHM,
    parameters=(steps.BAR,),
    answer=_answer,
    table="bars",
    needs=_needs,
    default_timeframe="session",
)
