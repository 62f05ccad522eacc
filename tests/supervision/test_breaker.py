import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from supervision import Breaker, BreakerOpen, BreakerPolicy, BreakerState

CLOSED, OPEN, HALF_OPEN, ISOLATED = BreakerState


def fail(breaker, now, times=1):
    for _ in range(times):
        breaker.acquire(now).failed(now, 0.1)


def succeed(breaker, now, times=1, seconds=0.1):
    for _ in range(times):
        breaker.acquire(now).succeeded(now, seconds)


def opened(**policy):
    breaker = Breaker(BreakerPolicy(window=4, minimum_calls=2, open_seconds=10, **policy))
    fail(breaker, 0, 2)
    assert breaker.state is OPEN
    return breaker


def test_it_opens_at_the_failure_rate_but_not_before_the_minimum_of_calls():
    breaker = Breaker(BreakerPolicy(window=10, minimum_calls=4, failure_rate=0.5))
    fail(breaker, 0, 2)
    succeed(breaker, 0)
    assert breaker.state is CLOSED
    succeed(breaker, 0)
    assert breaker.state is OPEN


def test_a_window_of_calls_forgets_the_oldest():
    breaker = Breaker(BreakerPolicy(window=4, minimum_calls=4, failure_rate=0.5))
    succeed(breaker, 0, 3)
    fail(breaker, 0)
    succeed(breaker, 0, 3)
    fail(breaker, 0)
    assert breaker.state is CLOSED
    assert breaker.statistics().calls == 4


def test_a_window_of_time_forgets_what_is_old():
    breaker = Breaker(BreakerPolicy(window=100, window_seconds=60, minimum_calls=2, failure_rate=0.6))
    fail(breaker, 0)
    succeed(breaker, 61)
    fail(breaker, 62)
    assert breaker.state is CLOSED
    assert breaker.statistics().failures == 1
    fail(breaker, 63)
    assert breaker.state is OPEN


def test_slow_calls_open_it_as_well():
    breaker = Breaker(BreakerPolicy(minimum_calls=3, slow_seconds=2, slow_rate=0.5))
    succeed(breaker, 0, 2, seconds=2)
    succeed(breaker, 0, 1, seconds=1.9)
    assert breaker.state is OPEN
    assert breaker.statistics().slow == 2


def test_open_refuses_and_says_when_to_retry():
    breaker = opened()
    with pytest.raises(BreakerOpen, match="open") as refusal:
        breaker.acquire(9.9)
    assert refusal.value.retry_at == breaker.retry_at == 10
    assert refusal.value.state is OPEN
    assert breaker.statistics().refused == 1


def test_half_open_admits_only_its_probes_and_closes_when_all_are_well():
    breaker = opened(half_open_permits=2)
    first, second = breaker.acquire(10), breaker.acquire(10)
    assert breaker.state is HALF_OPEN
    with pytest.raises(BreakerOpen):
        breaker.acquire(11)
    first.succeeded(12, 1)
    with pytest.raises(BreakerOpen):
        breaker.acquire(12)
    second.succeeded(13, 1)
    assert breaker.state is CLOSED
    assert breaker.retry_at is None
    assert breaker.statistics().calls == 0


@pytest.mark.parametrize("end", [lambda probe: probe.failed(12, 1), lambda probe: probe.succeeded(12, 99)])
def test_a_probe_that_fails_or_is_slow_opens_it_again(end):
    breaker = opened(half_open_permits=2, slow_seconds=5)
    breaker.acquire(10)
    end(breaker.acquire(10))
    assert breaker.state is OPEN
    assert breaker.retry_at == 22
    assert breaker.statistics().opened == 2


def test_a_cancelled_probe_gives_its_permit_back():
    breaker = opened()
    breaker.acquire(10).cancelled()
    assert breaker.state is HALF_OPEN
    with breaker.acquire(11):
        pass
    with breaker.acquire(11) as probe:
        probe.succeeded(12, 1)
    assert breaker.state is CLOSED


def test_a_probe_unheard_of_is_forgotten_after_the_open_time():
    breaker = opened()
    lost = breaker.acquire(10)
    with pytest.raises(BreakerOpen) as refusal:
        breaker.acquire(19)
    assert refusal.value.retry_at == 20
    probe = breaker.acquire(20)
    lost.failed(20, 10)
    assert breaker.state is HALF_OPEN
    probe.succeeded(21, 1)
    assert breaker.state is CLOSED


def test_forgotten_probes_are_free_again():
    breaker = opened()
    breaker.acquire(10)
    breaker.forget_probes(10)
    assert breaker.acquire(10)


def test_a_report_of_a_call_begun_before_is_no_probe():
    breaker = Breaker(BreakerPolicy(window=4, minimum_calls=2, open_seconds=10))
    early = breaker.acquire(0)
    fail(breaker, 0, 2)
    probe = breaker.acquire(10)
    early.succeeded(11, 11)
    assert breaker.state is HALF_OPEN
    probe.succeeded(12, 1)
    assert breaker.state is CLOSED


def test_a_cancelled_call_begun_before_frees_no_probe():
    breaker = Breaker(BreakerPolicy(window=4, minimum_calls=2, open_seconds=10))
    early = breaker.acquire(0)
    fail(breaker, 0, 2)
    breaker.acquire(10)
    early.cancelled()
    with pytest.raises(BreakerOpen):
        breaker.acquire(11)


