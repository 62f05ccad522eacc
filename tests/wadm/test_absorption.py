from decimal import Decimal
from fractions import Fraction
from statistics import median as plain_median
from typing import NamedTuple

import pytest
from generated import bar_of, trade_lists
from hypothesis import given
from hypothesis import strategies as st
from oracle import Trade, dense_rows

from wadm.analytics.absorption import Absorption, absorption, median
from wadm.analytics.profile import profile
from wadm.bar import Bar
from wadm.market import MINUTE

D = Decimal


class Case(NamedTuple):
    """What traded at 100, 101, … as (bought, sold), the close, and the rows that absorbed with their side."""

    rows: list[tuple[int, int]]
    close: int
    found: list[tuple[int, str]]


def bar_with(case: Case) -> Bar:
    """Opens at 100 with a trade of 1 bought, closes likewise: rows 100 and `close` hold one bought more."""
    sides = [(100, 1, 0), *((100 + at, *row) for at, row in enumerate(case.rows)), (case.close, 1, 0)]
    trades = [
        Trade(at, at, D(price), D(volume), buy=buy)
        for at, (price, volume, buy) in enumerate(
            (price, volume, buy)
            for price, bought, sold in sides
            for volume, buy in ((bought, True), (sold, False))
            if volume
        )
    ]
    return bar_of(trades)


# k = 3, d = 0.6, x = 2. Volumes by row are those below, with 1 more at 100 and 1 more at the close.
CASES = {
    # 100: 2+1+1 = 4, 101: 3, 102: 4, 103: 24 of which 20 sold; median of 3, 4, 4, 24 is 4, three times 12.
    # |delta| 16 of 24 = 0.667. Price did not fall at all: sellers were absorbed at 103.
    "sellers met at 103": Case([(1, 1), (1, 2), (2, 2), (4, 20)], 100, [(3, "sell")]),
    # the same mirrored: 24 at 103 of which 20 bought; the close is 2 above the open (3 is too much)
    "buyers at 103, moved by two": Case([(1, 1), (1, 2), (2, 2), (20, 4)], 102, [(3, "buy")]),
    "buyers at 103, moved by three": Case([(1, 1), (1, 2), (2, 2), (20, 4)], 103, []),
    # a price that went against the aggressor is absorbed as well: selling, and the close 3 above the open
    "sellers run over": Case([(1, 1), (1, 2), (2, 2), (4, 20)], 103, [(3, "sell")]),
    # |delta| 15 of 25 is 0.6 and enough; 14 of 24 is 0.583 and is not
    "a delta share just met": Case([(1, 1), (1, 2), (2, 2), (5, 20)], 100, [(3, "sell")]),
    "a delta share just missed": Case([(1, 1), (1, 2), (2, 2), (5, 19)], 100, []),
    # 100: 1+1+2 = 4, 101: 4, 102: 12 of which 12 sold, the median of 4, 4, 12 is 4
    "three times the median just met": Case([(1, 1), (2, 2), (0, 12)], 100, [(2, "sell")]),
    "three times the median just missed": Case([(1, 1), (2, 2), (0, 11)], 100, []),
    # one row is its own median
    "one row alone": Case([(1, 90)], 100, []),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_a_row_absorbs_much_one_sided_volume_that_moves_nothing(case: Case) -> None:
    bar = bar_with(case)
    found = absorption(bar, profile(bar, D(1)), times=D(3), share=D("0.6"), moved=D(2))
    assert [(one.row - 100, one.side) for one in found] == case.found


def test_the_evidence_is_what_was_compared() -> None:
    bar = bar_with(CASES["buyers at 103, moved by two"])
    assert absorption(bar, profile(bar, D(1)), times=D(3), share=D("0.6"), moved=D(2)) == [
        # rows: 100 has 2+1, 101 has 3, 102 has 4+1, 103 has 24: the median of 3, 3, 5, 24 is 4
        Absorption(103, "buy", volume=24, delta=16, median=Fraction(4), moved=Fraction(2))
    ]


def test_moves_are_counted_in_row_sizes() -> None:
    # rows of 0.5: a rise of 1 is two of them
    trades = [
        Trade(0, 0, D("100"), D(1), buy=True),
        *(Trade(1, at, D("100.5") + D(at) / 2, D(1), buy=False) for at in range(1, 4)),
        Trade(2, 9, D("101"), D(12), buy=True),
    ]
    bar = bar_of(trades)
    made = profile(bar, D("0.5"))
    assert [one.row for one in absorption(bar, made, times=D(3), share=D("0.6"), moved=D(2))] == [202]
    assert absorption(bar, made, times=D(3), share=D("0.6"), moved=D("1.99")) == []


def test_an_empty_bar_absorbs_nothing() -> None:
    bar = Bar(0, MINUTE)
    assert absorption(bar, profile(bar, D(1)), times=D(1), share=D(0), moved=D(9)) == []


@given(st.lists(st.integers(0, 99), min_size=1))
def test_the_median_is_the_middle(numbers: list[int]) -> None:
    assert median(numbers) == Fraction(plain_median(map(Fraction, numbers)))


@given(
    trade_lists(least=1),
    st.sampled_from(["1", "1.5", "3"]),
    st.sampled_from(["0", "0.5", "1"]),
    st.sampled_from(["0", "0.5", "4"]),
    st.sampled_from([D("0.25"), D(1), D(3)]),
)
def test_absorption_is_what_is_found_trade_by_trade(
    trades: list[Trade], times: str, share: str, moved: str, row_size: Decimal
) -> None:
    lowest, rows = dense_rows(trades, row_size)
    typical = plain_median(Fraction(row.volume) for row in rows if row.count)
    rise = Fraction(trades[-1].price) - Fraction(trades[0].price)
    expected = []
    for number, row in enumerate(rows, start=lowest):
        delta = Fraction(row.buy) - Fraction(row.sell)
        big = Fraction(row.volume) >= Fraction(times) * typical
        sided = delta != 0 and abs(delta) / Fraction(row.volume) >= Fraction(share)
        if big and sided and rise * (1 if delta > 0 else -1) / Fraction(row_size) <= Fraction(moved):
            expected.append((number, "buy" if delta > 0 else "sell"))
    bar = bar_of(trades)
    found = absorption(bar, profile(bar, row_size), times=D(times), share=D(share), moved=D(moved))
    assert [(one.row, one.side) for one in found] == expected
