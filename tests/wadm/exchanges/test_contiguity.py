import pytest
from hypothesis import given
from hypothesis import strategies as st

from wadm.exchanges import contiguity
from wadm.exchanges.contiguity import CountedIds, Missing, Positions, RecentIds, Verdict
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
