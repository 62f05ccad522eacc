"""Answers: exact, plain and the oracle's."""

import json
import re
from collections.abc import Iterator
from decimal import Decimal

import oracle
import pytest
from generated import bar_of, huge, numbers, trade_lists
from hypothesis import given
from oracle import Trade

from wadm import views
from wadm.analytics.profile import profile
from wadm.answers.asking import read, respond
from wadm.answers.question import Material, Span
from wadm.answers.registry import QUESTIONS
from wadm.bar import Bar
from wadm.coverage import Coverage, KnownGap
from wadm.exchanges.base import Gap
from wadm.market import MINUTE, IdKind, Instrument

D = Decimal
BTC = Instrument("binance", "BTCUSDT", D("0.010"))
COVERAGE = Coverage(
    (0, MINUTE), False, True, [KnownGap(Gap("binance", "BTCUSDT", IdKind.TRADE, 5, 6, 7))], ["live"], 1, False
)
ANY = trade_lists(prices=numbers(50, 3) | huge, quantities=numbers(50, 8) | huge)
PLAIN = re.compile(r"0|-?(0|[1-9][0-9]*)(\.[0-9]*[1-9])?")
#: Text that is not a number.
WORDS = {
    "exchange", "symbol", "timeframe", "start", "end", "algorithm", "method", "volume_unit", "delta_path",
    "cvd_since", "state", "completeness", "sources", "id_kind", "noticed", "profile_sha256", "kind",
    "cvd_path",
}  # fmt: skip
COUNTS = {
    "trades", "buy_trades", "sell_trades", "count", "first", "last", "missing", "epoch",
    "first_trade_id", "last_trade_id",
}  # fmt: skip
FLAGS = {"warming", "partial"}


def leaves(answer: object, name: str = "") -> Iterator[tuple[str, object]]:
    """Every value of an answer with the name it stands under."""
    if isinstance(answer, dict):
        for key, value in answer.items():
            yield from leaves(value, key)
    elif isinstance(answer, list):
        for value in answer:
            yield from leaves(value, name)
    else:
        yield name, answer


def assert_plain(answer: dict[str, object]) -> None:
    assert json.loads(json.dumps(answer)) == answer
    for name, value in leaves(answer):
        if name in FLAGS:
            assert type(value) is bool
        elif name in COUNTS:
            assert type(value) is int or value is None
        elif name in WORDS:
            assert type(value) is str or value is None
        else:
            assert value is None or (type(value) is str and PLAIN.fullmatch(value)), f"{name} is {value!r}"


def answer_of(name: str, instrument: Instrument, bar: Bar, **given: str) -> dict[str, object]:
    """Answer a question about one bar, whose session is the bar itself."""
    question, named = QUESTIONS[name], {"exchange": instrument.exchange, "symbol": instrument.symbol}
    asked = read(question, {**named, "timeframe": "1m", **given}, {instrument.key: instrument})
    span = Span("1m", asked.session, bar.start, bar.end, bar.end)
    merged = dict.fromkeys(question.needs(span, asked.values).merged, bar)
    return respond(asked, Material(instrument, span, bar, COVERAGE, merged=merged))


def optional(number: Decimal | None) -> str | None:
    return None if number is None else oracle.plain(number)


@given(ANY)
def test_a_summary_is_the_oracles_to_the_letter(trades: list[Trade]) -> None:
    bar = bar_of(trades)
    answer = views.summary(bar, profile(bar, D(10) ** 30 / 8))
    assert_plain(answer)
    expected, levels = oracle.flow(trades), oracle.levels(trades, D(10) ** 30 / 8)
    ordered = sorted(trades)
    assert answer == {
        "trades": expected.trades,
        "first_trade_id": ordered[0].id if ordered else None,
        "last_trade_id": ordered[-1].id if ordered else None,
        "volume": oracle.plain(expected.volume),
        "buy_volume": oracle.plain(expected.buy),
        "sell_volume": oracle.plain(expected.sell),
        "delta": oracle.plain(expected.delta),
        "open": optional(expected.open),
        "high": optional(expected.high),
        "low": optional(expected.low),
        "close": optional(expected.close),
        "poc": optional(levels.poc),
        "vah": optional(levels.vah),
        "val": optional(levels.val),
        "row_size": "125" + "0" * 27,
        "profile_sha256": oracle.fingerprint(trades, D(10) ** 30 / 8),
    }


