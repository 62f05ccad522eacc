from decimal import Decimal
from typing import Any

import attrs
import pytest
from answered import COVERED, MINUTE_MS, answered
from made_up_books import snapshot
from oracle import Trade

from wadm.answers import activity, overview, session
from wadm.answers.question import Book
from wadm.market import HOUR, MINUTE, Ticker
from wadm.orderbook import OrderBook
from wadm.questions import ConflictingParameters, QuestionError

D = Decimal
HOUR_MS = 60 * MINUTE_MS


def trade(minute: int, price: str, quantity: str) -> Trade:
    """A trade within a minute; a negative quantity was sold."""
    return Trade(minute * MINUTE_MS + 5, minute, D(price), abs(D(quantity)), buy=D(quantity) > 0)


#: Three hours: open 100, high 110, low 95, close 104; bought 12, sold 8.
TRADES = [
    trade(0, "100", "2"),
    trade(10, "110", "-3"),
    trade(70, "95", "-5"),
    trade(75, "100", "4"),
    trade(130, "104", "6"),
]


def test_an_overview_worked_by_hand() -> None:
    answer = answered(overview.QUESTION, TRADES, end=3 * HOUR, row_size="1")
    expected = {
        "trades": 5,
        "volume": "20",
        "delta": "4",
        "open": "100",
        "high": "110",
        "low": "95",
        "close": "104",
        # 200 + 330 + 475 + 400 + 624
        "turnover": "2029",
        "change": "4",
        "change_percent": "4",
        "range": "15",
        "range_percent": "15",
        "vwap": "101.45",
        "buy_share": "0.6",
        # 100 and 104 have 6 each, the middle of 95..110 is 102.5: 104 is nearer
        "poc": "104",
        "cvd": "4",
        "cvd_since": "1970-01-01T00:00:00Z",
    }
    assert {name: answer[name] for name in expected} == expected
    assert answer["last_hour"] == {
        "start": "1970-01-01T02:00:00Z",
        "end": "1970-01-01T03:00:00Z",
        "trades": 1,
        "volume": "6",
        "delta": "6",
        # 6 against 20 in three hours, which is 6.667 an hour
        "over_average_hour": "0.9",
    }
    assert answer["large_trades"]["threshold"] is None
    assert answer["large_trades"]["buy_count"] is None
    assert answer["now"]["book"] is None


def test_the_average_hour_begins_with_the_windows_first_trade() -> None:
    late = [trade(60, "1", "2"), trade(150, "1", "4")]
    # 6 in the two hours since 01:00, 3 an hour; 4 in the last one
    answer = answered(overview.QUESTION, late, end=3 * HOUR)
    assert answer["last_hour"]["over_average_hour"] == "1.33333333"
    # now is 01:59:30: less than an hour since the first trade
    answer = answered(overview.QUESTION, late[:1], end=3 * HOUR, market_time=2 * HOUR - 30 * 10**6)
    assert answer["last_hour"]["over_average_hour"] == "1"
    answer = answered(overview.QUESTION, late[:1], end=3 * HOUR, market_time=119 * MINUTE)
    assert answer["last_hour"]["over_average_hour"] is None
    assert answer["last_hour"]["end"] == "1970-01-01T01:59:00Z"


def test_large_trades_are_those_above_the_day_before() -> None:
    before = [trade(minute, "1", "5") for minute in range(100)]  # a hundred of notional 5: below 6
    inside = [trade(120, "1", "5"), trade(121, "1", "-6"), trade(122, "1", "90")]
    answer = answered(overview.QUESTION, [*before, *inside], start=2 * HOUR, end=3 * HOUR)
    assert answer["large_trades"] == {
        "threshold": "6",
        "prior_orders": 100,
        "buy_count": 1,
        "sell_count": 1,
        "buy_volume": "90",
        "sell_volume": "6",
    }


def test_what_stands_now_is_told_apart() -> None:
    book = OrderBook()
    book.replace(snapshot(1, [(10, 1)], [(12, 1)]))
    told = Ticker("binance", "BTCUSDT", MINUTE, open_interest=D(7))
    around: dict[str, Any] = {"book": Book(book, synced=True, age_ms=3), "ticker": told}
    now = answered(overview.QUESTION, TRADES, around=around)["now"]
    assert now["book"] == {"synced": True, "age_ms": 3, "bid": "10", "ask": "12", "spread": "2", "mid": "11"}
    assert (now["open_interest"], now["funding_rate"]) == ("7", None)
    around["book"] = Book(book, synced=False, age_ms=3)
    now = answered(overview.QUESTION, TRADES, around=around)["now"]
    assert (now["book"]["synced"], now["book"]["bid"], now["book"]["mid"]) == (False, None, None)


@pytest.mark.parametrize("question", [overview.QUESTION, activity.QUESTION, session.QUESTION])
def test_an_empty_window_is_answered_with_nothing(question: Any) -> None:
    answer = answered(question, [])
    assert (answer["trades"], answer["volume"], answer["open"], answer["change"]) == (0, "0", None, None)
    for name in ("vwap", "poc", "buy_share", "last_trade", "busiest_minute", "poc_migration"):
        assert answer.get(name) is None


