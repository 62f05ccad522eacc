"""What is known of an exchange's list of symbols: it outlives a crash of who reads it."""

from collections.abc import Mapping

import attrs
import trio

from wadm.exchanges.base import Listed
from wadm.selection import Decision, Wanted

#: So many symbols that were left are remembered with their reason.
_LEFT = 100


@attrs.define(eq=False)
class ListingMemory:
    """One exchange's list: when it was read, when it is to be read again, and what came of it.

    ``looked_at``, ``due`` and ``read_at`` are in seconds on trio's clock; ``asked`` is what was asked for
    when it was looked at. ``seen`` were on it once, ``missed`` are followed but were not on it the last time,
    ``unknown`` were asked for by name but never were on it. ``left`` are symbols no longer followed, with the
    reason.
    """

    exchange: str
    asked: Wanted | None = None
    looked_at: float = 0.0
    due: float = 0.0
    read_at: float | None = None
    error: str = ""
    listed: int = 0
    trading: int = 0
    seen: set[str] = attrs.field(factory=set)
    missed: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()
    left: dict[str, str] = attrs.field(factory=dict)

    def read(self, listing: Mapping[str, Listed], decision: Decision) -> None:
        """Note a list, and what is done about it."""
        self.read_at, self.error = trio.current_time(), ""
        self.listed = len(listing)
        self.trading = sum(one.trading for one in listing.values())
        self.seen |= listing.keys()
        self.missed, self.unknown = decision.missed, decision.unknown
        for symbol in decision.follow:
            self.left.pop(symbol, None)
        self.left |= decision.leave
        while len(self.left) > _LEFT:
            del self.left[next(iter(self.left))]

    def failed(self, reason: str) -> None:
        """Note that the list could not be read."""
        self.error = reason

    def age(self) -> float | None:
        """Return how many seconds ago the list was last read."""
        return None if self.read_at is None else round(trio.current_time() - self.read_at, 1)

    def answer(self) -> dict[str, object]:
        """Return it as the daemon's status shows it."""
        return {
            "exchange": self.exchange,
            "age": self.age(),
            "error": self.error or None,
            "listed": self.listed,
            "trading": self.trading,
            "unknown": list(self.unknown),
            "missed": list(self.missed),
            "left": dict(self.left),
        }
