"""The volume profile where it is easy to get wrong; see test_bar and test_recorded for the rest."""

from decimal import Decimal

import pytest
from agreement import assert_same_profile
from generated import bar_of, numbers, run_of, trade_lists
from hypothesis import given
from hypothesis import strategies as st
from oracle import Trade
from worked import PROFILES

from wadm.analytics.profile import (
    MAX_ROWS,
    RowSizeError,
    ValueAreaMethod,
    _grow,
    check_row_size,
    profile,
    readable_row_size,
)
from wadm.bar import Bar
from wadm.market import MINUTE

D = Decimal


@pytest.mark.parametrize("name", PROFILES)
def test_profiles_worked_on_paper(name: str) -> None:
    volumes, levels, share, method = PROFILES[name]
    bar = bar_of(
        [
            Trade(at, at, D(price), D(volume), buy=at % 2 == 0)
            for at, (price, volume) in enumerate(volumes.items())
        ]
    )
    made = profile(bar, D(1), D(share), ValueAreaMethod(method))
    assert (made.poc, made.vah, made.val) == levels


@given(trade_lists(prices=numbers(9, 0), quantities=numbers(2, 0)))
def test_few_rows_of_much_the_same_volume_tie_as_the_oracles_do(trades: list[Trade]) -> None:
    assert_same_profile(bar_of(trades), trades, D(1))


@given(
    trade_lists(
        prices=st.sampled_from([D(100), D(101), D(103), D(150), D(151), D(300)]), quantities=numbers(3)
    ),
    st.sampled_from([D("0.5"), D(1), D("1.5"), D(2), D(7)]),
)
def test_wide_empty_stretches_are_crossed_by_the_rule(trades: list[Trade], row_size: Decimal) -> None:
    assert_same_profile(bar_of(trades), trades, row_size)


@given(trade_lists(), st.decimals("0.000000000000000001", 1, places=18).filter(bool))
def test_a_share_of_many_digits_is_taken_exactly(trades: list[Trade], share: Decimal) -> None:
    assert_same_profile(bar_of(trades), trades, D("0.25"), shares=[share])


def test_a_target_met_exactly_is_met() -> None:
    # 3 of 10: the POC alone is 30 %; one digit more is not.
    trades = [Trade(at, at, D(at), D(q), buy=True) for at, q in enumerate([2, 3, 2, 2, 1], start=1)]
    exactly = profile(bar_of(trades), D(1), D("0.3"))
    assert (exactly.val, exactly.poc, exactly.vah, exactly.value_area_volume) == (2, 2, 2, 3)
    beyond = profile(bar_of(trades), D(1), D("0.300000000000000001"))
    assert (beyond.val, beyond.poc, beyond.vah, beyond.value_area_volume) == (2, 2, 4, 7)


@pytest.mark.parametrize("method", ValueAreaMethod)
def test_an_empty_bar_has_no_levels_and_the_digest_of_nothing(method: ValueAreaMethod) -> None:
    made = profile(Bar(0, MINUTE), D("0.1"), D("0.7"), method)
    assert (made.poc, made.vah, made.val, made.value_area_volume) == (None, None, None, 0)
    assert made.sha256() == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


@pytest.mark.parametrize(
    ("row_size", "price", "edge"),
    [
        ("0.1", "61500.30", "61500.3"),
        ("0.10", "61500.39", "61500.3"),
        ("10", "61509.9", "61500"),
        ("1E+1", "61510", "61510"),
        ("2.5", "61504.99", "61502.5"),
        ("0.00000001", "0.00001234", "0.00001234"),
        ("0.000000000000000001", "3", "3"),  # far finer than the prices
        ("1000000", "61500", "0"),
    ],
)
def test_a_row_is_named_by_its_lower_edge_in_plain_notation(row_size: str, price: str, edge: str) -> None:
    made = profile(bar_of([Trade(1, 1, D(price), D(1), buy=True)]), D(row_size))
    assert made.poc == made.vah == made.val
    assert made.poc is not None
    assert made.price(made.poc) == edge


def test_a_profile_does_not_share_its_rows_with_the_bar() -> None:
    trades = [Trade(1, 1, D(5), D(1), buy=True)]
    bar = bar_of(trades)
    made = profile(bar, D(1))
    bar.fold(run_of(trades))
    assert made.rows == {5: (1, 0, 1, 0)}


