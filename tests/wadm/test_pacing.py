"""At most so many things in so much time."""

from hypothesis import given
from hypothesis import strategies as st

from wadm.pacing import Pacing


def test_there_is_room_for_so_many_then_from_when_the_first_is_long_enough_ago() -> None:
    pacing = Pacing(2, 10.0)
    assert pacing.delay(100.0) == 0
    pacing.spend(100.0)
    pacing.spend(103.0)
    assert pacing.delay(104.0) == 6.0
    assert pacing.delay(110.0) == 0
    pacing.spend(110.0)
    assert pacing.delay(110.0) == 3.0


def test_without_a_limit_there_is_always_room() -> None:
    pacing = Pacing(None, 10.0)
    for _ in range(1_000):
        pacing.spend(0.0)
    assert pacing.delay(0.0) == 0


@given(st.integers(1, 5), st.lists(st.integers(0, 20), max_size=60))
def test_no_window_ever_holds_more_than_allowed(most: int, pauses: list[int]) -> None:
    pacing, now, done = Pacing(most, 10.0), 0.0, []
    for pause in pauses:
        now += pause
        now += pacing.delay(now)
        pacing.spend(now)
        done.append(now)
    for at in done:
        assert sum(at <= other < at + 10 for other in done) <= most
