from decimal import Decimal

from answered import minutes_of
from generated import trade_lists
from hypothesis import given
from hypothesis import strategies as st
from oracle import Trade, levels, within

from wadm.analytics.developing import developing
from wadm.analytics.profile import DEFAULT_VALUE_AREA, ValueAreaMethod
from wadm.market import MINUTE

D = Decimal
Levels = tuple[str | None, ...]


def steps_of(trades: list[Trade], minutes: int, step: int, row_size: str = "1") -> list[tuple[int, Levels]]:
    """(minute, (POC, VAH, VAL)) of each step."""
    return [
        (
            one.at // MINUTE,
            tuple(None if row is None else one.profile.price(row) for row in
                  (one.profile.poc, one.profile.vah, one.profile.val)),
        )
        for one in developing(
            minutes_of(trades), 0, minutes * MINUTE, step=step * MINUTE, row_size=D(row_size),
            value_area=DEFAULT_VALUE_AREA, method=ValueAreaMethod.PAIR,
        )
    ]  # fmt: skip


def at(minute: int, number: int, price: str, quantity: str) -> Trade:
    return Trade(minute * 60_000, number, D(price), D(quantity), buy=True)


def test_the_profile_moves_as_the_window_fills() -> None:
    trades = [at(0, 1, "100", "5"), at(1, 2, "102", "6"), at(4, 3, "100", "9"), at(6, 4, "101", "1")]
    assert steps_of(trades, minutes=7, step=2) == [
        # after 2 minutes: 5 at 100 and 6 at 102 of 11, target 7.7: 6, then 101 and 100 join: 11
        (2, ("102", "102", "100")),
        # nothing between 2 and 4, so no step there; after 6: 14 at 100 of 20, target 14: the POC is enough
        (6, ("100", "100", "100")),
        # the last step is cut at the window's end: 14, 1, 6 of 21, target 14.7: above 1 + 6 join
        (7, ("100", "102", "100")),
    ]


def test_a_window_without_trades_has_no_steps() -> None:
    assert steps_of([], minutes=60, step=5) == []


@given(trade_lists(end_ms=30 * 60_000), st.sampled_from([1, 5, 7]), st.sampled_from(["0.25", "1", "3"]))
def test_each_step_is_the_profile_of_everything_so_far(trades: list[Trade], step: int, row_size: str) -> None:
    expected = []
    for end in range(step, 30 + step, step):
        if within(trades, (end - step) * 60_000, end * 60_000):
            found = levels(within(trades, 0, end * 60_000), D(row_size))
            expected.append((min(end, 30), found))
    assert [
        (minute, tuple(None if one is None else D(one) for one in found))
        for minute, found in steps_of(trades, 30, step, row_size)
    ] == expected
