"""Gaps: open until every id in them has come."""

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wadm.coverage import TOO_OLD, Coverage, Gaps, KnownGap, SuspectedGap
from wadm.exchanges.base import Filled, Gap
from wadm.exchanges.contiguity import Missing
from wadm.market import MINUTE, SECOND, IdKind


def gap(first: int, last: int, at: int = 0, kind: IdKind = IdKind.TRADE) -> Gap:
    return Gap("binance", "BTCUSDT", kind, first, last, at)


def filled(first: int, last: int, kind: IdKind = IdKind.TRADE) -> Filled:
    return Filled("binance", "BTCUSDT", kind, first, last, 99)


def ids(gaps: list[Gap]) -> list[int]:
    return [number for one in gaps for number in range(one.first, one.last + 1)]


@given(
    st.lists(st.tuples(st.integers(0, 5), st.integers(1, 8)), max_size=6),
    st.lists(st.tuples(st.integers(-5, 90), st.integers(1, 20)), max_size=10),
)
def test_what_is_open_is_what_was_jumped_over_and_has_not_come(
    jumps: list[tuple[int, int]], fills: list[tuple[int, int]]
) -> None:
    gaps, missing, at = Gaps(), set[int](), 0
    for seen, length in jumps:
        gaps.opened(gap(at + seen, at + seen + length - 1))
        missing |= set(range(at + seen, at + seen + length))
        at += seen + length + 1
    for first, length in fills:
        come = set(range(first, first + length))
        done = gaps.filled(filled(first, first + length - 1))
        assert ids(done) == sorted(missing & come)
        missing -= come
        assert ids(gaps.open) == sorted(missing)
        assert all(one.missing > 0 for one in (*done, *gaps.open))


@pytest.mark.parametrize(
    ("come", "left"),
    [
        ((10, 10), [(11, 19)]),
        ((19, 19), [(10, 18)]),
        ((14, 15), [(10, 13), (16, 19)]),
        ((10, 19), []),
        ((0, 99), []),
        ((0, 9), [(10, 19)]),
        ((20, 30), [(10, 19)]),
        ((5, 12), [(13, 19)]),
    ],
)
def test_a_late_id_splits_its_gap(come: tuple[int, int], left: list[tuple[int, int]]) -> None:
    gaps = Gaps([KnownGap(gap(10, 19, at=7))])
    gaps.filled(filled(*come))
    assert [(one.first, one.last, one.at) for one in gaps.open] == [(first, last, 7) for first, last in left]


def test_ids_that_count_something_else_fill_nothing() -> None:
    gaps = Gaps([KnownGap(gap(10, 19))])
    assert gaps.filled(filled(10, 19, IdKind.AGG_TRADE)) == []
    assert gaps.open == [gap(10, 19)]


@given(st.integers(-5, 30), st.integers(1, 30))
def test_ids_that_are_given_up_stay_known_with_the_reason(first: int, length: int) -> None:
    gaps = Gaps(
        [KnownGap(one) for one in (gap(3, 6), gap(10, 10), gap(12, 20), gap(3, 20, kind=IdKind.AGG_TRADE))]
    )
    missing = {3, 4, 5, 6, 10, *range(12, 21)}
    asked = set(range(first, first + length))
    lost = gaps.given_up(IdKind.TRADE, Missing(first, first + length - 1), "gone")
    assert sorted(ids(lost)) == sorted(missing & asked)
    unfillable = [one for one in gaps.known if one.state == "unfillable"]
    assert sorted(ids([one.gap for one in unfillable])) == sorted(missing & asked)
    assert {one.reason for one in unfillable} <= {"gone"}
    assert sorted(ids([one for one in gaps.open if one.id_kind is IdKind.TRADE])) == sorted(missing - asked)


def test_a_gap_in_an_answer() -> None:
    assert KnownGap(gap(10, 19, at=SECOND)).answer() == {
        "kind": "known",
        "exchange": "binance",
        "symbol": "BTCUSDT",
        "id_kind": "trade",
        "first": 10,
        "last": 19,
        "missing": 10,
        "noticed": "1970-01-01T00:00:01Z",
        "state": "open",
    }


