"""``signals``: absorption, exhaustion and CVD divergence, bar by bar. Heuristics, each with its evidence.

Bars are whole ones: one that began before the window is not judged. What lies before the window is looked at
for comparison: as many bars as ``before``, or ten times ``swing`` where that is more; what the window's end
leaves open (a swing not confirmed yet) is no signal. Automatic rows cut
the window's bar of the middle high-low range into about ten.
"""

from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from fractions import Fraction

import attrs

from wadm.analytics import absorption, divergence, exhaustion
from wadm.analytics.profile import Profile, readable_row_size
from wadm.answers import evidence, profile, steps
from wadm.answers.parameters import AUTO, AUTO_ROW_SIZE, METHOD, VALUE_AREA, number, whole
from wadm.answers.question import Material, Needs, Parameter, Question, Span, Values
from wadm.bar import Bar
from wadm.instants import iso
from wadm.market import Instrument
from wadm.numbers import plain
from wadm.timeframes import TIMEFRAMES

ALGORITHMS = {
    "absorption": absorption.ALGORITHM,
    "exhaustion": exhaustion.ALGORITHM,
    "divergence": divergence.ALGORITHM,
}

#: Rows of a typical bar where no row size is asked for: fewer than a reader's forty, for a row must gather
#: enough trades to be compared with the others.
ROWS = 10


def _kinds(text: str, _instrument: Instrument) -> tuple[str, ...]:
    asked = [part.strip() for part in text.split(",")]
    if not set(asked) <= set(ALGORITHMS):
        raise ValueError(text)
    return tuple(kind for kind in ALGORITHMS if kind in asked)


KINDS = Parameter(
    "kinds", "which signals are looked for", f"some of {','.join(ALGORITHMS)}, parted by commas",
    _kinds, tuple(ALGORITHMS),
)  # fmt: skip
TIMES = Parameter(
    "times", "absorption: how many times the median row's volume the row must have",
    "a number of 1 or more, such as 3", number(Decimal(1)), Decimal(3),
)  # fmt: skip
DELTA_SHARE = Parameter(
    "delta_share", "absorption: least |delta| of the row, as a share of its volume",
    "a share from 0 to 1, such as 0.6", number(Decimal(0), Decimal(1)), Decimal("0.6"),
)  # fmt: skip
MOVED = Parameter(
    "moved", "absorption: how far the price may go in the aggressor's direction, in row sizes",
    "a number of 0 or more, such as 2", number(Decimal(0)), Decimal(2),
)  # fmt: skip
BEFORE = Parameter(
    "before", "exhaustion: bars before it whose high or low the bar exceeds",
    "a whole number from 1 to 100", whole(1, 100), 10,
)  # fmt: skip
DRY = Parameter(
    "dry", "exhaustion: most taker volume of the outermost row, as a share of the mean row's volume",
    "a share from 0 to 1, such as 0.3", number(Decimal(0), Decimal(1)), Decimal("0.3"),
)  # fmt: skip
SWING = Parameter(
    "swing", "divergence: bars on either side that a swing's high or low exceeds",
    "a whole number from 1 to 20", whole(1, 20), 2,
)  # fmt: skip


@attrs.frozen
class _Look:
    """The bars that are looked at, those before the window among them, and the profile of each."""

    bars: Sequence[Bar]
    profiles: Sequence[Profile]
    start: int
    known_until: int

    def entry(self, kind: str, at: int, side: str, numbers: Mapping[str, object]) -> dict[str, object]:
        """Return a signal of the bar at a place, with its evidence."""
        bar = self.bars[at]
        return {
            "kind": kind,
            "heuristic": True,
            "side": side,
            "start": iso(bar.start),
            "end": iso(bar.end),
            "closed": bar.end <= self.known_until and not bar.partial,
            **numbers,
        }


def _needs(span: Span, values: Values) -> Needs:
    """Ask for the window's minutes, and for as many bars before it as its first bar is compared with."""
    steps.needs(span, values)
    length = TIMEFRAMES[values["bar"]]
    back = max(values["before"], 10 * values["swing"])
    return Needs(minutes=(max(0, span.start - span.start % length - back * length), span.end))


