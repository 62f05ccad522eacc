"""The profile family as it is answered: shapes, parameters, empty windows, row sizes that do not fit."""

from decimal import Decimal
from typing import Any

import pytest
from answered import MINUTE_MS, answered
from oracle import Trade, fingerprint

from wadm.answers import (
    candles,
    composite,
    delta,
    developing,
    footprint,
    large_trades,
    nodes,
    pocs,
    profile,
    sides,
    vwap,
)
from wadm.answers.asking import read
from wadm.answers.question import Question
from wadm.answers.registry import QUESTIONS
from wadm.bar import Bar
from wadm.instants import iso
from wadm.market import DAY, HOUR, MINUTE, Instrument
from wadm.questions import (
    ConflictingParameters,
    MissingParameter,
    QuestionError,
    UnknownExchange,
    UnknownParameter,
    UnknownSymbol,
)

D = Decimal
HALVES = Instrument("binance", "BTCUSDT", tick=D("0.5"))
DAY_MIN = 1440


def taken(minute: float, price: str, signed: str, number: int = 0) -> Trade:
    quantity = D(signed)
    at_ms = int(minute * MINUTE_MS)
    return Trade(at_ms, number or at_ms, D(price), abs(quantity), quantity > 0)


def at(minute: int) -> str:
    return iso(minute * MINUTE)


#: 12 in all: 1 2 5 3 1 at 100 to 104; worked in `worked.py`: by pairs 102, 104, 102; by single rows VAL 101.
HILL = [
    taken(0, "100", "1"), taken(1, "101", "-2"), taken(2, "102", "4"), taken(3, "102", "-1"),
    taken(4, "103", "3"), taken(5, "104", "-1"),
]  # fmt: skip


def test_a_profile() -> None:
    answer = answered(profile.QUESTION, HILL, instrument=HALVES, row_size="1")
    fields = ("poc", "vah", "val", "value_area_volume", "volume", "delta", "open", "high", "low", "close")
    assert [answer[name] for name in fields] == [
        "102", "104", "102", "9", "12", "4", "100", "104", "100", "104",
    ]  # fmt: skip
    assert answer["parameters"] == {"row_size": "1", "value_area": "0.7", "method": "pair"}
    assert (answer["exchange"], answer["symbol"], answer["timeframe"]) == ("binance", "BTCUSDT", None)
    assert (answer["start"], answer["end"], answer["volume_unit"]) == (at(0), at(60), "base")
    assert (answer["tick"], answer["trades"], answer["partial"]) == ("0.5", 6, False)
    assert answer["rows"][2] == {
        "price": "102",
        "volume": "5",
        "buy": "4",
        "sell": "1",
        "delta": "3",
        "count": 2,
    }
    assert answer["profile_sha256"] == fingerprint(HILL, D(1))
    single = answered(profile.QUESTION, HILL, row_size="1", method="single_row", value_area="0.50")
    assert single["parameters"] == {"row_size": "1", "value_area": "0.5", "method": "single_row"}
    assert (single["vah"], single["val"]) == ("103", "102")


def test_the_row_size_is_the_tick_unless_asked_and_auto_is_a_readable_one() -> None:
    assert answered(profile.QUESTION, HILL, instrument=HALVES)["row_size"] == "0.5"
    far = [*HILL, taken(6, "1104", "1")]
    # 1004 in about 40 rows are 25.1 each: 50 is the next of 1, 2, 5
    assert answered(profile.QUESTION, far, instrument=HALVES, row_size="auto")["row_size"] == "50"


WITH_ROWS = [
    profile.QUESTION, composite.QUESTION, developing.QUESTION, nodes.QUESTION, pocs.NAKED, pocs.HISTORY,
    footprint.QUESTION,
]  # fmt: skip


@pytest.mark.parametrize("question", WITH_ROWS, ids=lambda one: one.name)
@pytest.mark.parametrize("row_size", ["0.7", "0", "-1", "1e3", "NaN", "", "half"])
def test_a_row_size_that_fits_no_tick_is_refused(question: Question, row_size: str) -> None:
    with pytest.raises(QuestionError) as refused:
        answered(question, HILL, instrument=HALVES, row_size=row_size)
    assert refused.value.parameter == "row_size"
    assert refused.value.value == row_size


@pytest.mark.parametrize("question", WITH_ROWS, ids=lambda one: one.name)
def test_a_row_size_that_makes_too_many_rows_is_refused(question: Question) -> None:
    far = [taken(DAY_MIN, "1", "1"), taken(DAY_MIN + 1, "3000000", "1")]
    with pytest.raises(QuestionError, match=r"row_size is '0\.5'; expected larger rows"):
        answered(
            question, far, start=DAY, end=DAY + HOUR, instrument=HALVES, row_size="0.5",
        )  # fmt: skip


