"""A circuit breaker as a pure table: it is told the time, does no I/O and starts no task."""

import math
from collections import deque
from collections.abc import Callable
from enum import Enum
from typing import Self

import attrs

from supervision import checks


class BreakerState(Enum):
    """Whether calls pass."""

    CLOSED = "closed"  # they pass and are counted
    OPEN = "open"  # they are refused until `open_seconds` are over
    HALF_OPEN = "half_open"  # a few probes pass
    ISOLATED = "isolated"  # they are refused until somebody calls `reset`


class _Happening(Enum):
    TRIPPED = "too many calls failed or were slow"
    WAITED = "the open time is over"
    RECOVERED = "all probes succeeded"
    ISOLATE = "an operator cut it off"
    RESET = "an operator put it back"


_CLOSED, _OPEN, _HALF_OPEN, _ISOLATED = BreakerState

# What is not listed changes nothing.
TRANSITIONS = {
    (_CLOSED, _Happening.TRIPPED): _OPEN,
    (_OPEN, _Happening.WAITED): _HALF_OPEN,
    (_HALF_OPEN, _Happening.WAITED): _HALF_OPEN,  # probes that never report are forgotten
    (_HALF_OPEN, _Happening.TRIPPED): _OPEN,
    (_HALF_OPEN, _Happening.RECOVERED): _CLOSED,
    **{(state, _Happening.ISOLATE): _ISOLATED for state in BreakerState},
    **{(state, _Happening.RESET): _CLOSED for state in BreakerState},
}


class BreakerOpen(Exception):
    """A call was refused; from `retry_at` on it is worth another try (infinite when isolated)."""

    def __init__(self, state: BreakerState, retry_at: float) -> None:
        super().__init__(f"the circuit breaker is {state.value}")
        self.state = state
        self.retry_at = retry_at


@attrs.frozen
class BreakerPolicy:
    """When a breaker opens and how it closes again. Times are in seconds, rates are shares from 0 to 1.

    The window holds the last `window` calls; with `window_seconds` it also forgets those older than that.
    """

    window: int = attrs.field(default=20, validator=checks.at_least(1))
    window_seconds: float = attrs.field(default=math.inf, validator=checks.more_than(0))
    minimum_calls: int = attrs.field(default=5, validator=checks.at_least(1))
    failure_rate: float = attrs.field(default=0.5, validator=[checks.share, checks.more_than(0)])
    slow_seconds: float = attrs.field(default=math.inf, validator=checks.more_than(0))
    slow_rate: float = attrs.field(default=1.0, validator=[checks.share, checks.more_than(0)])
    open_seconds: float = attrs.field(default=30.0, validator=checks.more_than(0))
    half_open_permits: int = attrs.field(default=1, validator=checks.at_least(1))

    def __attrs_post_init__(self) -> None:
        if self.minimum_calls > self.window:
            raise ValueError(
                f"BreakerPolicy.minimum_calls ({self.minimum_calls}) is above BreakerPolicy.window"
                f" ({self.window}): the breaker could never open"
            )


@attrs.frozen
class BreakerStatistics:
    """A breaker at one moment; `calls`, `failures` and `slow` are those in its window."""

    state: BreakerState
    retry_at: float | None  # None while calls pass
    calls: int
    failures: int
    slow: int
    refused: int  # since the breaker was made
    opened: int  # times, since the breaker was made


@attrs.frozen
class _Call:
    at: float
    failed: bool
    slow: bool


class Permit:
    """Leave for one call, to be settled once; left unsettled at the end of a `with`, it is cancelled."""

    def __init__(self, breaker: "Breaker", generation: int) -> None:
        self._breaker = breaker
        self._generation = generation
        self._settled = False

    def succeeded(self, now: float, seconds: float) -> None:
        """Count a call that ended well at `now` and took `seconds`."""
        self._settle()
        self._breaker._report(self._generation, now, failed=False, seconds=seconds)  # noqa: SLF001

    def failed(self, now: float, seconds: float) -> None:
        """Count a call that failed at `now` after `seconds`."""
        self._settle()
        self._breaker._report(self._generation, now, failed=True, seconds=seconds)  # noqa: SLF001

    def cancelled(self) -> None:
        """Count nothing, and let another call have this permit."""
        self._settle()
        self._breaker._give_back(self._generation)  # noqa: SLF001

    @property
    def settled(self) -> bool:
        """Whether its call was reported or cancelled."""
        return self._settled

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if not self._settled:
            self.cancelled()

    def _settle(self) -> None:
        if self._settled:
            raise RuntimeError("this permit of a circuit breaker is settled already")
        self._settled = True


