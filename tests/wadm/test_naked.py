from decimal import Decimal

from generated import bar_of, trade_lists
from hypothesis import given
from hypothesis import strategies as st
from oracle import Trade, levels, row_index

from wadm.analytics.naked import PastPoc, past_pocs
from wadm.analytics.profile import Profile, profile
from wadm.bar import Bar

D = Decimal


def window(number: int, *traded: tuple[str, str]) -> tuple[int, int, Profile]:
    """Window `number`, of (price, quantity), in rows of 1."""
    trades = [Trade(0, at, D(price), D(size), buy=True) for at, (price, size) in enumerate(traded)]
    return number * 10, number * 10 + 10, profile(bar_of(trades) if trades else Bar(0, 10), D(1))


def test_a_poc_is_naked_until_a_later_trade_lies_in_its_row() -> None:
    windows = [
        window(0, ("100", "9"), ("105", "1")),  # POC 100: nobody comes back
        window(1, ("104", "9"), ("105", "1")),  # POC 104: window 2 jumps over it, window 3 trades at 104.99
        window(2, ("103", "2"), ("106", "9")),  # POC 106: the present window is the first to touch it
        window(3, ("104.99", "1"), ("107", "9")),  # POC 107
        window(4, ("106", "1"), ("104", "1")),
    ]
    assert past_pocs(windows) == [
        PastPoc(0, 10, 100, None),
        PastPoc(10, 20, 104, 30),  # by the first window that touched it, not the last
        PastPoc(20, 30, 106, 40),
        PastPoc(30, 40, 107, None),
    ]
    assert [one.naked for one in past_pocs(windows)] == [True, False, False, True]


def test_its_own_window_and_earlier_ones_do_not_touch_it() -> None:
    windows = [window(0, ("100", "1"), ("101", "9")), window(1, ("100", "9"), ("99", "1")), window(2)]
    assert [(one.row, one.naked) for one in past_pocs(windows)] == [(101, True), (100, True)]


def test_empty_windows_have_no_poc_and_the_present_one_is_no_past_one() -> None:
    assert past_pocs([]) == []
    assert past_pocs([window(0, ("100", "1"))]) == []
    assert past_pocs([window(0), window(1, ("100", "1"))]) == []


@given(
    st.lists(trade_lists(most=6), max_size=6),
    st.sampled_from([D("0.25"), D(1), D(10)]),
)
def test_naked_pocs_are_those_found_trade_by_trade(days: list[list[Trade]], row_size: Decimal) -> None:
    expected = []
    for day, trades in enumerate(days[:-1]):
        poc = levels(trades, row_size).poc
        if poc is None:
            continue
        touched = [
            later
            for later in range(day + 1, len(days))
            if any(poc <= one.price < poc + row_size for one in days[later])
        ]
        expected.append((day, row_index(poc, row_size), min(touched, default=None)))
    windows = [(day, day + 1, profile(bar_of(trades), row_size)) for day, trades in enumerate(days)]
    assert [(one.start, one.row, one.touched_in) for one in past_pocs(windows)] == expected
