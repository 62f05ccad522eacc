"""``composite``: one volume profile of the last several sessions together."""

from collections.abc import Mapping

import attrs

from wadm import bar as bars
from wadm.answers import profile
from wadm.answers.parameters import AUTO_ROW_SIZE, METHOD, VALUE_AREA
from wadm.answers.question import Material, Question, Values
from wadm.answers.sessions import DAYS, needs
from wadm.instants import iso


def _answer(material: Material, values: Values) -> Mapping[str, object]:
    sessions = [material.merged[str(place)] for place in range(values["days"])]
    merged = bars.merge(sessions, sessions[0].start, sessions[-1].end)
    whole = attrs.evolve(material, bar=merged)
    return {
        "composite_start": iso(merged.start),
        "composite_end": iso(merged.end),
        **profile.QUESTION.answer(whole, values),
    }


QUESTION = Question(
    name="composite",
    path="composite-profile",
    title="Composite profile: the volume profile of the last sessions together",
    algorithm=profile.QUESTION.algorithm,
    parameters=(DAYS, AUTO_ROW_SIZE, VALUE_AREA, METHOD),
    answer=_answer,
    table="rows",
    needs=needs,
    default_timeframe="session",
)
