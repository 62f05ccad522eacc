"""Levels read with what was read before in mind are the same numbers as those read one by one."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wadm.exchanges.column import LIMIT, BadNumberError
from wadm.exchanges.scale import LevelReader, Scale, UnfitError

numbers = st.decimals(min_value=0, max_value=10**9, places=6).map(lambda number: format(number, "f"))
positive = numbers.filter(lambda text: Decimal(text) > 0)
sides = st.lists(st.tuples(positive, numbers), max_size=8)


def exact(levels, decimals):
    return [
        tuple(Decimal(one).scaleb(-by) for one, by in zip(level, decimals, strict=True)) for level in levels
    ]


@given(st.lists(st.tuples(sides, sides), max_size=6), st.integers(0, 8), st.integers(0, 8))
def test_nothing_is_rounded_whatever_came_before(frames, price_decimals, quantity_decimals):
    reader = LevelReader(price_decimals, quantity_decimals)
    for bids, asks in [*frames, *frames]:
        levels = reader.read(bids, asks)
        decimals = (levels.price_decimals, levels.quantity_decimals)
        for read, written in ((levels.bids, bids), (levels.asks, asks)):
            assert exact(read, decimals) == [(Decimal(price), Decimal(size)) for price, size in written]


def test_decimals_begin_at_tick_and_step_and_are_kept_once_finer():
    reader = LevelReader(1, 3)
    scales = []
    for price, quantity in (("5.0000", "1"), ("5.25", "1"), ("5.1", "0.0001"), ("5", "0")):
        levels = reader.read([(price, quantity)], [])
        scales.append((levels.price_decimals, levels.quantity_decimals))
    assert scales == [(1, 3), (2, 3), (2, 4), (2, 4)]


def test_one_absurdly_fine_price_does_not_spoil_the_book():
    reader = LevelReader(2, 3)
    finest = "0.000000000000000001"
    assert reader.read([(finest, "1")], []).price_decimals == 18
    assert reader.read([("61234.50", "1")], []).bids == [(6123450, 1000)]
    with pytest.raises(BadNumberError, match="number_out_of_range"):
        reader.read([("61234.50", "1"), (finest, "1")], [])
    assert reader.read([("61234.50", "1")], []).bids == [(6123450, 1000)]


@pytest.mark.parametrize(
    ("price", "quantity", "reason"),
    [
        ("0", "1", "price_not_positive"),
        ("0.0000", "1", "price_not_positive"),
        ("-1", "1", "not_a_number"),
        ("1", "-1", "not_a_number"),
        ("1", "", "not_a_number"),
        ("1_0", "1", "not_a_number"),
        (" 1", "1", "not_a_number"),
        ("1\n", "1", "not_a_number"),
        ("1e5", "1", "not_a_number"),
        ("NaN", "1", "not_a_number"),
        ("\u0661", "1", "not_a_number"),
        ("1" * 5_000, "1", "not_a_number"),
        ("1", str(LIMIT), "number_out_of_range"),
    ],
)
def test_a_bad_level_is_refused_with_its_whole_side(price, quantity, reason):
    reader = LevelReader(2, 3)
    reader.read([("1", "1")], [("2", "1")])
    with pytest.raises(BadNumberError) as caught:
        reader.read([("1", "1"), (price, quantity)], [("2", "1")])
    assert caught.value.reason == reason
    assert reader.read([("1", "0")], [("2", "1")]).bids == [(100, 0)]


def test_a_scale_forgets_rather_than_grow_without_end():
    scale = Scale(1, 0)
    for number in range(1, 10_000):
        assert scale[str(number)] == number
    assert len(scale) <= 4_096
    with pytest.raises(UnfitError):
        scale["0"]
    assert "0" not in scale
