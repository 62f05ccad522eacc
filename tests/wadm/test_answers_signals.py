"""Signals and sweeps as they are answered: heuristics, each with its evidence."""

from decimal import Decimal
from typing import Any

import pytest
from answered import MINUTE_MS, answered
from generated import run_of
from oracle import Trade

from wadm.answers import signals, sweeps
from wadm.instants import iso
from wadm.market import HOUR, MINUTE
from wadm.questions import QuestionError

D = Decimal
MS = 1_000


def at(minute: int) -> str:
    return iso(minute * MINUTE)


def bar_in(minute: int, *rows: tuple[str, int, int], close: str | None = None) -> list[Trade]:
    """Trades of a minute: (price, bought, sold), the first price is the open; 1 more is bought at `close`."""
    seen = [
        (price, volume, buy)
        for price, bought, sold in rows
        for volume, buy in ((bought, True), (sold, False))
        if volume
    ] + ([(close, 1, True)] if close else [])
    return [
        Trade(minute * MINUTE_MS + place, minute * 100 + place, D(price), D(volume), buy=buy)
        for place, (price, volume, buy) in enumerate(seen)
    ]


# 100: 4 (1 bought and sold, 2 at open and close), 101: 4, 102: 12 sold of 12; median 4; the close is the open
ABSORBING = bar_in(7, ("100", 2, 1), ("101", 2, 2), ("102", 0, 12), close="100")


def test_an_absorption_with_its_evidence() -> None:
    answer = answered(signals.QUESTION, ABSORBING, bar="5m", row_size="1")
    assert (answer["heuristic"], answer["row_size"], answer["algorithm"]) == (True, "1", "signals/1")
    assert answer["algorithms"] == {
        "absorption": "absorption/1", "exhaustion": "exhaustion/1", "divergence": "cvd-divergence/1",
    }  # fmt: skip
    assert answer["parameters"] == {
        "kinds": ["absorption", "exhaustion", "divergence"], "bar": "5m", "row_size": "1", "times": "3",
        "delta_share": "0.6", "moved": "2", "before": 10, "dry": "0.3", "swing": 2,
    }  # fmt: skip
    assert answer["signals"] == [
        {
            "kind": "absorption", "heuristic": True, "side": "sell", "start": at(5), "end": at(10),
            "closed": True, "price": "102", "volume": "12", "delta": "-12", "median_row_volume": "4",
            "volume_over_median": "3", "delta_over_volume": "1", "open": "100", "close": "100",
            "moved_rows": "0",
        }
    ]  # fmt: skip


def test_small_volumes_are_not_rounded_away() -> None:
    # 1, 2 and 12 of the tenth decimal: the median is 2 of them
    fills = [("100", "0.0000000001", True), ("101", "0.0000000002", True), ("102", "0.0000000012", False)]
    trades = [
        Trade(place, place, D(price), D(size), buy=buy) for place, (price, size, buy) in enumerate(fills)
    ]
    (only,) = answered(signals.QUESTION, trades, row_size="1")["signals"]
    assert (only["median_row_volume"], only["volume_over_median"]) == ("0.0000000002", "6")


def test_a_bar_still_open_says_so() -> None:
    answer = answered(signals.QUESTION, ABSORBING, bar="5m", row_size="1", market_time=8 * MINUTE)
    assert [one["closed"] for one in answer["signals"]] == [False]
    cut_short = answered(
        signals.QUESTION, ABSORBING, end=8 * MINUTE, market_time=HOUR, bar="5m", row_size="1"
    )
    assert [one["closed"] for one in cut_short["signals"]] == [False]


# Two flat minutes, then 101..104 with 4 9 6 3 bought of 10 15 10 5: falling towards the high, 3 of mean 10.
FADING = [
    *bar_in(1, ("100", 5, 5), ("101", 5, 5)),
    *bar_in(2, ("100", 5, 5), ("101", 5, 5)),
    *bar_in(3, ("101", 4, 6), ("102", 9, 6), ("103", 6, 4), ("104", 3, 2)),
]


def test_an_exhaustion_with_its_evidence() -> None:
    answer = answered(signals.QUESTION, FADING, bar="1m", row_size="1", before="2", kinds="exhaustion")
    assert list(answer["algorithms"]) == ["exhaustion"]
    assert answer["signals"] == [
        {
            "kind": "exhaustion", "heuristic": True, "side": "buy", "start": at(3), "end": at(4),
            "closed": True, "price": "104", "beyond": "101", "delta": "4",
            "rows": [
                {"price": "104", "volume": "3"}, {"price": "103", "volume": "6"},
                {"price": "102", "volume": "9"},
            ],
            "mean_row_volume": "10",
        }
    ]  # fmt: skip


