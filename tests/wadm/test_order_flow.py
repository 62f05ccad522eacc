"""Order flow from bars, against the oracle."""

from decimal import Decimal

import oracle
from agreement import assert_same_ratio
from generated import batches, run_of, trade_lists, unscaled
from hypothesis import given
from hypothesis import strategies as st
from oracle import Trade

from wadm.analytics.order_flow import order_flow
from wadm.bar import Bar
from wadm.market import DAY, MINUTE
from wadm.series import BarSeries
from wadm.sessions import UTC_DAY

HOUR_MS = 3_600_000


@given(st.data(), trade_lists(start_ms=23 * HOUR_MS, end_ms=25 * HOUR_MS), st.integers(23 * 60, 25 * 60))
def test_order_flow_and_cvd_of_any_minutes_around_midnight(
    data: st.DataObject, trades: list[Trade], minute: int
) -> None:
    series = BarSeries()
    for run in data.draw(batches(trades)):
        series.fold(run)
        series.advance(max(run.times, default=0))
    start, end = minute * MINUTE, (minute + data.draw(st.integers(1, 30))) * MINUTE
    since = UTC_DAY.window(end - 1)[0]
    flow = order_flow(series.merged(start, end), series.merged(since, end))
    held = oracle.within(trades, start // 1000, end // 1000)
    expected = oracle.flow(held)
    decimals = flow.quantity_decimals
    assert unscaled(flow.volume, decimals) == expected.volume
    assert unscaled(flow.buy_volume, decimals) == expected.buy
    assert unscaled(flow.sell_volume, decimals) == expected.sell
    assert unscaled(flow.delta, decimals) == expected.delta
    assert unscaled(flow.delta_high, decimals) == expected.delta_high
    assert unscaled(flow.delta_low, decimals) == expected.delta_low
    assert unscaled(flow.cvd, decimals) == oracle.cvd(trades, end // 1000)
    assert flow.session_start == since
    assert flow.buy_trades == sum(trade.count for trade in held if trade.buy)
    assert flow.sell_trades == sum(trade.count for trade in held if not trade.buy)
    assert_same_ratio(flow.imbalance_ratio, expected.imbalance)


def test_the_session_starts_at_midnight_utc() -> None:
    assert UTC_DAY.window(0)[0] == 0
    assert UTC_DAY.window(DAY - 1)[0] == 0
    assert UTC_DAY.window(DAY)[0] == DAY


def test_a_bar_and_a_session_of_different_scales_meet_in_the_finer_one() -> None:
    bar, session = Bar(0, MINUTE, 0, 1), Bar(0, MINUTE, 0, 3)
    bar.rows, bar.delta, bar.delta_high = {1: (15, 5, 1, 1)}, 10, 15
    session.rows, session.delta = {1: (1501, 500, 2, 1)}, 1001
    flow = order_flow(bar, session)
    assert (flow.quantity_decimals, flow.delta, flow.delta_high, flow.cvd) == (3, 1000, 1500, 1001)
    assert (flow.buy_volume, flow.sell_volume) == (1500, 500)
    coarse = order_flow(session, bar)
    assert (coarse.quantity_decimals, coarse.delta, coarse.cvd) == (3, 1001, 1000)


def test_an_empty_window_has_no_ratio() -> None:
    flow = order_flow(Bar(0, MINUTE), Bar(0, MINUTE))
    assert (flow.imbalance_ratio, flow.volume, flow.delta, flow.cvd, flow.exact_path) == (None, 0, 0, 0, True)


def test_a_path_that_is_not_exact_says_so() -> None:
    bar = Bar(0, MINUTE)
    for at_ms in (2, 1):
        bar.fold(run_of([Trade(at_ms, at_ms, Decimal(1), Decimal(1), buy=True)]))
    assert not order_flow(bar, bar).exact_path
