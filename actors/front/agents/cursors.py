"""Where a list goes on: the window of its first page, and the last thing that was shown of it.

The next page is asked of the same window, so that nothing is missed or shown twice while a market moves.
"""

import attrs

from wadm.instants import parse_instant
from wadm.questions import QuestionError

_EXPECTED = "the next_cursor of the answer before"


@attrs.frozen
class Cursor:
    """A page's place: ``start`` and ``end`` of the window (ISO 8601), and what was shown last in it."""

    start: str
    end: str
    after: str = ""

    def __str__(self) -> str:
        return "/".join((self.start, self.end, *([self.after] if self.after else [])))

    @classmethod
    def parse(cls, text: str) -> "Cursor":
        """Read a cursor. Raises QuestionError."""
        parts = text.split("/")
        try:
            cursor = cls(*parts) if 2 <= len(parts) <= 3 else None
            if cursor is not None and parse_instant(cursor.start) < parse_instant(cursor.end):
                return cursor
        except ValueError:
            pass
        raise QuestionError("cursor", text, _EXPECTED)
