"""When an ended child comes back, and when its supervisor gives up. Pure: it is told the time."""

import random
from collections import deque
from enum import Enum

import attrs

from supervision import checks


class Restart(Enum):
    """Which ends of a child make it start again."""

    PERMANENT = "permanent"  # every end, also a normal return
    TRANSIENT = "transient"  # a crash or a disconnect
    TEMPORARY = "temporary"  # none


class Strategy(Enum):
    """Which children start again when one crashed. A disconnect parks only the child itself."""

    ONE_FOR_ONE = "one_for_one"  # that child
    REST_FOR_ONE = "rest_for_one"  # that child and those declared after it
    ONE_FOR_ALL = "one_for_all"  # all of them


class Disconnected(Exception):
    """The far side went away. An actor that raises it is parked and spends none of its restart intensity."""


class Killed(Exception):
    """The cause of a crash that `Supervisor.kill` made."""


class StartTimeout(Exception):
    """The cause of a crash: an actor did not call `Context.started` within its `start_timeout`."""


class Returned(Exception):
    """The cause of a crash: a permanent actor returned without having been asked to stop."""


class Escalation(Exception):
    """Children crashed more often than their supervisor's intensity allows; `__cause__` is the last crash."""


class NotStarted(Exception):
    """A child that was to be added ended, or its supervisor did, before the child was ready."""


class Stuck(Exception):
    """A child ignored its cancellation; its task cannot be ended from outside."""


@attrs.frozen
class Intensity:
    """At most `restarts` restarts within any `period` seconds; one more and the supervisor itself fails."""

    restarts: int = attrs.field(default=5, validator=checks.at_least(0))
    period: float = attrs.field(default=10.0, validator=checks.more_than(0))


@attrs.define
class Budget:
    """The restarts spent of an intensity."""

    intensity: Intensity
    _spent: deque[float] = attrs.field(factory=deque, init=False)

    def spend(self, now: float) -> bool:
        """Spend one restart at `now`, in seconds; return False when that is one too many."""
        while self._spent and self._spent[0] <= now - self.intensity.period:
            self._spent.popleft()
        if len(self._spent) >= self.intensity.restarts:
            return False
        self._spent.append(now)
        return True


@attrs.frozen
class Backoff:
    """How long an ended child waits: nothing the first time, then from `minimum` to `maximum` seconds.

    Each wait is `factor` times the one before, spread by up to the share `jitter` to both sides within the
    two bounds. A run of `reset_after` seconds counts as stable: after it the next end is a first one again.
    """

    minimum: float = attrs.field(default=0.1, validator=checks.more_than(0))
    maximum: float = attrs.field(default=30.0, validator=checks.more_than(0))
    factor: float = attrs.field(default=2.0, validator=checks.at_least(1))
    jitter: float = attrs.field(default=0.2, validator=checks.share)
    reset_after: float = attrs.field(default=60.0, validator=checks.more_than(0))

    def __attrs_post_init__(self) -> None:
        if self.maximum < self.minimum:
            raise ValueError(
                f"Backoff.maximum ({self.maximum!r}) is below Backoff.minimum ({self.minimum!r})"
            )

    def delay(self, attempt: int, draw: random.Random) -> float:
        """Return the seconds to wait before restart number `attempt` (1 is the first) of an unstable time."""
        if attempt <= 1:
            return 0.0
        try:
            middle = min(self.maximum, self.minimum * self.factor ** (attempt - 2))
        except OverflowError:
            middle = self.maximum
        low = max(self.minimum, middle * (1 - self.jitter))
        high = min(self.maximum, middle * (1 + self.jitter))
        return min(max(draw.uniform(low, high), self.minimum), self.maximum)


def is_disconnect(error: BaseException) -> bool:
    """Return whether an error is a Disconnected, or a group of nothing else."""
    if isinstance(error, BaseExceptionGroup):
        return all(is_disconnect(inner) for inner in error.exceptions)
    return isinstance(error, Disconnected)
