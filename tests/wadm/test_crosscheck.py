"""Minutes compared: what agrees, what differs and in what, and what is left out."""

from decimal import Decimal

import attrs
import pytest

from wadm.bar import Bar
from wadm.crosscheck import (
    EVERYTHING,
    KEPT,
    TOTALS,
    VOLUME,
    Check,
    Difference,
    SecondSource,
    candle_figures,
    figures,
)
from wadm.market import MINUTE, SECOND, Candle, IdKind, Trades

#: 2024-08-09T00:00:00Z
START = 1_723_161_600_000_000


def trades(
    *rows: tuple[int, int, int], kind: IdKind = IdKind.TRADE, first_id: int = 1, count: int = 1
) -> Trades:
    """Return trades of (time, price in cents, signed quantity in tenths)."""
    times, prices, quantities = zip(*rows, strict=True)
    ids = range(first_id, first_id + len(rows))
    return Trades(
        "binance", "BTCUSDT", kind, 2, 1, list(ids), list(times), list(prices), list(quantities),
        [count] * len(rows),
    )  # fmt: skip


def bar(*rows: tuple[int, int, int]) -> Bar:
    made = Bar(START, START + MINUTE)
    made.fold(trades(*rows))
    return made


OURS = bar((START, 10_000, 15), (START + 1, 10_150, -20), (START + 2, 9_900, 5))
CANDLE = Candle(
    "binance", "BTCUSDT", "1m", START, START + MINUTE,
    open=Decimal("100.00"), high=Decimal("101.5"), low=Decimal("99.0"), close=Decimal("99"),
    volume=Decimal("4.000"), turnover=Decimal("402.5"), buy_volume=Decimal("2.0"), count=3, closed=True,
)  # fmt: skip


def compared(candle: Candle, ours: Bar | None = OURS, names: tuple[str, ...] = EVERYTHING) -> Check:
    check = Check(names)
    check.tell(START, candle_figures(candle))
    check.compare(START, ours)
    return check


def test_a_candle_that_says_the_same_in_other_digits_agrees() -> None:
    check = compared(CANDLE)
    assert (check.checked, check.differing) == (1, 0)
    assert check.agrees(START)


@pytest.mark.parametrize("name", EVERYTHING)
def test_whatever_differs_is_named_with_both_numbers(name: str) -> None:
    other: dict[str, object] = {name: 4 if name == "count" else Decimal("77")}
    check = compared(attrs.evolve(CANDLE, **other))
    assert (check.checked, check.differing) == (1, 1)
    ((found, (ours, theirs)),) = check.differences[START].figures.items()
    assert (found, ours, theirs) == (name, figures(OURS)[name], "4" if name == "count" else "77")
    assert not check.agrees(START)


def test_what_an_exchange_does_not_tell_is_not_compared() -> None:
    assert compared(attrs.evolve(CANDLE, buy_volume=None, count=None)).differing == 0


def test_where_trades_of_one_time_have_no_order_the_volume_alone_counts() -> None:
    other = attrs.evolve(CANDLE, open=Decimal(1), close=Decimal(2), count=99)
    assert compared(other, names=VOLUME).differing == 0
    assert compared(attrs.evolve(other, volume=Decimal("3.9")), names=VOLUME).differing == 1


def test_a_minute_without_trades() -> None:
    calm = attrs.evolve(CANDLE, volume=Decimal(0), buy_volume=Decimal(0), count=0)
    assert compared(calm, None).differing == 0
    assert compared(CANDLE, None).differences[START].figures["volume"] == ("0", "4")
    assert compared(calm).differing == 1


def test_a_bar_that_was_closed_again_is_compared_again_and_counted_once() -> None:
    check = compared(CANDLE, bar((START, 10_000, 15)))
    assert (check.checked, check.differing) == (1, 1)
    check.again(START)
    assert check.due(START + MINUTE) == [START]
    assert check.compare(START, OURS) is None
    assert (check.checked, check.differing, check.differences) == (1, 0, {})
    check.again(START + MINUTE)  # of which nothing is told
    assert check.due(START + 9 * MINUTE) == []


def test_a_difference_is_told_once() -> None:
    check = compared(CANDLE, None)
    check.again(START)
    assert check.compare(START, bar((START, 10_000, 15))) is None
    assert check.differing == 1


def test_a_minute_is_due_when_it_has_ended() -> None:
    check = Check(EVERYTHING)
    check.tell(START, candle_figures(CANDLE))
    assert check.due(START + MINUTE - 1) == []
    assert check.due(START + MINUTE) == [START]


def test_what_was_passed_over_is_looked_at_again_when_a_gap_ends() -> None:
    check = Check(EVERYTHING)
    check.tell(START, candle_figures(CANDLE))
    check.pass_over(START)
    assert (check.due(START + MINUTE), check.checked) == ([], 0)
    check.again_where_unsettled()
    assert check.due(START + MINUTE) == [START]
    check.compare(START, None)
    # A gap that shows later takes the difference back.
    check.again_where_unsettled()
    check.pass_over(START)
    assert (check.checked, check.differing, check.differences) == (0, 0, {})


def test_what_is_remembered_is_bounded_and_stays_counted() -> None:
    check = Check(VOLUME)
    for minute in range(KEPT + 50):
        check.tell(minute * MINUTE, {"volume": "1"})
        check.compare(minute * MINUTE, None)
    assert (check.checked, check.differing) == (KEPT + 50, KEPT + 50)
    assert len(check.differences) == KEPT
    assert len(check.answer()) == 10


def test_a_difference_as_it_is_shown() -> None:
    shown = Difference(START, {"volume": ("3.9", "4"), "open": (None, "100")}).answer()
    assert shown == {
        "minute": "2024-08-09T00:00:00Z",
        "volume": {"ours": "3.9", "theirs": "4"},
        "open": {"ours": None, "theirs": "100"},
    }


# --- a second source ---


def second_of(*minutes: int, gaps_at: tuple[int, ...] = ()) -> SecondSource:
    """Return a second source with the trades of ``OURS`` as one aggregate a price, in these minutes."""
    second = SecondSource()
    for minute in minutes:
        at = START + minute * MINUTE
        rows = (at + SECOND, 10_000, 15), (at + 2 * SECOND, 10_150, -20)
        second.count(trades(*rows, kind=IdKind.AGG_TRADE, count=2))
        if minute in gaps_at:
            second.missed(at + 2 * SECOND)
    return second


def test_a_second_source_is_put_up_for_comparison_minute_by_minute() -> None:
    second = second_of(0, 1, 2)
    second.advance(START + 3 * MINUTE)
    # Of the first minute it did not have all, and the last one waits for late trades.
    assert second.check.due(START + 9 * MINUTE) == [START + MINUTE]
    at = START + MINUTE
    ours = Bar(at, at + MINUTE)
    ours.fold(trades((at, 10_000, 15), (at, 10_100, -20), (at, 1, -1)))
    second.check.compare(at, ours)
    assert second.check.differences[at].figures == {"volume": ("3.6", "3.5"), "count": ("3", "4")}
    assert set(TOTALS) >= set(second.check.differences[at].figures)


def test_minutes_in_which_it_has_gaps_itself_say_nothing() -> None:
    second = second_of(0, 1, 2, 5, 6, 7, gaps_at=(5,))
    second.advance(START + 9 * MINUTE)
    # Ids jumped somewhere between the trades of the third minute and those of the sixth.
    assert sorted(second.check.due(START + 9 * MINUTE)) == [START + at * MINUTE for at in (1, 6, 7)]