def test_the_hours_end_with_the_present_minute() -> None:
    found = answered(activity.QUESTION, TRADES, market_time=131 * MINUTE - 1, hours="1")
    # 02:10:59.999999 is within the minute that ends at 02:11; of the hour before, 01:15 and 02:10
    assert (found["start"], found["end"]) == ("1970-01-01T01:11:00Z", "1970-01-01T02:11:00Z")
    assert (found["timeframe"], found["parameters"], found["volume"]) == (None, {"hours": 1}, "10")


def test_hours_and_another_window_exclude_each_other() -> None:
    with pytest.raises(ConflictingParameters, match="either hours or another window, not both"):
        answered(activity.QUESTION, TRADES, timeframe="1h", hours="1")
    assert answered(activity.QUESTION, TRADES, end=HOUR)["parameters"] == {"hours": None}


def test_activity_worked_by_hand_and_ranked_by_turnover() -> None:
    answers = [
        {**answered(activity.QUESTION, trades, end=3 * HOUR), "exchange": exchange}
        for exchange, trades in (("quiet", TRADES[:1]), ("b", TRADES), ("none", []), ("a", TRADES))
    ]
    rows = activity.together(answers)["symbols"]
    assert [(row["exchange"], row["turnover"]) for row in rows] == [
        ("a", "2029"), ("b", "2029"), ("quiet", "200"), ("none", "0"),
    ]  # fmt: skip
    assert (rows[0]["buy_share"], rows[0]["change_percent"]) == ("0.6", "4")
    assert rows[0]["last_trade"] == "1970-01-01T02:10:00.005000Z"
    assert "coverage" in rows[0]
    assert "parameters" not in rows[0]


def test_a_session_worked_by_hand() -> None:
    answer = answered(session.QUESTION, TRADES, end=4 * HOUR, row_size="1")
    # the first hour: 100 and 110
    assert answer["initial_balance"] == {
        "start": "1970-01-01T00:00:00Z",
        "end": "1970-01-01T01:00:00Z",
        "high": "110",
        "low": "100",
        "range": "10",
        "complete": False,  # nothing says here from when on trades were received
    }
    # The first half, 00:00 to 02:00, has 100: 6, 110: 3, 95: 5; the second 104: 6.
    assert [(half["end"], half["volume"], half["poc"]) for half in answer["halves"]] == [
        ("1970-01-01T02:00:00Z", "14", "100"),
        ("1970-01-01T04:00:00Z", "6", "104"),
    ]
    assert answer["poc_migration"] == {"change": "4", "rows": 4, "direction": "up"}
    assert [(one["start"][11:16], one["trades"], one["delta"]) for one in answer["hours"]] == [
        ("00:00", 2, "-1"), ("01:00", 2, "-1"), ("02:00", 1, "6"),
    ]  # fmt: skip
    assert (answer["busiest_minute"]["start"], answer["busiest_minute"]["volume"]) == (
        "1970-01-01T02:10:00Z",
        "6",
    )
    # 14 of 20 are the target. POC 104: 6; above 0 + 0, below 0 + 0: up, to where something traded: 110: 9;
    # then below 102 + 103, then 100 + 101: 15.
    assert (answer["poc"], answer["vah"], answer["val"]) == ("104", "110", "100")
    assert answer["close_to_value_area"] == "inside"


@pytest.mark.parametrize(
    ("last", "where"),
    [("104", "above"), ("100", "inside"), ("97", "inside"), ("95", "below"), ("90", "below")],
)
def test_the_close_lies_above_within_or_below_value(last: str, where: str) -> None:
    # 97: 30, 98: 30, 100: 30; wherever the last 1 of these lies, 97 to 100 are the value area
    trades = [trade(0, "97", "30"), trade(1, "98", "30"), trade(2, "100", "30"), trade(3, last, "1")]
    assert answered(session.QUESTION, trades, row_size="1")["close_to_value_area"] == where


@pytest.mark.parametrize(
    ("covered", "complete"),
    [((0, HOUR), True), ((0, 2 * HOUR), True), ((0, HOUR - 1), False), ((1, 2 * HOUR), False), (None, False)],
)
def test_an_initial_balance_is_complete_once_the_whole_hour_was_received(
    covered: tuple[int, int] | None, complete: bool
) -> None:
    around = {"coverage": attrs.evolve(COVERED, covered=covered)}
    answer = answered(session.QUESTION, TRADES, end=3 * HOUR, around=around)
    assert answer["initial_balance"]["complete"] is complete


def test_halves_are_those_of_the_time_that_has_passed() -> None:
    answer = answered(session.QUESTION, TRADES, end=24 * HOUR, market_time=141 * MINUTE - 1)
    assert [half["end"][11:16] for half in answer["halves"]] == ["01:10", "02:21"]


def test_hours_of_a_session_are_counted_from_its_start() -> None:
    answer = answered(session.QUESTION, TRADES, start=5 * MINUTE, end=100 * MINUTE)
    assert [(one["start"][11:16], one["end"][11:16]) for one in answer["hours"]] == [
        ("00:05", "01:05"), ("01:05", "01:40"),
    ]  # fmt: skip


def test_the_first_of_equally_busy_minutes_is_named() -> None:
    trades = [trade(1, "1", "2"), trade(2, "1", "-2"), trade(3, "1", "1")]
    assert answered(session.QUESTION, trades)["busiest_minute"]["start"] == "1970-01-01T00:01:00Z"


def test_a_session_of_weeks_is_refused() -> None:
    with pytest.raises(QuestionError, match="a window of at most 7 days"):
        answered(session.QUESTION, [], end=169 * HOUR)
