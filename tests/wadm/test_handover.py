"""One order book over two connections: each update passes once, in order."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wadm.handover import Handover
from wadm.market import BestQuote, BookChange, BookRun, BookUpdate

OLD, NEW = 1, 2


def diff(first: int, last: int | None = None, previous: int | None = None) -> BookUpdate:
    return BookUpdate(BookChange.DIFF, first, first if last is None else last, previous, 0, 0, 0, (), ())


def snapshot(last: int) -> BookUpdate:
    return BookUpdate(BookChange.SNAPSHOT, last, last, None, 0, 0, 0, (), ())


def quote(update: int) -> BestQuote:
    return BestQuote(update, "1", "1", "2", "1")


def passed(handover: Handover, link: int, *steps: BookUpdate | BestQuote) -> list[int]:
    run = handover.passed(BookRun("binance", "BTCUSDT", steps), link, newest=link == NEW)
    return (
        []
        if run is None
        else [one.update_id if isinstance(one, BestQuote) else one.last for one in run.steps]
    )


def test_the_newer_one_leads_from_where_it_continues() -> None:
    handover = Handover()
    assert passed(handover, NEW, diff(8)) == []  # nobody knows where the older one stands
    assert passed(handover, OLD, diff(5, 6), diff(7)) == [6, 7]
    assert passed(handover, NEW, diff(9)) == []  # the older one is behind: 8 is still to come
    assert passed(handover, OLD, diff(8), diff(9)) == [8, 9]
    assert passed(handover, NEW, diff(10)) == [10]
    assert passed(handover, OLD, diff(10), diff(11)) == []
    assert passed(handover, NEW, diff(11)) == [11]


def test_a_snapshot_leads_at_once() -> None:
    handover = Handover()
    assert passed(handover, OLD, diff(5)) == [5]
    assert passed(handover, NEW, snapshot(3), diff(4)) == [3, 4]
    assert passed(handover, OLD, diff(6)) == []


def test_where_updates_name_the_one_before_that_must_have_passed() -> None:
    handover = Handover()
    assert passed(handover, OLD, diff(5, 9, previous=4)) == [9]
    assert passed(handover, NEW, diff(8, 12, previous=7)) == []
    assert passed(handover, NEW, diff(11, 14, previous=9)) == [14]


def test_quotes_pass_from_the_newer_one_as_soon_as_it_has_some_and_books_stay() -> None:
    handover = Handover()
    assert passed(handover, OLD, quote(5), diff(5)) == [5, 5]
    assert passed(handover, NEW, quote(7), diff(8)) == [7]
    assert passed(handover, OLD, quote(6), diff(6)) == [6]


def test_when_one_has_ended_the_other_leads() -> None:
    handover = Handover()
    passed(handover, OLD, diff(5))
    passed(handover, NEW, diff(6))
    handover.forget([NEW])
    assert passed(handover, OLD, diff(7)) == [7]


def test_a_run_of_which_all_passes_is_the_run_itself() -> None:
    run = BookRun("binance", "BTCUSDT", [diff(1), diff(2)])
    assert Handover().passed(run, OLD, newest=False) is run


@pytest.mark.parametrize("chained", [False, True])
@given(
    begins=st.integers(1, 20),
    ends=st.integers(0, 9),
    turns=st.lists(st.tuples(st.booleans(), st.integers(1, 3))),
)
def test_however_two_connections_interleave_each_update_passes_once_and_in_order(
    chained: bool, begins: int, ends: int, turns: list[tuple[bool, int]]
) -> None:
    updates = [diff(at, previous=at - 1 if chained else None) for at in range(1, 31)]
    old, new = updates[: begins + ends], updates[begins:]
    handover, seen = Handover(), list[int]()
    for newer, count in turns:
        if newer and new:
            seen += passed(handover, NEW, *new[:count])
            new = new[count:]
        elif old:
            seen += passed(handover, OLD, *old[:count])
            old = old[count:]
    if old:
        seen += passed(handover, OLD, *old)
    # Alone, all of it passes; a book leaves out what it has already.
    seen += [one.last for one in new if not seen or one.last > seen[-1]]
    assert seen == sorted(set(seen))
    assert seen[:begins] == list(range(1, begins + 1))
