"""Levels of an order book as scaled ints, exactly and within 18 digits."""

import re
from collections.abc import Sequence

import msgspec

from wadm.exchanges.column import LIMIT, BadNumberError
from wadm.numbers import MAX_DECIMALS

#: A level as it is written: price and quantity.
Written = tuple[str, str]

#: No exchange writes a longer number.
_NUMBERS = re.compile(r"(?:[0-9]{1,40}(?:\.[0-9]{1,40})?\n)*")


class Levels(msgspec.Struct, frozen=True, eq=False, gc=False):
    """(price, quantity) of both sides, scaled by ``10**price_decimals`` and ``10**quantity_decimals``."""

    price_decimals: int
    quantity_decimals: int
    bids: Sequence[tuple[int, int]]
    asks: Sequence[tuple[int, int]]


def read_levels(
    bids: Sequence[Written], asks: Sequence[Written], price_decimals: int = 0, quantity_decimals: int = 0
) -> Levels:
    """Return written levels at the fewest decimals that hold them all, but at least those given.

    A quantity may be 0. Raises BadNumberError for a price that is not positive, for what is no plain number,
    and for numbers that need more than 18 digits or decimals.
    """
    prices, price_decimals = _scaled([level[0] for level in (*bids, *asks)], price_decimals)
    if 0 in prices:
        raise BadNumberError("price_not_positive")
    quantities, quantity_decimals = _scaled([level[1] for level in (*bids, *asks)], quantity_decimals)
    levels = list(zip(prices, quantities, strict=True))
    return Levels(price_decimals, quantity_decimals, levels[: len(bids)], levels[len(bids) :])


def _scaled(texts: list[str], least: int) -> tuple[list[int], int]:
    """Return non-negative numbers scaled alike, and by how many decimals."""
    # One look at all of them is a third of what one look at each would cost.
    joined = "".join([text + "\n" for text in texts])
    if _NUMBERS.fullmatch(joined) is None or joined.count("\n") != len(texts):
        raise BadNumberError("not_a_number")
    parts = [text.partition(".") for text in texts]
    fractions = [fraction.rstrip("0") for _, _, fraction in parts]
    decimals = max([least, *map(len, fractions)])
    if decimals > MAX_DECIMALS:
        raise BadNumberError("number_out_of_range")
    scaled = [
        int(whole + fraction.ljust(decimals, "0"))
        for (whole, _, _), fraction in zip(parts, fractions, strict=True)
    ]
    if max(scaled, default=0) >= LIMIT:
        raise BadNumberError("number_out_of_range")
    return scaled, decimals
