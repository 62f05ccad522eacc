"""Symbols added and removed by hand, laid over those that settings name."""

from collections.abc import Iterable

import attrs


@attrs.frozen
class Selected:
    """One exchange's: a symbol is in one of the two at most."""

    added: frozenset[str] = frozenset()
    removed: frozenset[str] = frozenset()

    def over(self, configured: Iterable[str]) -> list[str]:
        """Return the symbols to follow: those configured, in their order, then those added."""
        kept = [symbol for symbol in dict.fromkeys(configured) if symbol not in self.removed]
        return [*kept, *sorted(self.added - set(kept))]

    def add(self, symbol: str, *, configured: bool) -> "Selected":
        """Return it with a symbol followed, which settings may name as well."""
        return Selected(self.added | (set() if configured else {symbol}), self.removed - {symbol})

    def remove(self, symbol: str, *, configured: bool) -> "Selected":
        """Return it with a symbol not followed, which settings may name all the same."""
        return Selected(self.added - {symbol}, self.removed | ({symbol} if configured else set()))