@pytest.mark.parametrize("question", WITH_ROWS, ids=lambda one: one.name)
@pytest.mark.parametrize("share", ["0", "1.01", "-0.5", "70%"])
def test_a_share_of_nothing_or_more_than_all_is_refused(question: Question, share: str) -> None:
    known = {parameter.name for parameter in question.parameters}
    expected = QuestionError if "value_area" in known else UnknownParameter
    with pytest.raises(expected, match="value_area is"):
        answered(question, HILL, value_area=share)


def test_composite_is_the_profile_of_the_sessions_together() -> None:
    # day 0: 100 and 101; day 1: the hill; day 2, the present one, which the window lies in: 6 at 101
    trades = [
        taken(10, "100", "9"),
        *(one._replace(at_ms=one.at_ms + DAY_MIN * MINUTE_MS) for one in HILL),
        taken(2 * DAY_MIN + 5, "101", "6", number=10**9),
    ]
    asked: dict[str, Any] = {"start": 2 * DAY, "end": 2 * DAY + HOUR, "row_size": "1"}
    two = answered(composite.QUESTION, trades, days="2", **asked)
    assert (two["composite_start"], two["composite_end"]) == (iso(DAY), iso(2 * DAY + HOUR))
    # 1 8 5 3 1, 18 in all, target 12.6: 8; above 5 + 3 join: 16
    assert [two[name] for name in ("volume", "poc", "vah", "val")] == ["18", "101", "103", "101"]
    assert two["parameters"]["days"] == 2
    three = answered(composite.QUESTION, trades, days="3", **asked)
    assert (three["volume"], three["poc"]) == ("27", "100")
    for wrong in ("0", "61", "two"):
        with pytest.raises(QuestionError, match="days is"):
            answered(composite.QUESTION, trades, days=wrong, **asked)


def test_composite_sessions_begin_where_they_were_asked_to() -> None:
    # 17:00 in Chicago on 1 January 1970 is 23:00 UTC
    trades = [taken(22 * 60 + 59, "100", "1"), taken(23 * 60, "100", "2"), taken(DAY_MIN, "100", "4")]
    answer = answered(
        composite.QUESTION, trades, start=DAY, end=DAY + HOUR, days="1", session="17:00@America/Chicago"
    )
    assert (answer["composite_start"], answer["volume"]) == (iso(23 * HOUR), "6")


def test_developing_levels() -> None:
    answer = answered(developing.QUESTION, HILL, row_size="1", step="1m", end=6 * MINUTE)
    # 1 | 1 2 | 1 2 4 | 1 2 5 | 1 2 5 3 | 1 2 5 3 1
    assert [one["at"] for one in answer["steps"]] == [at(minute) for minute in range(1, 7)]
    assert [one["poc"] for one in answer["steps"]] == ["100", "101", "102", "102", "102", "102"]
    # in the end as the profile is
    assert answer["steps"][-1] == {
        "at": at(6), "poc": "102", "vah": "104", "val": "102", "closed": True,
    }  # fmt: skip
    assert answer["parameters"]["step"] == "1m"


def test_a_developing_step_that_goes_on_is_not_closed() -> None:
    answer = answered(
        developing.QUESTION, HILL, row_size="1", step="5m", end=10 * MINUTE, market_time=7 * MINUTE
    )
    assert [(one["at"], one["closed"]) for one in answer["steps"]] == [(at(5), True), (at(10), False)]
    with pytest.raises(QuestionError, match="step is '1m'; expected longer steps: the window holds 1501"):
        answered(developing.QUESTION, HILL, step="1m", end=1501 * MINUTE)


def test_nodes() -> None:
    # 9 at 100, 1 at 101, 6 at 102: hills at both ends, the valley in between
    trades = [taken(0, "100", "9"), taken(1, "101", "1"), taken(2, "102", "6")]
    answer = answered(nodes.QUESTION, trades, row_size="1", smoothing="0", prominence="0.25")
    assert [one["price"] for one in answer["high_volume_nodes"]] == ["100", "102"]
    assert [one["price"] for one in answer["low_volume_nodes"]] == ["101"]
    assert answer["low_volume_nodes"][0]["volume"] == "1"
    assert (answer["poc"], answer["smoothing_method"]) == ("100", "box")
    assert answer["parameters"] == {
        "row_size": "1", "value_area": "0.7", "method": "pair", "smoothing": 0, "prominence": "0.25",
    }  # fmt: skip


