"""Levels read with what was read before in mind are the same numbers as those read one by one."""

from decimal import Decimal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw

from wadm.exchanges.column import LIMIT, BadNumberError
from wadm.exchanges.scale import LevelReader, Scale, UnfitError
from wadm.exchanges.sides import form_of

numbers = st.decimals(min_value=0, max_value=10**9, places=6).map(lambda number: format(number, "f"))
positive = numbers.filter(lambda text: Decimal(text) > 0)
sides = st.lists(st.tuples(positive, numbers), max_size=8)
#: As Binance writes them: with 8 decimals, of which the last ones are mostly 0.
alike = st.decimals(min_value=0, max_value=10**9, places=3).map(lambda number: format(number, ".8f"))
sides_alike = st.lists(st.tuples(alike.filter(lambda text: Decimal(text) > 0), alike), max_size=8)


def raw(levels):
    return Raw(msgspec.json.encode(levels))


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


@given(st.lists(st.tuples(sides_alike | sides, sides_alike | sides), max_size=6), st.integers(0, 8))
def test_what_stands_in_a_frame_is_what_was_written_whatever_form_came_before(frames, decimals):
    reader = LevelReader(decimals, decimals)
    for bids, asks in [*frames, *frames]:
        levels = reader.read_raw(raw(bids), raw(asks))
        found = (levels.price_decimals, levels.quantity_decimals)
        for read, written in ((levels.bids, bids), (levels.asks, asks)):
            assert exact(read, found) == [(Decimal(price), Decimal(size)) for price, size in written]


def test_sides_written_alike_are_read_at_once_and_no_others():
    form = form_of([("61737.63000000", "0.00000000")], 2, 5)
    assert form.read(b"[]") == []
    assert form.read(b'[["61737.63000000","0.00500000"],["0.01000000","12.00001000"]]') == [
        (6_173_763, 500), (1, 1_200_001),
    ]  # fmt: skip
    for side in (
        b'[["61737.63100000","1.00000000"]]',  # finer
        b'[["61737.6300000","1.00000000"]]',
        b'[["61737.630000000","1.00000000"]]',
        b'[["0.00000000","1.00000000"]]',
        b'[["12345678901234567.00000000","1.00000000"]]',  # 19 digits when scaled
        b'[["61737.63000000", "1.00000000"]]',
        b'[["61737.63000000",1.00000000]]',
        b'[["61737.63000000","-1.00000000"]]',
        b'[["61737.63000000","1.00000000","1.00000000"]]',
        b"null",
    ):
        assert form.read(side) is None
    whole = form_of([("61737", "5")], 0, 0)
    assert whole.read(b'[["61737","0"],["9","10"]]') == [(61_737, 0), (9, 10)]
    assert whole.read(b'[["0","1"]]') is whole.read(b'[["1.0","1"]]') is None
    # Written with fewer decimals than are wanted, or with all that there can be.
    assert form_of([("61737.6", "1.0")], 2, 1) is form_of([("1." + 18 * "0", "1.0")], 18, 1) is None


@pytest.mark.parametrize("side", [b"null", b'["1.00","1.000"]', b'[["1.00",1]]', b'[["1.00"]]', b"{}"])
def test_what_is_no_side_is_refused_though_others_were_read(side):
    reader = LevelReader(2, 3)
    good = Raw(b'[["1.00","1.000"]]')
    for _ in range(2):
        assert reader.read_raw(good, good).bids == [(100, 1_000)]
        with pytest.raises(msgspec.ValidationError):
            reader.read_raw(good, Raw(side))


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
    reader.read_raw(raw([("1", "1")]), raw([("2", "1")]))
    with pytest.raises(BadNumberError) as caught:
        reader.read([("1", "1"), (price, quantity)], [("2", "1")])
    assert caught.value.reason == reason
    with pytest.raises(BadNumberError) as caught:
        reader.read_raw(raw([("2", "1")]), raw([("1", "1"), (price, quantity)]))
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
