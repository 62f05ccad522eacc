"""Books rebuilt from recorded traffic against the best bids and asks that were recorded beside it."""

from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

import pytest
from recorded_books import CAPTURES, rule_of, steps

from wadm.book_sync import BookSync, Outcome
from wadm.market import BestQuote, BookChange, BookUpdate
from wadm.quote_check import QuoteCheck

#: Diffs, those before the snapshot, quotes compared, and quotes that differ: none does here.
RECORDED = {
    "usdm_btcusdt_20240718.gz": (3_326, 5, 1_712, 0),
    "usdm_ethusdt_20240718.gz": (3_273, 6, 2_076, 0),
}

Step = BookUpdate | BestQuote


def rebuilt(path: Path, found: Iterable[Step]) -> tuple[BookSync, QuoteCheck, Counter[Outcome]]:
    sync, check, outcomes = BookSync(rule_of(path)), QuoteCheck(), Counter[Outcome]()
    for step in found:
        if isinstance(step, BestQuote):
            check.quote(step)
        elif step.change is BookChange.SNAPSHOT:
            assert sync.snapshot(step, 0)
        else:
            outcome = sync.take(step, 0)
            outcomes[outcome] += 1
            assert not sync.book.crossed
            if outcome is Outcome.APPLIED:
                check.applied(step, sync.book)
    return sync, check, outcomes


@pytest.mark.parametrize("name", RECORDED)
def test_a_rebuilt_book_has_the_recorded_best_bid_and_ask_at_every_update(name: str) -> None:
    diffs, before, checked, mismatches = RECORDED[name]
    sync, check, outcomes = rebuilt(CAPTURES / name, steps(CAPTURES / name))
    assert outcomes.total() == diffs
    assert (sync.applied, outcomes[Outcome.OLD]) == (diffs - before, 0)
    assert (sync.gaps, sync.resyncs, sync.synced) == (0, 0, True)
    assert (check.checked, check.mismatches) == (checked, mismatches), check.kept


@pytest.mark.parametrize("name", RECORDED)
@pytest.mark.parametrize("cut", [(1_000, 1), (2_000, 40)])
def test_updates_that_were_cut_out_show_where_they_were_and_a_snapshot_repairs_the_book(
    name: str, cut: tuple[int, int]
) -> None:
    found: Sequence[Step] = list(steps(CAPTURES / name))
    whole, _, _ = rebuilt(CAPTURES / name, found)
    diffs = [one for one in found if isinstance(one, BookUpdate) and one.change is BookChange.DIFF]
    lost = {id(one) for one in diffs[cut[0] : sum(cut)]}
    following = diffs[sum(cut)]

    sync, check = BookSync(rule_of(Path(name))), QuoteCheck()
    undisturbed = BookSync(rule_of(Path(name)))
    for step in found:
        if isinstance(step, BestQuote):
            check.quote(step)
            continue
        if step.change is BookChange.SNAPSHOT:
            sync.snapshot(step, 0)
            undisturbed.snapshot(step, 0)
            continue
        undisturbed.take(step, 0)
        if id(step) in lost:
            continue
        outcome = sync.take(step, 0)
        assert (outcome is Outcome.GAP) is (step is following)
        if outcome is Outcome.GAP:
            check.forget()
            assert sync.snapshot(_snapshot_of(undisturbed), 0)
        elif outcome is Outcome.APPLIED:
            check.applied(step, sync.book)
    assert (sync.gaps, sync.resyncs, check.mismatches) == (1, 1, 0)
    assert check.checked > 0.9 * RECORDED[name][2]
    assert [sync.book.bids.top(100), sync.book.asks.top(100)] == [
        whole.book.bids.top(100),
        whole.book.asks.top(100),
    ]


def _snapshot_of(sync: BookSync) -> BookUpdate:
    book = sync.book
    return BookUpdate(
        BookChange.SNAPSHOT, sync.last, sync.last, None, sync.at, book.price_decimals, book.quantity_decimals,
        book.bids.top(1_000), book.asks.top(1_000),
    )  # fmt: skip
