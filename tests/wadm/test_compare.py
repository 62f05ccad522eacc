from decimal import Decimal
from fractions import Fraction

import pytest
from answered import COVERED
from generated import bar_of, run_of, trade_lists
from hypothesis import given
from hypothesis import strategies as st
from oracle import Trade, dense_rows

from wadm.analytics.compare import common_tick, compare, together
from wadm.analytics.profile import profile
from wadm.answers.compare import PARAMETERS, answer, instrument_of, read, respond
from wadm.answers.question import Material
from wadm.bar import Bar
from wadm.market import HOUR, MINUTE, Instrument
from wadm.questions import QuestionError

D = Decimal


def buys(*traded: tuple[str, str]) -> list[Trade]:
    return [Trade(at, at, D(price), D(volume), buy=True) for at, (price, volume) in enumerate(traded)]


def sells(*traded: tuple[str, str]) -> list[Trade]:
    return [one._replace(buy=False) for one in buys(*traded)]


#: 6 at 100 and 2 at 102; 2 at 101, in finer numbers; nothing.
FOUND = {
    "one": bar_of(buys(("100", "6"), ("102", "2"))),
    "two": bar_of(sells(("101.00", "2.000"))),
    "none": Bar(0, MINUTE),
}


def test_exchanges_are_compared_by_hand() -> None:
    made = compare(FOUND, D(1))
    one, two, none = made.sources
    assert [source.exchange for source in made.sources] == ["one", "two", "none"]
    assert [source.share for source in made.sources] == [Fraction(8, 10), Fraction(2, 10), 0]
    # the last prices 102 and 101, weighted 8 to 2: 101.8
    assert made.mean_last == Fraction(1018, 10)
    assert (one.difference, two.difference, none.difference) == (Fraction(2, 10), Fraction(-8, 10), None)
    # (600 + 204) / 8; all of it: (600 + 204 + 202) / 10
    assert one.vwap is not None
    assert made.vwap is not None
    assert (one.vwap.vwap, made.vwap.vwap) == (D("100.5"), D("100.6"))
    assert (one.profile.poc, two.profile.poc, none.profile.poc, made.profile.poc) == (100, 101, None, 100)
    assert (none.vwap, none.last) == (None, None)


def test_equal_volumes_stand_in_the_order_of_their_names() -> None:
    bar = bar_of(buys(("1", "1")))
    assert [one.exchange for one in compare({"b": bar, "c": bar, "a": bar}, D(1)).sources] == ["a", "b", "c"]


def test_where_nothing_was_traded_there_is_no_share() -> None:
    made = compare({"one": Bar(0, MINUTE)}, D(1))
    assert (made.sources[0].share, made.mean_last, made.vwap, made.profile.poc) == (None, None, None, None)


def test_ids_of_different_kinds_at_one_time_are_merged() -> None:
    # Numbers and names cannot be told which comes first: of the merge there is no open and no close.
    named, numbered = Bar(0, MINUTE), Bar(0, MINUTE)
    named.fold(run_of(buys(("1", "1")), named=True))
    numbered.fold(run_of(buys(("2", "1"))))
    merged = together([named, numbered])
    assert (merged.open, merged.close, merged.exact_path) == (None, None, False)
    assert (merged.high, merged.low, merged.start, merged.end) == (2, 1, 0, MINUTE)
    assert named.close is not None  # what was given stays as it was


@given(trade_lists(), trade_lists(), st.sampled_from([D("0.01"), D("0.25"), D(3)]))
def test_the_merged_profile_is_that_of_all_trades(
    one: list[Trade], two: list[Trade], row_size: Decimal
) -> None:
    made = compare({"one": bar_of(one), "two": bar_of(two)}, row_size).profile
    lowest, rows = dense_rows([*one, *two], row_size)
    assert {
        number: Fraction(row[0] + row[1], 10**made.quantity_decimals) for number, row in made.rows.items()
    } == {number: Fraction(row.volume) for number, row in enumerate(rows, start=lowest) if row.count}
    both = sorted([*one, *two])
    assert made.poc == profile(bar_of(both), row_size).poc


@pytest.mark.parametrize(
    ("ticks", "expected"),
    [
        ([], None),
        ([None], None),
        (["0.1"], "0.1"),
        (["0.1", None, "0.01"], "0.1"),
        (["0.2", "0.25"], "1"),
        (["2.5", "10"], "10"),
    ],
)
def test_the_common_tick_is_what_every_tick_divides(ticks: list[str | None], expected: str | None) -> None:
    found = common_tick(D(tick) if tick else None for tick in ticks)
    assert found == (None if expected is None else D(expected))


def test_a_row_size_is_a_multiple_of_every_tick() -> None:
    both = instrument_of(
        "BTCUSDT", [Instrument("a", "BTCUSDT", D("0.2")), Instrument("b", "BTCUSDT", D("0.5"))]
    )
    row_size = next(one for one in PARAMETERS if one.name == "row_size")
    assert row_size.read("2", both) == 2
    with pytest.raises(ValueError, match="a positive multiple of the tick 1"):
        row_size.read("0.5", both)


DEFAULTS = {one.name: one.default for one in PARAMETERS}


def test_the_comparison_is_answered() -> None:
    found = answer(FOUND, Instrument("", "BTCUSDT", D(1)), DEFAULTS)
    assert (found["volume_unit"], found["row_size"], found["mean_last_price"]) == ("base", "1", "101.8")
    exchanges = found["exchanges"]
    assert isinstance(exchanges, list)
    assert exchanges[1] == {
        "exchange": "two",
        "trades": 1,
        "volume": "2",
        "buy_volume": "0",
        "sell_volume": "2",
        "delta": "-2",
        "share": "0.2",
        "vwap": "101",
        "last_price": "101",
        "last_price_difference": "-0.8",
        "last_price_difference_bps": "-78.5855",  # 0.8 of 101.8 in ten thousand
        "poc": "101",
        "vah": "101",
        "val": "101",
    }
    merged = found["all"]
    assert isinstance(merged, dict)
    assert [(row["price"], row["volume"]) for row in merged.pop("rows")] == [
        ("100", "6"), ("101", "2"), ("102", "2"),
    ]  # fmt: skip
    assert merged == {
        "trades": 3,
        "volume": "10",
        "buy_volume": "8",
        "sell_volume": "2",
        "delta": "6",
        "vwap": "100.6",
        "poc": "100",  # 6 of 10; then both rows above it, for below there is nothing
        "vah": "102",
        "val": "100",
    }


def test_too_many_rows_are_refused() -> None:
    bar = bar_of(buys(("1", "1"), ("3000000", "1")))
    with pytest.raises(QuestionError, match="row_size is '1'"):
        answer({"one": bar}, Instrument("", "BTCUSDT"), {**DEFAULTS, "row_size": D(1)})


def test_a_comparison_of_sessions_names_when_they_begin() -> None:
    known = {one.key: one for one in (Instrument("one", "BTCUSDT"), Instrument("two", "BTCUSDT"))}
    given_ = {"symbol": "btcusdt", "timeframe": "session", "session": "17:00@America/Chicago"}
    compared = read(given_, known, lambda _: 30 * HOUR)
    spans = [one.span(30 * HOUR) for one in compared.asked]
    found = respond(
        compared,
        [
            Material(one.instrument, span, Bar(span.start, span.end), COVERED)
            for one, span in zip(compared.asked, spans, strict=True)
        ],
    )
    assert (found["start"], found["session"]) == ("1970-01-01T23:00:00Z", "17:00@America/Chicago")
