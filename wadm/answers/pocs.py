"""``naked-pocs`` and ``poc-history``: the points of control of the last sessions, and which are untouched."""

from collections.abc import Mapping

from wadm import views
from wadm.analytics.naked import ALGORITHM, past_pocs
from wadm.analytics.profile import ALGORITHM as PROFILE
from wadm.answers.parameters import AUTO_ROW_SIZE, METHOD, VALUE_AREA
from wadm.answers.question import Material, Question, Values
from wadm.answers.sessions import DAYS, needs, profiles
from wadm.instants import iso
from wadm.numbers import plain


def _naked(material: Material, values: Values) -> Mapping[str, object]:
    made = profiles(material, values)
    found = past_pocs(made.windows)
    named = made.windows[0][2]
    return {
        "row_size": plain(made.row_size),
        "naked": [
            {"poc": named.price(one.row), "session_start": iso(one.start), "session_end": iso(one.end)}
            for one in found
            if one.naked
        ],
        "touched": [
            {
                "poc": named.price(one.row),
                "session_start": iso(one.start),
                "session_end": iso(one.end),
                "touched_in_session": iso(one.touched_in),
            }
            for one in found
            if one.touched_in is not None
        ],
    }


def _history(material: Material, values: Values) -> Mapping[str, object]:
    made = profiles(material, values)
    return {
        "row_size": plain(made.row_size),
        "sessions": [
            {
                "start": iso(start),
                "end": iso(end),
                **views.value_area(one),
                "volume": one.volume(sum(row[0] + row[1] for row in one.rows.values())),
            }
            for start, end, one in made.windows
        ],
    }


NAKED = Question(
    name="naked-pocs",
    path="naked-pocs",
    title="Naked (virgin) points of control: those of past sessions that no later trade has touched",
    algorithm=ALGORITHM,
    parameters=(DAYS, AUTO_ROW_SIZE, VALUE_AREA),
    answer=_naked,
    table="naked",
    needs=needs,
    default_timeframe="session",
)
HISTORY = Question(
    name="poc-history",
    path="poc-history",
    title="POC, VAH and VAL of the last sessions",
    algorithm=PROFILE,
    parameters=(DAYS, AUTO_ROW_SIZE, VALUE_AREA, METHOD),
    answer=_history,
    table="sessions",
    needs=needs,
    default_timeframe="session",
)
