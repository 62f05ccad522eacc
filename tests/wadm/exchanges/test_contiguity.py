from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wadm.exchanges import contiguity
from wadm.exchanges.contiguity import (
    CountedIds,
    Missing,
    Positions,
    RecentIds,
    Verdict,
    common,
    joined,
    outside,
    runs_of,
    without,
)
from wadm.market import IdKind

FRESH, LATE, DUPLICATE, INVALID = Verdict.FRESH, Verdict.LATE, Verdict.DUPLICATE, Verdict.INVALID


@pytest.mark.parametrize(
    ("ids", "found", "missing"),
    [
        ((5, 6, 7), (FRESH, FRESH, FRESH), ()),
        ((5, 5), (FRESH, DUPLICATE), ()),
        ((5, 9), (FRESH, Missing(6, 8)), ((6, 8),)),
        ((5, 9, 7), (FRESH, Missing(6, 8), LATE), ((6, 6), (8, 8))),
        ((5, 9, 6, 8), (FRESH, Missing(6, 8), LATE, LATE), ((7, 7),)),
        ((5, 9, 7, 7), (FRESH, Missing(6, 8), LATE, DUPLICATE), ((6, 6), (8, 8))),
        ((5, 7, 6, 6), (FRESH, Missing(6, 6), LATE, DUPLICATE), ()),
        ((5, 7, 9, 8), (FRESH, Missing(6, 6), Missing(8, 8), LATE), ((6, 6),)),
        ((5, 4, 4), (FRESH, FRESH, DUPLICATE), ()),
        ((5, 2, 3), (FRESH, Missing(3, 4), LATE), ((4, 4),)),
        ((-1, 2**63, 2**62 + 1, 0), (INVALID, INVALID, INVALID, FRESH), ()),
        (("5",), (INVALID,), ()),
    ],
)
def test_counted_ids(ids, found, missing):
    position = CountedIds()
    assert tuple(position.check(trade_id) for trade_id in ids) == found
    assert position.missing == missing


@given(st.lists(st.integers(0, 40), max_size=60))
def test_counted_ids_know_each_id_once_and_miss_exactly_the_holes(ids):
    position, seen = CountedIds(), set()
    for trade_id in ids:
        found = position.check(trade_id)
        assert (found is DUPLICATE) == (trade_id in seen)
        seen.add(trade_id)
    missing = {trade_id for first, last in position.missing for trade_id in range(first, last + 1)}
    assert missing == (set(range(min(seen), max(seen) + 1)) - seen if seen else set())
    assert list(position.missing) == sorted(position.missing)


def test_a_restored_position_sees_the_jump_and_knows_what_was_kept():
    positions = Positions(CountedIds)
    positions.restore("BTCUSDT", IdKind.TRADE, 100)
    position = positions.of("BTCUSDT", IdKind.TRADE)
    assert [position.check(trade_id) for trade_id in (100, 1, 104)] == [
        DUPLICATE,
        DUPLICATE,
        Missing(101, 103),
    ]
    assert positions.missing() == {("BTCUSDT", IdKind.TRADE): (Missing(101, 103),)}
    assert positions.of("BTCUSDT", IdKind.AGG_TRADE).check(7) is FRESH


def test_restoring_never_steps_back():
    position = CountedIds()
    position.check(50)
    position.restore(10)
    assert position.check(51) is FRESH
    with pytest.raises(ValueError, match="'x'"):
        position.restore("x")


def test_the_missing_ranges_are_bounded(monkeypatch):
    monkeypatch.setattr(contiguity, "MAX_MISSING", 3)
    position = CountedIds()
    for trade_id in range(0, 20, 2):
        position.check(trade_id)
    assert position.missing == ((13, 13), (15, 15), (17, 17))


def test_recent_ids_forget_only_what_is_old(monkeypatch):
    monkeypatch.setattr(contiguity, "RECENT_IDS", 4)
    position = RecentIds()
    position.restore("a")
    assert [position.check(trade_id) for trade_id in "abcdefgh"] == [DUPLICATE] + [FRESH] * 7
    assert position.check("e") is DUPLICATE
    assert position.check("a") is FRESH
    assert position.missing == ()
    assert [position.check(trade_id) for trade_id in ("", "x" * 65, 7)] == [INVALID] * 3


