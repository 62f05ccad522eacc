from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wadm.analytics.footprint import Imbalances, Stack, imbalances, stacked

THREE = Decimal(3)


def rows(*pairs: tuple[int, int], low: int = 0) -> dict[int, list[int]]:
    """Rows of (taker buying, taker selling), ascending; those without volume are left out, as in a bar."""
    return {low + at: [buy, sell, 1, 1] for at, (buy, sell) in enumerate(pairs) if buy or sell}


@pytest.mark.parametrize(
    ("pairs", "minimum", "buy", "sell"),
    [
        # buying 9 at row 1 against selling 3 at row 0 is three times; 8 is not
        ([(0, 3), (9, 0)], 0, (1,), (0,)[:0]),
        ([(0, 3), (8, 0)], 0, (), ()),
        # selling 9 at row 0 against buying 3 at row 1
        ([(0, 9), (3, 0)], 0, (), (0,)),
        # against nothing (below the range, or an empty row) the minimum alone decides
        ([(5, 0)], 0, (0,), ()),
        ([(5, 0)], 5, (0,), ()),
        ([(5, 0)], 6, (), ()),
        ([(0, 4), (0, 0), (5, 0)], 5, (2,), ()),
        # nothing is no imbalance, whatever it is compared with
        ([(0, 0), (0, 5)], 0, (), (1,)),
    ],
)
def test_a_row_is_compared_with_the_other_side_one_row_away(
    pairs: list[tuple[int, int]], minimum: int, buy: tuple[int, ...], sell: tuple[int, ...]
) -> None:
    assert imbalances(rows(*pairs), THREE, minimum) == Imbalances(buy, sell)


def test_a_stack_is_a_run_of_rows_of_one_side() -> None:
    found = Imbalances(buy=(1, 2, 3, 5, 6), sell=(7, 8, 9, 10))
    assert stacked(found, 3) == [Stack("buy", 1, 3), Stack("sell", 7, 10)]
    assert stacked(found, 2) == [Stack("buy", 1, 3), Stack("buy", 5, 6), Stack("sell", 7, 10)]
    assert stacked(Imbalances((), ()), 1) == []


pair = st.tuples(st.integers(0, 12), st.integers(0, 12))


@given(st.lists(pair, max_size=12), st.sampled_from(["1", "2.5", "3"]), st.integers(0, 6), st.integers(-3, 3))
def test_imbalances_are_those_read_off_row_by_row(
    pairs: list[tuple[int, int]], ratio: str, minimum: int, low: int
) -> None:
    padded = [(0, 0), *pairs, (0, 0)]
    buy, sell = [], []
    for at in range(1, len(padded) - 1):
        bought, sold = padded[at]
        if bought and bought >= minimum and bought >= Decimal(ratio) * padded[at - 1][1]:
            buy.append(low + at - 1)
        if sold and sold >= minimum and sold >= Decimal(ratio) * padded[at + 1][0]:
            sell.append(low + at - 1)
    found = imbalances(rows(*pairs, low=low), Decimal(ratio), minimum)
    assert found == Imbalances(tuple(buy), tuple(sell))
