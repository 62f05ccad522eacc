from decimal import Decimal
from itertools import pairwise

import pytest
from generated import bar_of
from hypothesis import given
from hypothesis import strategies as st
from oracle import Trade

from wadm.analytics.divergence import Divergence, divergences, swings
from wadm.bar import Bar


def bar_of_prices(low: int, high: int, delta: int) -> Bar:
    """A bar from `low` to `high` whose taker buying less taker selling is `delta`."""
    return bar_of(
        [
            Trade(0, 0, Decimal(low), Decimal(100 + max(delta, 0)), buy=True),
            Trade(0, 1, Decimal(high), Decimal(100 + max(-delta, 0)), buy=False),
        ]
    )


@pytest.mark.parametrize(
    ("heights", "span", "expected"),
    [
        ([1, 3, 2], 1, [1]),
        ([1, 3, 3, 1], 1, []),  # level ground is no swing
        ([1, 2, 3], 1, []),  # the last place has nothing after it
        ([1, 3, 2, 4, 1], 1, [1, 3]),
        ([1, 3, 2, 4, 1], 2, []),  # 3 has one place before it, 4 one after it
        ([0, 1, 5, 1, 0], 2, [2]),
    ],
)
def test_a_swing_is_higher_than_its_neighbours(heights: list[int], span: int, expected: list[int]) -> None:
    assert swings(heights, span) == expected


def test_a_higher_high_on_a_lower_cvd_is_bearish() -> None:
    # highs 10 20 12 25 11; deltas 5 4 -6 3 1: CVD 5 9 3 6 7. The high rises from 20 to 25, CVD falls 9 to 6.
    # Lows 1 2 3 4 5 have no swing.
    bars = [
        bar_of_prices(low, high, delta)
        for low, high, delta in zip((1, 2, 3, 4, 5), (10, 20, 12, 25, 11), (5, 4, -6, 3, 1), strict=True)
    ]
    assert divergences(bars, 1) == [
        Divergence(
            "bearish", earlier=1, later=3, confirmed=4, prices=(20, 25), cvd_change=-3,
            price_decimals=0, quantity_decimals=0,
        )
    ]  # fmt: skip


def test_a_lower_low_on_a_higher_cvd_is_bullish() -> None:
    # lows 10 5 8 4 9; deltas 0 -9 6 -2 0: CVD 0 -9 -3 -5 -5. The low falls from 5 to 4, CVD rises -9 to -5.
    bars = [
        bar_of_prices(low, high, delta)
        for low, high, delta in zip((10, 5, 8, 4, 9), (20, 21, 22, 23, 24), (0, -9, 6, -2, 0), strict=True)
    ]
    assert divergences(bars, 1) == [
        Divergence(
            "bullish", earlier=1, later=3, confirmed=4, prices=(5, 4), cvd_change=4,
            price_decimals=0, quantity_decimals=0,
        )
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("second", "deltas"),
    [
        (25, (5, 4, -6, 6, 1)),  # CVD is as high as before: 9 and 9
        (25, (5, 4, -6, 7, 1)),  # and higher: both rise
        (20, (5, 4, -6, 3, 1)),  # the high is only reached again
        (19, (5, 4, -6, 3, 1)),  # a lower high on a lower CVD agrees
    ],
)
def test_what_agrees_is_no_divergence(second: int, deltas: tuple[int, ...]) -> None:
    bars = [
        bar_of_prices(low, high, delta)
        for low, high, delta in zip((1, 2, 3, 4, 5), (10, 20, 12, second, 11), deltas, strict=True)
    ]
    assert divergences(bars, 1) == []


def test_bars_of_different_scales_are_compared_in_the_finer_one() -> None:
    # the second high is 20.5, told with a decimal more
    bars = [bar_of_prices(low, high, delta) for low, high, delta in ((1, 10, 5), (2, 20, 4), (3, 12, -6))]
    bars.append(
        bar_of(
            [
                Trade(0, 0, Decimal(4), Decimal("1.5"), buy=True),
                Trade(0, 1, Decimal("20.5"), Decimal("1"), buy=False),
            ]
        )
    )
    bars.append(bar_of_prices(5, 11, 0))
    (one,) = divergences(bars, 1)
    assert (one.prices, one.price_decimals) == ((200, 205), 1)
    assert (one.cvd_change, one.quantity_decimals) == (-55, 1)


@given(
    st.lists(st.tuples(st.integers(1, 9), st.integers(0, 9), st.integers(-3, 3)), max_size=16),
    st.integers(1, 2),
)
def test_divergences_are_those_found_bar_by_bar(drawn: list[tuple[int, int, int]], span: int) -> None:
    bars = [bar_of_prices(low, low + more, delta) for low, more, delta in drawn]
    highs, lows = [low + more for low, more, _ in drawn], [low for low, _, _ in drawn]

    def cvd(at: int) -> int:
        return sum(delta for _, _, delta in drawn[: at + 1])

    def is_swing(values: list[int], at: int, sign: int) -> bool:
        around = [*values[at - span : at], *values[at + 1 : at + 1 + span]] if at >= span else []
        return len(around) == 2 * span and all(sign * values[at] > sign * other for other in around)

    tops = [at for at in range(len(drawn)) if is_swing(highs, at, 1)]
    bottoms = [at for at in range(len(drawn)) if is_swing(lows, at, -1)]
    expected = [("bearish", a, b) for a, b in pairwise(tops) if highs[b] > highs[a] and cvd(b) < cvd(a)] + [
        ("bullish", a, b) for a, b in pairwise(bottoms) if lows[b] < lows[a] and cvd(b) > cvd(a)
    ]
    found = divergences(bars, span)
    assert sorted((one.kind, one.earlier, one.later) for one in found) == sorted(expected)
    assert all(one.cvd_change == cvd(one.later) - cvd(one.earlier) for one in found)
