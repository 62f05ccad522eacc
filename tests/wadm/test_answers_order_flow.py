"""CVD, delta analysis, volume by side, flow and VPIN as they are answered."""

from collections.abc import Sequence
from decimal import Decimal
from fractions import Fraction
from itertools import pairwise
from typing import Any

import oracle
import pytest
from answered import MINUTE_MS, answered
from generated import numbers, run_of, trade_lists
from hypothesis import given
from hypothesis import strategies as st
from oracle import Trade, within

from wadm.answers import cvd, delta, order_flow, sides, vpin
from wadm.instants import iso
from wadm.market import DAY, HOUR, MINUTE
from wadm.questions import QuestionError

D = Decimal
DAY_MS = 86_400_000


def taken(minute: float, signed: str, number: int = 0, price: str = "100") -> Trade:
    """A trade at a minute, bought or (negative) sold."""
    quantity = D(signed)
    return Trade(int(minute * MINUTE_MS), number or int(minute * 100), D(price), abs(quantity), quantity > 0)


# minutes 0-1: +3 -1 (up to 3, down to 0, at 2); 5-9: -4 +1 (-4, -3); 10-14: +1; 25-29: +2.5
HOURLY = [
    taken(0, "3"), taken(1, "-1"), taken(5, "-4"), taken(9, "1"), taken(10, "1"), taken(27, "2.5"),
]  # fmt: skip


def column(rows: Sequence[dict[str, Any]], *names: str) -> list[tuple[Any, ...]]:
    return [tuple(row[name] for name in names) for row in rows]


def at(minute: int) -> str:
    return iso(minute * MINUTE)


def test_cvd_bar_by_bar() -> None:
    answer = answered(cvd.QUESTION, HOURLY, bar="5m")
    assert (answer["algorithm"], answer["session"], answer["parameters"]) == (
        "cvd/1", "00:00@UTC", {"bar": "5m"},
    )  # fmt: skip
    assert column(answer["bars"], "start", "end", "delta", "cvd", "cvd_high", "cvd_low") == [
        (at(0), at(5), "2", "2", "3", "0"),
        (at(5), at(10), "-3", "-1", "2", "-2"),  # 2 - 4 = -2, then -1; at its open it was 2
        (at(10), at(15), "1", "0", "0", "-1"),
        (at(25), at(30), "2.5", "2.5", "2.5", "0"),
    ]
    assert {one["since"] for one in answer["bars"]} == {at(0)}
    assert {one["delta_path"] for one in answer["bars"]} == {"exact"}
    assert answer["trend"] == {
        "first": "2", "last": "2.5", "change": "2.5", "highest": "3", "highest_in": at(0),
        "lowest": "-2", "lowest_in": at(5), "bars_up": 3, "bars_down": 1,
        # 2 -1 0 2.5 at 1 2 3 4, around 2.5: (-1.5·2 + -0.5·-1 + 0.5·0 + 1.5·2.5) / 5
        "slope_per_bar": "0.25",
    }  # fmt: skip


def test_cvd_goes_on_from_what_the_session_held_before_the_window() -> None:
    answer = answered(cvd.QUESTION, HOURLY, start=10 * MINUTE, end=30 * MINUTE, bar="5m")
    assert column(answer["bars"], "start", "cvd") == [(at(10), "0"), (at(25), "2.5")]
    assert answer["trend"]["change"] == "3.5"


def test_cvd_starts_again_with_the_session_in_the_middle_of_a_bar() -> None:
    # 09:15 in Kolkata is 03:45 UTC: minute 225 of a day lies within the hour from 180 to 240
    trades = [taken(100, "4"), taken(200, "5"), taken(224, "1"), taken(225, "-2"), taken(250, "7")]
    answer = answered(
        cvd.QUESTION, trades, start=3 * HOUR, end=5 * HOUR, bar="1h", session="09:15@Asia/Kolkata"
    )
    assert column(answer["bars"], "start", "end", "since", "cvd") == [
        (at(180), at(225), iso(-DAY + 225 * MINUTE), "10"),
        (at(225), at(240), at(225), "-2"),
        (at(240), at(300), at(225), "5"),
    ]


@given(
    trade_lists(start_ms=22 * 3_600_000, end_ms=27 * 3_600_000, quantities=numbers(30, 3)),
    st.integers(22 * 60, 24 * 60 + 30),
    st.integers(1, 150),
    st.sampled_from(["1m", "5m", "1h"]),
)
def test_cvd_at_each_close_is_the_running_delta_since_midnight(
    trades: list[Trade], start: int, length: int, bar: str
) -> None:
    end = start + length
    answer = answered(cvd.QUESTION, trades, start=start * MINUTE, end=end * MINUTE, bar=bar)
    edges = {one["start"]: one for one in answer["bars"]}
    step = {"1m": 1, "5m": 5, "1h": 60}[bar]
    cuts = sorted({start, end, *(minute for minute in range(start, end) if minute % step == 0)})
    for first, last in pairwise(cuts):
        held = within(trades, first * MINUTE_MS, last * MINUTE_MS)
        one = edges.pop(iso(first * MINUTE), None)
        assert (one is None) == (not held)
        if one is None:
            continue
        expected, opened = oracle.flow(held), oracle.cvd(trades, first * MINUTE_MS)
        opened = Decimal(0) if first % (24 * 60) == 0 else opened
        assert D(one["delta"]) == expected.delta
        assert D(one["cvd"]) == oracle.cvd(trades, last * MINUTE_MS) == opened + expected.delta
        assert D(one["cvd_high"]) == opened + expected.delta_high
        assert D(one["cvd_low"]) == opened + expected.delta_low
    assert not edges


