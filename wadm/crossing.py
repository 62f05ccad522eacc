"""Whether a book has been crossed for longer than a market can be. Sans-IO; ``now`` is an argument."""

import attrs

from wadm.market import SECOND

#: The longest (µs) a book may be crossed: one diff may be, of a market that moves, until the next one.
TOLERATED = 5 * SECOND


@attrs.define
class Crossing:
    """``count`` is how often the book became crossed, ``since`` (exchange's time, ours; µs) when it did."""

    count: int = 0
    since: tuple[int, int] | None = None

    def look(self, at: int, now: int, *, crossed: bool) -> bool:
        """Look at a book as it is at ``at`` (µs, exchange) and ``now`` (µs, any clock that only goes on).

        Returns whether it has been crossed for too long.
        """
        if not crossed:
            self.since = None
            return False
        if self.since is None:
            self.count += 1
            self.since = (at, now)
        return max(at - self.since[0], now - self.since[1]) > TOLERATED
