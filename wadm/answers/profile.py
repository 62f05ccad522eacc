"""``profile``: the volume profile of a window."""

from collections.abc import Mapping
from decimal import Decimal
from heapq import nsmallest

import attrs

from wadm import views
from wadm.analytics.profile import ALGORITHM, Profile, RowSizeError, profile, readable_row_size
from wadm.answers.parameters import AUTO, METHOD, ROW_SIZE, VALUE_AREA, whole
from wadm.answers.question import Material, Parameter, Question, Values
from wadm.bar import Bar
from wadm.market import Instrument
from wadm.numbers import plain, plain_or_none
from wadm.questions import QuestionError


def row_size_of(asked: Decimal | str | None, instrument: Instrument, bar: Bar) -> Decimal:
    """Return the row size that was asked for: a number, a readable one, or by default the tick."""
    if isinstance(asked, Decimal):
        return asked
    if asked == AUTO and bar.low is not None and bar.high is not None:
        return readable_row_size(bar.low, bar.high, bar.price_decimals, instrument.tick)
    return views.default_row_size(instrument, bar)


def of(bar: Bar, instrument: Instrument, values: Values) -> Profile:
    """Return the profile of a bar as it was asked for. Raises QuestionError where it has too many rows."""
    size = row_size_of(values["row_size"], instrument, bar)
    try:
        return profile(bar, size, values["value_area"], values["method"])
    except RowSizeError as error:
        raise QuestionError("row_size", plain(size), f"larger rows: {error}") from error


def _answer(material: Material, values: Values) -> Mapping[str, object]:
    found = of(material.bar, material.instrument, values)
    return {
        **_figures(material, found),
        **views.summary(material.bar, found),
        "rows": views.rows(found, sorted(found.rows)),
    }


def _answer_short(material: Material, values: Values) -> Mapping[str, object]:
    found = of(material.bar, material.instrument, values)
    # Writing some thousands of rows, and their digest, takes longer than finding those that are wanted.
    chosen = nsmallest(values["rows"], found.rows, key=lambda row: (-sum(found.rows[row][:2]), row))
    return {
        **_figures(material, found),
        **views.candle(material.bar),
        **views.value_area(found),
        "row_size": plain(found.row_size),
        "rows": views.rows(found, sorted(chosen)),
        "rows_total": len(found.rows),
    }


def _figures(material: Material, found: Profile) -> Mapping[str, object]:
    return {
        "tick": plain_or_none(material.instrument.tick),
        "value_area": plain(found.value_area),
        "method": str(found.method),
        "value_area_volume": found.volume(found.value_area_volume),
        "partial": material.bar.partial,
    }


QUESTION = Question(
    name="profile",
    path="volume-profile",
    title="Volume profile: volume by row of price, point of control, value area",
    algorithm=ALGORITHM,
    parameters=(ROW_SIZE, VALUE_AREA, METHOD),
    answer=_answer,
    table="rows",
)

#: The same, with its rows of most volume alone: of equal ones the lower.
SHORT = attrs.evolve(
    QUESTION,
    parameters=(
        *QUESTION.parameters,
        Parameter("rows", "how many rows", "a whole number from 0 to 10000", whole(0, 10_000), required=True),
    ),
    answer=_answer_short,
)