def test_bars_before_the_window_are_compared_with_but_not_judged() -> None:
    asked: dict[str, Any] = {"bar": "1m", "row_size": "1", "before": "2", "kinds": "exhaustion"}
    later = answered(signals.QUESTION, FADING, start=3 * MINUTE, **asked)
    assert [one["start"] for one in later["signals"]] == [at(3)]
    assert answered(signals.QUESTION, FADING, start=4 * MINUTE, **asked)["signals"] == []
    # of a bar of two minutes that began before the window nothing is said either
    whole = answered(signals.QUESTION, ABSORBING, start=6 * MINUTE, bar="5m", row_size="1")
    assert whole["signals"] == []


def test_as_many_bars_before_the_window_are_compared_with_as_are_asked_for() -> None:
    flat = [one for minute in range(12) for one in bar_in(minute, ("100", 5, 5), ("101", 5, 5))]
    trades = [
        *flat,
        *(one._replace(at_ms=one.at_ms + 9 * MINUTE_MS, id=one.id + 9999) for one in FADING[-8:]),
    ]
    asked: dict[str, Any] = {"bar": "1m", "row_size": "1", "kinds": "exhaustion", "swing": "1"}
    found = answered(signals.QUESTION, trades, start=12 * MINUTE, before="12", **asked)
    assert [one["start"] for one in found["signals"]] == [at(12)]
    assert answered(signals.QUESTION, trades, start=12 * MINUTE, before="13", **asked)["signals"] == []


def test_automatic_rows_suit_a_typical_bar_not_the_window() -> None:
    # ranges of 2, 4 and 400 by bar: 4 in about 10 rows are 0.4 each, so 0.5
    trades = [
        *bar_in(0, ("100", 1, 0), ("102.5", 1, 0)),
        *bar_in(1, ("100", 1, 0), ("104", 1, 0)),
        *bar_in(2, ("100", 1, 0), ("500", 1, 0)),
    ]
    assert answered(signals.QUESTION, trades, bar="1m")["row_size"] == "0.5"


def swing_bars() -> list[Trade]:
    """Highs 10 20 12 25 11 over lows 1 to 5, deltas 5 4 -6 3 1: see the divergence's own test."""
    bars = zip((1, 2, 3, 4, 5), (10, 20, 12, 25, 11), (5, 4, -6, 3, 1), strict=True)
    return [
        trade
        for minute, (low, high, delta) in enumerate(bars)
        for trade in bar_in(minute, (str(low), 10 + max(delta, 0), 0), (str(high), 0, 10 + max(-delta, 0)))
    ]


def test_a_divergence_with_its_evidence() -> None:
    answer = answered(signals.QUESTION, swing_bars(), bar="1m", swing="1", kinds="divergence")
    assert answer["signals"] == [
        {
            "kind": "divergence", "heuristic": True, "side": "sell", "start": at(3), "end": at(4),
            "closed": True, "direction": "bearish", "earlier_start": at(1), "earlier_price": "20",
            "price": "25", "cvd_change": "-3", "delta": "3", "confirmed_at": at(5), "confirmed": True,
        }
    ]  # fmt: skip
    open_yet = answered(
        signals.QUESTION, swing_bars(), bar="1m", swing="1", kinds="divergence", market_time=4 * MINUTE + 1
    )
    assert [(one["closed"], one["confirmed"]) for one in open_yet["signals"]] == [(True, False)]


def test_kinds_stand_in_time_order_and_only_those_asked_for() -> None:
    trades = [*FADING, *ABSORBING]
    asked: dict[str, Any] = {"bar": "1m", "row_size": "1", "before": "2"}
    both = answered(signals.QUESTION, trades, kinds="exhaustion, absorption", **asked)
    assert [(one["kind"], one["start"]) for one in both["signals"]] == [
        ("exhaustion", at(3)), ("absorption", at(7)),
    ]  # fmt: skip
    assert both["parameters"]["kinds"] == ["absorption", "exhaustion"]
    one = answered(signals.QUESTION, trades, kinds="absorption", **asked)
    assert [found["kind"] for found in one["signals"]] == ["absorption"]


def test_an_empty_window_has_no_signals() -> None:
    assert answered(signals.QUESTION, [])["signals"] == []