def test_naked_pocs_and_their_history() -> None:
    # POCs: day 0 at 100, which day 2 touches; day 1 at 105, naked; day 2 is the present one
    trades = [
        taken(10, "100", "9"), taken(11, "101", "1"), taken(DAY_MIN, "105", "9"),
        taken(2 * DAY_MIN, "100", "-2"), taken(2 * DAY_MIN + 1, "103", "3"),
    ]  # fmt: skip
    asked: dict[str, Any] = {"start": 2 * DAY, "end": 2 * DAY + HOUR, "row_size": "1", "days": "3"}
    found = answered(pocs.NAKED, trades, **asked)
    assert found["naked"] == [{"poc": "105", "session_start": iso(DAY), "session_end": iso(2 * DAY)}]
    assert found["touched"] == [
        {
            "poc": "100", "session_start": iso(0), "session_end": iso(DAY),
            "touched_in_session": iso(2 * DAY),
        }
    ]  # fmt: skip
    history = answered(pocs.HISTORY, trades, **asked)
    assert [(one["start"], one["poc"], one["volume"]) for one in history["sessions"]] == [
        (iso(0), "100", "10"), (iso(DAY), "105", "9"), (iso(2 * DAY), "103", "5"),
    ]  # fmt: skip


def test_vwap_with_its_bands() -> None:
    # 1 at 10 and 3 at 14: 13, deviation √3 = 1.7321
    trades = [taken(0, "10", "1"), taken(1, "14", "-3")]
    answer = answered(vwap.QUESTION, trades, bands="1, 2.5")
    assert (answer["vwap"], answer["standard_deviation"]) == ("13", "1.7321")
    assert answer["bands"] == [
        {"deviations": "1", "lower": "11.2679", "upper": "14.7321"},
        {"deviations": "2.5", "lower": "8.66975", "upper": "17.33025"},
    ]
    assert answer["parameters"] == {"bands": ["1", "2.5"]}
    for wrong in ("0", "-1", "1,2,3,4,5,6", "", "one"):
        with pytest.raises(QuestionError, match="bands is"):
            answered(vwap.QUESTION, trades, bands=wrong)


def test_a_footprint_bar_by_bar() -> None:
    # minute 0: 3 sold at 100, 9 bought at 101: three times; 101 also stands alone above nothing
    trades = [taken(0, "100", "-3"), taken(0.5, "101", "9"), taken(7, "100", "1")]
    answer = answered(footprint.QUESTION, trades, bar="5m", row_size="1")
    first, second = answer["bars"]
    assert (first["start"], first["end"], first["poc"], first["delta"]) == (at(0), at(5), "101", "6")
    assert first["rows"] == [
        {"price": "100", "volume": "3", "buy": "0", "sell": "3", "delta": "-3", "count": 1},
        {"price": "101", "volume": "9", "buy": "9", "sell": "0", "delta": "9", "count": 1},
    ]
    assert (first["buy_imbalances"], first["sell_imbalances"]) == (["101"], [])
    assert (second["start"], second["buy_imbalances"], second["stacked"]) == (at(5), ["100"], [])
    weaker = answered(footprint.QUESTION, trades, bar="5m", row_size="1", ratio="3.1", minimum="2")
    assert [one["buy_imbalances"] for one in weaker["bars"]] == [[], []]
    assert weaker["parameters"] == {
        "bar": "5m", "row_size": "1", "ratio": "3.1", "minimum": "2", "stacked": 3,
    }  # fmt: skip


def test_a_stack_of_imbalances() -> None:
    # bought 3 at each of 100, 101, 102, sold nothing: every row overruns the one below
    trades = [taken(0, str(price), "3", number=price) for price in (100, 101, 102)]
    (only,) = answered(footprint.QUESTION, trades, row_size="1")["bars"]
    assert only["stacked"] == [{"side": "buy", "low": "100", "high": "102", "rows": 3}]


def test_candles() -> None:
    answer = answered(candles.QUESTION, HILL, end=10 * MINUTE, market_time=6 * MINUTE, bar="5m")
    assert [(one["start"], one["closed"]) for one in answer["candles"]] == [(at(0), True), (at(5), False)]
    first = answer["candles"][0]
    assert [first[name] for name in ("open", "high", "low", "close", "volume", "delta", "trades")] == [
        "100", "103", "100", "103", "11", "5", 5,
    ]  # fmt: skip


