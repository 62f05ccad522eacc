"""Taker orders: which fills are one taker's, how they are counted by size, which are kept."""

import random
from collections.abc import Sequence
from decimal import Decimal
from fractions import Fraction

import pytest
from generated import batches, numbers, run_of, trade_lists
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from oracle import Trade

from wadm.bar import Bar, decode, encode, merge
from wadm.columns import ColumnError
from wadm.market import MINUTE, IdKind
from wadm.orders import EDGES, LARGEST, SPAN, Order, Orders, pack, unpack

D = Decimal
MS = 1_000


def folded(trades: Sequence[Trade], kind: IdKind = IdKind.TRADE) -> Bar:
    bar = Bar(0, MINUTE)
    bar.fold(replace(run_of(trades), id_kind=kind))
    bar.settle()
    return bar


def test_fills_of_one_time_and_side_are_one_takers() -> None:
    trades = [
        Trade(5, 1, D(100), D(2), buy=True),
        Trade(5, 2, D(101), D(3), buy=True, count=4),  # the same taker: 200 + 303 = 503, of 1 + 4 fills
        Trade(5, 3, D(100), D(1), buy=False),  # the other side
        Trade(6, 4, D(101), D(1), buy=True),  # another time
    ]
    assert folded(trades).orders.largest == [
        Order(5 * MS, -1, 100, 1),
        Order(5 * MS, 5, 503, 5),
        Order(6 * MS, 1, 101, 1),
    ]


def test_an_aggregate_trade_is_one_takers_and_no_other_joins_it() -> None:
    trades = [Trade(5, 1, D(100), D(2), buy=True, count=3), Trade(5, 2, D(101), D(3), buy=True)]
    assert folded(trades, IdKind.AGG_TRADE).orders.largest == [
        Order(5 * MS, 2, 200, 3),
        Order(5 * MS, 3, 303, 1),
    ]


def test_edges_go_up_in_ten_steps_a_decade() -> None:
    # in units of 10**-8 of the quote asset: the first is 0.000001, the last 80000000000
    assert EDGES[:11] == (100, 120, 150, 200, 250, 300, 400, 500, 600, 800, 1000)
    assert EDGES[-1] == 8 * 10**18
    assert [EDGES[at + 10] for at in range(len(EDGES) - 10)] == [10 * edge for edge in EDGES[:-10]]
    assert {10**power for power in range(2, 19)} <= set(EDGES)
    assert list(EDGES) == sorted(EDGES)


def size_of(notional: str) -> int:
    """The number of the size that one trade of a notional value is counted in."""
    ((number, size),) = folded([Trade(0, 1, D(1), D(notional), buy=True)]).orders.sizes.items()
    assert size[2:] == [1, 0]
    return number


@pytest.mark.parametrize(
    ("below", "edge"), [("99.99999999", "100"), ("119.99999999", "120"), ("0.79999999", "0.8")]
)
def test_a_size_holds_its_lower_edge_and_not_its_upper(below: str, edge: str) -> None:
    number = size_of(edge)
    assert size_of(below) == number - 1
    assert EDGES[number - 1] == D(edge) * 10**8


def test_beyond_the_edges_there_are_two_more_sizes() -> None:
    assert size_of("0.00000099") == 0
    assert size_of("0.000001") == 1
    assert size_of("1" + "0" * 20) == len(EDGES)


def expected_orders(trades: Sequence[Trade]) -> dict[tuple[int, bool], list[Trade]]:
    orders: dict[tuple[int, bool], list[Trade]] = {}
    for one in trades:
        orders.setdefault((one.at_ms, one.buy), []).append(one)
    return orders


crowded = trade_lists(end_ms=12, most=40, quantities=numbers(30, 2))


