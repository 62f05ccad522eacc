"""Cells as text, and back: numbers in plain notation, times in ISO 8601, lists as JSON."""

import binascii
import re
from base64 import b64decode, b64encode
from collections.abc import Callable
from decimal import Decimal

import msgspec

from actors.storage.transfer.sheets import Cell, Column, Form, Row
from wadm.instants import iso, parse_instant
from wadm.numbers import NumberError, parse, plain

_WHOLE = re.compile(r"-?[0-9]{1,19}")
_LIMIT = 1 << 63


class CellError(ValueError):
    """A cell that does not hold what its column should; ``str()`` says which, and what was expected."""

    def __init__(self, column: Column, found: object) -> None:
        shown = repr(found) if len(repr(found)) <= 60 else f"{repr(found)[:60]}…"
        super().__init__(f"{column.name} is {shown}; expected {column.form.value}")


def written(cell: Cell) -> str:
    """Return a cell as text; of a time, this is for ``moment``, as µs look like any number."""
    match cell:
        case None:
            return ""
        case bool():
            return "true" if cell else "false"
        case Decimal():
            return plain(cell)
        case bytes():
            return b64encode(cell).decode()
        case list():
            return msgspec.json.encode([tuple(map(_in_list, row)) for row in cell]).decode()
        case _:
            return str(cell)


def write(row: Row, columns: tuple[Column, ...]) -> list[str]:
    """Return a row as texts."""
    return [
        iso(cell) if column.form is Form.MOMENT and isinstance(cell, int) else written(cell)
        for cell, column in zip(row, columns, strict=True)
    ]


def _in_list(cell: Cell) -> str | int:
    return cell if isinstance(cell, int) else written(cell)


def read(text: str, column: Column) -> Cell:
    """Return the cell that a text stands for. Raises CellError."""
    if not text and column.optional:
        return None
    try:
        return _READ[column.form](text, column)
    except CellError:
        raise
    except (ValueError, KeyError, TypeError, msgspec.DecodeError) as error:
        raise CellError(column, text) from error


def _text(text: str, column: Column) -> str:
    if not text:
        raise CellError(column, text)
    return text


def _whole(text: str, column: Column) -> int:
    if _WHOLE.fullmatch(text) is None or not -_LIMIT <= int(text) < _LIMIT:
        raise CellError(column, text)
    return int(text)


def _exact(text: str, column: Column) -> Decimal:
    try:
        parse(text)
    except NumberError as error:
        raise CellError(column, text) from error
    return Decimal(text)


def _list(text: str, column: Column) -> list[tuple[Cell, ...]]:
    found = msgspec.json.decode(text, type=list[list[str | int]])
    return [_items(row, column) for row in found]


def _items(row: list[str | int], column: Column) -> tuple[Cell, ...]:
    if len(row) != len(column.items):
        raise CellError(column, row)
    return tuple(
        _whole(str(cell), item) if item.form is Form.WHOLE else _exact(str(cell), item)
        for cell, item in zip(row, column.items, strict=True)
    )


def _bytes(text: str, column: Column) -> bytes:
    try:
        return b64decode(text, validate=True)
    except binascii.Error as error:
        raise CellError(column, text) from error


_READ: dict[Form, Callable[[str, Column], Cell]] = {
    Form.TEXT: _text,
    Form.WHOLE: _whole,
    Form.EXACT: _exact,
    Form.MOMENT: lambda text, _: parse_instant(text),
    Form.SWITCH: lambda text, _: {"true": True, "false": False}[text],
    Form.BYTES: _bytes,
    Form.LIST: _list,
}