def test_a_suspected_gap_in_an_answer() -> None:
    suspected = SuspectedGap("bybit", "BTCUSDT", SECOND, 3 * SECOND)
    assert KnownGap(suspected, "open", "the connection ended").answer() == {
        "kind": "suspected",
        "exchange": "bybit",
        "symbol": "BTCUSDT",
        "from": "1970-01-01T00:00:01Z",
        "to": "1970-01-01T00:00:03Z",
        "state": "open",
        "reason": "the connection ended",
    }


def test_of_a_suspicion_what_was_covered_is_gone_and_what_was_not_stays() -> None:
    suspected = SuspectedGap("bybit", "BTCUSDT", 100, 200)
    gaps = Gaps([KnownGap(gap(100, 200)), KnownGap(suspected, "open", "the connection ended")])
    assert gaps.covered(150, 300) == [attrs.evolve(suspected, first=150)]
    lost = gaps.not_covered(0, 149, "no older trades")
    assert lost == [
        KnownGap(attrs.evolve(suspected, last=149), "unfillable", "the connection ended; no older trades")
    ]
    assert gaps.suspected == lost
    # Times are no ids, and the other way round.
    assert gaps.open == [gap(100, 200)]
    assert gaps.filled(filled(100, 200)) == [gap(100, 200)]
    assert gaps.suspected == lost


def test_what_was_given_up_lies_where_the_trade_behind_it_lies() -> None:
    gaps = Gaps([KnownGap(gap(3, 9, at=500))])
    assert gaps.given_up(IdKind.TRADE, Missing(3, 5), "gone", 100) == [gap(3, 5, at=100)]
    assert gaps.given_up(IdKind.TRADE, Missing(6, 9), "gone") == [gap(6, 9, at=500)]


def test_gaps_that_ended_before_a_time_are_let_go_and_counted() -> None:
    gone = SuspectedGap("bybit", "BTCUSDT", 100, 199)
    stays = SuspectedGap("bybit", "BTCUSDT", 100, 200)
    gaps = Gaps(
        [
            KnownGap(gap(1, 2, at=150)),
            KnownGap(gap(5, 9, at=199), "unfillable", "gone"),
            KnownGap(gap(11, 11, at=200)),
            KnownGap(gone, "open", "the connection ended"),
            KnownGap(stays, "open", "the connection ended"),
        ]
    )
    before = gaps.totals()
    assert before == {"open": 2, "unfillable": 1, "suspected": 2, "ids_missing": 8}
    # What was open will not be filled any more, and says so.
    assert gaps.let_go(200) == [
        KnownGap(gap(1, 2, at=150), "unfillable", TOO_OLD),
        KnownGap(gone, "unfillable", f"the connection ended; {TOO_OLD}"),
    ]
    assert [one.gap for one in gaps.known] == [gap(11, 11, at=200), stays]
    assert gaps.totals() == {**before, "open": 1, "unfillable": 2}
    assert gaps.let_go(150) == []
    assert gaps.since == 200


def test_a_gap_that_was_filled_says_so() -> None:
    assert KnownGap(gap(1, 2), "filled").answer()["state"] == "filled"


def test_coverage_in_an_answer() -> None:
    coverage = Coverage((0, MINUTE), True, True, [KnownGap(gap(10, 10))], ["live"], 3, False)
    assert coverage.answer() == {
        "start": "1970-01-01T00:00:00Z",
        "end": "1970-01-01T00:01:00Z",
        "state": "final",
        "completeness": "provable",
        "gaps": [KnownGap(gap(10, 10)).answer()],
        "sources": ["live"],
        "epoch": 3,
        "warming": False,
    }
    nothing = Coverage(None, False, False, [], [], 1, True).answer()
    assert (nothing["start"], nothing["end"]) == (None, None)
    assert (nothing["state"], nothing["completeness"]) == ("provisional", "not provable")
