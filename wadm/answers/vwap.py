"""``vwap``: the volume-weighted average price since an anchor, with bands."""

from collections.abc import Mapping
from decimal import Decimal

from wadm.analytics.vwap import ALGORITHM, vwap
from wadm.answers.parameters import numbers
from wadm.answers.question import Material, Parameter, Question, Values
from wadm.numbers import plain

BANDS = Parameter(
    "bands",
    "standard deviations at which bands are drawn",
    "up to 5 positive numbers, such as 1,2",
    numbers(5),
    (Decimal(1), Decimal(2)),
)


def _answer(material: Material, values: Values) -> Mapping[str, object]:
    found = vwap(material.bar)
    if found is None:
        return {"vwap": None, "standard_deviation": None, "bands": []}
    bands = [(away, *found.band(away)) for away in values["bands"]]
    return {
        "vwap": plain(found.vwap),
        "standard_deviation": plain(found.deviation),
        "bands": [
            {"deviations": plain(away), "lower": plain(lower), "upper": plain(upper)}
            for away, lower, upper in bands
        ],
    }


QUESTION = Question(
    name="vwap",
    path="vwap",
    title="VWAP since the window's start (a session's, or any time given), with standard-deviation bands",
    algorithm=ALGORITHM,
    parameters=(BANDS,),
    answer=_answer,
    table="bands",
    default_timeframe="session",
)
