from decimal import Decimal

from agreement import assert_same_path
from generated import batches, run_of, trade_lists
from hypothesis import given
from hypothesis import strategies as st
from oracle import Trade

from wadm.bar import Bar
from wadm.market import MINUTE
from wadm.path import straightened


@given(st.data(), trade_lists(), st.booleans())
def test_the_path_of_trades_that_came_in_any_order_is_that_of_their_time(
    data: st.DataObject, trades: list[Trade], named: bool
) -> None:
    if named:  # names do not order the trades of one instant: leave one of each
        trades = list({trade.at_ms: trade for trade in trades}.values())
    runs = data.draw(batches(data.draw(st.permutations(trades)), named=named))
    bar = Bar(0, MINUTE)
    for run in runs:
        bar.fold(run)
    found = straightened(bar, data.draw(st.permutations(runs)))
    assert found is not None
    assert (found.exact_path, found.revision) == (True, bar.revision + 1)
    assert (found.rows, found.open, found.close, found.delta) == (bar.rows, bar.open, bar.close, bar.delta)
    assert_same_path(found, sorted(trades))


def test_a_bar_whose_trades_are_not_all_kept_stays_as_it_is() -> None:
    first, second = (Trade(at, at, Decimal(1), Decimal(2), buy=True) for at in (1, 2))
    bar = Bar(0, MINUTE)
    bar.fold(run_of([second]))
    bar.fold(run_of([first]))
    assert not bar.exact_path
    assert straightened(bar, [run_of([first])]) is None
    assert straightened(bar, []) is None
