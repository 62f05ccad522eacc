"""Sides of an order book as they stand in a frame, read all at once where their numbers are written alike.

Binance writes every price of a symbol with as many decimals as the others, and every quantity: one look at
the text of a side tells whether all of it is so, and then nothing is left to ask of a single number.
"""

import re
from collections.abc import Sequence
from functools import lru_cache

import attrs
import msgspec

from wadm.exchanges.levels import Written
from wadm.numbers import MAX_DECIMALS

#: Of a side written alike, all but the digits and the commas.
_MARKS = b'[]".'

#: Reads a side however it is written. Strict: a price is a string.
decode_side = msgspec.json.Decoder(list[Written]).decode


@attrs.frozen(eq=False)
class Form:
    """One way to write a side; what is read is scaled by ``10**price_decimals``, ``10**quantity_decimals``.

    ``price_cut`` and ``quantity_cut`` are the powers of ten of the zeros that are written beyond those.
    """

    price_decimals: int
    quantity_decimals: int
    price_cut: int
    quantity_cut: int
    pattern: re.Pattern[bytes]

    def read(self, side: bytes) -> list[tuple[int, int]] | None:
        """Return a side, which is valid JSON, as (price, quantity); None where it is written otherwise."""
        if side == b"[]":
            return []
        if self.pattern.fullmatch(side) is None:
            return None
        digits = map(int, side.translate(None, _MARKS).split(b","))
        price_cut, quantity_cut = self.price_cut, self.quantity_cut
        return [
            (price // price_cut, quantity // quantity_cut)
            for price, quantity in zip(digits, digits, strict=True)
        ]


def form_of(sides: Sequence[Written], price_decimals: int, quantity_decimals: int) -> Form | None:
    """Return the form of the first of these levels, to be read at these decimals; None where there is none.

    A side is of a form only if its prices are positive and its numbers have at most 18 digits when scaled.
    """
    if not sides:
        return None
    price, quantity = (len(text.partition(".")[2]) for text in sides[0])
    return _form(price_decimals, quantity_decimals, price - price_decimals, quantity - quantity_decimals)


@lru_cache(256)
def _form(price_decimals: int, quantity_decimals: int, price_zeros: int, quantity_zeros: int) -> Form | None:
    if price_zeros < 0 or quantity_zeros < 0 or max(price_decimals, quantity_decimals) >= MAX_DECIMALS:
        return None
    price, quantity = _number(price_decimals, price_zeros), _number(quantity_decimals, quantity_zeros)
    level = rf'\["(?![0.]*"){price}","{quantity}"\]'
    pattern = re.compile(rf"\[(?:{level},?)*+\]".encode())
    return Form(price_decimals, quantity_decimals, 10**price_zeros, 10**quantity_zeros, pattern)


def _number(decimals: int, zeros: int) -> str:
    """Return the pattern of a number of so many decimals and, beyond those, zeros."""
    whole = rf"[0-9]{{1,{MAX_DECIMALS - decimals}}}"
    return rf"{whole}\.[0-9]{{{decimals}}}0{{{zeros}}}" if decimals + zeros else whole
