"""Several sessions in one question: their windows, asked for merged, and their profiles at one row size."""

from decimal import Decimal

import attrs

from wadm import bar as bars
from wadm.analytics.profile import Profile, RowSizeError, ValueAreaMethod, profile
from wadm.answers.parameters import whole
from wadm.answers.profile import row_size_of
from wadm.answers.question import Material, Needs, Parameter, Span, Values
from wadm.numbers import plain
from wadm.questions import QuestionError

DAYS = Parameter(
    "days", "how many sessions, the one in which the window ends included", "a whole number from 1 to 60",
    whole(1, 60), 10,
)  # fmt: skip


def needs(span: Span, values: Values) -> Needs:
    """Ask for the last ``days`` sessions, each merged: named by their place, the oldest first.

    The last one is that of the window's last moment, or of now where that lies ahead; it ends with
    the window.
    """
    windows = span.session.last(values["days"], min(span.end, span.market_time) - 1)
    windows[-1] = windows[-1][0], min(windows[-1][1], span.end)
    return Needs(merged={str(place): window for place, window in enumerate(windows)})


@attrs.frozen
class SessionProfiles:
    """Profiles of sessions ``(start, end, profile)`` in µs, oldest first, at one row size."""

    row_size: Decimal
    windows: tuple[tuple[int, int, Profile], ...]


def profiles(material: Material, values: Values) -> SessionProfiles:
    """Return the profiles of the sessions that were asked for. Raises QuestionError for the row size."""
    sessions = [material.merged[str(place)] for place in range(values["days"])]
    whole_span = bars.merge(sessions, sessions[0].start, sessions[-1].end)
    size = row_size_of(values["row_size"], material.instrument, whole_span)
    method = values.get("method", ValueAreaMethod.PAIR)
    try:
        made = [(one.start, one.end, profile(one, size, values["value_area"], method)) for one in sessions]
    except RowSizeError as error:
        raise QuestionError("row_size", plain(size), f"larger rows, or auto: {error}") from error
    return SessionProfiles(size, tuple(made))
