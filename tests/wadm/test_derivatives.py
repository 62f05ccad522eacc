from decimal import Decimal

import pytest
from answered import answered

from wadm.answers.derivatives import QUESTION
from wadm.market import MINUTE, Liquidation, PositionSide, Ticker

D = Decimal


def liquidation(minute: int, position: PositionSide, price: str, quantity: str) -> Liquidation:
    return Liquidation("binance", "BTCUSDT", minute * MINUTE, position, D(price), D(quantity))


def test_the_basis_is_mark_over_index() -> None:
    told = Ticker(
        "binance", "BTCUSDT", 3 * MINUTE, D("101.5"), D("101.2"), D("100"), D("-0.0001"), 0, D("12.50")
    )
    assert answered(QUESTION, [], around={"ticker": told})["now"] == {
        "told_at": "1970-01-01T00:03:00Z",
        "last_price": "101.5",
        "mark_price": "101.2",
        "index_price": "100",
        "basis": "1.2",
        "basis_percent": "1.2",
        "funding_rate": "-0.0001",
        "next_funding": "1970-01-01T00:00:00Z",
        "open_interest": "12.5",
    }


@pytest.mark.parametrize(
    ("mark", "index", "basis", "percent"),
    [
        ("99", "100", "-1", "-1"),
        ("100", "3", "97", "3233.33333333"),
        ("1", "0", "1", None),
        ("1", None, None, None),
        (None, "1", None, None),
    ],
)
def test_the_basis_needs_both_prices(
    mark: str | None, index: str | None, basis: str | None, percent: str | None
) -> None:
    told = Ticker(
        "binance", "BTCUSDT", 0, mark_price=D(mark) if mark else None, index_price=D(index) if index else None
    )
    now = answered(QUESTION, [], around={"ticker": told})["now"]
    assert (now["basis"], now["basis_percent"]) == (basis, percent)


def test_an_exchange_that_tells_nothing_leaves_everything_open() -> None:
    answer = answered(QUESTION, [])
    assert set(answer["now"].values()) == {None}
    assert answer["liquidations"] == {
        "remembered": 0,
        "remembered_from": None,
        "count": None,
        "long": None,
        "short": None,
        "largest": None,
        "last": [],
    }


def test_liquidations_of_the_window_are_summed_by_side() -> None:
    known = [
        liquidation(5, PositionSide.SHORT, "9", "9"),  # at the window's end, and so not in it
        liquidation(1, PositionSide.LONG, "100.5", "0.25"),
        liquidation(4, PositionSide.LONG, "90", "0.5"),
        liquidation(2, PositionSide.SHORT, "200", "0.1"),
        liquidation(0, PositionSide.SHORT, "9", "9"),
    ]
    answer = answered(QUESTION, [], start=MINUTE, end=5 * MINUTE, around={"liquidations": known})
    found = answer["liquidations"]
    assert (found["remembered"], found["remembered_from"], found["count"]) == (5, "1970-01-01T00:00:00Z", 3)
    # 100.5 · 0.25 = 25.125 and 90 · 0.5 = 45
    assert found["long"] == {"count": 2, "volume": "0.75", "notional": "70.125"}
    assert found["short"] == {"count": 1, "volume": "0.1", "notional": "20"}
    largest = {"time": "1970-01-01T00:04:00Z", "position": "long", "price": "90", "quantity": "0.5"}
    assert found["largest"] == {**largest, "notional": "45"}
    assert [one["notional"] for one in found["last"]] == ["25.125", "20", "45"]


def test_only_the_last_twenty_are_listed() -> None:
    known = [liquidation(at, PositionSide.LONG, "1", str(1 + at)) for at in range(30)]
    found = answered(QUESTION, [], around={"liquidations": known})["liquidations"]
    assert [one["quantity"] for one in found["last"]] == [str(one) for one in range(11, 31)]
    # 1 + 2 + … + 30
    assert found["long"]["volume"] == "465"
