"""Checks of what a caller hands over: each refusal names the field, the value and what was expected."""

from collections.abc import Callable
from enum import Enum
from typing import Any

import attrs

Validator = Callable[[Any, "attrs.Attribute[Any]", Any], None]


def at_least(minimum: float) -> Validator:
    """Refuse anything below `minimum`, and NaN, with ValueError."""

    def check(owner: object, field: "attrs.Attribute[Any]", value: float) -> None:
        if not value >= minimum:
            raise ValueError(f"{_label(owner, field)} must be at least {minimum:g}, not {value!r}")

    return check


def more_than(minimum: float) -> Validator:
    """Refuse anything at or below `minimum`, and NaN, with ValueError."""

    def check(owner: object, field: "attrs.Attribute[Any]", value: float) -> None:
        if not value > minimum:
            raise ValueError(f"{_label(owner, field)} must be more than {minimum:g}, not {value!r}")

    return check


def share(owner: object, field: "attrs.Attribute[Any]", value: float) -> None:
    """Refuse anything outside 0 to 1 with ValueError."""
    if not 0 <= value <= 1:
        raise ValueError(f"{_label(owner, field)} must lie between 0 and 1, not {value!r}")


def member_of(choices: type[Enum]) -> Validator:
    """Refuse what is not a member of the enumeration `choices` with ValueError."""

    def check(owner: object, field: "attrs.Attribute[Any]", value: object) -> None:
        if value not in tuple(choices):
            known = ", ".join(str(choice) for choice in choices)
            raise ValueError(f"{_label(owner, field)} must be one of {known}, not {value!r}")

    return check


def plain_name(owner: object, field: "attrs.Attribute[Any]", value: object) -> None:
    """Refuse what cannot be one step of a path such as `root/workers/one` with ValueError."""
    if not isinstance(value, str) or not value or "/" in value:
        raise ValueError(f"{_label(owner, field)} must be a text without '/', not {value!r}")


def _label(owner: object, field: "attrs.Attribute[Any]") -> str:
    name = getattr(owner, "name", None)
    of = f" of {name!r}" if isinstance(name, str) and field.name != "name" else ""
    return f"{type(owner).__name__}.{field.name}{of}"
