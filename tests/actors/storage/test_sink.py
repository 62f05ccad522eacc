"""The sink on real files and threads: no autojump clock here."""

import threading
from contextlib import asynccontextmanager

import attrs
import pytest
import trio
from storage_samples import (
    FOREVER,
    NAME,
    START,
    bar,
    bar_record,
    batch,
    gap_record,
    one_of_each,
)

from actors.storage import engines
from actors.storage import sink as module
from actors.storage.errors import StorageError
from actors.storage.marks import Marks
from actors.storage.sink import Sink
from actors.storage.sql import SqlStore
from supervision import Context
from wadm.market import MINUTE

STUCK = 10.0


@attrs.define(eq=False)
class Faulty(SqlStore):
    """A store that can be told to fail, before its commit or after it."""

    applied: list = attrs.field(factory=list)
    before: list = attrs.field(factory=list)
    after: list = attrs.field(factory=list)
    trades: bool = False

    @property
    def keeps_trades(self):
        return self.trades

    def apply(self, entries, cursor):
        if self.before:
            raise self.before.pop()
        super().apply(entries, cursor)
        self.applied.append((len(entries), cursor))
        if self.after:
            raise self.after.pop()


@pytest.fixture
def store(tmp_path, journal):
    made = Faulty(engines.embedded_url(tmp_path), journal.identity())
    yield made
    made.close()


@pytest.fixture
def sink(journal, store, monkeypatch):
    monkeypatch.setattr(module, "FIRST_RETRY", 0.001)
    return Sink(journal, store, Marks(journal.last_seq()))


@asynccontextmanager
async def running(sink):
    """Run the sink; at the end ask it to stop, and wait until it has."""
    context = Context("sink", 1)
    with trio.fail_after(STUCK):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(sink.run, context)
            yield context
            context.stopping.set()


def append(journal, sink, entries):
    sink.marks.publish(journal.append(entries), entries)


def starts(store):
    return [(one.start - START) // MINUTE for one in store.bars(*NAME, 0, FOREVER)]


async def test_it_carries_over_what_is_there_and_what_comes(journal, store, sink):
    append(journal, sink, [bar_record(), gap_record()])
    async with running(sink):
        await sink.wait_caught_up()
        assert starts(store) == [0]
        append(journal, sink, [bar_record(START + MINUTE)])
        assert not sink.progress.caught_up
        await sink.wait_caught_up()
        assert starts(store) == [0, 1]
        assert sink.progress == module.Progress(3, 0, True, None, 0)
    assert store.cursor() == 3


async def test_asked_to_stop_it_drains_the_journal_first(journal, store, sink):
    sink.batch = 10
    async with running(sink) as context:
        await sink.wait_caught_up()
        context.stopping.set()
        journal.append([bar_record(START + index * MINUTE) for index in range(100)])
    assert starts(store) == list(range(100))
    assert store.cursor() == 100


async def test_it_goes_on_where_the_store_says_it_stopped(journal, store, sink):
    append(journal, sink, [bar_record(), bar_record(START + MINUTE)])
    async with running(sink):
        await sink.wait_caught_up()
    append(journal, sink, [bar_record(START + 2 * MINUTE)])
    again = Sink(journal, store, sink.marks)
    async with running(again):
        await again.wait_caught_up()
    assert store.applied == [(2, 2), (1, 3)]
    assert starts(store) == [0, 1, 2]


async def test_a_store_that_fails_is_tried_again_and_nothing_is_lost(journal, store, sink):
    store.before = [StorageError("the store is down")] * 3
    append(journal, sink, one_of_each())
    async with running(sink):
        await sink.wait_for(lambda progress: progress.failures == 1)
        assert sink.progress.last_error == "the store is down"
        assert (sink.progress.cursor, sink.progress.lag, sink.progress.caught_up) == (0, 5, False)
        await sink.wait_caught_up()
        assert sink.progress == module.Progress(5, 0, True, None, 3)
    assert store.applied == [(4, 5)]


async def test_a_crash_after_the_stores_commit_applies_nothing_twice(journal, store, sink):
    append(journal, sink, [bar_record()])
    store.after = [RuntimeError("killed between commit and anything")]
    with pytest.raises(RuntimeError), trio.fail_after(STUCK):
        await sink.run(Context("sink", 1))
    async with running(sink):
        await sink.wait_caught_up()
    assert store.applied == [(1, 1)]
    assert store.bars(*NAME, 0, FOREVER) == [bar()]


async def test_a_failure_after_the_stores_commit_asks_the_store_for_its_place(journal, store, sink):
    append(journal, sink, [bar_record()])
    store.after = [StorageError("the answer was lost")]
    async with running(sink):
        await sink.wait_caught_up()
    assert store.applied == [(1, 1)]


async def test_a_crash_before_the_stores_commit_loses_nothing(journal, store, sink):
    append(journal, sink, [bar_record()])
    store.before = [RuntimeError("killed")]
    with pytest.raises(RuntimeError), trio.fail_after(STUCK):
        await sink.run(Context("sink", 1))
    assert (sink.progress.cursor, store.cursor()) == (0, 0)
    async with running(sink):
        await sink.wait_caught_up()
    assert store.applied == [(1, 1)]


async def test_a_store_that_fails_while_stopping_is_left_where_it_is(journal, store, sink):
    async with running(sink) as context:
        await sink.wait_caught_up()
        store.before = [StorageError("down for good")] * 1000
        context.stopping.set()
        journal.append([bar_record()])
    assert store.cursor() == 0
    assert sink.progress.last_error == "down for good"


async def test_a_store_that_comes_back_empty_gets_everything_again(journal, store, sink):
    append(journal, sink, [bar_record()])
    async with running(sink):
        await sink.wait_caught_up()
        with store._engine.begin() as db:
            for table in ("bars", "sink_cursor"):
                db.exec_driver_sql(f"DELETE FROM {table}")
        store.before = [StorageError("restarted")]
        append(journal, sink, [bar_record(START + MINUTE)])
        await sink.wait_caught_up()
    assert starts(store) == [0, 1]


async def test_trades_move_the_place_but_are_neither_read_nor_committed_one_by_one(journal, store, sink):
    async with running(sink):
        for number in range(1, 11):
            append(journal, sink, [batch(number)])
            await sink.wait_caught_up()
        assert (sink.progress.cursor, store.applied) == (10, [])
    assert store.applied == [(0, 10)]


async def test_trades_alone_move_the_stored_cursor_now_and_then(journal, store, sink, monkeypatch):
    monkeypatch.setattr(module, "STRIDE", 5)
    append(journal, sink, [batch(number) for number in range(1, 7)])
    async with running(sink):
        await sink.wait_caught_up()
        assert store.applied == [(0, 6)]


async def test_a_store_that_keeps_trades_gets_every_entry(journal, store, sink):
    store.trades, sink.batch = True, 2
    append(journal, sink, one_of_each())
    async with running(sink):
        await sink.wait_caught_up()
    assert store.applied == [(2, 2), (2, 4), (1, 5)]


async def test_it_works_beside_an_appender_in_another_thread(journal, store, sink):
    sink.batch = 7

    def append_all():
        for index in range(50):
            journal.append([bar_record(START + index * MINUTE), batch(index)])
            trio.from_thread.run_sync(sink.marks.publish, 2 * index + 2, ())

    async with running(sink):
        await trio.to_thread.run_sync(append_all)
        await sink.wait_caught_up()
    assert starts(store) == list(range(50))
    assert threading.active_count() < 20
