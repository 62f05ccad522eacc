from decimal import Decimal

import pytest
from generated import batches, run_of, trade_lists
from hypothesis import given
from hypothesis import strategies as st
from oracle import Trade

from wadm.analytics.sweeps import Sweep, sweeps
from wadm.analytics.tape import tape

D = Decimal
MS = 1_000

#: (time in ms, price, signed quantity)
Seen = list[tuple[int, int, int]]


def found(trades: Seen, gap: int = 10, least: int = 3) -> list[Sweep]:
    return list(sweeps([(at * MS, price, signed, 1) for at, price, signed in trades], gap * MS, least))


def test_a_sweep_is_a_run_of_one_side_through_the_levels() -> None:
    # 1 at 100, 2 and 3 at 101, 4 at 103: 100 + 202 + 303 + 412 = 1017, three prices, over 7 ms
    assert found([(0, 100, 1), (0, 101, 2), (5, 101, 3), (7, 103, 4)]) == [
        Sweep("buy", 0, 7 * MS, 100, 103, volume=10, notional=1017, levels=3, trades=4)
    ]
    assert found([(0, 103, -1), (1, 102, -1), (2, 101, -2)]) == [
        Sweep("sell", 0, 2 * MS, 103, 101, volume=4, notional=407, levels=3, trades=3)
    ]


def test_an_aggregate_counts_for_what_it_was_made_of() -> None:
    three = [Trade(at, at, D(100 + at), D(1), buy=True, count=at) for at in (1, 2, 3)]
    (one,) = sweeps(tape([run_of(three)]).trades, MS, 3)
    assert (one.levels, one.trades) == (3, 6)


@pytest.mark.parametrize(
    "trades",
    [
        [],
        [(0, 100, 1), (0, 101, 1)],  # two prices
        [(0, 100, 1), (0, 101, 1), (0, 101, 9)],  # still two
        [(0, 100, 1), (0, 101, 1), (11, 102, 1)],  # too late
        [(0, 100, 1), (0, 101, 1), (0, 102, -1)],  # the other side
        [(0, 100, 1), (0, 101, -1), (0, 101, 1), (0, 102, 1)],  # interrupted by it
        [(0, 100, 1), (0, 102, 1), (0, 101, 1)],  # a step back
        [(0, 100, -1), (0, 101, -1), (0, 102, -1)],  # selling does not go up
    ],
)
def test_what_is_no_sweep(trades: Seen) -> None:
    assert found(trades) == []


def test_the_gap_counts_from_trade_to_trade_and_may_be_met() -> None:
    (one,) = found([(0, 100, 1), (10, 101, 1), (20, 102, 1)])
    assert one.end - one.start == 20 * MS


def test_what_ends_a_sweep_begins_the_next_run() -> None:
    # 101 steps back from 102: the second run goes on from there
    both = found([(0, 100, 1), (0, 101, 1), (0, 102, 1), (0, 101, 1), (0, 102, 1), (0, 103, 1)])
    assert [(one.first_price, one.last_price, one.trades) for one in both] == [(100, 102, 3), (101, 103, 3)]


seen = st.lists(
    st.tuples(st.integers(0, 6), st.integers(100, 104), st.sampled_from([-2, -1, 1, 2])), max_size=40
)


@given(seen, st.integers(0, 4), st.integers(2, 4))
def test_sweeps_are_those_cut_out_of_the_tape(steps: Seen, gap: int, least: int) -> None:
    trades, at = [], 0
    for wait, price, signed in steps:
        at += wait
        trades.append((at, price, signed))
    runs: list[Seen] = []
    for one in trades:
        before = runs[-1][-1] if runs else None
        continues = (
            before is not None
            and (one[2] > 0) == (before[2] > 0)
            and one[0] - before[0] <= gap
            and (one[1] >= before[1] if one[2] > 0 else one[1] <= before[1])
        )
        runs[-1].append(one) if continues else runs.append([one])
    expected = [run for run in runs if len({price for _, price, _ in run}) >= least]
    assert [
        (one.start // MS, one.end // MS, one.volume, one.trades, one.levels)
        for one in found(trades, gap, least)
    ] == [
        (run[0][0], run[-1][0], sum(abs(q) for *_, q in run), len(run), len({p for _, p, _ in run}))
        for run in expected
    ]


@given(st.data(), trade_lists())
def test_the_tape_is_the_trades_in_their_order_however_they_arrived(
    data: st.DataObject, trades: list[Trade]
) -> None:
    read = tape(data.draw(batches(data.draw(st.permutations(trades)))))
    assert [
        (at, D(price).scaleb(-read.price_decimals), D(signed).scaleb(-read.quantity_decimals))
        for at, price, signed, _ in read.trades
    ] == [(one.at_ms * MS, one.price, one.quantity if one.buy else -one.quantity) for one in trades]


def test_trades_of_one_instant_named_by_text_stay_as_they_arrived() -> None:
    first, second = Trade(5, 9, D(1), D(2), buy=True), Trade(5, 1, D(2), D(3), buy=False)
    earlier = Trade(4, 3, D(7), D(1), buy=True)
    read = tape([run_of([first, second], named=True), run_of([earlier], named=True)])
    assert [price for _, price, _, _ in read.trades] == [7, 1, 2]


def test_no_trades_are_an_empty_tape() -> None:
    assert list(tape([]).trades) == []