@pytest.mark.parametrize("question", [candles.QUESTION, footprint.QUESTION, delta.QUESTION, sides.QUESTION])
def test_a_bar_that_the_window_cuts_is_named_by_what_lies_inside(question: Question) -> None:
    # minutes 0 to 11, 1 each; the window takes 3 to 8: two minutes of the bar from 0, three of that from 5
    trades = [taken(minute, "100", "1") for minute in range(12)]
    answer = answered(question, trades, start=3 * MINUTE, end=8 * MINUTE, bar="5m")
    found = answer["candles" if question is candles.QUESTION else "bars"]
    assert [(one["start"], one["end"], one["volume"]) for one in found] == [
        (at(3), at(5), "2"), (at(5), at(8), "3"),
    ]  # fmt: skip


def test_sessions_are_those_up_to_the_window_asked_for() -> None:
    # 1 on each of days 0 to 3, 4 at noon of day 1; what comes after the window has no say in it
    trades = [taken(day * DAY_MIN, str(100 + day), "1") for day in range(4)]
    trades.insert(2, taken(DAY_MIN * 1.5, "100", "4"))
    asked: dict[str, Any] = {"start": 0, "end": DAY + HOUR, "market_time": 4 * DAY, "days": "2"}
    history = answered(pocs.HISTORY, trades, **asked)["sessions"]
    assert [(one["start"], one["end"], one["volume"]) for one in history] == [
        (iso(0), iso(DAY), "1"), (iso(DAY), iso(DAY + HOUR), "1"),
    ]  # fmt: skip
    assert answered(composite.QUESTION, trades, **asked)["volume"] == "2"
    # 100 is first touched at noon of day 1, after the window
    (naked,) = answered(pocs.NAKED, trades, **asked, row_size="1")["naked"]
    assert naked["poc"] == "100"


def test_every_order_reaches_the_quantile_nought() -> None:
    # prior: 1 and 900; none of them need lie below the threshold: it is the lowest edge there is
    trades = [taken(0, "1", "1"), taken(1, "1", "900"), taken(1500, "1", "0.5")]
    answer = answered(large_trades.QUESTION, trades, start=1440 * MINUTE, end=1560 * MINUTE, quantile="0")
    assert (answer["threshold"], answer["buy_count"], answer["more_than_kept"]) == ("0.000001", 1, False)


def test_fifty_large_trades_are_all_of_them() -> None:
    trades = [taken(0, "1", "1"), *(taken(1440 + one, "1", "900") for one in range(51))]
    asked: dict[str, Any] = {"start": 1440 * MINUTE, "quantile": "1"}
    fifty = answered(large_trades.QUESTION, trades, end=1490 * MINUTE, **asked)
    assert (fifty["buy_count"], len(fifty["trades"]), fifty["more_than_kept"]) == (50, 50, False)
    more = answered(large_trades.QUESTION, trades, end=1491 * MINUTE, **asked)
    assert (more["buy_count"], len(more["trades"]), more["more_than_kept"]) == (51, 50, True)


def test_volume_of_minutes_without_orders_is_named() -> None:
    # A bar as format 1 left it: 3 traded, no order known
    around = {"bar": Bar(0, HOUR, rows={100: (3, 0, 1, 0)})}
    for question in (large_trades.QUESTION, large_trades.SIZES):
        assert answered(question, [], around=around)["volume_without_orders"] == "3"


def test_large_trades_stand_out_from_the_prior_ones_only() -> None:
    # Prior: 98 orders of 1 and one of 900. 99 of 100 would need 98.01 of these 99: the edge above 900.
    prior = [taken(number, "1", "1") for number in range(98)]
    prior.append(taken(99, "1", "900"))
    now = [taken(1500, "10", "-120"), taken(1501, "1", "999"), taken(1502, "1", "1000")]
    asked: dict[str, Any] = {"start": 1440 * MINUTE, "end": 1560 * MINUTE}
    answer = answered(large_trades.QUESTION, [*prior, *now], **asked)
    assert (answer["threshold"], answer["prior_orders"]) == ("1000", 99)
    assert answer["trades"] == [
        {
            "time": at(1500), "side": "sell", "quantity": "120", "average_price": "10", "notional": "1200",
            "fills": 1,
        },
        {
            "time": at(1502), "side": "buy", "quantity": "1000", "average_price": "1", "notional": "1000",
            "fills": 1,
        },
    ]  # fmt: skip
    counts = ("buy_volume", "sell_volume", "buy_count", "sell_count", "more_than_kept")
    assert [answer[name] for name in counts] == ["1000", "120", 1, 1, False]
    # 0.98 of 99 are 97.02: 98 orders lie below 1.2
    assert answered(large_trades.QUESTION, [*prior, *now], **asked, quantile="0.98")["threshold"] == "1.2"
    # an absolute least that is no edge: told from what is kept
    least = answered(large_trades.QUESTION, [*prior, *now], **asked, least="1100.5")
    assert (least["threshold"], least["sell_count"], least["buy_count"]) == ("1100.5", 1, 0)


