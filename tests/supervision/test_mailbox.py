import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from supervision import Letter, Mailbox, MailboxClosed, MailboxFull, Overflow


async def test_messages_come_in_order_and_leave_when_acknowledged(autojump_clock):
    mailbox = Mailbox("m", 3)
    for number in range(3):
        await mailbox.put(number)

    assert await mailbox.receive() == 0
    assert list(mailbox.pending()) == [0, 1, 2]
    assert mailbox.statistics().in_hand == 1
    mailbox.ack()
    assert list(mailbox.pending()) == [1, 2]
    assert await mailbox.receive_run(10) == [1, 2]
    mailbox.ack()
    mailbox.ack()

    counts = mailbox.statistics()
    assert (counts.put, counts.acknowledged, counts.depth, counts.in_hand, counts.high_water) == (
        3,
        3,
        0,
        0,
        3,
    )


async def test_a_run_has_at_most_its_limit(autojump_clock):
    mailbox = Mailbox("m", 5)
    for number in range(5):
        mailbox.put_nowait(number)
    assert await mailbox.receive_run(2) == [0, 1]
    with pytest.raises(ValueError, match="at least 1"):
        await mailbox.receive_run(0)


async def test_a_loop_acknowledges_when_it_comes_back_for_the_next(autojump_clock):
    mailbox = Mailbox("m", 3)
    for number in range(3):
        mailbox.put_nowait(number)
    mailbox.close()
    assert [mailbox.statistics().acknowledged async for _ in mailbox] == [0, 1, 2]
    assert mailbox.statistics().acknowledged == 3


async def test_a_loop_left_early_has_not_acknowledged(autojump_clock):
    mailbox = Mailbox("m", 3)
    mailbox.put_nowait("kept")
    async for _ in mailbox:
        break
    with pytest.raises(RuntimeError, match="acknowledge what is in hand"):
        await mailbox.receive()
    with pytest.raises(RuntimeError, match="acknowledge what is in hand"):
        async for _ in mailbox:
            pass
    assert list(mailbox.pending()) == ["kept"]


async def test_blocked_senders_are_admitted_in_their_order(autojump_clock):
    mailbox = Mailbox("m", 1)
    mailbox.put_nowait(0)
    async with trio.open_nursery() as nursery:
        for number in (1, 2, 3):
            nursery.start_soon(mailbox.put, number)
            await wait_all_tasks_blocked()
        with pytest.raises(MailboxFull, match="full"):
            mailbox.put_nowait("late")
        got = []
        for _ in range(4):
            got.append(await mailbox.receive())
            mailbox.ack()
    assert got == [0, 1, 2, 3]


async def test_a_sender_waits_no_longer_than_the_deadline(autojump_clock):
    mailbox = Mailbox("m", 1, deadline=5)
    await mailbox.put(0)
    began = trio.current_time()
    with pytest.raises(MailboxFull, match="no room for 5 s"):
        await mailbox.put(1)
    assert trio.current_time() - began == 5
    assert list(mailbox.pending()) == [0]


async def test_a_cancelled_sender_has_put_nothing(autojump_clock):
    mailbox = Mailbox("m", 1)
    mailbox.put_nowait(0)
    with trio.move_on_after(1):
        await mailbox.put("cancelled while waiting")
    await mailbox.receive()
    mailbox.ack()
    with trio.CancelScope() as scope:
        scope.cancel()
        await mailbox.put("cancelled before")
    assert mailbox.statistics().put == 1
    assert not mailbox.pending()


async def test_a_cancelled_receiver_has_taken_nothing(autojump_clock):
    mailbox = Mailbox("m", 1)
    with trio.move_on_after(1):
        await mailbox.receive()
    mailbox.put_nowait("still here")
    with trio.CancelScope() as scope:
        scope.cancel()
        await mailbox.receive()
    assert mailbox.statistics().in_hand == 0
    assert await mailbox.receive() == "still here"


async def test_conflate_keeps_only_the_latest(autojump_clock):
    mailbox = Mailbox("m", 1, Overflow.CONFLATE)
    await mailbox.put(0)
    assert await mailbox.receive() == 0
    for number in (1, 2, 3):
        await mailbox.put(number)
    assert list(mailbox.pending()) == [0, 3]
    assert mailbox.statistics().conflated == 2


async def test_shed_drops_the_oldest_and_counts_it(autojump_clock):
    mailbox = Mailbox("m", 2, Overflow.SHED)
    for number in range(5):
        await mailbox.put(number)
    assert list(mailbox.pending()) == [3, 4]
    assert mailbox.statistics().shed == 3


async def test_a_closed_mailbox_is_emptied_first(autojump_clock):
    mailbox = Mailbox("m", 2)
    mailbox.put_nowait(0)
    mailbox.close()
    mailbox.close()
    with pytest.raises(MailboxClosed):
        await mailbox.put(1)
    with pytest.raises(MailboxClosed):
        mailbox.put_nowait(1)
    assert await mailbox.receive() == 0
    mailbox.ack()
    with pytest.raises(MailboxClosed):
        await mailbox.receive()


