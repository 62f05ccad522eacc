from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wadm.exchanges import column as column_module
from wadm.exchanges.column import LIMIT, BadNumberError, Column, ScaleError


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("0", "price_not_positive"),
        ("0.00000000", "price_not_positive"),
        ("-1", "price_not_positive"),
        ("-0", "price_not_positive"),
        ("", "not_a_number"),
        ("NaN", "not_a_number"),
        ("inf", "not_a_number"),
        ("1e5", "not_a_number"),
        ("1.", "not_a_number"),
        (".5", "not_a_number"),
        ("+1", "not_a_number"),
        (" 1", "not_a_number"),
        ("1_0", "not_a_number"),
        ("1,0", "not_a_number"),
        ("1.2.3", "not_a_number"),
        ("٣", "not_a_number"),
        ("²", "not_a_number"),
        ("x" * 10_000, "not_a_number"),
        ("9" * 10_000, "number_out_of_range"),
        ("1000000000000000000", "number_out_of_range"),
        ("10000000000000000.00", "number_out_of_range"),  # fits at no decimals, not at the tick's two
        ("0.0000000000000000001", "number_out_of_range"),
    ],
)
def test_what_is_no_price(text, reason):
    with pytest.raises(BadNumberError) as caught:
        Column("price", 2).read(text)
    assert caught.value.reason == reason


@pytest.mark.parametrize(
    ("text", "scaled", "decimals"),
    [
        ("61837.63000000", 6183763, 2),
        ("61837", 6183700, 2),
        ("0.12345", 12345, 5),
        ("9999999999999999.99", LIMIT - 1, 2),
        ("0.000000000000000001", 1, 18),
    ],
)
def test_what_is_a_price(text, scaled, decimals):
    column = Column("price", 2)
    assert (column.read(text), column.decimals) == (scaled, decimals)
    assert column.known == {text: scaled}


def test_widening_rescales_what_was_collected():
    column = Column("quantity", 0)
    column.values += [column.read("5"), -column.read("7")]
    assert column.read("0.25") == 25
    assert (column.values, column.decimals) == ([500, -700], 2)
    assert column.known == {"0.25": 25}


def test_numbers_that_cannot_share_a_scale():
    column = Column("price", 2)
    column.values.append(column.read("61837.63"))
    with pytest.raises(ScaleError):
        column.read("0.000000000000000001")
    assert column.values == [6183763]
    assert column.take() == [6183763]
    column.restart(18)
    assert column.read("0.000000000000000001") == 1
    with pytest.raises(ScaleError):
        column.read("61837.63")


def test_the_memory_of_texts_is_bounded(monkeypatch):
    monkeypatch.setattr(column_module, "_REMEMBERED", 3)
    column = Column("price", 0)
    for number in range(1, 10):
        column.read(str(number))
    assert len(column.known) <= 3


@given(st.lists(st.decimals("0.00000001", 999_999, places=8), max_size=20))
def test_every_number_stays_exact(numbers):
    column = Column("price", 0)
    for number in numbers:
        column.values.append(column.read(format(number, "f")))
    assert [Decimal(value).scaleb(-column.decimals) for value in column.values] == numbers
