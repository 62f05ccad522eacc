"""Columns of integers in the fewest bytes: how closed bars and journalled trades are kept.

A column is one type code (``b h i q`` for 1, 2, 4 and 8 bytes per number, as in the ``array`` module,
little-endian; ``t`` for decimal text where a number needs more than 64 bits) followed by the numbers.
"""

import struct
import sys
from array import array
from collections.abc import Sequence
from itertools import accumulate
from operator import sub

_WIDTHS = (("b", 1 << 7), ("h", 1 << 15), ("i", 1 << 31), ("q", 1 << 63))
_SIZES = {code.encode(): struct.calcsize(f"<{code}") for code, _ in _WIDTHS}
_ONES = {width: (1).to_bytes(width, "little") for width in _SIZES.values()}
_CODES = frozenset([*(code.encode() for code, _ in _WIDTHS), b"t"])


class ColumnError(ValueError):
    """Bytes that are not a column."""


def pack(numbers: Sequence[int]) -> bytes:
    """Return the numbers as one column."""
    first = numbers[0] if numbers else 0
    for code, limit in _WIDTHS:
        if -limit <= first < limit:  # so wide at least: looking for the widest would cost more than trying
            try:
                return code.encode() + struct.pack(f"<{len(numbers)}{code}", *numbers)
            except struct.error:
                continue
    return b"t" + ",".join(map(str, numbers)).encode()


def unpack(column: bytes) -> Sequence[int]:
    """Return the numbers of a column. Raises ColumnError if it is not one."""
    code = column[:1]
    if code not in _CODES:
        raise ColumnError(f"not a column of integers: {column[:16]!r}")
    try:
        if code == b"t":
            return [int(number) for number in column[1:].split(b",")]
        unpacked = array(code.decode())
        unpacked.frombytes(column[1:])
    except ValueError as error:
        raise ColumnError(f"not a column of integers: {column[:16]!r}") from error
    if sys.byteorder == "big":
        unpacked.byteswap()
    return unpacked


def length(column: bytes) -> int:
    """Return how many numbers a column has. Raises ColumnError if it is not one."""
    width = _SIZES.get(column[:1])
    if width is None:
        return len(unpack(column))
    count, rest = divmod(len(column) - 1, width)
    if rest:
        raise ColumnError(f"not a column of integers: {column[:16]!r}")
    return count


def pack_rising(numbers: Sequence[int]) -> bytes:
    """Return numbers that lie close to one another (prices, ids, times) as a column of their differences."""
    return pack([*numbers[:1], *map(sub, numbers[1:], numbers)])


def unpack_rising(column: bytes) -> list[int]:
    """Return the numbers that ``pack_rising`` packed."""
    return list(accumulate(unpack(column)))


def counting_up(column: bytes) -> range | None:
    """Return what ``pack_rising`` packed as a range where each number is the one before plus one, else None.

    It looks at the bytes alone: a tenth of what unpacking costs. Raises ColumnError if it is not a column.
    """
    width = _SIZES.get(column[:1])
    if width is None:
        found = unpack_rising(column)
        return range(found[0], found[0] + 1) if len(found) == 1 else None
    if len(column) <= width:
        return None
    steps = column[1 + width :]
    count = len(steps) // width
    if steps and steps != _ONES[width] * count:
        return None
    first = int.from_bytes(column[1 : 1 + width], "little", signed=True)
    return range(first, first + count + 1)
