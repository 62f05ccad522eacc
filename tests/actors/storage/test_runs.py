import msgspec
from storage_samples import START, trades_at

from actors.storage.runs import distinct, joined, ordered, within


def test_a_run_inside_the_range_is_itself():
    run = trades_at(START, START + 1)
    assert within(run, START, START + 2) is run


def test_a_run_is_cut_in_every_column():
    run = within(trades_at(START, START + 5, START + 1, ids="abc"), START + 1, START + 5)
    assert (run.ids, run.times, run.prices, run.signed_quantities, run.counts) == (
        ["c"], [START + 1], [61_000_2], [5], [3],
    )  # fmt: skip


def test_nothing_of_an_empty_run_is_cut():
    assert len(within(trades_at(), START, START + 1)) == 0


def test_trades_that_came_before_are_left_out():
    first, second = trades_at(1, 2, 2, ids=[1, 2, 2]), trades_at(2, 3, ids=[2, 3])
    again = trades_at(1, ids=[1])
    assert [list(run.ids) for run in distinct([first, second, again])] == [[1, 2], [3]]


def test_runs_without_repeats_pass_as_they_are():
    run = trades_at(1, 2, ids=["a", "b"])
    assert next(distinct([run])) is run


def test_runs_of_one_kind_and_the_same_decimals_become_one_in_their_order():
    runs = [trades_at(5, 6, ids=[3, 4]), trades_at(1, ids=[9]), trades_at(7, ids=[5])]
    finer = msgspec.structs.replace(runs[2], price_decimals=2)
    one, apart = joined([*runs[:2], finer])
    assert (one.ids, one.times, len(one.prices)) == ([3, 4, 9], [5, 6, 1], 3)
    assert [*one.signed_quantities] == [*runs[0].signed_quantities, *runs[1].signed_quantities]
    assert [*one.counts] == [*runs[0].counts, *runs[1].counts]
    assert apart is finer
    assert list(joined([])) == []


def test_runs_are_put_in_order_at_the_finest_decimals():
    late, early = trades_at(START + 5, START + 9, ids=[3, 5]), trades_at(START + 5, START + 1, ids=[2, 1])
    finer = msgspec.structs.replace(early, price_decimals=2, prices=[10 * price for price in early.prices])
    run = ordered([late, finer])
    assert run is not None
    assert list(run.ids) == [1, 2, 3, 5]
    assert list(run.times) == [START + 1, START + 5, START + 5, START + 9]
    assert (run.price_decimals, list(run.prices)) == (2, [6_100_010, 6_100_000, 6_100_000, 6_100_010])
    assert ordered([]) is None


def test_names_stay_in_the_order_of_arrival_within_one_instant():
    run = ordered([trades_at(START, START, ids=["b", "a"]), trades_at(START, ids=["0"])])
    assert run is not None
    assert list(run.ids) == ["b", "a", "0"]
