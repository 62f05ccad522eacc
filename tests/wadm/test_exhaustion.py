from decimal import Decimal
from fractions import Fraction

import pytest
from generated import bar_of, trade_lists
from hypothesis import given
from hypothesis import strategies as st
from oracle import Trade, dense_rows

from wadm.analytics.exhaustion import Exhaustion, exhaustions
from wadm.analytics.profile import profile
from wadm.bar import Bar

D = Decimal


def bar_at(low: int, *rows: tuple[int, int]) -> Bar:
    """What traded at `low` and above as (bought, sold)."""
    trades = [
        Trade(0, number, D(low + at), D(volume), buy=buy)
        for number, (at, volume, buy) in enumerate(
            (at, volume, buy)
            for at, row in enumerate(rows)
            for volume, buy in zip(row, (True, False), strict=True)
            if volume
        )
    ]
    return bar_of(trades)


def found(bars: list[Bar], before: int, share: str = "0.3") -> list[Exhaustion]:
    return exhaustions(bars, [profile(bar, D(1)) for bar in bars], before, D(share))


FLAT = [bar_at(100, (5, 5), (5, 5)), bar_at(100, (5, 5), (5, 5))]

# 101..104: volumes 10, 15, 10, 5 make 40 over 4 rows: the mean is 10, of which 0.3 is 3.
FADING = ((4, 6), (9, 6), (6, 4), (3, 2))


def test_a_new_high_on_ever_less_buying_is_exhausted() -> None:
    # bought 9, 6, 3 towards the high: falling, and 3 is 0.3 of the mean; 104 is above 101
    assert found([*FLAT, bar_at(101, *FADING)], 2) == [
        Exhaustion(
            2, "buy", rows=(104, 103, 102), volumes=(3, 6, 9), mean=Fraction(10), beyond=101, price_decimals=0
        )
    ]


def test_a_new_low_on_ever_less_selling_is_exhausted() -> None:
    mirrored = tuple((sold, bought) for bought, sold in reversed(FADING))
    assert found([*FLAT, bar_at(97, *mirrored)], 2) == [
        Exhaustion(
            2, "sell", rows=(97, 98, 99), volumes=(3, 6, 9), mean=Fraction(10), beyond=100, price_decimals=0
        )
    ]


@pytest.mark.parametrize(
    ("rows", "share", "held"),
    [
        (FADING, "0.3", True),
        (FADING, "0.29", False),
        # 6 bought below 6 is not less
        (((4, 6), (6, 9), (6, 4), (3, 2)), "0.3", False),
        (((4, 6), (9, 6), (3, 7), (3, 2)), "0.3", False),
        # a high that only sellers traded at: nothing was bought there, 6 below it, 9 below that
        (((4, 6), (9, 6), (6, 4), (0, 5)), "0", True),
        # two rows are too few to fade over
        (((9, 6), (1, 0)), "1", False),
        # rows without volume count, in the fading and in the mean: 9, 0, 1 does not fall
        (((9, 6), (0, 0), (1, 0)), "1", False),
    ],
)
def test_all_of_the_rule_must_hold(rows: tuple[tuple[int, int], ...], share: str, held: bool) -> None:
    assert bool(found([*FLAT, bar_at(101, *rows)], 2, share)) is held


def test_the_high_must_exceed_every_bar_before_it_and_all_of_them_must_be_known() -> None:
    fading = bar_at(101, *FADING)
    assert found([*FLAT, fading], 3) == []
    assert found([bar_at(104, (5, 5)), *FLAT, fading], 3) == []  # 104 was seen
    assert len(found([bar_at(104, (5, 5)), *FLAT, fading], 2)) == 1  # but longer ago than asked


def test_a_low_that_is_only_reached_again_is_no_new_one() -> None:
    fading = bar_at(97, *(row[::-1] for row in reversed(FADING)))
    assert found([bar_at(97, (5, 5)), *FLAT, fading], 3) == []
    assert len(found([bar_at(98, (5, 5)), *FLAT, fading], 3)) == 1


@given(
    st.lists(trade_lists(least=1, most=16), min_size=1, max_size=6),
    st.integers(1, 3),
    st.sampled_from(["0", "0.3", "1"]),
    st.sampled_from([D("0.25"), D(1), D(5)]),
)
def test_exhaustion_is_what_is_found_row_by_row(
    runs: list[list[Trade]], before: int, share: str, row_size: Decimal
) -> None:
    expected = []
    for at in range(before, len(runs)):
        _, rows = dense_rows(runs[at], row_size)
        mean = sum(Fraction(row.volume) for row in rows) / len(rows)
        prices = [[trade.price for trade in run] for run in runs[at - before : at + 1]]
        bought, sold = [row.buy for row in reversed(rows)], [row.sell for row in rows]
        new_high = max(prices[-1]) > max(map(max, prices[:-1]))
        new_low = min(prices[-1]) < min(map(min, prices[:-1]))
        for side, new, taken in (("buy", new_high, bought), ("sell", new_low, sold)):
            fades = len(taken) >= 3 and taken[0] < taken[1] < taken[2]
            if new and fades and Fraction(taken[0]) <= Fraction(share) * mean:
                expected.append((at, side))
    bars = [bar_of(run) for run in runs]
    made = exhaustions(bars, [profile(bar, row_size) for bar in bars], before, D(share))
    assert [(one.at, one.side) for one in made] == expected
