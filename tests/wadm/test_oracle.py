"""The oracle itself, against examples worked by hand."""

import hashlib
from decimal import Decimal
from fractions import Fraction

import oracle
import pytest
from oracle import Trade
from worked import PROFILES

D = Decimal


def at_prices(volumes: dict[str, str]) -> list[Trade]:
    """One bought trade at each price."""
    return [
        Trade(number, number, D(price), D(quantity), buy=True)
        for number, (price, quantity) in enumerate(volumes.items())
    ]


def test_a_row_is_the_floor_of_price_over_row_size_and_is_named_by_its_lower_edge() -> None:
    assert oracle.row_index(D("100.05"), D("0.1")) == 1000
    assert oracle.edge(1000, D("0.1")) == D("100.0")
    assert oracle.row_index(D("109.99"), D(10)) == 10
    assert oracle.row_index(D("110"), D(10)) == 11
    assert oracle.row_index(D("0.3"), D("0.1")) == 3  # 2 in binary floats


def test_rows_between_the_lowest_and_the_highest_are_there_without_volume_too() -> None:
    lowest, rows = oracle.dense_rows(at_prices({"101": "1", "104": "2"}), D(1))
    assert lowest == 101
    assert [row.volume for row in rows] == [1, 0, 0, 2]


@pytest.mark.parametrize("name", PROFILES)
def test_profiles_worked_on_paper(name: str) -> None:
    volumes, levels, share, method = PROFILES[name]
    assert oracle.levels(at_prices(volumes), D(1), D(share), method) == levels


def test_no_trades_have_no_levels() -> None:
    assert oracle.levels([], D(1)) == (None, None, None)


FIVE = [
    Trade(at_ms=10, id=1, price=D("10.5"), quantity=D("3"), buy=True),
    Trade(at_ms=10, id=2, price=D("10.1"), quantity=D("5"), buy=False),
    Trade(at_ms=12, id=4, price=D("11"), quantity=D("0.50"), buy=True, count=3),
    Trade(at_ms=12, id=3, price=D("9.9"), quantity=D("1"), buy=False),
    Trade(at_ms=11, id=5, price=D("10.2"), quantity=D("0.5"), buy=True),
]


def test_order_flow_worked_by_hand() -> None:
    flow = oracle.flow(FIVE)
    assert (flow.trades, flow.volume, flow.buy, flow.sell) == (7, 10, 4, 6)
    # 0, 3, -2, -1.5, -2.5, -2
    assert (flow.delta, flow.delta_high, flow.delta_low) == (-2, 3, D("-2.5"))
    assert flow.imbalance == Fraction(4, 6)
    # by (time, id): (10, 1) comes first, (12, 4) last
    assert (flow.open, flow.high, flow.low, flow.close) == (D("10.5"), 11, D("9.9"), 11)


def test_the_running_delta_starts_from_zero() -> None:
    only_sold = oracle.flow([FIVE[1]])
    assert (only_sold.delta_high, only_sold.delta_low) == (0, -5)
    only_bought = oracle.flow([FIVE[0]])
    assert (only_bought.delta_high, only_bought.delta_low, only_bought.imbalance) == (3, 0, None)


def test_cvd_starts_again_at_midnight() -> None:
    day = oracle.DAY_MS
    trades = [
        Trade(day - 1, 1, D(1), D(9), buy=True),
        Trade(day, 2, D(1), D(2), buy=False),
        Trade(day + 5, 3, D(1), D(1), buy=True),
    ]
    assert oracle.cvd(trades, day) == 9
    assert oracle.cvd(trades, day + 1) == -2
    assert oracle.cvd(trades, day + 6) == -1


def test_the_fingerprint_is_of_these_very_bytes() -> None:
    lines = b"9,0,1,1\n10,3.5,5,3\n11,0.5,0,3\n"
    assert oracle.fingerprint(FIVE, D(1)) == hashlib.sha256(lines).hexdigest()


def test_windows_begin_where_they_begin_and_end_before_the_next() -> None:
    times = [59_999, 60_000, 119_999, 120_000]
    trades = [Trade(at, at, D(1), D(1), buy=True) for at in times]
    found = {start: [trade.at_ms for trade in held] for start, held in oracle.windows(trades, 60_000).items()}
    assert found == {0: [59_999], 60_000: [60_000, 119_999], 120_000: [120_000]}


def test_a_recording_is_read_once_per_id_without_liquidations_and_with_the_fills_of_aggregates() -> None:
    lines = [
        '1 {"stream":"x@trade","data":{"e":"trade","s":"X","t":7,"T":5,"p":"1.50","q":"2","m":true}}',
        '2 {"e":"trade","s":"X","t":7,"T":5,"p":"1.50","q":"2","m":true,"X":"MARKET"}',
        '3 {"stream":"x@trade","data":{"e":"trade","s":"X","t":8,"T":6,"p":"1.5","q":"2","m":true,"X":"NA"}}',
        '4 {"e":"aggTrade","s":"X","a":9,"f":100,"l":104,"T":7,"p":"1.6","q":"1","m":false}',
        '5 {"lastUpdateId":1,"bids":[],"asks":[]}',
        '6 {"e":"trade","s":"Y","t":1,"T":5,"p":"1","q":"2","m":true}',
    ]
    assert oracle.read_trades(lines, "X") == [
        Trade(5, 7, D("1.5"), D(2), buy=False),
        Trade(7, 9, D("1.6"), D(1), buy=True, count=5),
    ]
