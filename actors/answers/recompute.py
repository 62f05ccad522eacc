"""Answers made once more from the stored bars, minute by minute, and what differs."""

from collections.abc import Mapping

#: What describes an answer and is no part of its numbers.
_ABOUT = ("coverage", "recomputed")


def compared(answer: Mapping[str, object], again: Mapping[str, object], bars: int) -> dict[str, object]:
    """Return an answer with ``recomputed``: whether it agrees with the one made from ``bars`` stored bars."""
    names = [name for name in dict.fromkeys([*answer, *again]) if name not in _ABOUT]
    differs = [name for name in names if answer.get(name) != again.get(name)]
    return {**answer, "recomputed": {"agrees": not differs, "differs": differs, "bars": bars}}