@given(st.data(), crowded)
def test_orders_do_not_depend_on_the_order_or_the_runs_they_came_in(
    data: st.DataObject, trades: list[Trade]
) -> None:
    bar = Bar(0, MINUTE)
    for run in data.draw(batches(data.draw(st.permutations(trades)))):
        bar.fold(run)
    bar.settle()
    places, quantity_places = bar.price_decimals + bar.quantity_decimals, bar.quantity_decimals
    found = {
        (one.time // MS, one.signed_quantity > 0): (
            Fraction(abs(one.signed_quantity), 10**quantity_places),
            Fraction(one.notional, 10**places),
            one.fills,
        )
        for one in bar.orders.largest
    }
    assert found == {
        name: (
            sum(Fraction(one.quantity) for one in fills),
            sum(Fraction(one.quantity) * Fraction(one.price) for one in fills),
            sum(one.count for one in fills),
        )
        for name, fills in expected_orders(trades).items()
    }


@given(crowded)
def test_sizes_count_every_order_where_its_notional_lies(trades: list[Trade]) -> None:
    bar = folded(trades)
    expected: dict[int, list[Fraction]] = {}
    for (_, buy), fills in expected_orders(trades).items():
        notional = sum(Fraction(one.quantity) * Fraction(one.price) for one in fills)
        number = sum(Fraction(edge, 10**8) <= notional for edge in EDGES)
        size = expected.setdefault(number, [Fraction(0)] * 4)
        size[0 if buy else 1] += sum(Fraction(one.quantity) for one in fills)
        size[2 if buy else 3] += 1
    scale = 10**bar.quantity_decimals
    assert {
        number: [Fraction(buy, scale), Fraction(sell, scale), buys, sells]
        for number, (buy, sell, buys, sells) in bar.orders.sizes.items()
    } == expected


def in_common(bar: Bar) -> Orders:
    """Its orders, settled, at scales that any bar of these tests fits in."""
    bar.settle()
    bar.rescale(8, 8)
    return bar.orders


@given(st.data(), st.booleans())
def test_absorbing_minutes_is_folding_them_all(data: st.DataObject, settled: bool) -> None:
    parts = [
        data.draw(trade_lists(start_ms=at * 60_000, end_ms=at * 60_000 + 9, most=12, quantities=numbers(9)))
        for at in range(3)
    ]
    whole = Bar(0, 3 * MINUTE)
    bars = []
    for at, trades in enumerate(parts):
        whole.fold(run_of(trades))
        one = Bar(at * MINUTE, (at + 1) * MINUTE)
        for run in data.draw(batches(trades)):
            one.fold(run)
        if settled:
            one.settle()
        bars.append(one)
    before = [encode(bar) for bar in bars]
    assert in_common(merge(bars, 0, 3 * MINUTE)) == in_common(whole)
    assert [encode(bar) for bar in bars] == before  # what is absorbed stays as it was


def test_only_the_largest_are_kept_the_earlier_of_equal_ones_and_all_are_counted() -> None:
    # 60 orders of 1 to 60, then one more of 11: 11..60 are fifty
    trades = [Trade(at, at, D(1), D(at), buy=True) for at in range(1, 61)]
    trades.append(Trade(99, 99, D(1), D(11), buy=True))
    orders = folded(trades).orders
    assert len(orders.largest) == LARGEST
    assert [one.notional for one in orders.largest] == list(range(11, 61))
    assert orders.largest[0].time == 11 * MS
    assert sum(size[2] for size in orders.sizes.values()) == 61


def test_rescaling_multiplies_what_is_filling_and_what_is_counted() -> None:
    bar = Bar(0, MINUTE)
    bar.fold(run_of([Trade(1, 1, D("2.5"), D(3), buy=False)]))
    settled = bar.copy()
    settled.settle()
    for one in (bar, settled):
        one.rescale(2, 3)
        # 3 at 2.5: quantities by 1000, notional values by 10**5
        assert one.orders.largest == [Order(MS, -3000, 750_000, 1)]
        assert list(one.orders.sizes.values()) == [[0, 3000, 0, 1]]
        one.fold(run_of([Trade(1, 2, D("2.5"), D(1), buy=False)]))
    assert bar.orders.largest == [Order(MS, -4000, 1_000_000, 2)]
    assert list(bar.orders.sizes.values()) == [[0, 4000, 0, 1]]
    assert settled.orders.largest == [Order(MS, -3000, 750_000, 1), Order(MS, -1000, 250_000, 1)]