def test_delta_analysis() -> None:
    answer = answered(delta.QUESTION, HOURLY, bar="5m")
    assert column(answer["bars"], "start", "delta", "delta_high", "delta_low", "delta_over_volume") == [
        (at(0), "2", "3", "0", "0.5"),  # 2 of 4
        (at(5), "-3", "0", "-4", "-0.6"),  # -3 of 5
        (at(10), "1", "1", "0", "1"),
        (at(25), "2.5", "2.5", "0", "1"),
    ]
    # over the window: 2.5 of 12.5; the running delta 3 2 -2 -1 0 2.5
    assert {name: answer[name] for name in ("delta", "volume", "delta_over_volume")} == {
        "delta": "2.5", "volume": "12.5", "delta_over_volume": "0.2",
    }  # fmt: skip
    assert (answer["delta_high"], answer["delta_low"]) == ("3", "-2")
    assert (answer["bars_positive"], answer["bars_negative"]) == (3, 1)
    assert answer["longest_positive"] == {"start": at(10), "end": at(30), "bars": 2, "delta": "3.5"}
    assert answer["longest_negative"] == {"start": at(5), "end": at(10), "bars": 1, "delta": "-3"}
    assert column(answer["largest"], "start", "delta") == [
        (at(5), "-3"), (at(25), "2.5"), (at(0), "2"), (at(10), "1"),
    ]  # fmt: skip


def test_volume_by_side() -> None:
    answer = answered(sides.QUESTION, HOURLY, bar="15m")
    assert column(answer["bars"], "start", "buy_volume", "sell_volume", "buy_share", "buy_trades") == [
        (at(0), "5", "5", "0.5", 3),
        (at(15), "2.5", "0", "1", 1),
    ]
    assert column([answer], "volume", "buy_volume", "sell_volume", "buy_share") == [
        ("12.5", "7.5", "5", "0.6")
    ]
    assert column([answer], "trades", "buy_trades", "sell_trades", "buy_trades_share") == [
        (6, 4, 2, "0.66666667")
    ]


def test_flow_tells_how_far_cvd_went_within_the_session() -> None:
    answer = answered(order_flow.QUESTION, HOURLY, start=10 * MINUTE, end=20 * MINUTE)
    # up to minute 20: 3 2 -2 -1 0; the window itself holds +1
    assert column([answer], "cvd", "cvd_high", "cvd_low", "cvd_path", "delta", "delta_low") == [
        ("0", "3", "-2", "exact", "1", "0")
    ]


@pytest.mark.parametrize("question", [cvd.QUESTION, delta.QUESTION, sides.QUESTION])
def test_a_window_without_trades_says_nothing(question: Any) -> None:
    answer = answered(question, [])
    assert answer["bars"] == []
    for name in ("delta_over_volume", "buy_share", "buy_trades_share", "longest_positive"):
        assert answer.get(name) is None
    if "trend" in answer:
        assert set(answer["trend"].values()) == {None, 0}


@pytest.mark.parametrize("question", [cvd.QUESTION, delta.QUESTION, sides.QUESTION])
def test_more_bars_than_a_reader_has_a_use_for_are_refused(question: Any) -> None:
    with pytest.raises(QuestionError, match="bar is '1m'; expected longer bars: the window holds 1501"):
        answered(question, [], end=1501 * MINUTE, bar="1m")
    assert answered(question, [], end=1500 * MINUTE, bar="1m")["bars"] == []


# Day 0 holds 60, day 1 nothing, day 2 holds 40: 100 over two days is 50 a day, and a bucket is 1.
TWO_DAYS = [taken(30, "60"), taken(2 * 1440 + 3, "-40")]
THIRD = 3 * DAY


def in_third(minute: float, signed: str, number: int) -> Trade:
    return taken(3 * 1440 + minute, signed, number)


def test_a_bucket_is_a_fiftieth_of_the_average_day_that_has_data() -> None:
    # 1.5 bought and 0.5 sold fill two buckets: all bought, then half and half: (1 + 0) / 2
    trades = [*TWO_DAYS, in_third(1, "1.5", 1), in_third(2, "-0.75", 2)]
    answer = answered(vpin.QUESTION, trades, start=THIRD, end=THIRD + HOUR, count="2")
    assert {name: answer[name] for name in answer if name in vpin_fields} == {
        "average_daily_volume": "50", "days": 2, "bucket_volume": "1", "bucket_from": "average_daily_volume",
        "resolution": "trades", "vpin": "0.5", "buckets_full": 2, "reason": None,
    }  # fmt: skip
    assert answer["parameters"] == {"bucket_volume": None, "count": 2}


