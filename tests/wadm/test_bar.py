"""The fold and the merge of bars, against the oracle."""

from decimal import Decimal

import msgspec
import oracle
import pytest
from agreement import assert_same_path, assert_same_profile, assert_same_volumes
from generated import batches, huge, numbers, run_of, trade_lists
from hypothesis import given
from hypothesis import strategies as st
from oracle import Trade

from wadm.bar import Bar, BarFormatError, Digest, decode, digest, encode, merge
from wadm.market import MINUTE, SECOND

D = Decimal
ROW_SIZES = st.sampled_from([D("0.01"), D("0.07"), D("0.25"), D(1), D("2.5"), D(3), D(10), D(1000)])
Data = st.DataObject


def folded(data: Data, trades: list[Trade], *, named: bool = False) -> Bar:
    bar = Bar(0, MINUTE)
    for run in data.draw(batches(trades, named=named)):
        bar.fold(run)
    return bar


def rescaled(bar: Bar, price_decimals: int, quantity_decimals: int) -> Bar:
    """The bar at scales that all bars of a test share, so that equal bars are equal objects."""
    bar.rescale(price_decimals, quantity_decimals)
    return bar


@given(st.data(), trade_lists(), ROW_SIZES, st.booleans())
def test_the_fold_is_the_oracles_in_any_batching(
    data: Data, trades: list[Trade], row_size: Decimal, named: bool
) -> None:
    bar = folded(data, trades, named=named)
    assert_same_volumes(bar, trades)
    assert_same_path(bar, trades)
    assert bar.exact_path
    assert_same_profile(bar, trades, row_size)


@given(st.data(), trade_lists(prices=huge, quantities=huge))
def test_numbers_of_any_length_are_folded_exactly(data: Data, trades: list[Trade]) -> None:
    bar = decode(encode(folded(data, trades)))
    assert_same_volumes(bar, trades)
    assert_same_path(bar, trades)


@given(st.data(), trade_lists(least=1), ROW_SIZES, st.booleans())
def test_trades_out_of_order_change_nothing_but_the_path(
    data: Data, trades: list[Trade], row_size: Decimal, named: bool
) -> None:
    arrived = data.draw(st.permutations(trades))
    bar = folded(data, arrived, named=named)
    assert_same_volumes(bar, trades)
    assert_same_profile(bar, trades, row_size, shares=[D("0.7")])
    assert_same_path(bar, arrived)
    order = [trade.at_ms if named else (trade.at_ms, trade.id) for trade in arrived]
    assert bar.exact_path == (order == sorted(order))


@given(st.data(), trade_lists())
def test_a_path_said_to_be_exact_is_that_of_the_order_in_time(data: Data, trades: list[Trade]) -> None:
    bar = folded(data, data.draw(st.permutations(trades)))
    if bar.exact_path:
        assert_same_path(bar, sorted(trades))


def test_ids_that_are_names_do_not_order_the_trades_of_one_instant() -> None:
    bar = Bar(0, MINUTE)
    first = Trade(5, 9, D(1), D(2), buy=True)
    second = Trade(5, 1, D(2), D(3), buy=False)
    bar.fold(run_of([first, second], named=True))
    assert bar.exact_path
    bar.fold(run_of([Trade(4, 2, D(1), D(2), buy=True)], named=True))
    assert not bar.exact_path


def test_a_part_of_a_run_is_folded_where_a_part_is_asked_for() -> None:
    trades = [Trade(at, at, D(at), D(1), buy=True) for at in range(1, 6)]
    bar = Bar(0, MINUTE)
    bar.fold(run_of(trades), 1, 3)
    assert_same_volumes(bar, trades[1:3])
    bar.fold(run_of(trades), 3, 3)
    assert_same_volumes(bar, trades[1:3])


def test_an_empty_bar_has_no_prices_and_no_volume() -> None:
    bar = Bar(0, MINUTE)
    bar.fold(run_of([]))
    assert (bar.open, bar.high, bar.low, bar.close) == (None, None, None, None)
    assert (bar.buy_volume, bar.sell_volume, bar.buy_trades, bar.sell_trades, bar.delta) == (0, 0, 0, 0, 0)
    assert bar == Bar(0, MINUTE)


@given(
    st.data(),
    trade_lists(most=12),
    trade_lists(most=12, start_ms=60_000, end_ms=120_000),
    trade_lists(most=12, start_ms=120_000, end_ms=180_000),
)
def test_merging_bars_is_associative_and_equals_folding_all(
    data: Data, first: list[Trade], second: list[Trade], third: list[Trade]
) -> None:
    parts = [first, second, third]
    left, right = [folded(data, trades) for trades in parts], [folded(data, trades) for trades in parts]
    for bar in (*left, *right):
        bar.rescale(8, 8)
        bar.settle()
    left[0].absorb(left[1])
    left[0].absorb(left[2])
    right[1].absorb(right[2])
    right[0].absorb(right[1])
    assert left[0] == right[0]
    everything = first + second + third
    assert_same_volumes(left[0], everything)
    assert_same_path(left[0], everything)


@given(st.data(), trade_lists())
def test_an_empty_bar_is_the_identity_of_the_merge(data: Data, trades: list[Trade]) -> None:
    bar = rescaled(folded(data, trades), 8, 8)
    bar.settle()
    before, after = merge([Bar(0, MINUTE), bar], 0, MINUTE), merge([bar, Bar(0, MINUTE)], 0, MINUTE)
    assert before == bar == after
    assert merge([], 0, MINUTE) == Bar(0, MINUTE)


