"""A bar as the cold tier holds it: packed, with what tells which of two is the newer one."""

from collections.abc import Mapping
from typing import NamedTuple

from actors.storage.errors import StorageError
from wadm import bar as bar_codec
from wadm.bar import Bar


class Damaged(StorageError):
    """An object that is there and cannot be read as what it should be."""


class Held(NamedTuple):
    """A one-minute bar in its packed form."""

    revision: int
    packed: bytes


#: The bars of a day, by start (µs).
Day = Mapping[int, Held]


def held(bar: Bar) -> Held:
    """Return a bar in its packed form."""
    return Held(bar.revision, bar_codec.encode(bar))


def opened(start: int, one: Held, where: str) -> Bar:
    """Return the bar of a packed form that lies at ``where``. Raises Damaged."""
    try:
        bar = bar_codec.decode(one.packed)
    except ValueError as error:
        raise damaged(where, str(error)) from error
    if (bar.start, bar.revision) != (start, one.revision):
        raise damaged(where, "a bar in it is not the one it is said to be")
    return bar


def damaged(where: str, why: str) -> Damaged:
    """Return the error of an object that is not as it was written."""
    return Damaged(f"{where} is damaged ({why}): restore it from a backup, or move it away")
