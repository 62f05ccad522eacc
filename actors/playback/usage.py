"""How much an address has asked of a REST interface, and when it is refused. Pure: ``now`` is an argument."""

import math
from collections import deque

import attrs

#: Refused requests after which an address is banned; a ban lasts this many windows.
INSISTENCE, BAN_WINDOWS = 3, 2


@attrs.frozen
class Refusal:
    """No answer for so many seconds yet; ``banned`` where the address kept asking."""

    seconds: int
    banned: bool


class Usage:
    """The requests of one address, by their weight in windows of so many seconds; None: without a limit."""

    def __init__(self, limit: int | None, window: float) -> None:
        self._limit = math.inf if limit is None else limit
        self._window = window
        self._used = 0
        self._ends = -math.inf
        self._refused_until = -math.inf
        self._banned = False
        self._insisted = 0

    def used(self, now: float) -> int:
        """Return what the requests of the present window weighed."""
        self._turn(now)
        return self._used

    def refuse(self, until: float, *, banned: bool) -> None:
        """Refuse every request until then."""
        self._refused_until, self._banned, self._insisted = until, banned, 0

    def charge(self, weight: int, now: float) -> Refusal | None:
        """Count a request; return a refusal where it is one too many."""
        self._turn(now)
        if now >= self._refused_until:
            self._used += weight
            if self._used <= self._limit:
                return None
            self.refuse(self._ends, banned=False)
        else:
            self._insisted += 1
            if self._insisted >= INSISTENCE and not self._banned:
                self.refuse(self._refused_until + BAN_WINDOWS * self._window, banned=True)
        return Refusal(math.ceil(self._refused_until - now), self._banned)

    def _turn(self, now: float) -> None:
        if now >= self._ends:
            self._used, self._ends = 0, (now // self._window + 1) * self._window


class Rate:
    """What happens at most ``limit`` times in any ``window`` seconds; None: as often as may be."""

    def __init__(self, limit: int | None, window: float) -> None:
        self._window = window
        self._latest = deque[float](maxlen=limit or 0)
        self._limited = limit is not None

    def allows(self, now: float) -> bool:
        """Count one more; return whether it is within the limit."""
        latest = self._latest
        full = self._limited and len(latest) == latest.maxlen
        within = not full or bool(latest and now - latest[0] >= self._window)
        latest.append(now)
        return within