def _answer(material: Material, values: Values) -> Mapping[str, object]:
    cut = steps.cut(material.minutes, TIMEFRAMES[values["bar"]])
    judged = [bar for bar in cut if bar.start >= material.span.start]
    size = _row_size(values["row_size"], material.instrument, judged)
    if size is None:
        size = profile.row_size_of(values["row_size"], material.instrument, material.bar)
    look = _Look(
        cut,
        _profiles(cut, size, material.instrument),
        material.span.start,
        min(material.span.end, material.span.market_time),
    )
    found = [
        (at, one)
        for kind in values["kinds"]
        for at, one in _FINDERS[kind](look, values)
        if cut[at].start >= look.start
    ]
    return {
        "heuristic": True,
        "algorithms": {kind: ALGORITHMS[kind] for kind in values["kinds"]},
        "row_size": plain(size),
        "signals": [one for _, one in sorted(found, key=lambda pair: pair[0])],
    }


def _row_size(asked: Decimal | str, instrument: Instrument, judged: Sequence[Bar]) -> Decimal | None:
    """Return an automatic row size: the bar of the middle range is cut in about ROWS rows."""
    if asked != AUTO or not judged:
        return None
    by_range = sorted(judged, key=lambda bar: Fraction(max(bar.rows) - min(bar.rows), 10**bar.price_decimals))
    middle = by_range[len(by_range) // 2]
    return readable_row_size(min(middle.rows), max(middle.rows), middle.price_decimals, instrument.tick, ROWS)


def _profiles(cut: Sequence[Bar], size: Decimal, instrument: Instrument) -> list[Profile]:
    made = {"row_size": size, "value_area": VALUE_AREA.default, "method": METHOD.default}
    return [profile.of(bar, instrument, made) for bar in cut]


def count_absorptions(instrument: Instrument, judged: Sequence[Bar]) -> int:
    """Return how many absorptions the question finds in bars where nothing else is asked for."""
    size = _row_size(AUTO, instrument, judged)
    if size is None:
        return 0
    edges = {"times": TIMES.default, "share": DELTA_SHARE.default, "moved": MOVED.default}
    pairs = zip(judged, _profiles(judged, size, instrument), strict=True)
    return sum(len(absorption.absorption(bar, made, **edges)) for bar, made in pairs)


_Found = list[tuple[int, dict[str, object]]]


def _absorptions(look: _Look, values: Values) -> _Found:
    found: _Found = []
    for at, (bar, made) in enumerate(zip(look.bars, look.profiles, strict=True)):
        rows = absorption.absorption(
            bar, made, times=values["times"], share=values["delta_share"], moved=values["moved"]
        )
        found += [
            (at, look.entry("absorption", at, one.side, evidence.absorbed(bar, made, one))) for one in rows
        ]
    return found


def _exhaustions(look: _Look, values: Values) -> _Found:
    found = exhaustion.exhaustions(look.bars, look.profiles, values["before"], values["dry"])
    return [
        (
            one.at,
            look.entry(
                "exhaustion",
                one.at,
                one.side,
                evidence.dried_up(look.bars[one.at], look.profiles[one.at], one),
            ),
        )
        for one in found
    ]


def _divergences(look: _Look, values: Values) -> _Found:
    found = divergence.divergences(look.bars, values["swing"])
    sides = {"bearish": "sell", "bullish": "buy"}
    return [
        (
            one.later,
            look.entry(
                "divergence", one.later, sides[one.kind], evidence.diverged(look.bars, one, look.known_until)
            ),
        )
        for one in found
    ]


_FINDERS: dict[str, Callable[[_Look, Values], _Found]] = {
    "absorption": _absorptions,
    "exhaustion": _exhaustions,
    "divergence": _divergences,
}


QUESTION = Question(
    name="signals",
    path="signals",
    title="Signals, by heuristics: absorption, exhaustion and CVD divergence, each with its evidence",
    algorithm="signals/1",
    parameters=(
        KINDS, steps.BAR, AUTO_ROW_SIZE, TIMES, DELTA_SHARE, MOVED, BEFORE, DRY, SWING,
    ),
    answer=_answer,
    table="signals",
    needs=_needs,
    default_timeframe="4h",
)  # fmt: skip
