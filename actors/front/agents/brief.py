"""Answers cut to an agent's context: what was asked first, the rest on request, what was left out said."""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

import msgspec

from wadm.analytics.profile import readable_row_size
from wadm.numbers import parse, plain, to_decimal

Answer = Mapping[str, Any]

#: The text of an answer without ``detail`` has at most so many characters: 600 tokens of four.
BUDGET = 2_400

#: What describes an answer and is left out without ``detail``.
_ABOUT = ("algorithm", "volume_unit", "parameters", "session", "recomputed")

#: Rows that a reader can take in at a glance.
_READABLE = 24


def chosen(answer: Answer, names: Sequence[str], *, detail: bool = False) -> dict[str, Any]:
    """Return the fields named, or with ``detail`` all of them; the coverage is cut to match."""
    found = dict(answer) if detail else {name: answer[name] for name in names if name in answer}
    return (
        {**found, "coverage": coverage(answer["coverage"], detail=detail)} if "coverage" in answer else found
    )


def coverage(whole: Answer, *, detail: bool) -> dict[str, Any]:
    """Return what the answer rests on; without ``detail``, gaps are only counted."""
    if detail:
        return dict(whole)
    brief = {
        name: whole[name] for name in ("start", "end", "state", "completeness", "warming") if name in whole
    }
    gaps = whole.get("gaps")
    if gaps is not None:
        brief["gaps"] = len(gaps)
        if missing := sum(gap.get("missing") or 0 for gap in gaps):
            brief["missing"] = missing
    return brief


def heaviest(rows: Sequence[Answer], count: int) -> list[Answer]:
    """Return the ``count`` rows of most volume, in the order they had."""
    ordered = sorted(range(len(rows)), key=lambda at: Decimal(rows[at]["volume"]), reverse=True)[:count]
    return [rows[at] for at in sorted(ordered)]


def table(rows: Sequence[Answer], columns: Sequence[str]) -> list[list[Any]]:
    """Return rows without the names of their fields."""
    return [[row.get(name) for name in columns] for row in rows]


def hint(answer: Answer) -> dict[str, str]:
    """Return a row size at which the whole profile is short, where the one asked for is finer."""
    if answer.get("low") is None or answer.get("high") is None:
        return {}
    (low, low_decimals), (high, high_decimals) = parse(answer["low"]), parse(answer["high"])
    decimals = max(low_decimals, high_decimals)
    low, high = low * 10 ** (decimals - low_decimals), high * 10 ** (decimals - high_decimals)
    tick = answer.get("tick")
    size = readable_row_size(low, high, decimals, None if tick is None else Decimal(tick), _READABLE)
    if size <= Decimal(answer["row_size"]):
        return {}
    rows = to_decimal(high, decimals) // size - to_decimal(low, decimals) // size + 1
    return {"hint": f"row_size={plain(size)} shows the whole range in {rows:f} rows"}


def general(answer: Answer, *, limit: int | None, detail: bool) -> dict[str, Any]:
    """Return any answer, of every list in it the last entries: ``limit``, or as many as fit the budget.

    ``left_out`` says how many are missing where.
    """
    whole = chosen(answer, [name for name in answer if name not in _ABOUT], detail=detail)
    if limit is not None:
        return _cut(whole, limit)
    for count in (50, 20, 10, 6, 4, 3, 2, 1):
        brief = _cut(whole, count)
        if len(msgspec.json.encode(brief)) <= BUDGET:
            return brief
    return _cut(whole, 0)


def _cut(answer: Answer, limit: int) -> dict[str, Any]:
    left_out: dict[str, int] = {}
    brief = {name: _last(value, limit, name, left_out) for name, value in answer.items()}
    return {**brief, **({"left_out": left_out} if left_out else {})}


def _last(value: Any, limit: int, place: str, left_out: dict[str, int]) -> Any:
    if isinstance(value, Mapping):
        return {name: _last(one, limit, f"{place}.{name}", left_out) for name, one in value.items()}
    if not isinstance(value, list):
        return value
    if (more := len(value) - limit) > 0:
        left_out[place] = left_out.get(place, 0) + more
    kept = value[max(0, more) :]
    return [_last(one, limit, place, left_out) for one in kept]
