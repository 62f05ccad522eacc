from decimal import Decimal
from fractions import Fraction
from statistics import median
from typing import Any

import pytest
from answered import MINUTE_MS, answered, minutes_of
from hypothesis import given
from hypothesis import strategies as st
from made_up_books import snapshot
from oracle import Trade

from wadm.analytics.anomalies import LEAST, Judged, Kind, Recent, judged
from wadm.answers.anomalies import QUESTION
from wadm.answers.question import Book
from wadm.market import MINUTE
from wadm.orderbook import Level, OrderBook
from wadm.questions import QuestionError

D = Decimal


@given(st.lists(st.integers(0, 50) | st.integers(0, 10**12), min_size=1, max_size=40))
def test_median_and_mad_are_those_of_the_values(values: list[int]) -> None:
    recent = Recent()
    for at, value in enumerate(values):
        recent.add(at, value)
    exact = list(map(Fraction, values))
    assert recent.median() == median(exact)
    assert recent.mad() == median([abs(value - median(exact)) for value in exact])


@given(st.lists(st.integers(0, 9), max_size=40), st.integers(0, 50))
def test_what_is_old_is_forgotten(values: list[int], before: int) -> None:
    recent, kept = Recent(), Recent()
    for at, value in enumerate(values):
        recent.add(at, value)
        if at >= before:
            kept.add(at, value)
    recent.forget(before)
    assert recent == kept


def quiet(minute: int) -> list[Trade]:
    """A minute of volume 2, 4, 2, 4 … bought at 100 and 101 in turn, in one trade."""
    odd = minute % 2
    return [Trade(minute * MINUTE_MS, minute, D(100 + odd), D(2 + 2 * odd), buy=True)]


#: Forty quiet minutes, then one in which 40 is sold in ten trades, at 110 in the end.
TRADES = [
    *(one for minute in range(40) for one in quiet(minute)),
    *(Trade(40 * MINUTE_MS + at, 1_000 + at, D(101 + at), D(4), buy=False) for at in range(10)),
]
WINDOW = {"start": 40 * MINUTE, "end": 42 * MINUTE}


def test_a_minute_is_compared_with_those_before_it_only() -> None:
    found = {one.kind: one for one in judged(minutes_of(TRADES), 60) if one.at == 40}
    # Volumes before: twenty times 2, twenty times 4: median 3, every one 1 away from it. 40 is 37 above.
    assert found[Kind.VOLUME] == Judged(Kind.VOLUME, 40, 40, Fraction(3), Fraction(1), 40)
    assert found[Kind.VOLUME].score == 37
    # |delta| likewise: all of a minute is of one side.
    assert found[Kind.DELTA] == Judged(Kind.DELTA, 40, 40, Fraction(3), Fraction(1), 40)
    # One trade each minute before: no spread, no score.
    assert found[Kind.TRADES] == Judged(Kind.TRADES, 40, 10, Fraction(1), Fraction(0), 40)
    assert found[Kind.TRADES].score is None
    # Jumps before: always 1, the first minute has none. From 101 to 110 it is 9.
    assert found[Kind.JUMP] == Judged(Kind.JUMP, 40, 9, Fraction(1), Fraction(0), 39)


def test_only_the_prior_minutes_are_compared_with() -> None:
    assert [one.prior for one in judged(minutes_of(TRADES), 35) if one.kind is Kind.VOLUME] == [
        *range(LEAST, 35),
        *[35] * 6,
    ]


def test_minutes_without_a_trade_are_none() -> None:
    # Every other minute is silent: thirty of the sixty before traded, and no minute follows one right away.
    silent = [
        Trade(2 * minute * MINUTE_MS, minute, D(1), D(1 + minute % 3), buy=True) for minute in range(32)
    ]
    found = list(judged(minutes_of(silent), 60))
    assert {(str(one.kind), one.at, one.prior) for one in found} == {
        (kind, at, 30) for kind in ("volume", "delta", "trades") for at in (30, 31)
    }


