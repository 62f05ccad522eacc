"""``developing``: POC, VAH and VAL as they moved while a window was open."""

from collections.abc import Mapping

from wadm import views
from wadm.analytics.developing import ALGORITHM, developing
from wadm.analytics.profile import RowSizeError
from wadm.answers import profile
from wadm.answers.parameters import AUTO_ROW_SIZE, METHOD, VALUE_AREA, one_of
from wadm.answers.question import Material, Needs, Parameter, Question, Span, Values
from wadm.answers.steps import MOST
from wadm.instants import iso
from wadm.numbers import plain
from wadm.questions import QuestionError
from wadm.timeframes import TIMEFRAMES

_STEPS = tuple(TIMEFRAMES)[:-1]
STEP = Parameter(
    "step", "how often the profile is looked at", f"one of {', '.join(_STEPS)}", one_of(*_STEPS), "5m"
)


def _needs(span: Span, values: Values) -> Needs:
    """Ask for the minutes of the window. Raises QuestionError where it holds too many steps."""
    count = -(-(span.end - span.start) // TIMEFRAMES[values["step"]])
    if count > MOST:
        raise QuestionError(
            "step", values["step"], f"longer steps: the window holds {count}, at most {MOST} are given"
        )
    return Needs(minutes=(span.start, span.end))


def _answer(material: Material, values: Values) -> Mapping[str, object]:
    span = material.span
    size = profile.row_size_of(values["row_size"], material.instrument, material.bar)
    steps = developing(
        material.minutes, span.start, span.end, step=TIMEFRAMES[values["step"]], row_size=size,
        value_area=values["value_area"], method=values["method"],
    )  # fmt: skip
    try:
        found = [
            {
                "at": iso(one.at),
                **views.value_area(one.profile),
                "closed": one.at <= span.market_time,
            }
            for one in steps
        ]
    except RowSizeError as error:
        raise QuestionError("row_size", plain(size), f"larger rows, or auto: {error}") from error
    return {"row_size": plain(size), "steps": found}


QUESTION = Question(
    name="developing",
    path="developing-profile",
    title="Developing POC and value area: as they stood at each step's close",
    algorithm=ALGORITHM,
    parameters=(AUTO_ROW_SIZE, VALUE_AREA, METHOD, STEP),
    answer=_answer,
    table="steps",
    needs=_needs,
    default_timeframe="1d",
)
