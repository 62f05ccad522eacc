"""Parameters that several questions share: how each is read, and the sentence that says what it is."""

import re
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import attrs

from wadm.analytics.profile import DEFAULT_VALUE_AREA, RowSizeError, ValueAreaMethod, check_row_size
from wadm.answers.question import Parameter, UnfitError
from wadm.market import Instrument
from wadm.numbers import parse, plain, to_decimal

#: What ``row_size`` reads beside a number: as many rows as a person reads with ease.
AUTO = "auto"
_WHOLE = re.compile(r"[0-9]{1,9}")


def _row_size(text: str, instrument: Instrument) -> Decimal | str:
    if text == AUTO:
        return AUTO
    size = to_decimal(*parse(text))
    try:
        check_row_size(size, instrument.tick)
    except RowSizeError as error:
        tick = instrument.tick
        expected = "a positive number" if tick is None else f"a positive multiple of the tick {plain(tick)}"
        raise UnfitError(expected) from error
    return size


def _share(text: str, _instrument: Instrument) -> Decimal:
    share = to_decimal(*parse(text))
    if not 0 < share <= 1:
        raise ValueError(text)
    return share


def number(least: Decimal, most: Decimal | None = None) -> Callable[[str, Instrument], Decimal]:
    """Return what reads a decimal number from ``least`` up to ``most`` (None: without limit)."""

    def read(text: str, _instrument: Instrument) -> Decimal:
        value = to_decimal(*parse(text))
        if value < least or (most is not None and value > most):
            raise ValueError(text)
        return value

    return read


def whole(least: int, most: int) -> Callable[[str, Instrument], int]:
    """Return what reads a whole number from ``least`` to ``most``."""

    def read(text: str, _instrument: Instrument) -> int:
        if _WHOLE.fullmatch(text) is None or not least <= int(text) <= most:
            raise ValueError(text)
        return int(text)

    return read


def numbers(most: int) -> Callable[[str, Instrument], tuple[Decimal, ...]]:
    """Return what reads up to ``most`` positive decimal numbers, parted by commas."""

    def read(text: str, _instrument: Instrument) -> tuple[Decimal, ...]:
        found = tuple(to_decimal(*parse(part.strip())) for part in text.split(","))
        if len(found) > most or min(found) <= 0:
            raise ValueError(text)
        return found

    return read


def one_of(*names: str) -> Callable[[str, Instrument], Any]:
    """Return what reads one of some names."""

    def read(text: str, _instrument: Instrument) -> str:
        if text not in names:
            raise ValueError(text)
        return text

    return read


ROW_SIZE = Parameter(
    "row_size",
    "height of a row of price, in quote units; default: the tick",
    "a positive multiple of the symbol's tick, such as 10, or auto",
    _row_size,
)
AUTO_ROW_SIZE = attrs.evolve(
    ROW_SIZE, meaning="height of a row of price, in quote units; default: a readable one", default=AUTO
)
VALUE_AREA = Parameter(
    "value_area",
    "share of the volume that the value area holds",
    "a share of the volume above 0 and up to 1, such as 0.7",
    _share,
    DEFAULT_VALUE_AREA,
)
METHOD = Parameter(
    "method",
    "how the value area grows: two rows at a time, or one",
    "pair or single_row",
    lambda text, _instrument: ValueAreaMethod(text),
    ValueAreaMethod.PAIR,
)
HOURS = Parameter(
    "hours",
    "length of the window, up to now, where no other window is asked for",
    "a whole number from 1 to 168",
    whole(1, 168),
    24,
)
