"""Levels of an order book are scaled ints, exactly."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wadm.exchanges.column import BadNumberError
from wadm.exchanges.levels import read_levels

numbers = st.decimals(min_value=0, max_value=10**9, places=8).map(lambda number: format(number, "f"))
positive = numbers.filter(lambda text: Decimal(text) > 0)
sides = st.lists(st.tuples(positive, numbers), max_size=20)


@given(sides, sides, st.integers(0, 8))
def test_nothing_is_rounded_and_both_sides_share_the_least_scale(
    bids: list[tuple[str, str]], asks: list[tuple[str, str]], least: int
) -> None:
    levels = read_levels(bids, asks, least, least)
    for read, written in ((levels.bids, bids), (levels.asks, asks)):
        assert [
            (
                Decimal(price).scaleb(-levels.price_decimals),
                Decimal(quantity).scaleb(-levels.quantity_decimals),
            )
            for price, quantity in read
        ] == [(Decimal(price), Decimal(quantity)) for price, quantity in written]
    prices = [price for price, _ in (*levels.bids, *levels.asks)]
    assert levels.price_decimals == least or any(price % 10 for price in prices)


@pytest.mark.parametrize(
    ("price", "quantity", "reason"),
    [
        ("0", "1", "price_not_positive"),
        ("0.000", "1", "price_not_positive"),
        ("-1", "1", "not_a_number"),
        ("1", "-0", "not_a_number"),
        ("", "1", "not_a_number"),
        ("1.", "1", "not_a_number"),
        (".1", "1", "not_a_number"),
        ("1\n1", "1", "not_a_number"),
        ("\u0661", "1", "not_a_number"),  # a digit all the same
        ("1", "1E3", "not_a_number"),
        ("1" * 41, "1", "not_a_number"),
        ("1", "1" * 19, "number_out_of_range"),
        ("1", "0." + "0" * 18 + "1", "number_out_of_range"),
    ],
)
def test_what_is_no_level_is_refused(price: str, quantity: str, reason: str) -> None:
    with pytest.raises(BadNumberError) as caught:
        read_levels([("1", "1")], [(price, quantity)])
    assert caught.value.reason == reason
