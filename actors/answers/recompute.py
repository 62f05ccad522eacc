"""Answers made once more from what is stored, minute by minute, and what differs."""

from collections.abc import Mapping, Sequence

from actors.answers.shelf import Remade
from wadm.answers.asking import Asked
from wadm.questions import QuestionError

#: What describes an answer, and what no bar holds (the book and the contract as they stand ``now``).
_ABOUT = ("coverage", "recomputed", "now")


def check(asked: Asked) -> None:
    """Refuse to make an answer again that rests on what is not stored. Raises QuestionError."""
    if not asked.question.stored:
        raise QuestionError("recompute", "true", f"false: bars do not hold what {asked.question.name} tells")


def compared(
    answer: Mapping[str, object], again: Mapping[str, object], minutes: Sequence[Remade]
) -> dict[str, object]:
    """Return an answer with ``recomputed``: whether it agrees with the one made again from ``minutes``."""
    names = [name for name in dict.fromkeys([*answer, *again]) if name not in _ABOUT]
    differs = [name for name in names if answer.get(name) != again.get(name)]
    return {**answer, "recomputed": {"agrees": not differs, "differs": differs, **_counts(minutes)}}


def _counts(minutes: Sequence[Remade]) -> dict[str, object]:
    """Say of how many bars the answer was made again, and how many of them anew from their raw trades."""
    return {"bars": len(minutes), "bars_from_trades": sum(one.from_trades for one in minutes)}
