"""Decimal texts as ints that share one number of decimals, exactly and within 18 digits."""

import re

from wadm.numbers import MAX_DECIMALS, parse

#: Scaled numbers stay below this, so that they fit 64 bits with room for their sign.
LIMIT = 10**MAX_DECIMALS
#: No exchange writes a longer number; more is refused unread (reading huge digits costs quadratic time).
_LONGEST = 64
#: Prices and quantities repeat: so many texts are remembered before starting over.
_REMEMBERED = 4_096
_POWERS: tuple[int, ...] = tuple(10**decimals for decimals in range(MAX_DECIMALS + 1))
_PLAIN = re.compile(r"-?[0-9]+(\.[0-9]+)?")


class BadNumberError(ValueError):
    """Text that is no usable price or quantity; ``reason`` is its name in the ledger."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class ScaleError(ValueError):
    """A good number that cannot share a scale with the others: begin another run with ``restart``."""

    def __init__(self, decimals: int) -> None:
        super().__init__(f"{decimals} decimals")
        self.decimals = decimals


class Column:
    """Positive decimal numbers of one kind, collected in one run.

    Starts at ``least`` decimals (those of the instrument's tick or step) and widens when a finer value
    arrives; trailing zeros do not count. ``name`` begins the reason for a zero or negative number.
    """

    __slots__ = ("_least", "_not_positive", "decimals", "known", "values")

    def __init__(self, name: str, least: int) -> None:
        self._not_positive = f"{name}_not_positive"
        self._least = least
        self.decimals = least
        #: texts read before, at the present scale
        self.known: dict[str, int] = {}
        #: what was collected, at the present scale; the sign is free for the caller's use
        self.values: list[int] = []

    def read(self, text: str) -> int:
        """Return ``text`` scaled, rescaling what was collected if it is finer.

        Raises BadNumberError, or ScaleError if it and what was collected cannot share a scale.
        """
        return self.at_scale(text) or self._remember(text, self._fitted(*self._parse(text)))

    def at_scale(self, text: str) -> int:
        """Return ``text`` scaled, or 0 where it is no good number at the present scale; see ``read``."""
        try:
            digits, decimals = parse(text)
        except ValueError:
            return 0
        if decimals > self.decimals or len(text) > _LONGEST:
            return 0
        scaled = digits * _POWERS[self.decimals - decimals]
        return self._remember(text, scaled) if 0 < scaled < LIMIT else 0

    def take(self) -> list[int]:
        """Return what was collected and start with none."""
        values, self.values = self.values, []
        return values

    def restart(self, decimals: int) -> None:
        """Start over at a scale that holds a number of ``decimals``. To be called with nothing collected."""
        self.decimals = max(self._least, decimals)
        self.known.clear()

    def _remember(self, text: str, scaled: int) -> int:
        if len(self.known) >= _REMEMBERED:
            self.known.clear()
        self.known[text] = scaled
        return scaled

    def _parse(self, text: str) -> tuple[int, int]:
        if len(text) > _LONGEST:
            raise BadNumberError("number_out_of_range" if _PLAIN.fullmatch(text) else "not_a_number")
        try:
            digits, decimals = parse(text)
        except ValueError:
            raise BadNumberError(
                "number_out_of_range" if _PLAIN.fullmatch(text) else "not_a_number"
            ) from None
        if digits <= 0:
            raise BadNumberError(self._not_positive)
        if digits * _POWERS[max(self._least, decimals) - decimals] >= LIMIT:
            raise BadNumberError("number_out_of_range")
        return digits, decimals

    def _fitted(self, digits: int, decimals: int) -> int:
        """Return a number at a scale that holds it and what was collected."""
        if decimals > self.decimals:
            self._widen(decimals)
        scaled = digits * _POWERS[self.decimals - decimals]
        if scaled >= LIMIT:
            raise ScaleError(decimals)
        return scaled

    def _widen(self, decimals: int) -> None:
        factor = _POWERS[decimals - self.decimals]
        if any(abs(value) * factor >= LIMIT for value in self.values):
            raise ScaleError(decimals)
        self.values[:] = [value * factor for value in self.values]
        self.decimals = decimals
        self.known.clear()