@pytest.mark.parametrize(("row_size", "tick"), [("0.1", "0.1"), ("0.3", "0.10"), ("25", "0.5"), ("7", None)])
def test_a_multiple_of_the_tick_is_a_row_size(row_size: str, tick: str | None) -> None:
    check_row_size(D(row_size), None if tick is None else D(tick))


def test_a_row_size_of_more_digits_than_decimal_divides_by_is_checked_all_the_same() -> None:
    check_row_size(D("1" + "0" * 60), D("0.00000001"))
    with pytest.raises(RowSizeError):
        check_row_size(D("1" + "0" * 60 + ".000000001"), D("0.00000001"))


def test_a_tick_of_zero_is_an_unknown_tick() -> None:
    check_row_size(D("0.3"), D("0.00000000"))


@pytest.mark.parametrize("row_size", ["0", "-1", "-0.1", "NaN", "Infinity"])
def test_a_row_size_that_is_not_positive_is_refused(row_size: str) -> None:
    with pytest.raises(RowSizeError, match="is not positive"):
        check_row_size(D(row_size), None)


def test_a_row_size_that_is_no_multiple_of_the_tick_is_refused_in_plain_notation() -> None:
    with pytest.raises(
        RowSizeError, match=r"^row_size 0\.00000015 is not a multiple of the tick 0\.0000001$"
    ):
        check_row_size(D("15E-8"), D("1E-7"))


def from_one_to(high: int) -> Bar:
    return bar_of([Trade(1, 1, D(1), D(1), buy=True), Trade(2, 2, D(high), D(1), buy=True)])


def test_more_rows_than_are_served_are_refused_and_one_fewer_is_not() -> None:
    assert profile(from_one_to(MAX_ROWS), D(1)).poc == 1
    with pytest.raises(RowSizeError, match=f"gives {MAX_ROWS + 1} rows from low to high"):
        profile(from_one_to(MAX_ROWS + 1), D(1))


class Counted(dict[int, int]):
    """Volumes by row that count how often they are looked at."""

    looks = 0

    def get(self, row: int, default: int = 0) -> int:  # type: ignore[override]
        self.looks += 1
        return super().get(row, default)


@pytest.mark.parametrize("step", [1, 2])
@pytest.mark.parametrize("poc", [1, 7, 900_001, MAX_ROWS])
def test_empty_rows_are_crossed_at_once(step: int, poc: int) -> None:
    volumes = Counted({1: 1, 7: 1, 900_001: 1, MAX_ROWS: 1})
    assert _grow(volumes, poc, D(1), step) == (1, MAX_ROWS, 4)
    assert volumes.looks < 100


def test_rows_that_traded_no_volume_do_not_stop_the_walk() -> None:
    assert _grow({0: 0, 3: 1, 5: 0, 6: 0, 9: 0}, 3, D(1), 2) == (3, 3, 1)
    assert _grow({0: 1, 3: 2, 5: 0, 6: 0, 10: 0}, 3, D(1), 2) == (0, 10, 3)


@pytest.mark.parametrize(
    ("low", "high", "decimals", "tick", "size"),
    [
        (615_000, 617_000, 1, "0.1", "5"),  # 200 wide: 40 rows of 5
        (615_000, 617_001, 1, "0.1", "10"),  # a little wider: 5.0025 at least
        (615_000, 615_000, 1, "0.1", "0.1"),  # one price
        (100, 103, 0, None, "1"),
        (0, 160, 1, "0.3", "0.6"),  # 16 wide: 0.5 would do, and the tick asks for its next multiple
        (0, 160, 1, "0.25", "0.5"),
        (1230, 1234, 8, "0.00000001", "0.00000001"),
        (100, 103, 0, "0", "1"),  # a tick of zero is an unknown tick
    ],
)
def test_a_readable_row_size_is_round_and_a_multiple_of_the_tick(
    low: int, high: int, decimals: int, tick: str | None, size: str
) -> None:
    assert readable_row_size(low, high, decimals, tick and D(tick)) == D(size)


@given(
    st.integers(0, 10**9),
    st.integers(0, 10**9),
    st.integers(0, 8),
    st.none()
    | st.builds(lambda units, places: D(units).scaleb(-places), st.integers(1, 30), st.integers(0, 8)),
)
def test_a_readable_row_size_never_makes_more_rows_than_asked_for(
    low: int, width: int, decimals: int, tick: Decimal | None
) -> None:
    size = readable_row_size(low, low + width, decimals, tick, 40)
    check_row_size(size, tick)
    assert D(width).scaleb(-decimals) / size <= 40
