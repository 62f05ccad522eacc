"""What is journalled of order books: the same at every playing, never in the way of the trades."""

from collections.abc import Sequence
from pathlib import Path

import attrs
import pytest
import trio
import trio.testing
from book_world import SPOT, World, of_each_second, world
from made_up_books import snapshot, update
from recorded_books import CAPTURES, snapshots, steps

from actors.books.records import LEVELS
from actors.messages import BookBatch, BookRecord, Reached
from actors.storage.journal import Journal
from actors.storage.reader import DataReader
from wadm.exchanges.base import BookRule
from wadm.market import SECOND, BookRun, Instrument

Clock = trio.testing.MockClock
#: 2024-08-09T00:00:00Z
START = 1_723_161_600 * SECOND
BOOK = [(10, 1)], [(11, 1)]


def taken_down(one: World) -> list[BookRecord]:
    return [record for record in one.writer.pending() if isinstance(record, BookRecord)]


async def in_step(one: World, at: int = START) -> None:
    one.put(update(101, 101, at=at))
    await one.until(lambda: one.memory.sync.synced)


def plain(records: Sequence[BookRecord]) -> list[tuple[object, ...]]:
    return [attrs.astuple(record) for record in records]


# --- which ones ---


async def test_the_first_book_of_a_second_is_taken_down_if_it_has_changed(autojump_clock: Clock) -> None:
    async with world(answers=[snapshot(100, *BOOK)]) as one:
        await in_step(one)
        one.put(update(102, 102, [(10, 2)], at=START + SECOND // 2))
        one.put(update(103, 103, [(10, 3)], at=START + SECOND - 1))
        one.put(update(104, 104, [(9, 7)], at=START + SECOND), update(105, 105, [(9, 8)], at=START + SECOND))
        one.put(update(106, 106, [(9, 8)], at=START + 2 * SECOND))
        one.put(update(107, 107, [(9, 7)], at=START + 3 * SECOND), update(108, 108, at=START + 4 * SECOND))
        await one.folded()
        found = taken_down(one)
        assert [(record.at - START, record.sequence) for record in found] == [
            (SECOND // 2, 102), (SECOND, 104), (2 * SECOND, 106), (3 * SECOND, 107)
        ]  # fmt: skip
        assert [record.bids for record in found[:2]] == [[(10, 2)], [(10, 3), (9, 7)]]
        assert (one.memory.recorded, one.memory.not_recorded) == (4, 0)


async def test_the_best_fifty_levels_are_taken_down(autojump_clock: Clock) -> None:
    bids, asks = [(1_000 - at, 1 + at) for at in range(80)], [(1_001 + at, 2 + at) for at in range(80)]
    async with world(answers=[snapshot(100, bids, asks)]) as one:
        await in_step(one)
        one.put(update(102, 102, at=START + SECOND))
        await one.folded()
        (found,) = taken_down(one)
        assert (found.bids, found.asks) == (bids[:LEVELS], asks[:LEVELS])


async def test_a_book_out_of_step_is_not_taken_down(autojump_clock: Clock) -> None:
    async with world(answers=[snapshot(100, *BOOK), snapshot(300, *BOOK)]) as one:
        await in_step(one)
        one.rest.hold = trio.Event()
        one.put(update(200, 200, [(10, 5)], at=START + SECOND))
        one.put(update(201, 201, [(10, 6)], at=START + 2 * SECOND))
        await one.folded()
        assert not one.memory.sync.synced
        assert taken_down(one) == []
        one.rest.hold.set()
        await one.until(lambda: one.memory.sync.synced)
        one.put(update(301, 301, [(10, 7)], at=START + 3 * SECOND))
        one.put(update(302, 302, [(10, 8)], at=START + 4 * SECOND))
        await one.folded()
        assert [record.bids for record in taken_down(one)] == [[(10, 7)], [(10, 8)]]


@pytest.mark.parametrize("size", [1, 7, 400])
async def test_a_recording_leaves_the_same_books_however_it_comes(autojump_clock: Clock, size: int) -> None:
    everything = list(steps(CAPTURES / "usdm_btcusdt_20240718.gz"))
    (first,) = snapshots(everything)
    live = [step for step in everything if step is not first]
    instrument = Instrument("binance_usdm", "BTCUSDT")
    found: list[BookRecord] = []
    async with world(instrument, [first], playback=True) as one, trio.open_nursery() as nursery:
        one.rest.addresses["binance_usdm"] = ""
        nursery.start_soon(_write, one, found)
        for at in range(0, len(live), size):
            run = BookRun("binance_usdm", "BTCUSDT", live[at : at + size])
            await one.mailbox.put(BookBatch(run, 1))
        last = Reached()
        await one.mailbox.put(last)
        await last.event.wait()
        await one.until(lambda: not one.writer.pending())
        nursery.cancel_scope.cancel()
    assert [record.sequence for record in found] == of_each_second(BookRule.PREVIOUS_IDS, first, live)
    assert len({record.at // SECOND for record in found}) == len(found) > 100
    assert one.memory.not_recorded == 0


async def _write(one: World, found: list[BookRecord]) -> None:
    """Be a slow writer: it takes one book at a time."""
    while True:
        found.append(await one.writer.receive())
        await trio.sleep(0.01)
        one.writer.ack()


# --- a writer that is behind ---


async def test_a_live_book_waits_for_no_writer_and_counts_what_was_left_out(autojump_clock: Clock) -> None:
    async with world(answers=[snapshot(100, *BOOK)]) as one:
        await in_step(one)
        for second in range(1, 8):
            one.put(update(101 + second, 101 + second, [(10, second)], at=START + second * SECOND))
        await one.folded()
        # More than half of its mailbox of 8 is not for books.
        assert (one.memory.recorded, one.memory.not_recorded) == (5, 2)
        assert one.memory.sync.book.bids.best == (10, 7)
        await one.writer.receive_run(8)
        one.writer.ack()
        one.put(update(109, 109, at=START + 8 * SECOND))  # as it was: but nobody has it yet
        await one.folded()
        assert [record.bids for record in taken_down(one)] == [[(10, 7)]]


async def test_a_writer_that_has_stopped_crashes_no_book(autojump_clock: Clock) -> None:
    async with world(answers=[snapshot(100, *BOOK)]) as one:
        await in_step(one)
        one.writer.close()
        one.put(update(102, 102, at=START + SECOND))
        await one.folded()
        assert (one.memory.sync.last, one.memory.not_recorded) == (102, 1)


# --- reading them ---


def book_at(second: int, quantity: int = 1) -> BookRecord:
    return BookRecord(
        "binance", "BTCUSDT", START + second * SECOND, second, 0, 0, [(10, quantity)], [(11, 1)]
    )


class Kept:
    """The part of a store that answers for books."""

    def __init__(self, *kept: BookRecord) -> None:
        self.kept = kept

    def books(self, _exchange: str, _symbol: str, start: int, end: int) -> list[BookRecord]:
        return [one for one in self.kept if start <= one.at < end]


def test_books_of_the_journal_go_with_those_that_only_the_store_has(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    try:
        records = [book_at(5), book_at(3), book_at(4), attrs.evolve(book_at(3), symbol="ETHUSDT")]
        assert journal.append([*records, *records]) == 4
        name, span = (SPOT.exchange, SPOT.symbol), (START + 2 * SECOND, START + 5 * SECOND)
        assert plain(journal.books(*name, *span)) == plain([book_at(3), book_at(4)])
        assert plain(DataReader(journal, None).books(*name, *span)) == plain([book_at(3), book_at(4)])
        store = Kept(book_at(1), book_at(2), book_at(3))
        reader = DataReader(journal, store)  # type: ignore[arg-type]  # what is used of it
        assert plain(reader.books(*name, *span)) == plain([book_at(2), book_at(3), book_at(4)])
    finally:
        journal.close()
