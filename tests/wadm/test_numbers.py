"""Exact numbers at the edges."""

import re
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wadm.numbers import (
    MAX_DECIMALS,
    MAX_LENGTH,
    NumberError,
    from_decimal,
    parse,
    plain,
    plain_scaled,
    ratio,
    to_decimal,
)

PLAIN = re.compile(r"0|-?(0|[1-9]\d*)(\.\d*[1-9])?", re.ASCII)
SCALED = st.integers(-(10**40), 10**40) | st.integers(-1000, 1000)
DECIMALS = st.integers(0, MAX_DECIMALS)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("61.50", (615, 1)),
        ("61", (61, 0)),
        ("100", (100, 0)),
        ("0", (0, 0)),
        ("-0", (0, 0)),
        ("0.000", (0, 0)),
        ("007.10", (71, 1)),
        ("-0.5", (-5, 1)),
        ("0.000000000000000001", (1, 18)),
        ("1.0000000000000000000000", (1, 0)),
        ("18446744073709551617", (2**64 + 1, 0)),
    ],
)
def test_plain_text_is_read_exactly_without_its_trailing_zeros(text: str, expected: tuple[int, int]) -> None:
    assert parse(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "", "-", ".", "1.", ".5", "+1", "--1", "1e5", "1E-8", "NaN", "Infinity", "0x10", "1_000", "1,5",
        " 1", "1 ", "1\n", "1.2.3", "1.-2", "٣", "1.٣", "²", "1.2²", "\x00",
    ],
)  # fmt: skip
def test_other_text_is_refused(text: str) -> None:
    with pytest.raises(NumberError, match="is not a plain decimal number"):
        parse(text)


def test_what_is_too_fine_or_too_long_is_refused_and_not_rounded() -> None:
    with pytest.raises(NumberError, match=r"^'0\.0{18}1' has more than 18 decimals$"):
        parse("0." + "0" * 18 + "1")
    parse("9" * MAX_LENGTH)
    with pytest.raises(NumberError, match="and so on has more than 100 characters"):
        parse("9" * (MAX_LENGTH + 1))
    with pytest.raises(NumberError, match="and so on has more than 100 characters"):
        parse("9" * 1_000_000)  # more digits than int() reads


def test_text_that_is_no_number_is_quoted_only_in_part() -> None:
    with pytest.raises(NumberError) as caught:
        parse("x" * 10_000)
    assert len(str(caught.value)) < 100


@given(st.text(max_size=12) | st.from_regex(r"-?[0-9.e]{0,12}"))
def test_any_text_is_read_as_decimal_reads_it_or_refused(text: str) -> None:
    try:
        scaled, decimals = parse(text)
    except NumberError:
        return
    assert Fraction(scaled, 10**decimals) == Fraction(Decimal(text))


@given(SCALED, DECIMALS)
def test_a_scaled_number_comes_back_from_text_and_from_decimal(scaled: int, decimals: int) -> None:
    text = plain_scaled(scaled, decimals)
    assert PLAIN.fullmatch(text)
    exact = Fraction(scaled, 10**decimals)
    number, places = parse(text)
    assert Fraction(number, 10**places) == exact
    assert places == 0 or number % 10
    decimal = to_decimal(scaled, decimals)
    assert Fraction(decimal) == exact
    assert plain(decimal) == text
    assert from_decimal(decimal) == (number, places)


@pytest.mark.parametrize(
    ("number", "text"),
    [
        ("1E+3", "1000"),
        ("0E+3", "0"),
        ("-0.00", "0"),
        ("0.00E-5", "0"),
        ("1E-8", "0.00000001"),
        ("100", "100"),
        ("100.500", "100.5"),
        ("-1.50", "-1.5"),
        ("12345678901234567890123456789012345678901.10", "12345678901234567890123456789012345678901.1"),
    ],
)
def test_plain_notation_has_no_exponent_no_trailing_zeros_and_no_negative_zero(
    number: str, text: str
) -> None:
    assert plain(Decimal(number)) == text


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "sNaN"])
def test_what_is_not_finite_has_no_plain_notation(number: str) -> None:
    with pytest.raises(NumberError, match="is not a finite number"):
        plain(Decimal(number))


@pytest.mark.parametrize(
    ("scaled", "decimals", "text"),
    [
        (61500, 3, "61.5"),
        (-5, 3, "-0.005"),
        (0, 3, "0"),
        (1000, 3, "1"),
        (1000, 0, "1000"),
        (-1000, 4, "-0.1"),
    ],
)
def test_scaled_numbers_in_plain_notation(scaled: int, decimals: int, text: str) -> None:
    assert plain_scaled(scaled, decimals) == text


@pytest.mark.parametrize(
    ("numerator", "denominator", "places", "expected"),
    [
        (1, 3, 8, "0.33333333"),
        (2, 3, 8, "0.66666667"),
        (1, 8, 2, "0.12"),  # half goes to the even neighbour
        (3, 8, 2, "0.38"),
        (0, 5, 8, "0"),
        (5, 1, 8, "5"),
        (10**70, 1, 8, "1" + "0" * 70),
        (1, 10**70, 8, "0"),
        # 0.125 and a last digit far behind: above the half, whatever precision a division works with
        (125 * 10**97 + 1, 10**100, 2, "0.13"),
    ],
)
def test_a_ratio_is_rounded_once_and_half_to_even(
    numerator: int, denominator: int, places: int, expected: str
) -> None:
    found = ratio(numerator, denominator, places)
    assert found is not None
    assert plain(found) == expected


def test_a_ratio_over_zero_has_no_value() -> None:
    assert ratio(1, 0) is None
    assert ratio(0, 0) is None
