"""The writer on real files and threads: no autojump clock here."""

import pytest
import trio
from storage_samples import KEY, bar_record, batch, plainly

from actors.storage import writer as module
from actors.storage.errors import DiskFull
from actors.storage.marks import Marks
from actors.storage.writer import Writer
from supervision import Context, Mailbox

#: Seconds after which a test is stuck.
STUCK = 10.0


def entries_of(journal):
    return [entry for _, entry in journal.read(0, 100_000)[0]]


class Harness:
    """One writer's mailbox and marks, which outlive its incarnations as they do under a supervisor."""

    def __init__(self, journal, **arguments):
        self.mailbox = Mailbox("writer", 10_000)
        self.marks = Marks(journal.last_seq())
        self.writer = Writer(journal, self.marks, **arguments)
        self.incarnation = 0

    def context(self):
        self.incarnation += 1
        return Context("writer", self.incarnation, mailbox=self.mailbox)

    def put(self, *entries):
        for entry in entries:
            self.mailbox.put_nowait(entry)

    async def run_until_empty(self):
        """Run one incarnation until it ends by itself; after a crash, take back what it had in hand."""
        self.mailbox.close()
        with trio.fail_after(STUCK):
            try:
                await self.writer.run(self.context())
            except RuntimeError:
                self.mailbox.give_back(crashed=True)
                raise


class Failing:
    """A journal that raises the errors given, each before or after one append."""

    def __init__(self, journal, before=(), after=()):
        self.journal, self.before, self.after = journal, list(before), list(after)
        self.last_seq = journal.last_seq

    def append(self, entries):
        if self.before:
            raise self.before.pop()
        last = self.journal.append(entries)
        if self.after:
            raise self.after.pop()
        return last


async def test_what_was_put_is_committed_acknowledged_and_marked(journal):
    harness = Harness(journal)
    entries = [batch(1), bar_record(), batch(2)]
    harness.put(*entries)
    await harness.run_until_empty()
    assert plainly(entries_of(journal)) == plainly(entries)
    assert (harness.marks.last_seq, harness.marks.batch(1, KEY)) == (3, 2)
    assert harness.mailbox.statistics().acknowledged == 3
    assert (harness.writer.commits, harness.writer.entries) == (1, 3)


async def test_the_marks_are_waited_for_across_the_thread(journal):
    harness = Harness(journal, commit_interval=0.0)
    with trio.fail_after(STUCK):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(harness.writer.run, harness.context())
            for number in range(1, 6):
                harness.put(batch(number))
                await harness.marks.wait_for_batch(1, KEY, number)
                assert len(entries_of(journal)) == number  # a mark never runs ahead of the disk
            harness.mailbox.close()


async def test_entries_that_come_between_two_commits_share_the_second(journal):
    harness = Harness(journal, commit_interval=3600.0)
    context = harness.context()
    with trio.fail_after(STUCK):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(harness.writer.run, context)
            harness.put(batch(1))
            await harness.marks.wait_past(0)
            for number in range(2, 40):
                harness.put(batch(number))
                await trio.lowlevel.checkpoint()
            harness.mailbox.close()
            context.stopping.set()
    assert (harness.writer.commits, harness.marks.batch(1, KEY)) == (2, 39)


async def test_a_large_run_does_not_wait_for_its_turn(journal):
    harness = Harness(journal, commit_interval=3600.0)
    harness.put(*(batch(number, size=1) for number in range(1, 3 * module.RUN + 1)))
    with trio.fail_after(STUCK):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(harness.writer.run, harness.context())
            await harness.marks.wait_for_batch(1, KEY, 3 * module.RUN)
            nursery.cancel_scope.cancel()
    assert harness.writer.commits == 3


async def test_being_asked_to_stop_ends_the_wait_between_commits(journal):
    harness = Harness(journal, commit_interval=3600.0)
    context = harness.context()
    harness.put(batch(1))
    with trio.fail_after(STUCK):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(harness.writer.run, context)
            await harness.marks.wait_for_batch(1, KEY, 1)
            harness.put(batch(2))
            harness.mailbox.close()
            context.stopping.set()
    assert harness.marks.batch(1, KEY) == 2