@given(trade_lists())
def test_a_profiles_answer_is_plain_and_its_rows_are_the_oracles(trades: list[Trade]) -> None:
    bar = bar_of(trades)
    answer = answer_of("profile", BTC, bar, row_size="0.250", value_area="0.680", method="single_row")
    assert_plain(answer)
    assert answer["rows"] == [
        {
            "price": oracle.plain(row),
            "volume": oracle.plain(buy + sell),
            "buy": oracle.plain(buy),
            "sell": oracle.plain(sell),
            "delta": oracle.plain(buy - sell),
            "count": count,
        }
        for row, buy, sell, count in oracle.traded_rows(trades, D("0.25"))
    ]
    named = ("algorithm", "row_size", "tick", "value_area", "method", "volume_unit")
    assert [answer[name] for name in named] == [
        "volume-profile/1", "0.25", "0.01", "0.68", "single_row", "base"
    ]  # fmt: skip


@given(ANY)
def test_an_order_flow_answer_is_plain_and_the_oracles(trades: list[Trade]) -> None:
    bar = bar_of(trades)
    answer = answer_of("flow", BTC, bar)
    assert_plain(answer)
    expected = oracle.flow(trades)
    for name in ("volume", "delta", "delta_high", "delta_low"):
        assert answer[name] == oracle.plain(getattr(expected, name))
    assert answer["cvd"] == answer["delta"]
    assert (answer["imbalance_ratio"] is None) == (expected.imbalance is None)
    assert (answer["trades"], answer["delta_path"]) == (expected.trades, "exact")


@pytest.mark.parametrize("tick", [None, D("1E-8"), D("1E+1")])
def test_no_tick_brings_an_exponent_into_an_answer(tick: Decimal | None) -> None:
    bar = bar_of([Trade(1, 1, D("0.00001230"), D("1E+5"), buy=True)])
    instrument = Instrument("binance", "PEPEUSDT", tick)
    made = profile(bar, views.default_row_size(instrument, bar))
    assert_plain(answer_of("profile", instrument, bar))
    assert_plain(views.summary(bar, made))


def test_the_row_size_is_the_tick_else_the_finest_step_seen() -> None:
    bar = bar_of([Trade(1, 1, D("1.25"), D(1), buy=True), Trade(2, 2, D("1.5"), D(1), buy=True)])
    assert views.default_row_size(BTC, bar) == D("0.01")
    assert views.default_row_size(Instrument("binance", "NEWUSDT", D("0.5")), bar) == D("0.5")
    assert views.default_row_size(Instrument("binance", "NEWUSDT"), bar) == D("0.01")
    assert views.default_row_size(Instrument("binance", "NEWUSDT"), Bar(0, MINUTE)) == 1


def test_rows_asked_for_by_number_are_there_without_trades_too() -> None:
    bar = bar_of([Trade(1, 1, D(5), D(2), buy=True, count=4)])
    assert views.rows(profile(bar, D(1)), [4, 5]) == [
        {"price": "4", "volume": "0", "buy": "0", "sell": "0", "delta": "0", "count": 0},
        {"price": "5", "volume": "2", "buy": "2", "sell": "0", "delta": "2", "count": 4},
    ]


def test_ids_that_are_names_are_named() -> None:
    bar = Bar(0, MINUTE)
    bar.rows, bar.open, bar.close = {1: (1, 0, 1, 0)}, (1, "f0e1", 1), (1, "f0e1", 1)
    answer = views.summary(bar, profile(bar, D(1)))
    assert (answer["first_trade_id"], answer["last_trade_id"]) == ("f0e1", "f0e1")


def test_an_answer_begins_with_whose_and_when_it_is() -> None:
    answer = answer_of("profile", BTC, Bar(0, MINUTE))
    assert list(answer.items())[:5] == [
        ("exchange", "binance"),
        ("symbol", "BTCUSDT"),
        ("timeframe", "1m"),
        ("start", "1970-01-01T00:00:00Z"),
        ("end", "1970-01-01T00:01:00Z"),
    ]
    assert answer["parameters"] == {"row_size": None, "value_area": "0.7", "method": "pair"}
