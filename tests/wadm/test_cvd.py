from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wadm.analytics.cvd import Step, cvd, slope
from wadm.analytics.delta import Run, largest, longest, runs
from wadm.bar import Bar


def bar(delta: int, high: int, low: int, decimals: int = 0) -> Bar:
    return Bar(0, 1, 0, decimals, delta=delta, delta_high=high, delta_low=low)


def test_cvd_runs_on_from_what_came_before() -> None:
    # from 10: the first bar goes up to 14, down to 9, and closes at 13; the second from 13 to 16, 6 and 8
    first, second = bar(3, 4, -1), bar(-5, 3, -7)
    assert cvd([first, second], since=7, before=10, decimals=0) == [
        Step(first, since=7, delta=3, cvd=13, high=14, low=9),
        Step(second, since=7, delta=-5, cvd=8, high=16, low=6),
    ]


def test_bars_are_brought_to_one_scale() -> None:
    steps = cvd([bar(3, 4, -1, decimals=1), bar(-5, 3, -7, decimals=2)], 0, before=1000, decimals=2)
    assert [(one.delta, one.cvd, one.high, one.low) for one in steps] == [
        (30, 1030, 1040, 990),
        (-5, 1025, 1033, 1023),
    ]


@pytest.mark.parametrize(
    ("deltas", "expected"),
    [
        ([], None),
        ([5], None),
        ([1, 2], Fraction(2)),  # the running sum goes 1, 3
        ([4, 4, 4, 4], Fraction(4)),  # a straight line
        # 1, 0, 5 at 1, 2, 3: (-1·1 + 0·0 + 1·5) / 2
        ([1, -1, 5], Fraction(2)),
    ],
)
def test_the_slope_is_the_least_squares_lines(deltas: list[int], expected: Fraction | None) -> None:
    assert slope(deltas) == expected


@given(st.lists(st.integers(-50, 50), min_size=2, max_size=30))
def test_the_slope_is_that_of_the_textbook(deltas: list[int]) -> None:
    points = [(Fraction(at + 1), Fraction(sum(deltas[: at + 1]))) for at in range(len(deltas))]
    mean_x = sum(x for x, _ in points) / len(points)
    mean_y = sum(y for _, y in points) / len(points)
    covariance = sum((x - mean_x) * (y - mean_y) for x, y in points)
    assert slope(deltas) == covariance / sum((x - mean_x) ** 2 for x, _ in points)


def test_runs_of_one_sign_end_at_the_other_and_at_nothing() -> None:
    assert runs([1, 2, -3, 0, -4, -5, 6]) == [Run(0, 1, 3), Run(2, 2, -3), Run(4, 5, -9), Run(6, 6, 6)]
    assert runs([]) == runs([0, 0]) == []


@pytest.mark.parametrize(
    ("deltas", "sign", "expected"),
    [
        ([1, 1, -9, 5], 1, Run(0, 1, 2)),  # the longest, not the largest
        ([1, 1, -9, 5, 5], 1, Run(3, 4, 10)),  # of equal length the larger
        ([2, -9, 2], 1, Run(0, 0, 2)),  # alike: the earlier
        ([-1, -1, 3, -9, -9], -1, Run(3, 4, -18)),
        ([1, 2], -1, None),
    ],
)
def test_the_longest_run(deltas: list[int], sign: int, expected: Run | None) -> None:
    assert longest(deltas, sign) == expected


def test_the_largest_bars_by_either_sign() -> None:
    assert largest([3, -7, 0, 7, 1], 3) == [1, 3, 0]
    assert largest([0, 2], 3) == [1]


@given(st.lists(st.integers(-3, 3), max_size=20))
def test_runs_hold_every_bar_with_a_delta_once(deltas: list[int]) -> None:
    found = runs(deltas)
    held = [at for one in found for at in range(one.first, one.last + 1)]
    assert held == [at for at, delta in enumerate(deltas) if delta]
    for one in found:
        assert one.delta == sum(deltas[one.first : one.last + 1])
        around = [deltas[at] for at in (one.first - 1, one.last + 1) if 0 <= at < len(deltas)]
        assert all(delta * one.delta <= 0 for delta in around)