@pytest.mark.parametrize(
    "wrong",
    [
        {"kinds": "absorbtion"}, {"kinds": ""}, {"times": "0.5"}, {"delta_share": "1.1"}, {"moved": "-1"},
        {"before": "0"}, {"before": "101"}, {"dry": "2"}, {"swing": "0"}, {"swing": "21"}, {"bar": "2m"},
    ],
)  # fmt: skip
def test_wrong_parameters_are_refused_by_name(wrong: dict[str, str]) -> None:
    with pytest.raises(QuestionError, match=f"{next(iter(wrong))} is "):
        answered(signals.QUESTION, [], **wrong)  # type: ignore[arg-type]


def swept(start_ms: int, side: int, *fills: tuple[int, str, str]) -> list[Trade]:
    return [
        Trade(start_ms + wait, start_ms * 10 + place, D(price), D(size), buy=side > 0)
        for place, (wait, price, size) in enumerate(fills)
    ]


# 3 bought at 100, 100.5 and 102 within 4 ms: 100 + 100.5 + 102 = 302.5, on average 100.83333333
UP = swept(1000, 1, (0, "100", "1"), (1, "100.5", "1"), (4, "102", "1"))
DOWN = swept(9000, -1, (0, "102", "0.5"), (0, "101", "0.5"), (0, "100", "1"))


def test_sweeps_with_their_evidence() -> None:
    answer = answered(sweeps.QUESTION, [*UP, *DOWN], levels="3", runs=[run_of(UP), run_of(DOWN)])
    assert (answer["algorithm"], answer["heuristic"], answer["available"]) == ("sweeps/1", True, True)
    assert answer["parameters"] == {"gap": 10, "levels": 3, "least": "0"}
    assert (answer["count"], answer["buy_volume"], answer["sell_volume"]) == (2, "3", "2")
    assert answer["more_than_listed"] is False
    assert answer["sweeps"] == [
        {
            "start": iso(1_000 * MS), "end": iso(1_004 * MS), "duration_ms": 4, "side": "buy",
            "first_price": "100", "last_price": "102", "average_price": "100.83333333", "levels": 3,
            "trades": 3, "volume": "3", "notional": "302.5",
        },
        {
            "start": iso(9_000 * MS), "end": iso(9_000 * MS), "duration_ms": 0, "side": "sell",
            "first_price": "102", "last_price": "100", "average_price": "100.75", "levels": 3,
            "trades": 3, "volume": "2", "notional": "201.5",
        },
    ]  # fmt: skip


def test_the_parameters_of_a_sweep_are_applied() -> None:
    trades = [*UP, *DOWN]
    assert answered(sweeps.QUESTION, trades)["count"] == 0  # of five levels
    assert answered(sweeps.QUESTION, trades, levels="3", gap="2")["count"] == 1  # the 3 ms are too long
    assert answered(sweeps.QUESTION, trades, levels="3", least="2")["count"] == 2
    assert answered(sweeps.QUESTION, trades, levels="3", least="2.000000000000000001")["count"] == 1


def test_the_largest_sweeps_are_listed_and_all_are_counted() -> None:
    # 201 sweeps of volume 2, 1 s apart, but for the second of volume 1
    trades = [
        one
        for number in range(201)
        for one in swept(
            1000 * number,
            1,
            (0, "100", "0.5" if number == 1 else "1"),
            (0, "101", "0.5" if number == 1 else "1"),
        )
    ]
    answer = answered(sweeps.QUESTION, trades, levels="2")
    assert (answer["count"], answer["more_than_listed"], answer["buy_volume"]) == (201, True, "401")
    assert [one["start"] for one in answer["sweeps"]] == [
        iso(number * 1000 * MS) for number in range(201) if number != 1
    ]


def test_without_raw_trades_sweeps_are_unknown_not_none() -> None:
    answer = answered(sweeps.QUESTION, UP, levels="3", kept=False)
    assert (answer["available"], answer["reason"]) == (
        False, "the raw trades of this window are no longer kept",
    )  # fmt: skip
    assert {answer[name] for name in ("count", "buy_volume", "sell_volume", "sweeps")} == {None}
    empty = answered(sweeps.QUESTION, [])
    assert (empty["available"], empty["count"], empty["sweeps"], empty["buy_volume"]) == (True, 0, [], "0")


def test_a_window_too_long_to_go_through_its_trades_is_refused() -> None:
    assert answered(sweeps.QUESTION, [], end=4 * HOUR)["count"] == 0
    with pytest.raises(QuestionError, match=r"end is .*a window of at most 4 hours"):
        answered(sweeps.QUESTION, [], end=4 * HOUR + 1)
    with pytest.raises(QuestionError, match="timeframe is '1d'"):
        answered(sweeps.QUESTION, [], timeframe="1d", end=HOUR)