async def test_a_crash_after_the_commit_stores_nothing_twice(journal):
    harness = Harness(journal)
    entries = [batch(1), bar_record(), batch(2)]
    harness.put(*entries)
    harness.writer.journal = Failing(journal, after=[RuntimeError("killed")])
    with pytest.raises(RuntimeError):
        await harness.run_until_empty()
    assert harness.marks.last_seq == 0
    assert harness.mailbox.statistics().depth == 3
    await harness.run_until_empty()
    assert plainly(entries_of(journal)) == plainly(entries)
    assert (harness.marks.last_seq, harness.marks.batch(1, KEY)) == (3, 2)
    assert harness.mailbox.statistics().dead_lettered == 0


async def test_a_crash_before_the_commit_loses_nothing(journal):
    harness = Harness(journal)
    harness.put(batch(1), batch(2))
    harness.writer.journal = Failing(journal, before=[RuntimeError("killed")])
    with pytest.raises(RuntimeError):
        await harness.run_until_empty()
    assert entries_of(journal) == []
    await harness.run_until_empty()
    assert plainly(entries_of(journal)) == plainly([batch(1), batch(2)])


async def test_cancelled_in_the_middle_of_a_commit_it_acknowledges_what_is_on_the_disk(journal):
    harness = Harness(journal)
    harness.put(batch(1))

    class Cancelling(Failing):
        def append(self, entries):
            last = super().append(entries)
            trio.from_thread.run_sync(nursery.cancel_scope.cancel)
            return last

    harness.writer.journal = Cancelling(journal)
    with trio.fail_after(STUCK):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(harness.writer.run, harness.context())
    assert harness.mailbox.statistics().acknowledged == 1
    assert harness.marks.batch(1, KEY) == 1


async def test_while_the_disk_is_full_the_run_waits_in_hand(journal, monkeypatch):
    monkeypatch.setattr(module, "FIRST_RETRY", 0.0)
    harness = Harness(journal)
    states = []

    class Watched(Failing):
        def append(self, entries):
            states.append((harness.writer.waiting, harness.mailbox.statistics().in_hand))
            return super().append(entries)

    harness.writer.journal = Watched(journal, before=[DiskFull("no room left")] * 3)
    harness.put(batch(1), batch(2))
    await harness.run_until_empty()
    assert states == [(None, 2), ("no room left", 2), ("no room left", 2), ("no room left", 2)]
    assert harness.writer.waiting is None
    assert plainly(entries_of(journal)) == plainly([batch(1), batch(2)])


async def test_a_truly_full_file_is_waited_out(journal, monkeypatch):
    monkeypatch.setattr(module, "FIRST_RETRY", 0.001)
    harness = Harness(journal)
    pages = journal._db.execute("PRAGMA page_count").fetchone()[0]
    journal._db.execute(f"PRAGMA max_page_count = {pages + 2}")
    harness.put(*(batch(number, size=200) for number in range(1, 101)))
    attempts = []
    append = journal.append

    class Freed(Failing):
        def append(self, entries):
            attempts.append(len(entries))
            if len(attempts) == 3:
                journal._db.execute("PRAGMA max_page_count = 1000000")
            return append(entries)

    harness.writer.journal = Freed(journal)
    await harness.run_until_empty()
    assert attempts == [100, 100, 100]
    assert len(entries_of(journal)) == 100


async def test_after_a_restart_the_marks_start_at_the_journals_end(journal):
    journal.append([batch(1)])
    harness = Harness(journal)
    harness.marks.last_seq = 0
    await harness.run_until_empty()
    assert harness.marks.last_seq == 1


async def test_a_writer_needs_a_mailbox(journal):
    with pytest.raises(ValueError, match="needs a mailbox"):
        await Writer(journal, Marks()).run(Context("writer", 1))
