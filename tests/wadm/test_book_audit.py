from made_up_books import snapshot, update

from wadm.book_audit import LEVELS, Audit, Difference, compare
from wadm.book_sync import BookSync
from wadm.exchanges.base import BookRule
from wadm.market import BookUpdate
from wadm.orderbook import OrderBook


def audited(bids: list[tuple[int, int]], last: int = 100) -> BookSync:
    sync = BookSync(BookRule.UPDATE_IDS)
    sync.snapshot(snapshot(last, bids, [(20, 1)]), 0)
    return sync


def both(sync: BookSync, audit: Audit, diff: BookUpdate) -> None:
    sync.take(diff, 0)
    audit.take(diff, 0)


def test_a_snapshot_that_the_book_has_passed_is_brought_to_where_the_book_is() -> None:
    sync, audit = audited([(10, 1)]), Audit(BookRule.UPDATE_IDS)
    both(sync, audit, update(101, 104, [(10, 2)]))
    assert audit.verdict(sync) is None
    assert audit.snapshot(snapshot(102, [(10, 2), (9, 5)], [(20, 1)]), 0)
    verdict = audit.verdict(sync)
    assert verdict is not None
    assert (verdict.update_id, verdict.compared) == (104, 3)
    assert verdict.differences == [Difference("bids", "9", "0", "5")]


def test_a_snapshot_that_the_book_has_not_come_to_waits_for_it() -> None:
    sync, audit = audited([(10, 1)]), Audit(BookRule.UPDATE_IDS)
    assert audit.snapshot(snapshot(103, [(10, 2)], [(20, 1)]), 0)
    assert audit.verdict(sync) is None
    both(sync, audit, update(101, 102, [(10, 3)]))
    assert audit.verdict(sync) is None
    both(sync, audit, update(103, 105, [(10, 2)]))
    verdict = audit.verdict(sync)
    assert verdict is not None
    assert (verdict.update_id, verdict.differences) == (105, [])


def test_a_book_out_of_step_is_not_judged() -> None:
    sync, audit = audited([(10, 1)]), Audit(BookRule.UPDATE_IDS)
    audit.snapshot(snapshot(100, [(10, 1)]), 0)
    sync.lose("a reason")
    assert audit.verdict(sync) is None


def test_only_what_both_know_is_compared() -> None:
    # Ours ends at 8, behind which it has only heard of 5; theirs goes on to 1.
    ours, theirs = OrderBook(), OrderBook()
    ours.replace(snapshot(1, [(10, 1), (8, 1)]), cut_at=2)
    ours.apply(update(2, 2, [(5, 9)]))
    theirs.replace(snapshot(2, [(price, 1) for price in range(1, 11)]))
    verdict = compare(ours, theirs, 2)
    assert (verdict.compared, verdict.differences) == (3, [Difference("bids", "9", "0", "1")])


def test_a_whole_side_is_compared_to_its_end() -> None:
    ours, theirs = OrderBook(), OrderBook()
    ours.replace(snapshot(1, [(10, 1), (3, 1)], [(11, 1)]))
    theirs.replace(update(1, 1, [(100, 10)], [(110, 10), (115, 25)], decimals=(1, 1)))
    assert compare(ours, theirs, 1).differences == [
        Difference("bids", "3", "1", "0"),
        Difference("asks", "11.5", "0", "2.5"),
    ]


def test_a_hundred_levels_of_each_side_are_compared() -> None:
    ours = OrderBook()
    levels = [(1_000 - level, 1) for level in range(LEVELS + 50)]
    ours.replace(snapshot(1, levels))
    theirs = OrderBook()
    theirs.replace(snapshot(1, [*levels[: LEVELS - 1], (1, 1)]))
    assert compare(ours, theirs, 1).compared == LEVELS
