"""Exact numbers: scaled integers inside, Decimal and plain text at every edge.

A price or quantity is held as ``value * 10**decimals`` in an ``int``, ``decimals`` being shared by a whole
run of them. No binary float ever carries money.
"""

import re
from decimal import Decimal
from fractions import Fraction

#: More decimals than any exchange quotes; a finer number is refused, not rounded.
MAX_DECIMALS = 18
#: No price, quantity or row size is a longer text; reading thousands of digits costs quadratic time.
MAX_LENGTH = 100
_PLAIN = re.compile(r"-?[0-9]+(\.[0-9]+)?")


class NumberError(ValueError):
    """Text that is not a plain decimal number, or one of more than MAX_DECIMALS decimals or MAX_LENGTH."""


def parse(text: str) -> tuple[int, int]:
    """Return ``text`` as ``(scaled, decimals)`` with trailing zeros dropped: ``"61.50"`` is ``(615, 1)``.

    Raises NumberError for anything that is not digits, at most one point and at most one leading minus.
    """
    whole, point, fraction = text.partition(".")
    unsigned = text.isascii() and whole.isdigit() and (fraction.isdigit() or not point)
    if not unsigned and _PLAIN.fullmatch(text) is None:  # which takes three times as long
        raise NumberError(f"{text[:40]!r} is not a plain decimal number")
    if len(text) > MAX_LENGTH:
        raise NumberError(f"{text[:40]!r} and so on has more than {MAX_LENGTH} characters")
    fraction = fraction.rstrip("0")
    if len(fraction) > MAX_DECIMALS:
        raise NumberError(f"{text[:40]!r} has more than {MAX_DECIMALS} decimals")
    return int(whole + fraction), len(fraction)


def to_decimal(scaled: int, decimals: int) -> Decimal:
    """Return the exact Decimal of a scaled integer."""
    return Decimal(f"{scaled}E-{decimals}")  # read from text it is never rounded, however long


def from_decimal(number: Decimal) -> tuple[int, int]:
    """Return a finite Decimal as ``(scaled, decimals)`` with trailing zeros dropped."""
    return parse(plain(number))


def plain(number: Decimal) -> str:
    """Return plain notation: no exponent, no trailing zeros, no negative zero."""
    if not number.is_finite():
        raise NumberError(f"{number} is not a finite number")
    text = format(number, "f")
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    return "0" if text in ("-0", "") else text


def plain_or_none(number: Decimal | None) -> str | None:
    """Return a number in plain notation, None where there is none."""
    return None if number is None else plain(number)


def plain_fraction(value: Fraction | None, places: int = 8) -> str | None:
    """Return a fraction in plain notation, rounded half-even to ``places`` decimals; None where none is."""
    return None if value is None else plain_scaled(round(value * 10**places), places)


def plain_scaled(scaled: int, decimals: int) -> str:
    """Return a scaled integer in plain notation: ``(61500, 3)`` is ``"61.5"``."""
    if not decimals:
        return str(scaled)
    sign, digits = ("-", str(-scaled)) if scaled < 0 else ("", str(scaled))
    digits = digits.rjust(decimals + 1, "0")
    fraction = digits[-decimals:].rstrip("0")
    return sign + digits[:-decimals] + ("." + fraction if fraction else "")


def ratio(numerator: int, denominator: int, places: int = 8) -> Decimal | None:
    """Return ``numerator / denominator`` rounded half-even to ``places`` decimals, None over zero."""
    if denominator == 0:
        return None
    return to_decimal(round(Fraction(numerator * 10**places, denominator)), places)