def test_without_prior_orders_the_absolute_threshold_alone_decides() -> None:
    trades = [taken(1500, "1", "5")]
    asked: dict[str, Any] = {"start": 1440 * MINUTE, "end": 1560 * MINUTE}
    nothing = answered(large_trades.QUESTION, trades, **asked)
    assert (nothing["threshold"], nothing["trades"], nothing["buy_count"]) == (None, [], None)
    assert len(answered(large_trades.QUESTION, trades, **asked, least="5")["trades"]) == 1


def test_trade_sizes_by_decade() -> None:
    trades = [taken(0, "1", "9.99"), taken(1, "1", "10"), taken(2, "1", "-99"), taken(3, "1", "0.0000001")]
    answer = answered(large_trades.SIZES, trades)
    assert [
        (one["from"], one["to"], one["buy_volume"], one["sell_volume"], one["buy_orders"], one["sell_orders"])
        for one in answer["sizes"]
    ] == [
        ("0", "0.000001", "0.0000001", "0", 1, 0),
        ("1", "10", "9.99", "0", 1, 0),
        ("10", "100", "10", "99", 1, 1),
    ]


EMPTY: dict[str, dict[str, object]] = {
    "profile": {"poc": None, "vah": None, "val": None, "rows": [], "volume": "0", "open": None},
    "composite": {"poc": None, "rows": [], "volume": "0"},
    "developing": {"steps": []},
    "nodes": {"poc": None, "high_volume_nodes": [], "low_volume_nodes": []},
    "naked-pocs": {"naked": [], "touched": []},
    "vwap": {"vwap": None, "standard_deviation": None, "bands": []},
    "footprint": {"bars": []},
    "candles": {"candles": []},
    "large-trades": {"threshold": None, "prior_orders": 0, "trades": []},
    "trade-sizes": {"sizes": []},
}


@pytest.mark.parametrize("name", EMPTY)
def test_an_empty_window_is_answered_with_nothing(name: str) -> None:
    answer = answered(QUESTIONS[name], [])
    assert {field: answer[field] for field in EMPTY[name]} == EMPTY[name]
    assert answer["algorithm"] == QUESTIONS[name].algorithm
    assert answer["coverage"]["start"] is None
    assert set(answer["parameters"]) == {parameter.name for parameter in QUESTIONS[name].parameters}


def test_an_empty_history_names_its_sessions() -> None:
    answer = answered(pocs.HISTORY, [], start=2 * DAY, end=2 * DAY + HOUR, days="2")
    assert [(one["start"], one["poc"], one["volume"]) for one in answer["sessions"]] == [
        (iso(DAY), None, "0"), (iso(2 * DAY), None, "0"),
    ]  # fmt: skip


@pytest.mark.parametrize("name", EMPTY)
@pytest.mark.parametrize(
    ("asked", "mistake"),
    [
        ({"timeframe": "2h"}, QuestionError),
        ({"timeframe": "1h", "start": "2024-01-01"}, ConflictingParameters),
        ({"start": "2024-01-02", "end": "2024-01-01"}, QuestionError),
        ({"start": "2024-01-02", "end": "2024-01-02"}, QuestionError),
        ({"start": "2024-01-02"}, MissingParameter),
        ({"start": "yesterday", "end": "2024-01-02"}, QuestionError),
        ({"timeframe": "1h", "session": "25:00@UTC"}, QuestionError),
        ({"timeframe": "1h", "colour": "red"}, UnknownParameter),
        ({"timeframe": "1h", "exchange": "nyse"}, UnknownExchange),
        ({"timeframe": "1h", "symbol": "ETHUSDT"}, UnknownSymbol),
    ],
)
def test_a_window_that_is_none_is_refused(
    name: str, asked: dict[str, str], mistake: type[QuestionError]
) -> None:
    with pytest.raises(mistake):
        read(
            QUESTIONS[name],
            {"exchange": "binance", "symbol": "BTCUSDT", **asked},
            {HALVES.key: HALVES},
        )
