# ruff: noqa: PLR0917 - fixtures come as arguments

import math
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from supervision import Backoff, Disconnected, Intensity
from supervision.restart import Budget, is_disconnect

times = st.lists(st.floats(0, 100), max_size=60).map(sorted)


def test_the_waits_grow_from_nothing_to_the_maximum():
    backoff = Backoff(minimum=1, maximum=10, factor=3, jitter=0)
    assert [backoff.delay(attempt, Random(1)) for attempt in range(1, 7)] == [0, 1, 3, 9, 10, 10]


@given(
    st.floats(0.001, 100),
    st.floats(1, 100),
    st.floats(1, 1000),
    st.floats(0, 1),
    st.integers(2, 10**6),
    st.integers(),
)
def test_every_wait_lies_between_the_bounds_and_near_its_middle(
    minimum, ratio, factor, jitter, attempt, seed
):
    backoff = Backoff(minimum, minimum * ratio, factor, jitter)
    delay = backoff.delay(attempt, Random(seed))
    assert backoff.minimum <= delay <= backoff.maximum
    plain = Backoff(minimum, minimum * ratio, factor, 0).delay(attempt, Random(seed))
    assert delay == pytest.approx(plain, rel=jitter + 1e-9)
    assert delay == backoff.delay(attempt, Random(seed))


@given(times, st.integers(0, 5), st.floats(0.1, 50))
def test_no_more_restarts_than_allowed_in_any_period(moments, restarts, period):
    budget = Budget(Intensity(restarts, period))
    spent = []
    for now in moments:
        recent = [at for at in spent if at > now - period]
        allowed = budget.spend(now)
        assert allowed == (len(recent) < restarts)
        if allowed:
            spent.append(now)


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (Disconnected(), True),
        (type("Reset", (Disconnected,), {})(), True),
        (ExceptionGroup("", [Disconnected(), ExceptionGroup("", [Disconnected()])]), True),
        (ExceptionGroup("", [Disconnected(), ValueError()]), False),
        (ValueError(), False),
    ],
)
def test_only_disconnects_are_disconnects(error, expected):
    assert is_disconnect(error) is expected


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: Backoff(minimum=0), "Backoff.minimum must be more than 0, not 0"),
        (lambda: Backoff(minimum=2, maximum=1), "Backoff.maximum .1. is below Backoff.minimum .2."),
        (lambda: Backoff(factor=0.5), "Backoff.factor must be at least 1, not 0.5"),
        (lambda: Backoff(jitter=2), "Backoff.jitter must lie between 0 and 1, not 2"),
        (lambda: Backoff(reset_after=math.nan), "Backoff.reset_after must be more than 0, not nan"),
        (lambda: Intensity(restarts=-1), "Intensity.restarts must be at least 0, not -1"),
        (lambda: Intensity(period=0), "Intensity.period must be more than 0, not 0"),
    ],
)
def test_wrong_values_are_refused_by_name(make, sentence):
    with pytest.raises(ValueError, match=sentence):
        make()


def test_a_restart_counts_for_exactly_one_period():
    budget = Budget(Intensity(1, 10))
    assert [budget.spend(now) for now in (0, 9.9, 10, 19.9, 20)] == [True, False, True, False, True]