@pytest.mark.parametrize("kind", IdKind)
def test_of_many_orders_that_come_in_any_order_the_largest_are_kept(kind: IdKind) -> None:
    dice = random.Random(7)
    trades = [
        # few prices and quantities, so that many orders are as large as others
        Trade(dice.randrange(900), number, D(dice.randint(1, 3)), D(dice.randint(1, 9)), dice.random() < 0.5)
        for number in range(2_500)
    ]
    bar, whole = Bar(0, MINUTE), Bar(0, MINUTE)
    first = 0
    while first < len(trades):
        run = run_of(trades[first : first + dice.choice([1, 2, 300])], dice.choice([0, 0, 2]))
        first += len(run)
        bar.fold(replace(run, id_kind=kind))
        if dice.random() < 0.1:
            bar = bar.copy()
    whole.fold(replace(run_of(sorted(trades)), id_kind=kind))
    orders = expected_orders(trades).values() if kind is IdKind.TRADE else [[one] for one in trades]
    expected = sorted(
        (
            -sum(one.price * one.quantity for one in fills),
            fills[0].at_ms * MS,
            sum(one.quantity if one.buy else -one.quantity for one in fills),
            len(fills),
        )
        for fills in orders
    )[: LARGEST - 5]  # which of equally large ones of one time are the last, is nobody's business
    bar.settle()
    found = {
        (-D(one.notional).scaleb(-2), one.time, D(one.signed_quantity), one.fills)
        for one in bar.orders.largest
    }
    assert found >= set(expected)
    assert in_common(bar) == in_common(whole)


@given(crowded, st.booleans())
def test_what_was_packed_is_unpacked(trades: list[Trade], settled: bool) -> None:
    bar = Bar(0, MINUTE)
    bar.fold(run_of(trades))
    if settled:
        bar.settle()
    assert unpack(pack(bar.orders)) == bar.orders
    assert decode(encode(bar)).orders == bar.orders


def test_packed_orders_of_any_length_are_exact() -> None:
    orders = Orders({170: [10**30, 0, 1, 0]}, [Order(1, -(10**30), 10**40, 2)])
    assert unpack(pack(orders)) == orders


def test_what_is_no_orders_is_refused() -> None:
    sizes, largest, filling = pack(folded([Trade(1, 1, D(1), D(1), buy=True)]).orders)
    with pytest.raises(ValueError, match="argument"):
        unpack((sizes, (*largest[:3], b"b"), filling))
    with pytest.raises(ColumnError):
        unpack(((b"?", *sizes[1:]), largest, filling))


def test_a_copy_goes_its_own_way_and_what_has_not_changed_is_not_copied() -> None:
    early, late = Trade(5, 1, D(100), D(2), buy=True), Trade(5, 2, D(100), D(3), buy=True)
    much_later = Trade(5 + 2 * SPAN // MS, 3, D(100), D(1), buy=False)
    bar = Bar(0, MINUTE)
    bar.fold(run_of([early, much_later]))
    before = bar.copy()
    bar.fold(run_of([late]))
    assert before.orders.filling[0] != bar.orders.filling[0]
    assert before.orders.filling[2 * SPAN] is bar.orders.filling[2 * SPAN]
    for one, fills in ((before, [early, much_later]), (bar, [early, late, much_later])):
        fresh = folded(fills)
        one.settle()
        assert one.orders == fresh.orders
        assert one.rows == fresh.rows


@given(st.data(), trade_lists())
def test_looking_at_a_bar_while_it_fills_changes_nothing(data: st.DataObject, trades: list[Trade]) -> None:
    looked, plain = Bar(0, MINUTE), Bar(0, MINUTE)
    for run in data.draw(batches(trades)):
        looked.fold(run)
        plain.fold(run)
        if data.draw(st.booleans()):
            seen = looked.copy()
            seen.settle()
            assert merge([looked], 0, MINUTE).orders.sizes == seen.orders.sizes
    looked.settle()
    plain.settle()
    assert looked == plain
