from decimal import Decimal
from fractions import Fraction

import pytest
from generated import bar_of, numbers, trade_lists
from hypothesis import given
from hypothesis import strategies as st
from oracle import Trade

from wadm.analytics.large_trades import at_least, by_size, counted, quantile
from wadm.bar import Bar
from wadm.orders import EDGES, Order, Orders

D = Decimal
UNIT = 10**8


def orders_of(*notionals: str, buy: bool = True) -> Bar:
    """A bar of single trades at a price of 1, a millisecond apart."""
    bar = bar_of([Trade(at, at, D(1), D(notional), buy=buy) for at, notional in enumerate(notionals)])
    bar.settle()
    return bar


@pytest.mark.parametrize(
    ("share", "edge"),
    [
        # of four orders 5, 7, 90 and 100: half are below 8, the upper edge of the size 6..8 that holds 7
        ("0.5", 8),
        ("0.25", 6),  # 5 lies in 5..6
        ("0.26", 8),  # two of the four are the fewest that are 26 %
        ("0.75", 100),  # 90 lies in 80..100
        ("0.76", 120),
        ("1", 120),  # 100 lies in 100..120, and all are below 120
    ],
)
def test_the_threshold_is_the_edge_that_the_share_lies_below(share: str, edge: int) -> None:
    assert quantile(by_size(orders_of("5", "7", "90", "100").orders), D(share)) == edge * UNIT


def test_orders_of_both_sides_count_alike() -> None:
    bar = bar_of([Trade(1, 1, D(1), D(5), buy=True), Trade(1, 2, D(1), D(7), buy=False)])
    bar.settle()
    assert quantile(by_size(bar.orders), D("0.5")) == 6 * UNIT


def test_without_prior_orders_there_is_no_quantile() -> None:
    assert quantile(by_size(Orders()), D("0.99")) is None


def test_what_only_the_last_size_reaches_gives_the_last_edge() -> None:
    assert quantile(by_size(orders_of("1" + "0" * 30).orders), D(1)) == EDGES[-1]


notionals = st.lists(numbers(3000, 2), min_size=1, max_size=30)


@given(notionals, st.integers(1, 100))
def test_the_quantile_is_the_lowest_edge_below_which_the_share_lies(
    prior: list[Decimal], percent: int
) -> None:
    found = quantile(by_size(orders_of(*map(str, prior)).orders), D(percent) / 100)
    needed = Fraction(percent * len(prior), 100)
    assert found == min(edge for edge in EDGES if sum(Fraction(one) * UNIT < edge for one in prior) >= needed)


@given(notionals, st.integers(0, 10**10))
def test_the_large_ones_are_those_that_reach_the_threshold(found: list[Decimal], threshold: int) -> None:
    bar = orders_of(*map(str, found))
    large = at_least(bar.orders, threshold, bar.price_decimals + bar.quantity_decimals)
    assert [one.time // 1000 for one in large] == [
        at for at, one in enumerate(found) if Fraction(one) * UNIT >= threshold
    ]


def test_a_threshold_is_reached_by_what_is_just_as_large() -> None:
    bar = orders_of("99.99", "100")
    assert at_least(bar.orders, 100 * UNIT, bar.quantity_decimals) == [Order(1000, 10000, 10000, 1)]


@given(trade_lists(end_ms=30), st.sampled_from(EDGES[60:100]))
def test_from_an_edge_on_the_counts_are_exact_also_beyond_what_is_kept(
    trades: list[Trade], edge: int
) -> None:
    bar = bar_of(trades)
    bar.settle()
    kept = at_least(bar.orders, edge, bar.price_decimals + bar.quantity_decimals)  # fewer than 50: all
    bought = [one.signed_quantity for one in kept if one.signed_quantity > 0]
    sold = [-one.signed_quantity for one in kept if one.signed_quantity < 0]
    assert counted(bar.orders, edge) == (sum(bought), sum(sold), len(bought), len(sold))


def test_counts_do_not_end_where_the_list_does() -> None:
    bar = orders_of(*["100"] * 60)
    assert len(at_least(bar.orders, 100 * UNIT, 0)) == 50
    assert counted(bar.orders, 100 * UNIT) == (6000, 0, 60, 0)


def test_between_two_edges_nothing_is_counted() -> None:
    bar = orders_of("100")
    assert counted(bar.orders, 100 * UNIT + 1) is None
    assert counted(bar.orders, EDGES[-1] + 1) is None
