import trio
from storage_samples import KEY, bar_record, batch

from actors.storage import marks as module
from actors.storage.marks import Marks


async def test_marks_move_with_what_was_committed():
    marks = Marks(10)
    marks.publish(13, [batch(1), batch(2), bar_record()])
    assert (marks.last_seq, marks.batch(1, KEY), marks.batch(2, KEY)) == (13, 2, 0)


async def test_marks_never_move_back():
    marks = Marks()
    marks.publish(5, [batch(7)])
    marks.publish(5, [batch(3)])
    marks.publish(4, [])
    assert (marks.last_seq, marks.batch(1, KEY)) == (5, 7)


async def test_waiting_ends_when_the_marks_have_come_far_enough(autojump_clock):
    marks = Marks()
    reached = []

    async def wait_past(seq):
        await marks.wait_past(seq)
        reached.append(seq)

    async def wait_for_batch(number):
        await marks.wait_for_batch(1, KEY, number)
        reached.append(f"batch {number}")

    async with trio.open_nursery() as nursery:
        nursery.start_soon(wait_past, 0)
        nursery.start_soon(wait_past, 1)
        nursery.start_soon(wait_for_batch, 2)
        await trio.testing.wait_all_tasks_blocked()
        marks.publish(1, [batch(1)])
        await trio.testing.wait_all_tasks_blocked()
        assert reached == [0]
        marks.publish(2, [batch(2)])
        await trio.testing.wait_all_tasks_blocked()
        assert sorted(reached, key=str) == [0, 1, "batch 2"]


async def test_what_has_come_already_is_not_waited_for():
    marks = Marks(3)
    marks.publish(3, [batch(2)])
    await marks.wait_past(2)
    await marks.wait_for_batch(1, KEY, 2)


async def test_streams_that_moved_longest_ago_are_forgotten(monkeypatch):
    monkeypatch.setattr(module, "STREAMS", 2)
    marks = Marks()
    marks.publish(2, [batch(1, incarnation=1), batch(1, incarnation=2)])
    marks.publish(3, [batch(2, incarnation=1)])
    marks.publish(4, [batch(1, incarnation=3)])
    assert sorted(marks.batches) == [(1, KEY), (3, KEY)]