class Breaker:
    """Closed, open, half-open, or isolated by hand; see `TRANSITIONS`.

    Half-open admits `half_open_permits` probes: all of them well and in time close it, one that is not
    opens it again. A probe unheard of for `open_seconds` is forgotten. Reports of calls begun in an earlier
    state are too.
    """

    def __init__(
        self, policy: BreakerPolicy, on_change: Callable[[BreakerState], None] | None = None
    ) -> None:
        """Make a closed breaker; `on_change` hears each new state."""
        self.policy = policy
        self._on_change = on_change
        self._state = BreakerState.CLOSED
        self._generation = 0  # rises with each state entered: it tells late reports from probes
        self._window: deque[_Call] = deque(maxlen=policy.window)
        self._retry_at = -math.inf
        self._probes_out = self._probes_well = 0
        self._refused = self._opened = 0

    @property
    def state(self) -> BreakerState:
        """The state; an open time that is over shows as open until somebody acquires."""
        return self._state

    @property
    def retry_at(self) -> float | None:
        """The time from which a refused call is worth another try; None while calls pass."""
        if self._state is BreakerState.CLOSED or self._probe_is_free():
            return None
        return self._retry_at

    def acquire(self, now: float) -> Permit:
        """Return a permit for one call that begins at `now`, or raise BreakerOpen."""
        waits = self._state is BreakerState.OPEN or self._state is BreakerState.HALF_OPEN
        if waits and not self._probe_is_free() and now >= self._retry_at:
            self._happen(_Happening.WAITED, now)
        if self._state is BreakerState.HALF_OPEN and self._probe_is_free():
            self._probes_out += 1
        elif self._state is not BreakerState.CLOSED:
            self._refused += 1
            raise BreakerOpen(self._state, self._retry_at)
        return Permit(self, self._generation)

    def isolate(self) -> None:
        """Refuse every call until `reset`."""
        self._happen(_Happening.ISOLATE, math.inf)

    def reset(self) -> None:
        """Close it and forget what it counted in its window."""
        self._happen(_Happening.RESET, -math.inf)

    def forget_probes(self, now: float) -> None:
        """Take back the permits of a caller that has ended without settling them."""
        if self._state is BreakerState.HALF_OPEN:
            self._happen(_Happening.WAITED, now)

    def statistics(self) -> BreakerStatistics:
        """Return its state and counts."""
        return BreakerStatistics(
            state=self._state,
            retry_at=self.retry_at,
            calls=len(self._window),
            failures=sum(call.failed for call in self._window),
            slow=sum(call.slow for call in self._window),
            refused=self._refused,
            opened=self._opened,
        )

    def _probe_is_free(self) -> bool:
        admitted = self._probes_out + self._probes_well
        return self._state is BreakerState.HALF_OPEN and admitted < self.policy.half_open_permits

    def _report(self, generation: int, now: float, *, failed: bool, seconds: float) -> None:
        if generation != self._generation:
            return
        slow = seconds >= self.policy.slow_seconds
        if self._state is BreakerState.CLOSED:
            self._window.append(_Call(now, failed, slow))
            if self._is_too_bad(now):
                self._happen(_Happening.TRIPPED, now)
        elif failed or slow:
            self._happen(_Happening.TRIPPED, now)
        else:
            self._probes_out -= 1
            self._probes_well += 1
            if self._probes_well == self.policy.half_open_permits:
                self._happen(_Happening.RECOVERED, now)

    def _give_back(self, generation: int) -> None:
        if generation == self._generation and self._state is BreakerState.HALF_OPEN:
            self._probes_out -= 1

    def _is_too_bad(self, now: float) -> bool:
        while self._window and self._window[0].at <= now - self.policy.window_seconds:
            self._window.popleft()
        calls = len(self._window)
        if calls < self.policy.minimum_calls:
            return False
        failures = sum(call.failed for call in self._window)
        slow = sum(call.slow for call in self._window)
        return failures / calls >= self.policy.failure_rate or slow / calls >= self.policy.slow_rate

    def _happen(self, happening: _Happening, now: float) -> None:
        state = TRANSITIONS.get((self._state, happening))
        if state is None:
            return
        changed, self._state = state is not self._state, state
        self._generation += 1
        self._probes_out = self._probes_well = 0
        self._retry_at = now + self.policy.open_seconds
        if state is BreakerState.OPEN:
            self._opened += 1
        if state is BreakerState.CLOSED:
            self._window.clear()
        if changed and self._on_change is not None:
            self._on_change(state)
