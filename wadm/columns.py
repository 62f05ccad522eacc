"""Columns of integers in the fewest bytes: how closed bars and journalled trades are kept.

A column is one type code (``b h i q`` for 1, 2, 4 and 8 bytes per number, as in the ``array`` module,
little-endian; ``t`` for decimal text where a number needs more than 64 bits) followed by the numbers.
"""

import sys
from array import array
from collections.abc import Sequence
from itertools import accumulate, pairwise

_WIDTHS = (("b", 1 << 7), ("h", 1 << 15), ("i", 1 << 31), ("q", 1 << 63))
_CODES = frozenset([*(code.encode() for code, _ in _WIDTHS), b"t"])


class ColumnError(ValueError):
    """Bytes that are not a column."""


def pack(numbers: Sequence[int]) -> bytes:
    """Return the numbers as one column."""
    bound = max(max(numbers, default=0), -min(numbers, default=0) - 1)
    for code, limit in _WIDTHS:
        if bound < limit:
            packed = array(code, numbers)
            if sys.byteorder == "big":
                packed.byteswap()
            return code.encode() + packed.tobytes()
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


def pack_rising(numbers: Sequence[int]) -> bytes:
    """Return numbers that lie close to one another (prices, ids, times) as a column of their differences."""
    return pack([*numbers[:1], *(after - before for before, after in pairwise(numbers))])


def unpack_rising(column: bytes) -> list[int]:
    """Return the numbers that ``pack_rising`` packed."""
    return list(accumulate(unpack(column)))