def test_a_permit_is_settled_once():
    permit = Breaker(BreakerPolicy()).acquire(0)
    permit.succeeded(0, 0)
    assert permit.settled
    with pytest.raises(RuntimeError, match="settled already"):
        permit.cancelled()


def test_isolated_by_hand_until_reset_by_hand():
    heard = []
    breaker = Breaker(BreakerPolicy(), heard.append)
    breaker.isolate()
    with pytest.raises(BreakerOpen, match="isolated") as refusal:
        breaker.acquire(1e12)
    assert refusal.value.retry_at == math.inf
    breaker.reset()
    assert breaker.acquire(0)
    assert heard == [ISOLATED, CLOSED]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("window", 0),
        ("minimum_calls", 0),
        ("failure_rate", 1.5),
        ("failure_rate", 0),
        ("slow_rate", -1),
        ("open_seconds", 0),
        ("open_seconds", float("nan")),
        ("half_open_permits", 0),
        ("window_seconds", -3),
    ],
)
def test_a_wrong_policy_is_refused_by_its_field(field, value):
    with pytest.raises(ValueError, match=rf"BreakerPolicy.{field} must .*, not {value}"):
        BreakerPolicy(**{field: value})


def test_a_breaker_that_could_never_open_is_refused():
    with pytest.raises(ValueError, match="could never open"):
        BreakerPolicy(window=3, minimum_calls=4)


@given(st.lists(st.booleans(), max_size=60), st.integers(1, 8), st.integers(1, 8), st.floats(0.05, 1.0))
def test_it_opens_exactly_where_the_table_says(outcomes, window, minimum, rate):
    minimum = min(minimum, window)
    breaker = Breaker(BreakerPolicy(window=window, minimum_calls=minimum, failure_rate=rate))
    seen = []
    for failed in outcomes:
        seen.append(failed)
        permit = breaker.acquire(0)
        permit.failed(0, 0) if failed else permit.succeeded(0, 0)
        last = seen[-window:]
        too_bad = len(last) >= minimum and sum(last) / len(last) >= rate
        assert breaker.state is (OPEN if too_bad else CLOSED)
        if too_bad:
            return


class BreakerMachine(RuleBasedStateMachine):
    """Whatever is called when: few probes, no leak of permits, and no refusal without a time to retry."""

    @initialize(probes=st.integers(1, 3))
    def make(self, probes):
        self.now = 0.0
        policy = BreakerPolicy(
            window=4, minimum_calls=2, open_seconds=10, half_open_permits=probes, slow_seconds=5
        )
        self.breaker = Breaker(policy)
        self.permits = []
        self.probes = 0  # admitted since it became half-open
        self.well = 0

    @rule(seconds=st.sampled_from([0.0, 1.0, 9.5, 10.0, 30.0]))
    def time_passes(self, seconds):
        self.now += seconds

    @rule()
    def acquire(self):
        before, retry_at = self.breaker.state, self.breaker.retry_at
        if retry_at is not None and self.now < retry_at:
            with pytest.raises(BreakerOpen) as refusal:
                self.breaker.acquire(self.now)
            assert refusal.value.retry_at == retry_at
            return
        permit = self.breaker.acquire(self.now)
        if self.breaker.state is HALF_OPEN:
            if before is not HALF_OPEN or retry_at is not None:  # it has just become so, or has begun anew
                self.probes = self.well = 0
                self.permits = [(old, False) for old, _ in self.permits]
            self.probes += 1
            assert self.probes <= self.breaker.policy.half_open_permits
        self.permits.append((permit, self.breaker.state is HALF_OPEN))

    @precondition(lambda self: self.permits)
    @rule(data=st.data(), end=st.sampled_from(["well", "slow", "failed", "cancelled"]))
    def settle(self, data, end):
        permit, probe = self.permits.pop(data.draw(st.integers(0, len(self.permits) - 1)))
        before = self.breaker.state
        if end == "cancelled":
            permit.cancelled()
            self.probes -= probe and before is HALF_OPEN
            assert self.breaker.state is before
        elif end == "failed":
            permit.failed(self.now, 1)
        else:
            permit.succeeded(self.now, 6 if end == "slow" else 1)
        if before is HALF_OPEN and not probe:
            assert self.breaker.state is HALF_OPEN
        elif before is HALF_OPEN and end in ("failed", "slow"):
            assert self.breaker.state is OPEN
        elif before is HALF_OPEN and end == "well":
            self.well += 1
            assert (self.breaker.state is CLOSED) == (self.well == self.breaker.policy.half_open_permits)
        elif before in (OPEN, ISOLATED):
            assert self.breaker.state is before
        if self.breaker.state is not before:
            self.permits = [(old, False) for old, _ in self.permits]

    @rule()
    def isolate(self):
        self.breaker.isolate()
        self.permits = [(old, False) for old, _ in self.permits]

    @rule()
    def reset(self):
        self.breaker.reset()
        self.permits = [(old, False) for old, _ in self.permits]
        assert self.breaker.state is CLOSED

    @invariant()
    def every_state_has_a_way_out(self):
        if not hasattr(self, "breaker"):
            return
        retry_at = self.breaker.retry_at
        if self.breaker.state is ISOLATED:
            assert retry_at == math.inf
        elif retry_at is not None:
            assert retry_at <= self.now + self.breaker.policy.open_seconds


BreakerMachine.TestCase.settings = settings(max_examples=100, stateful_step_count=40, deadline=None)
TestBreaker = BreakerMachine.TestCase