# --- ranges ---


def ids_of(ranges):
    return {number for first, last in ranges for number in range(first, last + 1)}


@pytest.mark.parametrize(
    ("ids", "runs"),
    [
        ((), []),
        ((5,), [(5, 5)]),
        ((7, 5, 6), [(5, 7)]),
        ((5, 5, 6), [(5, 6)]),
        ((5, 7, 8, 10), [(5, 5), (7, 8), (10, 10)]),
        (("a", "b"), []),
        (("a", 5), [(5, 5)]),
    ],
)
def test_runs_of_ids(ids, runs):
    assert runs_of(ids) == runs


@given(st.lists(st.integers(0, 50)))
def test_runs_hold_each_id_and_never_touch(ids):
    runs = runs_of(ids)
    assert ids_of(runs) == set(ids)
    assert all(later.first > earlier.last + 1 for earlier, later in pairwise(runs))


@given(st.integers(0, 20), st.integers(0, 20), st.integers(0, 20), st.integers(0, 20))
def test_what_is_left_of_a_range_is_what_was_not_taken(first, length, start, taken):
    left = without(Missing(first, first + length), Missing(start, start + taken))
    assert ids_of(left) == set(range(first, first + length + 1)) - set(range(start, start + taken + 1))
    assert all(one.first <= one.last for one in left)


RANGES = st.lists(
    st.builds(lambda first, length: Missing(first, first + length), st.integers(0, 40), st.integers(0, 6))
)


@given(RANGES, RANGES)
def test_ranges_are_sets_of_ids(ids, others):
    one, other = joined(ids), joined(others)
    assert ids_of(one) == ids_of(ids)
    assert all(later.first > earlier.last + 1 for earlier, later in pairwise(one))
    both, rest = list(common(one, other)), list(outside(one, other))
    assert ids_of(both) == ids_of(ids) & ids_of(others)
    assert ids_of(rest) == ids_of(ids) - ids_of(others)
    assert both == sorted(both)
    assert rest == sorted(rest)
    assert all(part.first <= part.last for part in (*both, *rest))


# --- closing and opening again ---


@pytest.mark.parametrize(
    ("closed", "were", "left"),
    [
        ((6, 9), [(6, 9)], [(12, 14)]),
        ((1, 99), [(6, 9), (12, 14)], []),
        ((7, 8), [(7, 8)], [(6, 6), (9, 9), (12, 14)]),
        ((9, 12), [(9, 9), (12, 12)], [(6, 8), (13, 14)]),
        ((10, 11), [], [(6, 9), (12, 14)]),
        ((20, 30), [], [(6, 9), (12, 14)]),
        ((8, 7), [], [(6, 9), (12, 14)]),
    ],
)
def test_missing_ids_that_will_never_come_are_closed(closed, were, left):
    position = CountedIds()
    for trade_id in (5, 10, 11, 15):
        position.check(trade_id)
    assert position.close(Missing(*closed)) == were
    assert list(position.missing) == left
    assert all(position.check(trade_id) is DUPLICATE for first, last in were for trade_id in (first, last))
    assert position.expected == 16


@given(st.lists(st.integers(0, 30), min_size=1, max_size=20), st.data())
def test_closing_and_opening_again_are_the_set_operations(ids, data):
    position = CountedIds()
    for trade_id in ids:
        position.check(trade_id)
    known = set(range(min(ids), max(ids) + 1))
    missing = known - set(ids)
    for _ in range(data.draw(st.integers(0, 4))):
        first = data.draw(st.integers(min(ids), max(ids)))
        last = data.draw(st.integers(first, max(ids)))
        span = set(range(first, last + 1))
        if data.draw(st.booleans()):
            assert ids_of(position.close(Missing(first, last))) == missing & span
            missing -= span
        else:
            position.reopen(Missing(first, last))
            missing |= span
        assert ids_of(position.missing) == missing
        assert list(position.missing) == sorted(position.missing)
    for trade_id in known:
        assert position.check(trade_id) is (LATE if trade_id in missing else DUPLICATE)
    assert position.missing == ()


def test_unordered_ids_can_be_neither_missing_nor_closed():
    position = RecentIds()
    position.check("a")
    position.reopen(Missing(1, 5))
    assert position.close(Missing(1, 5)) == []
    assert position.missing == ()
