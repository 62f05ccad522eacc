"""The sink on real files and threads: no autojump clock here."""

import threading
from contextlib import asynccontextmanager, closing

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

from actors.messages import Kind
from actors.storage import carrier, engines
from actors.storage import sink as module
from actors.storage.errors import StorageError
from actors.storage.journal import Journal
from actors.storage.marks import Marks
from actors.storage.sink import Sink
from actors.storage.sql import KEPT, SqlStore
from supervision import Breaker, BreakerState, Context
from wadm.market import MINUTE

STUCK = 10.0


@attrs.define(eq=False)
class Faulty(SqlStore):
    """A store that can be told to fail, before its commit or after it."""

    applied: list = attrs.field(factory=list)
    before: list = attrs.field(factory=list)
    after: list = attrs.field(factory=list)
    kinds: frozenset = KEPT

    @property
    def keeps(self):
        return self.kinds

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


async def test_a_journal_put_back_while_the_store_was_away_loses_nothing(tmp_path, monkeypatch):
    """By the time that the store says how far it was, the journal has come further by itself."""
    monkeypatch.setattr(module, "FIRST_RETRY", 0.001)
    with closing(Journal(tmp_path)) as journal:
        store = Faulty(engines.embedded_url(tmp_path), journal.identity())
        store.apply([], 2)
        sink = Sink(journal, store, Marks(journal.last_seq()))
        append(journal, sink, [bar_record(START + minute * MINUTE) for minute in range(5)])
        async with running(sink):
            await sink.wait_caught_up()
        assert starts(store) == [0, 1, 2, 3, 4]
        store.close()


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
    journal.began = journal.last_seq()  # as after a start of the daemon
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
        assert (sink.progress.cursor, sink.progress.lag, sink.progress.caught_up) == (0, 7, False)
        await sink.wait_caught_up()
        assert sink.progress == module.Progress(7, 0, True, None, 3)
    assert store.applied == [(len(KEPT), 7)]


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
    monkeypatch.setattr(carrier, "STRIDE", 5)
    append(journal, sink, [batch(number) for number in range(1, 7)])
    async with running(sink):
        await sink.wait_caught_up()
        assert store.applied == [(0, 6)]


async def test_a_store_that_keeps_trades_gets_every_entry(journal, store, sink):
    store.kinds, sink.batch = frozenset(Kind), 2
    append(journal, sink, one_of_each())
    async with running(sink):
        await sink.wait_caught_up()
    assert store.applied == [(2, 2), (2, 4), (2, 6), (1, 7)]


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


async def test_it_tells_since_when_the_oldest_entry_waits(journal, store, sink):
    store.before = [StorageError("the store is down")] * 1_000
    append(journal, sink, [bar_record()])
    async with running(sink):
        await sink.wait_for(lambda progress: progress.failures == 2)
        assert sink.progress.oldest == journal.written_at(1)
        assert sink.progress.since >= sink.progress.oldest
        store.before.clear()
        await sink.wait_caught_up()
        assert (sink.progress.oldest, sink.progress.since) == (None, None)


async def test_a_store_that_fails_again_and_again_is_left_alone_by_its_breaker(journal, store, sink):
    sink.breaker = Breaker(attrs.evolve(module.POLICY, open_seconds=0.02))
    store.before = [StorageError("the store is down")] * 6
    append(journal, sink, one_of_each())
    async with running(sink):
        await sink.wait_for(lambda _: sink.breaker.state is BreakerState.OPEN)
        assert sink.progress.failures == 4
        await sink.wait_caught_up()
        assert sink.breaker.state is BreakerState.CLOSED
    assert sink.breaker.statistics().opened == 3  # each of two probes failed
    assert store.cursor() == journal.last_seq()


async def test_a_store_that_is_always_slow_is_left_alone_too(journal, store, sink):
    sink.breaker = Breaker(attrs.evolve(module.POLICY, slow_seconds=1e-9, open_seconds=0.001))
    async with running(sink):
        for index in range(6):
            append(journal, sink, [bar_record(START + index * MINUTE)])
            await sink.wait_caught_up()
    assert sink.breaker.statistics().opened
    assert starts(store) == list(range(6))


async def test_asked_to_stop_while_the_store_is_down_it_does_not_try_again(journal, store, sink):
    store.before = [StorageError("the store is down")] * 1_000
    append(journal, sink, [bar_record()])
    async with running(sink) as context:
        await sink.wait_for(lambda progress: progress.failures == 2)
        context.stopping.set()
    assert sink.progress.failures <= 3
    assert journal.read(0, 10)[0]


async def test_where_it_was_is_remembered_until_the_store_can_be_asked(journal, store, sink):
    append(journal, sink, [bar_record(), bar_record(START + MINUTE)])
    async with running(sink):
        await sink.wait_caught_up()
    journal.note_places({sink.name: sink.stored})
    append(journal, sink, [bar_record(START + 2 * MINUTE)])
    again = Sink(journal, store, sink.marks)
    assert (again.progress.cursor, again.progress.lag) == (2, 1)


async def test_what_the_journal_let_go_of_is_no_longer_waited_for(journal, store, sink):
    store.before = [StorageError("the store is down")] * 1_000
    append(journal, sink, [bar_record(START + index * MINUTE) for index in range(10)])
    async with running(sink):
        await sink.wait_for(lambda progress: progress.failures == 1)
        assert sink.progress.lag == 10
        journal.shed(0, FOREVER, [sink.follower])
        append(journal, sink, [bar_record(START + 10 * MINUTE)])
        sink.let_go(journal.first_seq() - 1)
        assert sink.progress.lag == 1
        store.before.clear()
        await sink.wait_caught_up()
    assert starts(store) == [10]
    assert [(loss.target, loss.records) for loss in journal.losses()] == [(sink.name, 10)]


async def test_a_journal_put_back_to_an_older_state_gives_no_number_twice(tmp_path, journal, store, sink):
    store.apply([bar_record()], 1_000)
    async with running(sink):
        await sink.wait_caught_up()
        last = journal.append([bar_record(START + MINUTE)])
        assert last == 1_001
        sink.marks.publish(last, ())
        await sink.wait_caught_up()
    assert starts(store) == [0, 1]


async def test_it_gives_a_store_as_much_as_it_takes_in_good_time(journal, store, sink):
    taken = [sink._trades]
    for seconds in (0.1, 0.1, 1.0, 9.0, 9.0):
        sink._pace(seconds)
        taken.append(sink._trades)
    assert taken == [2_000, 4_000, 5_000, 5_000, 2_500, 1_250]
    for _ in range(20):
        sink._pace(0.0)
    assert sink._trades == module.MOST


async def test_an_entry_that_cannot_be_read_is_no_fault_of_the_store(journal, store, sink):
    append(journal, sink, [bar_record()])
    journal._db.execute("UPDATE records SET payload = x'00'")
    async with running(sink):
        await sink.wait_for(lambda progress: progress.failures == 1)
        assert "journal.sqlite3 holds an entry that cannot be read" in sink.progress.last_error
        assert sink.reach.reason == ""
    assert sink.breaker.statistics().failures == 0