@given(st.lists(st.integers(0, 30), min_size=32, max_size=60), st.integers(30, 60))
def test_scores_are_those_found_minute_by_minute(volumes: list[int], prior: int) -> None:
    trades = [
        Trade(minute * MINUTE_MS, minute, D(1), D(volume), buy=True)
        for minute, volume in enumerate(volumes)
        if volume
    ]
    minutes = minutes_of(trades)
    expected = []
    for minute, volume in enumerate(volumes):
        before = [Fraction(one) for one in volumes[max(0, minute - prior) : minute] if one]
        if volume and len(before) >= LEAST:
            middle = median(before)
            expected.append((minute, middle, median([abs(one - middle) for one in before]), len(before)))
    assert [
        (minutes[one.at].start // MINUTE, one.median, one.mad, one.prior)
        for one in judged(minutes, prior)
        if one.kind is Kind.VOLUME
    ] == expected


def test_an_anomaly_is_answered_with_its_evidence() -> None:
    answer = answered(QUESTION, TRADES, **WINDOW)  # type: ignore[arg-type]
    assert answer["parameters"] == {"prior": 240, "threshold": "15"}
    assert (answer["heuristic"], answer["minutes"]) == (True, 1)
    assert answer["judged"] == {"volume": 1, "delta": 1, "trades": 0, "price_jump": 0}
    evidence = {"value": "40", "median": "3", "mad": "1", "score": "37", "prior_minutes": 40}
    minute = {"start": "1970-01-01T00:40:00Z", "end": "1970-01-01T00:41:00Z"}
    assert answer["anomalies"] == [
        {"kind": "volume", **minute, "direction": None, **evidence},
        {"kind": "delta", **minute, "direction": "sell", **evidence},
    ]


def test_a_threshold_is_reached_or_not() -> None:
    def kinds(threshold: str) -> list[str]:
        found = answered(QUESTION, TRADES, threshold=threshold, **WINDOW)  # type: ignore[arg-type]
        return [one["kind"] for one in found["anomalies"]]

    assert kinds("37") == ["volume", "delta"]
    assert kinds("37.01") == []


def test_jumps_are_told_with_their_direction_and_all_minutes_before_have_one() -> None:
    # Steps of 0 and 0.1 in turn: median 0.05 of an even number, all 0.05 away. Then down by 9.
    prices = [*(D(100) + D(minute // 2) / 10 for minute in range(81)), D(95)]
    trades = [Trade(at * MINUTE_MS, at, price, D(1), buy=True) for at, price in enumerate(prices)]
    answer = answered(QUESTION, trades, start=81 * MINUTE, end=82 * MINUTE, prior="60")
    assert answer["anomalies"] == [
        {
            "kind": "price_jump",
            "start": "1970-01-01T01:21:00Z",
            "end": "1970-01-01T01:22:00Z",
            "direction": "down",
            "value": "9",
            "median": "0.05",
            "mad": "0.05",
            "score": "179",  # (9 - 0.05) / 0.05
            "prior_minutes": 60,
        }
    ]


def test_the_minute_that_is_still_going_on_is_not_judged() -> None:
    answer = answered(QUESTION, TRADES, market_time=41 * MINUTE - 1, **WINDOW)  # type: ignore[arg-type]
    assert (answer["minutes"], answer["anomalies"]) == (0, [])


def test_before_there_is_a_past_nothing_is_judged() -> None:
    answer = answered(QUESTION, TRADES[:29], end=40 * MINUTE)
    assert (answer["minutes"], answer["anomalies"]) == (29, [])
    assert set(answer["judged"].values()) == {0}


def test_a_window_of_too_many_minutes_is_refused() -> None:
    with pytest.raises(QuestionError, match="a window of at most 1500 minutes; this one holds 1501"):
        answered(QUESTION, [], end=1501 * MINUTE)


@pytest.mark.parametrize(
    ("bids", "asks", "synced", "state"),
    [
        ([(10, 1)], [(11, 1)], True, "sound"),
        ([(11, 1)], [(11, 1)], True, "crossed"),
        ([], [(11, 1)], True, "no bids"),
        ([(10, 1)], [], True, "no asks"),
        ([], [], True, "no bids and no asks"),
        ([(11, 1)], [(11, 1)], False, None),
    ],
)
def test_a_book_that_is_amiss_is_told_while_it_is_in_step(
    bids: list[Level], asks: list[Level], synced: bool, state: str | None
) -> None:
    book = OrderBook()
    book.replace(snapshot(1, bids, asks))
    found: dict[str, Any] = answered(QUESTION, [], around={"book": Book(book, synced, 7)})["now"]["book"]
    assert (found["synced"], found["age_ms"], found["state"]) == (synced, 7, state)
    assert found["bid"] == (str(bids[0][0]) if bids and synced else None)


def test_where_no_book_is_followed_none_is_told() -> None:
    assert answered(QUESTION, [])["now"] == {"book": None}
