"""What may be asked of an exchange: the weight of a minute, and refusals."""

from hypothesis import given
from hypothesis import strategies as st

from wadm.quota import LONGEST, WINDOW, Quota


def test_half_of_what_is_allowed_is_used() -> None:
    quota = Quota(100)
    quota.spend(0.0, 40)
    assert quota.delay(1.0, 10) == 0
    assert quota.delay(1.0, 11) == WINDOW - 1.0
    assert quota.delay(WINDOW, 11) == 0


def test_a_request_heavier_than_all_of_it_goes_alone() -> None:
    quota = Quota(100)
    assert quota.delay(0.0, 80) == 0
    quota.spend(0.0, 80)
    assert quota.delay(10.0, 1) == WINDOW - 10.0


def test_without_a_limit_nothing_waits() -> None:
    quota = Quota(None)
    quota.spend(0.0, 10**9)
    assert quota.allowance is None
    assert quota.delay(0.0, 10**9) == 0


@given(st.lists(st.tuples(st.integers(0, 30), st.integers(1, 60))))
def test_no_minute_has_more_than_its_share(asked: list[tuple[int, int]]) -> None:
    quota, now, made = Quota(120), 0.0, list[tuple[float, int]]()
    for pause, weight in asked:
        now += pause
        while delay := quota.delay(now, weight):
            now += delay
        quota.spend(now, weight)
        made.append((now, weight))
    for end, _ in made:
        assert sum(weight for at, weight in made if end - WINDOW < at <= end) <= 60


def test_an_exchange_is_left_alone_for_as_long_as_it_said() -> None:
    quota = Quota(100)
    assert quota.refuse(10.0, 429, 7.0) == 7.0
    assert quota.shut(12.0) == 5.0
    assert quota.shut(17.0) == 0
    assert quota.refused == 1


def test_without_a_word_it_is_left_alone_longer_every_time() -> None:
    for status, first in ((403, 600.0), (418, 120.0), (429, 5.0)):
        quota, now, waited = Quota(100), 0.0, []
        for _ in range(20):
            waited.append(quota.refuse(now, status, None))
            now += waited[-1]
        assert waited[:2] == [first, 2 * first]
        assert waited == sorted(waited)
        assert waited[-1] == LONGEST
        quota.answered()
        assert quota.refuse(now, status, None) == first


def test_requests_that_were_under_way_together_are_refused_once() -> None:
    quota = Quota(100)
    assert [quota.refuse(now, 418, None) for now in (0.0, 0.1, 0.2)] == [120.0] * 3
    assert quota.refuse(121.0, 418, None) == 240.0


def test_a_later_and_shorter_refusal_does_not_open_it_earlier() -> None:
    quota = Quota(100)
    quota.refuse(0.0, 429, 50.0)
    quota.refuse(1.0, 429, 1.0)
    assert quota.shut(10.0) == 40.0
