"""``nodes``: the high and low volume nodes of a window's profile."""

from collections.abc import Mapping
from decimal import Decimal

from wadm import views
from wadm.analytics.nodes import ALGORITHM, nodes
from wadm.answers import profile
from wadm.answers.parameters import AUTO_ROW_SIZE, METHOD, VALUE_AREA, number, whole
from wadm.answers.question import Material, Parameter, Question, Values
from wadm.numbers import plain
from wadm.questions import QuestionError

SMOOTHING = Parameter(
    "smoothing", "rows on either side that each row is summed with", "a whole number from 0 to 50",
    whole(0, 50), 1,
)  # fmt: skip
PROMINENCE = Parameter(
    "prominence", "how far a node must stand out, as a share of the highest row", "a share from 0 to 1",
    number(Decimal(0), Decimal(1)), Decimal("0.1"),
)  # fmt: skip


def _answer(material: Material, values: Values) -> Mapping[str, object]:
    made = profile.of(material.bar, material.instrument, values)
    try:
        found = nodes(made, values["smoothing"], values["prominence"])
    except ValueError as error:
        raise QuestionError("row_size", plain(made.row_size), f"larger rows, or auto: {error}") from error
    return {
        "row_size": plain(made.row_size),
        **views.value_area(made),
        "smoothing_method": "box",
        "high_volume_nodes": views.rows(made, found.high),
        "low_volume_nodes": views.rows(made, found.low),
    }


QUESTION = Question(
    name="nodes",
    path="volume-nodes",
    title="High and low volume nodes (HVN, LVN) of a window's profile",
    algorithm=ALGORITHM,
    parameters=(AUTO_ROW_SIZE, VALUE_AREA, METHOD, SMOOTHING, PROMINENCE),
    answer=_answer,
)
