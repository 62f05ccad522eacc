"""At most so many things in so much time. Pure: ``now`` (s) is any clock that only rises."""

from collections import deque

import attrs


@attrs.define
class Pacing:
    """At most ``most`` things in any ``seconds``; ``most`` is None where there is no limit."""

    most: int | None
    seconds: float
    _done: deque[float] = attrs.field(factory=deque, init=False)

    def delay(self, now: float) -> float:
        """Return in how many seconds there is room for another one, 0 where there is."""
        while self._done and self._done[0] <= now - self.seconds:
            self._done.popleft()
        if self.most is None or len(self._done) < self.most:
            return 0.0
        return self._done[0] + self.seconds - now

    def spend(self, now: float) -> None:
        """Count one that is being done."""
        if self.most is not None:
            self._done.append(now)
