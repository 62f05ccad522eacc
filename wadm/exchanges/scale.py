"""Reading the levels of one symbol's order book fast: they are all written alike, or were seen before."""

import re
from collections.abc import Sequence

from msgspec import Raw

from wadm.exchanges.column import LIMIT, BadNumberError
from wadm.exchanges.levels import Levels, Written, read_levels
from wadm.exchanges.sides import Form, decode_side, form_of

#: Texts remembered of one symbol's prices, and as many of its quantities, before starting over.
_REMEMBERED = 4_096
_PLAIN = re.compile(r"[0-9]{1,18}(?:\.[0-9]{1,18})?")


class UnfitError(ValueError):
    """A text that is no number of this scale; whether it is one at all is for ``read_levels`` to say."""


class Scale(dict[str, int]):
    """Numbers by how they are written, scaled by ``10**decimals``; none is below ``least``."""

    __slots__ = ("decimals", "least")

    def __init__(self, least: int, decimals: int) -> None:
        super().__init__()
        self.least = least
        self.decimals = decimals

    def __missing__(self, text: str) -> int:
        if _PLAIN.fullmatch(text) is None:
            raise UnfitError
        whole, _, fraction = text.partition(".")
        decimals = self.decimals
        if len(fraction) > decimals:
            if fraction[decimals:].strip("0"):
                raise UnfitError
            fraction = fraction[:decimals]
        scaled = int(whole + fraction.ljust(decimals, "0"))
        if not self.least <= scaled < LIMIT:
            raise UnfitError
        if len(self) >= _REMEMBERED:
            self.clear()
        self[text] = scaled
        return scaled

    def rescale(self, decimals: int) -> None:
        """Scale by another power of ten from now on."""
        if decimals != self.decimals:
            self.decimals = decimals
            self.clear()


class LevelReader:
    """Reads the levels of one symbol.

    Starts at the decimals of its tick and step and takes more when a finer number comes. It keeps them,
    unless a number then comes that would not fit 18 digits.
    """

    __slots__ = ("_form", "_least", "_prices", "_quantities")

    def __init__(self, price_decimals: int, quantity_decimals: int) -> None:
        self._least = price_decimals, quantity_decimals
        self._prices = Scale(1, price_decimals)
        self._quantities = Scale(0, quantity_decimals)
        #: how both sides of the last frame were written, as far as that is known
        self._form: Form | None = None

    def read_raw(self, bids: Raw, asks: Raw) -> Levels:
        """Return levels as they stand in a frame.

        Raises BadNumberError as ``read_levels`` does, and msgspec's errors for what is no level.
        """
        form = self._form
        if form is not None:
            bought, sold = form.read(bytes(bids)), form.read(bytes(asks))
            if bought is not None and sold is not None:
                return Levels(form.price_decimals, form.quantity_decimals, bought, sold)
        written = decode_side(bids), decode_side(asks)
        levels = self.read(*written)
        self._form = form_of(written[0] or written[1], levels.price_decimals, levels.quantity_decimals)
        return levels

    def read(self, bids: Sequence[Written], asks: Sequence[Written]) -> Levels:
        """Return the levels. Raises BadNumberError as ``read_levels`` does."""
        prices, quantities = self._prices, self._quantities
        try:
            return Levels(
                prices.decimals,
                quantities.decimals,
                [(prices[price], quantities[quantity]) for price, quantity in bids],
                [(prices[price], quantities[quantity]) for price, quantity in asks],
            )
        except UnfitError:
            levels = self._read_anew(bids, asks)
        self._form = None
        prices.rescale(levels.price_decimals)
        quantities.rescale(levels.quantity_decimals)
        return levels

    def _read_anew(self, bids: Sequence[Written], asks: Sequence[Written]) -> Levels:
        """Read levels of which one is finer than all before, or does not fit beside the finest before."""
        try:
            return read_levels(bids, asks, self._prices.decimals, self._quantities.decimals)
        except BadNumberError as bad:
            if bad.reason != "number_out_of_range":
                raise
        return read_levels(bids, asks, *self._least)
