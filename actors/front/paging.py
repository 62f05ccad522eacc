"""Pages of a long table: ``limit`` rows at a time, each page naming the ``cursor`` of the next.

A cursor names a place in one window. A window that moves with the market (the current hour, the last 24
hours) may have gone on when the next page is asked for; that is refused, so that no row is left out or comes
twice.
"""

import base64
import binascii
import re
from collections.abc import Mapping
from typing import Any

import attrs

from actors.front.problems import RefusedRequestError
from wadm.questions import QuestionError, read_whole

#: The most rows of a page.
MOST = 10_000

#: Those of a page where only its cursor was given.
USUAL = 1_000

_PLACE = re.compile(r"([0-9]{1,9}) (\S+) (\S+)")


@attrs.frozen
class Page:
    """Which rows are wanted: ``limit`` from ``at`` on, of the window ``start``/``end`` as it is written."""

    limit: int
    at: int = 0
    start: str | None = None
    end: str | None = None

    @classmethod
    def read(cls, given: dict[str, str]) -> "Page | None":
        """Take the parameters of a page out of those given; None where the whole table is wanted."""
        limit, cursor = given.pop("limit", None), given.pop("cursor", None)
        if limit is None and cursor is None:
            return None
        rows = read_whole("limit", limit, USUAL, MOST)
        return cls(rows) if cursor is None else cls(rows, *_place(cursor))

    def cut(self, answer: Mapping[str, Any], table: str) -> dict[str, Any]:
        """Return the answer with these rows only, and the next page's cursor (None: there is none)."""
        rows = answer[table]
        if self.start is not None and (self.start, self.end) != (answer["start"], answer["end"]):
            raise RefusedRequestError(
                409, "window_moved", "cursor", "…",
                f"a window that stays: {self.start} to {self.end} has become {answer['start']} to "
                f"{answer['end']}; name start and end, or begin anew without a cursor",
            )  # fmt: skip
        after = self.at + self.limit
        following = _cursor(after, answer["start"], answer["end"]) if after < len(rows) else None
        return {**answer, table: rows[self.at : after], "next": following}


def _cursor(at: int, start: str, end: str) -> str:
    return base64.urlsafe_b64encode(f"{at} {start} {end}".encode()).decode().rstrip("=")


def _place(cursor: str) -> tuple[int, str, str]:
    try:
        text = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True).decode()
    except (binascii.Error, ValueError):
        text = ""
    found = _PLACE.fullmatch(text)
    if found is None:
        raise QuestionError("cursor", cursor, "the `next` of the page before")
    return int(found[1]), found[2], found[3]