@given(st.data(), trade_lists(least=1), trade_lists(least=1, start_ms=60_000, end_ms=120_000))
def test_a_merge_leaves_its_bars_as_they_were(data: Data, first: list[Trade], second: list[Trade]) -> None:
    bars = [folded(data, first), folded(data, second)]
    before = [encode(bar) for bar in bars]
    merge(bars, 0, 2 * MINUTE).fold(run_of(first))
    assert [encode(bar) for bar in bars] == before


def test_a_merge_is_partial_or_inexact_where_one_of_its_bars_is() -> None:
    partial, inexact = Bar(0, MINUTE, partial=True), Bar(MINUTE, 2 * MINUTE, exact_path=False)
    merged = merge([partial, inexact], 0, 2 * MINUTE)
    assert merged.partial
    assert not merged.exact_path


@given(st.data(), trade_lists(prices=numbers(40) | huge, quantities=numbers(40) | huge), st.booleans())
def test_a_stored_bar_reads_back_equal(data: Data, trades: list[Trade], named: bool) -> None:
    bar = folded(data, trades, named=named)
    bar.revision, bar.partial = data.draw(st.integers(0, 9)), data.draw(st.booleans())
    assert decode(encode(bar)) == bar
    assert encode(decode(encode(bar))) == encode(bar)
    assert digest(encode(bar)) == Digest.of(bar)


@given(st.data(), trade_lists())
def test_the_bytes_of_a_bar_depend_on_its_trades_and_not_on_their_order(
    data: Data, trades: list[Trade]
) -> None:
    bar, other = folded(data, trades), folded(data, data.draw(st.permutations(trades)))
    for each in (bar, other):
        each.rescale(8, 8)
        each.exact_path, each.delta_high, each.delta_low = True, 0, 0
    assert encode(bar) == encode(other)


@pytest.mark.parametrize("number", [2**63 - 1, 2**63, 2**64, 10**40])
def test_numbers_beyond_64_bits_are_stored_and_read(number: int) -> None:
    bar = Bar(0, MINUTE, 18, 18)
    bar.rows = {number: (number, number + 1, 2, 3)}
    bar.open = bar.close = (SECOND, "some-name", number)
    bar.delta, bar.delta_low = -1, -number
    assert decode(encode(bar)) == bar


@pytest.mark.parametrize("cut", [0, 1, 10, -1])
def test_bytes_cut_short_are_not_a_bar(cut: int) -> None:
    stored = encode(Bar(0, MINUTE))
    with pytest.raises(BarFormatError, match="stored bytes are not a bar"):
        decode(stored[:cut])


def test_a_bar_whose_columns_differ_in_length_is_not_a_bar() -> None:
    bar = Bar(0, MINUTE)
    bar.rows = {1: (1, 1, 1, 1)}
    parts = msgspec.msgpack.decode(encode(bar))
    parts[-1] = b"b"
    for read in decode, digest:
        with pytest.raises(BarFormatError, match="stored bytes are not a bar"):
            read(msgspec.msgpack.encode(parts))


def test_a_bar_of_a_later_format_is_refused_by_its_number() -> None:
    parts = msgspec.msgpack.decode(encode(Bar(0, MINUTE)))
    parts[0] = 3
    with pytest.raises(BarFormatError, match=r"^stored bar of format 3; this version reads formats up to 2$"):
        decode(msgspec.msgpack.encode(parts))


@given(st.data(), trade_lists(), st.integers(0, 12), st.integers(0, 12))
def test_a_finer_scale_changes_no_number(data: Data, trades: list[Trade], price: int, volume: int) -> None:
    bar = folded(data, trades)
    bar.rescale(bar.price_decimals + price, bar.quantity_decimals + volume)
    assert_same_volumes(bar, trades)
    assert_same_path(bar, trades)


def test_a_finer_price_in_the_middle_of_a_bar_meets_the_same_price_written_coarser() -> None:
    trades = [
        Trade(1, 1, D("61.5"), D("0.1"), buy=True),
        Trade(2, 2, D("61.505"), D("0.000001"), buy=False),
        Trade(3, 3, D("61.5"), D("2"), buy=False),
    ]
    bar = Bar(0, MINUTE)
    for trade in trades:
        bar.fold(run_of([trade]))
    assert (bar.price_decimals, bar.quantity_decimals) == (3, 6)
    assert bar.rows == {61500: (100_000, 2_000_000, 1, 1), 61505: (0, 1, 0, 1)}
    assert oracle.flow(trades).delta == D("-1.900001")
    assert bar.delta == -1_900_001


def test_the_revision_of_a_merge_rises_whenever_one_of_its_bars_changes() -> None:
    def closed(minute: int, revision: int) -> Bar:
        bar = Bar(minute * MINUTE, (minute + 1) * MINUTE, revision=revision)
        bar.fold(run_of([Trade(minute * 60_000, minute, D(1), D(1), buy=True)]))
        return bar

    def revision(*bars: Bar) -> int:
        return merge(bars, 0, 3 * MINUTE).revision

    assert revision() == 0
    assert revision(closed(0, 0)) == 0
    assert revision(closed(0, 4)) == 4
    history = [
        revision(closed(0, 0)),
        revision(closed(0, 0), closed(2, 0)),
        revision(closed(0, 1), closed(2, 0)),
        revision(closed(0, 1), closed(2, 1)),
        revision(closed(0, 1), closed(1, 0), closed(2, 1)),
    ]
    assert history == [0, 1, 2, 3, 4]
