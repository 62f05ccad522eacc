"""The rules of each exchange, and what becomes of a book when streams overlap, repeat or lose updates."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from made_up_books import changed, held, snapshot, update

from wadm.book_sync import HELD, BookSync, Outcome
from wadm.exchanges.base import BookRule
from wadm.market import SECOND, BookChange, BookUpdate
from wadm.orderbook import Level, OrderBook

SPOT, FUTURES, BYBIT = BookRule.UPDATE_IDS, BookRule.PREVIOUS_IDS, BookRule.STREAM_SNAPSHOT
APPLIED, OLD, WAITS, GAP = Outcome.APPLIED, Outcome.OLD, Outcome.HELD, Outcome.GAP


@pytest.mark.parametrize(
    ("rule", "first", "last", "previous", "outcome"),
    [
        # The book stands at 100. Spot: U ≤ lastUpdateId + 1 ≤ u.
        (SPOT, 101, 105, None, APPLIED),
        (SPOT, 99, 101, None, APPLIED),
        (SPOT, 95, 100, None, OLD),
        (SPOT, 90, 94, None, OLD),
        (SPOT, 102, 105, None, GAP),
        # Futures: U ≤ lastUpdateId ≤ u; ids in between belong to other symbols.
        (FUTURES, 98, 105, 97, APPLIED),
        (FUTURES, 103, 105, 100, APPLIED),
        (FUTURES, 98, 100, 97, OLD),
        (FUTURES, 90, 96, 88, OLD),
        (FUTURES, 101, 105, 101, GAP),
        (FUTURES, 110, 115, 108, GAP),
        # Bybit: u counts up by one.
        (BYBIT, 101, 101, None, APPLIED),
        (BYBIT, 100, 100, None, OLD),
        (BYBIT, 102, 102, None, GAP),
    ],
)
def test_what_follows_a_snapshot(
    rule: BookRule, first: int, last: int, previous: int | None, outcome: Outcome
) -> None:
    sync = BookSync(rule)
    assert sync.snapshot(snapshot(100, [(10, 1)], [(11, 1)]), 5)
    assert (sync.synced, sync.synced_at, sync.last) == (True, 5, 100)
    assert sync.take(update(first, last, [(10, 2)], previous=previous), 6) is outcome
    assert sync.synced is (outcome is not GAP)
    assert sync.book.bids.best == (10, 2 if outcome is APPLIED else 1)
    assert (sync.applied, sync.old, sync.gaps) == tuple(outcome is one for one in (APPLIED, OLD, GAP))


@pytest.mark.parametrize(
    ("rule", "first", "last", "previous", "outcome"),
    [
        (SPOT, 106, 110, None, APPLIED),
        (SPOT, 107, 110, None, GAP),
        (SPOT, 103, 108, None, APPLIED),  # from a slower stream of the same book
        (FUTURES, 109, 112, 105, APPLIED),
        (FUTURES, 109, 112, 107, GAP),
        (FUTURES, 103, 112, 101, APPLIED),
        (FUTURES, 106, 112, None, APPLIED),  # nothing named: ids without a hole will do
        (BYBIT, 106, 106, None, APPLIED),
        (BYBIT, 107, 107, None, GAP),
    ],
)
def test_what_follows_an_update(
    rule: BookRule, first: int, last: int, previous: int | None, outcome: Outcome
) -> None:
    sync = BookSync(rule)
    sync.snapshot(snapshot(100), 0)
    sync.take(update(101, 105, previous=100), 0)
    assert sync.take(update(first, last, previous=previous), 0) is outcome
    assert sync.last == (last if outcome is APPLIED else 105)


def test_updates_are_held_until_a_snapshot_comes_that_they_belong_on() -> None:
    sync = BookSync(SPOT)
    assert not sync.wants_snapshot  # it would be older than the first update
    for number in range(10, 14):
        assert sync.take(update(number, number, [(number, 1)]), 0) is WAITS
    assert sync.wants_snapshot
    assert not sync.snapshot(snapshot(8), 0)
    assert sync.reason == "the snapshot (8) is older than the first update (10)"
    assert (sync.synced, sync.wants_snapshot, sync.synced_at) == (False, True, None)
    assert sync.snapshot(snapshot(11, [(11, 7)]), 1)
    assert held(sync.book)[0] == {11: 7, 12: 1, 13: 1}
    assert (sync.last, sync.applied, sync.gaps, sync.resyncs, sync.reason) == (13, 2, 0, 0, "")


def test_a_snapshot_right_before_the_first_update_will_do() -> None:
    sync = BookSync(SPOT)
    sync.take(update(10, 12), 0)
    assert sync.snapshot(snapshot(9), 0)
    assert sync.last == 12


def test_a_gap_among_the_updates_held_wants_another_snapshot() -> None:
    sync = BookSync(SPOT)
    for first in (10, 11, 13):
        sync.take(update(first, first), 0)
    assert not sync.snapshot(snapshot(10), 0)
    assert (sync.gaps, sync.last, sync.wants_snapshot) == (1, 11, True)
    assert sync.snapshot(snapshot(12), 0)
    assert (sync.last, sync.resyncs) == (13, 1)


def test_a_gap_leaves_the_book_as_it_was_until_it_is_in_step_again() -> None:
    sync = BookSync(FUTURES)
    sync.snapshot(snapshot(100, [(10, 1)]), 0)
    assert sync.take(update(120, 125, [(10, 2)], previous=118), 0) is GAP
    assert (sync.synced, sync.whole, sync.reason) == (False, True, "updates 101 to 118 are missing")
    assert sync.take(update(126, 130, [(9, 2)], previous=125), 0) is WAITS
    assert held(sync.book)[0] == {10: 1}
    assert sync.snapshot(snapshot(121, [(10, 3)]), 9)
    assert held(sync.book)[0] == {10: 2, 9: 2}
    assert (sync.resyncs, sync.gaps, sync.synced_at) == (1, 1, 9)


def test_no_more_is_held_than_fits() -> None:
    sync = BookSync(SPOT)
    for number in range(1, HELD + 11):
        sync.take(update(number, number), 0)
    assert not sync.snapshot(snapshot(5), 0)  # update 6 is not there any more
    assert sync.snapshot(snapshot(10), 0)
    assert sync.last == HELD + 10


def test_a_partial_update_never_touches_the_book() -> None:
    sync = BookSync(SPOT)
    partial = update(101, 101, [(10, 9)], change=BookChange.PARTIAL)
    assert sync.take(partial, 0) is Outcome.IGNORED
    assert not sync.wants_snapshot
    sync.snapshot(snapshot(100, [(10, 1)]), 0)
    assert sync.take(partial, 0) is Outcome.IGNORED
    assert (held(sync.book)[0], sync.last) == ({10: 1}, 100)


def test_a_stream_that_begins_with_a_snapshot_needs_no_other() -> None:
    sync = BookSync(BYBIT)
    assert sync.take(snapshot(50, [(10, 1)], at=SECOND), 3) is APPLIED
    assert (sync.synced, sync.synced_at) == (True, 3)
    assert sync.take(update(52, 52, at=SECOND), 0) is GAP
    assert sync.wants_snapshot
    assert sync.take(snapshot(60, [(9, 1)], at=2 * SECOND), 4) is APPLIED
    assert (held(sync.book)[0], sync.resyncs, sync.wants_snapshot) == ({9: 1}, 1, False)


def test_a_snapshot_with_id_1_says_that_the_service_was_restarted() -> None:
    sync = BookSync(BYBIT)
    sync.take(snapshot(50, [(10, 1)], at=SECOND), 0)
    assert sync.take(snapshot(1, [(7, 1)], at=SECOND), 0) is APPLIED
    assert sync.take(update(2, 2, [(6, 1)], at=SECOND), 0) is APPLIED
    assert held(sync.book)[0] == {7: 1, 6: 1}


def test_a_snapshot_from_a_connection_that_overlaps_does_not_turn_the_book_back() -> None:
    sync = BookSync(BYBIT)
    sync.take(snapshot(50, at=5 * SECOND), 0)
    sync.take(update(51, 51, at=6 * SECOND), 0)
    assert sync.take(snapshot(50, at=5 * SECOND), 0) is OLD
    assert sync.take(update(52, 52, at=7 * SECOND), 0) is APPLIED
    # A lower id that is later: the service was restarted while nobody listened.
    assert sync.take(snapshot(20, at=9 * SECOND), 0) is APPLIED
    assert sync.last == 20


@pytest.mark.parametrize(("late", "outcome"), [(10 * SECOND, OLD), (10 * SECOND + 1, GAP)])
def test_ids_that_went_back_are_no_duplicates(late: int, outcome: Outcome) -> None:
    sync = BookSync(SPOT)
    sync.snapshot(snapshot(100), 0)
    sync.take(update(101, 105, at=SECOND), 0)
    assert sync.take(update(1, 5, at=SECOND + late), 0) is outcome
    assert sync.synced is (outcome is OLD)


@pytest.mark.parametrize(
    ("size", "depth", "pruned"),
    [(1, 1_000, 0), (50, 50, 1), (150, 1_000, 0), (200, 200, 1), (1_000, 1_000, 1)],
)
def test_a_stream_of_so_many_levels_keeps_no_more(size: int, depth: int, pruned: int) -> None:
    sync = BookSync(BYBIT)
    sync.take(snapshot(1, [(10_000 - level, 1) for level in range(size)]), 0)
    sync.take(update(2, 2, [(20_000, 1)]), 0)
    assert (sync.book.depth, sync.book.pruned, sync.book.bids.horizon) == (depth, pruned, None)


def test_a_rest_snapshot_with_as_many_levels_as_can_be_asked_for_is_cut() -> None:
    sync = BookSync(FUTURES)
    sync.snapshot(snapshot(1, [(9_000 + level, 1) for level in range(1_000)], [(10_000, 1)]), 0)
    assert (sync.book.bids.horizon, sync.book.asks.horizon, sync.book.depth) == (9_000, None, 5_000)


class Broken(Exception):
    pass


def test_an_update_that_was_applied_in_part_is_not_shown_as_a_book(monkeypatch: pytest.MonkeyPatch) -> None:
    sync = BookSync(SPOT)
    sync.snapshot(snapshot(100, [(10, 1)]), 0)

    def fail(_book: OrderBook, _diff: BookUpdate) -> None:
        raise Broken

    with monkeypatch.context() as patched:
        patched.setattr(OrderBook, "apply", fail)
        with pytest.raises(Broken):
            sync.take(update(101, 101), 0)
    assert (sync.synced, sync.whole, sync.reason) == (False, False, "an update was applied in part")
    assert sync.take(update(101, 101), 0) is WAITS
    assert sync.snapshot(snapshot(100, [(10, 1)]), 0)
    assert (sync.synced, sync.whole, sync.last) == (True, True, 101)


def test_a_book_takes_over_the_levels_of_another_at_the_same_update_only() -> None:
    sync, fresh = BookSync(SPOT), BookSync(SPOT)
    sync.snapshot(snapshot(100, [(10, 1)]), 0)
    fresh.snapshot(snapshot(99, [(11, 1)]), 0)
    with pytest.raises(ValueError, match="a book at 99 cannot replace one at 100"):
        sync.adopt(fresh)
    fresh.take(update(100, 100), 0)
    sync.adopt(fresh)
    assert held(sync.book)[0] == {11: 1}


# --- any order in which two connections can bring the same updates ---

sides = st.lists(st.tuples(st.integers(1, 12), st.integers(0, 3)), max_size=4)


@st.composite
def overlapping(
    draw: st.DrawFn,
) -> tuple[list[tuple[list[Level], list[Level]]], list[int], list[tuple[int, int]]]:
    """Return single changes, the order of two connections, and both connections' cuts into updates."""
    changes = draw(st.lists(st.tuples(sides, sides), min_size=1, max_size=20))
    streams = []
    for _ in range(2):
        cuts = draw(st.sets(st.integers(1, len(changes) - 1))) if len(changes) > 1 else set[int]()
        edges = [0, *sorted(cuts), len(changes)]
        streams.append(list(pairwise(edges)))
    order = draw(st.permutations([0] * len(streams[0]) + [1] * len(streams[1])))
    iterators = [iter(stream) for stream in streams]
    return changes, list(order), [next(iterators[which]) for which in order]


