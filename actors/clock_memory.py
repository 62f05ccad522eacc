"""What is known of the local clock: it outlives a crash of who measures it."""

import attrs

from wadm.clock import Skew, advice
from wadm.instants import iso
from wadm.market import MILLISECOND


@attrs.define(eq=False)
class ClockMemory:
    """What was last measured against one exchange, at ``measured_at`` (µs, local clock), and why it failed.

    ``due`` is when to measure again, in seconds on trio's clock.
    """

    exchange: str
    due: float = 0.0
    skew: Skew | None = None
    measured_at: int | None = None
    error: str = ""

    @property
    def alarm(self) -> str:
        """What is wrong with the clock, "" where nothing is."""
        return advice(self.exchange, self.skew) if self.skew is not None and self.skew.excessive else ""

    def answer(self) -> dict[str, object]:
        """Return it as the daemon's status shows it: ``offset_ms`` is exchange minus local time."""
        found = self.skew
        return {
            "exchange": self.exchange,
            "offset_ms": None if found is None else found.offset // MILLISECOND,
            "uncertainty_ms": None if found is None else -(-found.uncertainty // MILLISECOND),
            "measured_at": None if self.measured_at is None else iso(self.measured_at),
            "alarm": self.alarm or None,
            "error": self.error or None,
        }
