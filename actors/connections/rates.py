"""How many of something come per second."""

import time

import attrs


@attrs.define
class _Rate:
    count: int = 0
    at: float = 0.0
    per_second: float = 0.0

    def of(self, count: int, now: float) -> float:
        """Return the rate since the last call that lies half a second back or more."""
        if now - self.at >= 0.5:
            self.per_second = (count - self.count) / (now - self.at) if self.at else 0.0
            self.count, self.at = count, now
        return round(self.per_second, 1)


@attrs.define(eq=False)
class Rates:
    """Rates by name, each since it was last asked for."""

    _rates: dict[str, _Rate] = attrs.field(factory=dict, init=False)

    def of(self, name: str, count: int) -> float:
        """Return how many came per second, where so many have come by now; 0 at first."""
        return self._rates.setdefault(name, _Rate()).of(count, time.monotonic())