vpin_fields = {
    "average_daily_volume", "days", "bucket_volume", "bucket_from", "resolution", "vpin", "buckets_full",
    "reason",
}  # fmt: skip


def test_only_the_seven_sessions_before_count() -> None:
    trades = [taken(0, "999"), taken(2 * 1440, "70"), taken(8 * 1440, "7"), taken(9 * 1440, "1")]
    answer = answered(vpin.QUESTION, trades, start=9 * DAY, end=9 * DAY + HOUR)
    # days 2 to 8: 70 and 7; the day of the window itself counts for nothing
    assert (answer["days"], answer["average_daily_volume"], answer["bucket_volume"]) == (2, "38.5", "0.77")


def test_minutes_serve_where_trades_do_not() -> None:
    # within one minute 1.5 bought and 0.5 sold: as minutes, 0.75 and 0.25 in each bucket
    trades = [*TWO_DAYS, in_third(1.1, "1.5", 1), in_third(1.2, "-0.5", 2)]
    gone = answered(vpin.QUESTION, trades, start=THIRD, end=THIRD + HOUR, count="2", kept=False)
    assert (gone["resolution"], gone["vpin"]) == ("one-minute bars", "0.5")
    kept = answered(vpin.QUESTION, trades, start=THIRD, end=THIRD + HOUR, count="1")
    assert (kept["resolution"], kept["vpin"]) == ("trades", "0")
    long = answered(vpin.QUESTION, trades, start=THIRD, end=THIRD + HOUR + MINUTE, count="1")
    assert (long["resolution"], long["vpin"]) == ("one-minute bars", "0.5")


def test_vpin_has_no_value_before_enough_buckets_are_full_nor_without_a_bucket() -> None:
    few = answered(vpin.QUESTION, [in_third(1, "9", 1)], start=THIRD, end=THIRD + HOUR, bucket_volume="2")
    assert (few["vpin"], few["buckets_full"], few["bucket_from"]) == (None, 4, "parameter")
    assert few["reason"] == "fewer than 50 buckets are full"
    unknown = answered(vpin.QUESTION, [in_third(1, "9", 1)], start=THIRD, end=THIRD + HOUR)
    assert (unknown["vpin"], unknown["bucket_volume"], unknown["days"]) == (None, None, 0)
    assert unknown["reason"] == "none of the 7 sessions before has data: give bucket_volume"


def test_a_window_within_minutes_has_no_vpin_once_its_trades_are_gone() -> None:
    trades = [in_third(1, "9", 1)]
    asked = {"start": THIRD, "end": THIRD + 90 * 1_000_000}
    kept = answered(vpin.QUESTION, trades, **asked, bucket_volume="3", count="3")  # type: ignore[arg-type]
    assert kept["vpin"] == "1"
    gone = answered(vpin.QUESTION, trades, **asked, kept=False, bucket_volume="3")  # type: ignore[arg-type]
    assert (gone["vpin"], gone["resolution"]) == (None, None)
    assert gone["reason"] == "the window is not of whole minutes, and its raw trades are no longer kept"


def test_buckets_too_small_and_parameters_out_of_range_are_refused() -> None:
    trades = [in_third(1, "100001", 1)]
    with pytest.raises(QuestionError, match="the window holds 100001 buckets"):
        answered(vpin.QUESTION, trades, start=THIRD, end=THIRD + HOUR, bucket_volume="1")
    for given_value in ({"bucket_volume": "0"}, {"bucket_volume": "-1"}, {"count": "0"}, {"count": "1.5"}):
        with pytest.raises(QuestionError):
            answered(vpin.QUESTION, trades, **given_value)  # type: ignore[arg-type]


@given(
    trade_lists(least=1, start_ms=0, end_ms=3_600_000, quantities=numbers(50, 1)),
    st.sampled_from(["0.1", "0.7", "3", "10.25"]),
    st.integers(1, 3),
)
def test_vpin_over_trades_is_that_of_the_list(trades: list[Trade], bucket: str, count: int) -> None:
    runs = [run_of(trades[:3]), run_of(trades[3:], 1, 2)]
    answer = answered(vpin.QUESTION, trades, runs=runs, bucket_volume=bucket, count=str(count))
    units = [one.buy for one in trades for _ in range(int(one.quantity * 1000))]  # of 0.001
    size = int(D(bucket) * 1000)
    full = len(units) // size
    assert answer["buckets_full"] == full
    if full < count:
        assert answer["vpin"] is None
        return
    cut = [units[number * size : (number + 1) * size] for number in range(full - count, full)]
    value = Fraction(sum(abs(2 * sum(one) - size) for one in cut), count * size)
    assert D(answer["vpin"]) == D(round(value * 10**8)) / 10**8
