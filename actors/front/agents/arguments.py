"""The arguments of a tool call, read one by one; what is wrong with one is said in a sentence."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import attrs
import msgspec

from actors.front.agents.cursors import Cursor
from wadm.numbers import NumberError, plain
from wadm.questions import QuestionError

#: The arguments that name a window.
_WINDOW = frozenset({"timeframe", "start", "end"})


@attrs.define
class Arguments:
    """What an agent sent; whatever was taken out of it is gone, and the rest is the question's."""

    given: dict[str, Any]

    @classmethod
    def of(cls, given: Mapping[str, Any]) -> "Arguments":
        """Return the arguments of a call; null is the same as not given."""
        return cls({name: value for name, value in given.items() if value is not None})

    def flag(self, name: str) -> bool:
        """Take a flag, false where it is not given."""
        value = self.given.pop(name, False)
        if not isinstance(value, bool):
            raise QuestionError(name, shown(value), "true or false")
        return value

    def whole(self, name: str, default: int, low: int, high: int) -> int:
        """Take a whole number."""
        value = self.given.pop(name, default)
        text = str(value)
        fits = not isinstance(value, bool) and text.isascii() and text.isdigit() and len(text) < 9
        if not fits or not low <= int(text) <= high:
            raise QuestionError(name, shown(value), f"a whole number from {low} to {high}")
        return int(text)

    def text(self, name: str) -> str | None:
        """Take text or a number."""
        return written(name, self.given.pop(name)) if name in self.given else None

    def cursor(self) -> Cursor | None:
        """Take the cursor; the window of the first page then takes the place of any other."""
        text = self.text("cursor")
        if text is None:
            return None
        cursor = Cursor.parse(text)
        self.given = {name: value for name, value in self.given.items() if name not in _WINDOW}
        self.given |= {"start": cursor.start, "end": cursor.end}
        return cursor

    def rest(self) -> dict[str, str]:
        """Return what was not taken, as text."""
        return {name: written(name, value) for name, value in self.given.items()}

    def window(self, timeframe: str) -> dict[str, str]:
        """Return what was not taken, about the current ``timeframe`` unless a window is named."""
        return self.rest() if self.given.keys() & _WINDOW else {**self.rest(), "timeframe": timeframe}


def written(name: str, value: Any) -> str:
    """Return text or a number as text: what the agent wrote, not its binary neighbour."""
    if isinstance(value, str):
        return value
    if isinstance(value, int | float) and not isinstance(value, bool):
        try:
            return plain(Decimal(str(value)))
        except NumberError:
            pass
    raise QuestionError(name, shown(value), "text or a number")


def shown(value: Any) -> str:
    """Return a wrong value as the agent may recognise it."""
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()