async def test_closing_wakes_those_who_wait(autojump_clock):
    empty, full = Mailbox("empty", 1), Mailbox("full", 1)
    full.put_nowait(0)
    refused = []

    async def expect(waiting):
        with pytest.raises(MailboxClosed):
            await waiting
        refused.append(1)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(expect, empty.receive())
        nursery.start_soon(expect, full.put(1))
        await wait_all_tasks_blocked()
        empty.close()
        full.close()
    assert len(refused) == 2
    assert list(full.pending()) == [0]


async def test_one_receiver_at_a_time(autojump_clock):
    mailbox = Mailbox("m", 1)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(mailbox.receive)
        await wait_all_tasks_blocked()
        with pytest.raises(trio.BusyResourceError):
            await mailbox.receive()
        mailbox.put_nowait(0)


async def test_after_a_crash_a_run_comes_again_one_by_one_and_only_the_guilty_is_poison(autojump_clock):
    mailbox = Mailbox("m", 4)
    for number in range(4):
        mailbox.put_nowait(number)
    assert await mailbox.receive_run(3) == [0, 1, 2]
    assert mailbox.give_back(crashed=True) == []

    assert await mailbox.receive_run(3) == [0]
    mailbox.ack()
    assert await mailbox.receive_run(3) == [1]
    assert mailbox.give_back(crashed=True) == [1]
    assert await mailbox.receive() == 2
    mailbox.ack()
    assert await mailbox.receive_run(3) == [3]
    mailbox.ack()

    counts = mailbox.statistics()
    assert (counts.acknowledged, counts.redelivered, counts.dead_lettered) == (3, 3, 1)


async def test_what_comes_back_without_a_crash_is_blamed_for_nothing(autojump_clock):
    mailbox = Mailbox("m", 2)
    mailbox.put_nowait(0)
    mailbox.put_nowait(1)
    for _ in range(5):
        assert await mailbox.receive_run(2) == [0, 1]
        assert mailbox.give_back(crashed=False) == []
    assert mailbox.statistics().redelivered == 10


async def test_messages_come_back_even_into_a_full_mailbox_and_senders_wait_until_there_is_room(
    autojump_clock,
):
    mailbox = Mailbox("m", 1)
    mailbox.put_nowait(0)
    await mailbox.receive()
    mailbox.put_nowait(1)
    mailbox.give_back(crashed=False)
    assert mailbox.statistics().depth == 2
    async with trio.open_nursery() as nursery:
        nursery.start_soon(mailbox.put, 2)
        got = []
        for _ in range(3):
            got.append(await mailbox.receive())
            mailbox.ack()
            await wait_all_tasks_blocked()
    assert got == [0, 1, 2]


async def test_a_halted_mailbox_takes_but_does_not_hand_out(autojump_clock):
    mailbox = Mailbox("m", 2)
    ended = []

    async def consume():
        async for _ in mailbox:
            pass
        ended.append(1)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(consume)
        await wait_all_tasks_blocked()
        mailbox.halt()
    assert ended == [1]
    mailbox.put_nowait(0)
    with pytest.raises(MailboxClosed):
        await mailbox.receive()
    mailbox.resume()
    assert await mailbox.receive() == 0


async def test_letters_hear_that_they_are_dropped(autojump_clock):
    class Note(Letter):
        def __init__(self):
            self.heard = []

        def undelivered(self, reason):
            self.heard.append(reason)

    shed, conflated, poison, left = Note(), Note(), Note(), Note()
    mailbox = Mailbox("s", 1, Overflow.SHED)
    mailbox.put_nowait(shed)
    mailbox.put_nowait(0)
    assert shed.heard == ["mailbox 's': it was shed"]
    mailbox = Mailbox("c", 1, Overflow.CONFLATE)
    mailbox.put_nowait(conflated)
    mailbox.put_nowait(0)
    assert conflated.heard == ["mailbox 'c': a later message replaced it"]
    mailbox = Mailbox("p", 1)
    mailbox.put_nowait(poison)
    for _ in range(2):
        await mailbox.receive()
        mailbox.give_back(crashed=True)
    assert "poison" in poison.heard[0]
    mailbox.put_nowait(left)
    mailbox.refuse_pending("the end")
    assert left.heard == ["the end"]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"capacity": 0}, "capacity of mailbox 'm' must be at least 1, not 0"),
        ({"capacity": float("nan")}, "capacity of mailbox 'm'"),
        ({"capacity": 1, "overflow": "drop"}, "overflow of mailbox 'm' must be one of .*BLOCK.*, not 'drop'"),
        ({"capacity": 1, "deadline": -1}, "deadline of mailbox 'm' must be at least 0 seconds, not -1"),
        ({"capacity": 1, "overflow": Overflow.SHED, "deadline": 1}, "never waits"),
    ],
)
def test_bad_mailboxes_are_refused_by_name(arguments, sentence):
    with pytest.raises(ValueError, match=sentence):
        Mailbox("m", **arguments)


async def test_a_run_makes_room_for_as_many_senders(autojump_clock):
    mailbox = Mailbox("m", 3)
    async with trio.open_nursery() as nursery:
        for number in range(8):
            nursery.start_soon(mailbox.put, number)
            await wait_all_tasks_blocked()
        assert await mailbox.receive_run(3) == [0, 1, 2]
        assert mailbox.statistics().depth == 3
        mailbox.ack()
        assert await mailbox.receive_run(8) == [3, 4, 5]
        assert list(mailbox.pending()) == [3, 4, 5, 6, 7]
