"""Numbers and times as BSON has them: exact Decimal128 of scaled integers, dates of microseconds."""

from datetime import datetime
from decimal import Decimal
from struct import Struct
from typing import Any

from bson.datetime_ms import DatetimeMS
from bson.decimal128 import Decimal128

from actors.storage.errors import StorageError
from wadm.market import MILLISECOND
from wadm.numbers import from_decimal, to_decimal

#: A document, written or found.
Document = dict[str, Any]

#: A Decimal128 holds this many digits.
DIGITS = 34

_LIMIT = int(10**DIGITS)
#: The exponent 0 of a Decimal128 in the bits of its upper half (IEEE 754-2008, binary integer decimal).
_BIAS = 6176
_SHIFT = 49
_SIGN = 1 << 63
_LOWER = (1 << 64) - 1
_HALVES = Struct("<QQ")

_INT64 = range(-(1 << 63), 1 << 63)


def halves(scaled: int, decimals: int) -> tuple[int, int]:
    """Return the lower and the upper 64 bits of ``scaled / 10**decimals`` as a Decimal128.

    A number of more than 34 digits is rounded half to even: see ``fits``.
    """
    digits = abs(scaled)
    if digits >= _LIMIT:
        digits, decimals = _rounded(digits, decimals)
    upper = (digits >> 64) | ((_BIAS - decimals) << _SHIFT)
    return digits & _LOWER, upper | _SIGN if scaled < 0 else upper


def _rounded(digits: int, decimals: int) -> tuple[int, int]:
    excess = len(str(digits)) - DIGITS
    digits = round(digits, -excess) // int(10**excess)
    return (digits, decimals - excess) if digits < _LIMIT else (digits // 10, decimals - excess - 1)


def fits(scaled: int) -> bool:
    """Return whether a Decimal128 holds the number exactly."""
    return abs(scaled) < _LIMIT


def decimal128(scaled: int, decimals: int) -> Decimal128:
    """Return ``scaled / 10**decimals``; the sixth of the time that it takes from a Decimal."""
    return Decimal128.from_bid(_HALVES.pack(*halves(scaled, decimals)))


def of_decimal(number: Decimal | None) -> Decimal128 | None:
    """Return a Decimal as a Decimal128, rounded where it has more digits than that holds."""
    return None if number is None else decimal128(*from_decimal(number))


def scaled_of(number: Decimal128) -> tuple[int, int]:
    """Return ``(scaled, decimals)``, with the decimals that it was stored with."""
    lower, upper = _HALVES.unpack(number.bid)
    digits = lower | (upper & ((1 << _SHIFT) - 1)) << 64
    decimals = _BIAS - ((upper & ~_SIGN) >> _SHIFT)
    if decimals < 0 or digits >= _LIMIT or upper & (3 << 61) == 3 << 61:  # not written by us
        return from_decimal(number.to_decimal())
    return -digits if upper & _SIGN else digits, decimals


def to_scale(number: Decimal128, decimals: int) -> int:
    """Return the number scaled by ``10**decimals``, at least as many as it was stored with."""
    scaled, own = scaled_of(number)
    return scaled * int(10 ** (decimals - own))


def plain_decimal(number: Decimal128) -> Decimal:
    """Return the exact Decimal."""
    return to_decimal(*scaled_of(number))


def date(micros: int) -> DatetimeMS:
    """Return a time (µs) as a BSON date, which counts milliseconds; what is finer is cut off."""
    return DatetimeMS(micros // MILLISECOND)


def first_date(micros: int) -> DatetimeMS:
    """Return the first BSON date that is not before a time (µs)."""
    return DatetimeMS(-(-micros // MILLISECOND))


def micros(found: datetime | DatetimeMS) -> int:
    """Return a BSON date, however it was decoded, as µs."""
    return int(found if isinstance(found, DatetimeMS) else DatetimeMS(found)) * MILLISECOND


def whole(number: int, what: str) -> int:
    """Return a whole number that BSON can hold. Raises StorageError for a longer one."""
    if number not in _INT64:
        raise StorageError(f"MongoDB cannot hold {what} {number}: its whole numbers have 64 bits")
    return number