@pytest.mark.parametrize("rule", [SPOT, FUTURES])
@given(case=overlapping(), at=st.integers(0, 30), when=st.integers(0, 30))
def test_two_connections_of_one_book_make_what_a_dictionary_makes_of_it(
    rule: BookRule,
    case: tuple[list[tuple[list[Level], list[Level]]], list[int], list[tuple[int, int]]],
    at: int,
    when: int,
) -> None:
    changes, _, spans = case
    states: list[tuple[dict[int, int], dict[int, int]]] = [({}, {})]
    for bids, asks in changes:
        states.append((changed(states[-1][0], bids), changed(states[-1][1], asks)))
    sync = BookSync(rule)

    def give(number: int) -> None:
        bids, asks = states[number]
        sync.snapshot(snapshot(1_000 + number, list(bids.items()), list(asks.items())), 0)

    for index, (start, end) in enumerate(spans):
        if index == when:
            give(min(at, len(changes)))
        # As the exchanges do, an update names each price it changed once, with what it came to.
        touched = changes[start:end]
        bids = {price: states[end][0].get(price, 0) for one, _ in touched for price, _ in one}
        asks = {price: states[end][1].get(price, 0) for _, one in touched for price, _ in one}
        previous = 1_000 + start if rule is FUTURES else None
        sync.take(update(1_001 + start, 1_000 + end, [*bids.items()], [*asks.items()], previous=previous), 0)
        if sync.synced:
            assert held(sync.book) == states[sync.last - 1_000]
    give(len(changes))
    assert sync.synced
    assert held(sync.book) == states[-1]
