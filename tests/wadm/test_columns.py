"""Columns of integers and back."""

from array import array

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wadm.columns import ColumnError, counting_up, pack, pack_rising, unpack, unpack_rising

EDGES = [sign * (1 << bits) + off for bits in (7, 15, 31, 63, 64) for sign in (1, -1) for off in (-1, 0, 1)]
NUMBERS = st.lists(st.integers(-(1 << 70), 1 << 70) | st.integers(-200, 200) | st.sampled_from(EDGES))


@given(NUMBERS)
def test_any_numbers_come_back(numbers: list[int]) -> None:
    assert list(unpack(pack(numbers))) == numbers
    assert unpack_rising(pack_rising(numbers)) == numbers


@given(st.lists(st.integers(0, 255)))
def test_sequences_other_than_lists_are_packed(numbers: list[int]) -> None:
    for sequence in (tuple(numbers), array("q", numbers)):
        assert list(unpack(pack(sequence))) == numbers
        assert unpack_rising(pack_rising(sequence)) == numbers


@pytest.mark.parametrize(
    ("number", "code", "width"),
    [
        (127, b"b", 1), (128, b"h", 2), (-128, b"b", 1), (-129, b"h", 2),
        (32_767, b"h", 2), (32_768, b"i", 4), (-32_768, b"h", 2), (-32_769, b"i", 4),
        (2**31 - 1, b"i", 4), (2**31, b"q", 8), (-(2**31), b"i", 4), (-(2**31) - 1, b"q", 8),
        (2**63 - 1, b"q", 8), (-(2**63), b"q", 8),
    ],
)  # fmt: skip
def test_a_column_takes_the_fewest_bytes_little_endian(number: int, code: bytes, width: int) -> None:
    assert pack([number]) == code + number.to_bytes(width, "little", signed=True)


@pytest.mark.parametrize("number", [2**63, -(2**63) - 1])
def test_a_number_beyond_64_bits_is_written_as_text(number: int) -> None:
    assert pack([1, number]) == f"t1,{number}".encode()


def test_rising_numbers_are_kept_as_their_differences() -> None:
    assert pack_rising([1_000_000, 1_000_001, 1_000_127]) == pack([1_000_000, 1, 126])
    assert unpack_rising(pack_rising([])) == []


@pytest.mark.parametrize(
    "column",
    [
        b"", b"x\x00", b"f\x00\x00\x00\x00", b"B\x00", b"u\x00\x00\x00\x00", b"\xff", b"h\x00",
        b"q1234567", b"t", b"t1,", b"t1,x", b"\x00",
    ],
)  # fmt: skip
def test_bytes_that_are_no_column_are_refused(column: bytes) -> None:
    with pytest.raises(ColumnError, match=r"^not a column of integers: "):
        unpack(column)


@given(st.integers(-(2**65), 2**65), st.integers(1, 40))
def test_numbers_that_count_up_are_known_without_unpacking(first: int, count: int) -> None:
    numbers = range(first, first + count)
    found = counting_up(pack_rising(numbers))
    assert found == numbers or (found is None and numbers[-1].bit_length() > 63)


@given(st.lists(st.integers(-(2**40), 2**40), max_size=8))
def test_other_numbers_are_not_taken_for_a_range(numbers: list[int]) -> None:
    found = counting_up(pack_rising(numbers))
    assert (found is None) == (
        numbers != [*range(numbers[0], numbers[0] + len(numbers))] if numbers else True
    )


def test_what_is_no_column_counts_nothing_up() -> None:
    with pytest.raises(ColumnError):
        counting_up(b"?1234")
