"""Durations of the last minutes: what is told of them forgets what was long ago."""

import attrs

from wadm.latency import Latency

#: Seconds after which a duration may be forgotten; after twice that it is.
SPAN = 60.0


@attrs.define(eq=False)
class Recent:
    """Durations (s) of the last one to two ``SPAN``; ``now`` is any clock (s) that only rises."""

    _now: Latency = attrs.field(factory=Latency, init=False)
    _before: Latency = attrs.field(factory=Latency, init=False)
    _longest: tuple[float, float] = attrs.field(default=(0.0, 0.0), init=False)
    _since: float | None = attrs.field(default=None, init=False)

    def add(self, seconds: float, now: float) -> None:
        """Count a duration."""
        self._forget(now)
        self._now.add(seconds * 1e6)
        if seconds > self._longest[0]:
            self._longest = (seconds, self._longest[1])

    def latency(self, now: float) -> Latency:
        """Return the durations."""
        self._forget(now)
        together = self._before.copy()
        together.merge(self._now)
        return together

    def longest(self, now: float) -> float:
        """Return the longest of them, 0 where there is none."""
        self._forget(now)
        return max(self._longest)

    def _forget(self, now: float) -> None:
        if self._since is None:
            self._since = now
        age = now - self._since
        if age < SPAN:
            return
        stale = age >= 2 * SPAN
        self._before = Latency() if stale else self._now
        self._longest = (0.0, 0.0 if stale else self._longest[0])
        self._now, self._since = Latency(), now
