import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from supervision import AskRefused, AskTimeout, Mailbox, Overflow, ask


async def answer_once(mailbox, after=0.0):
    question = await mailbox.receive()
    await trio.sleep(after)
    question.reply(question.request * 2)
    mailbox.ack()
    return question


async def test_an_answer_comes_back(autojump_clock):
    mailbox = Mailbox("m", 1)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(answer_once, mailbox)
        assert await ask(mailbox, 21, deadline=1) == 42


async def test_a_failure_is_raised_in_the_asker(autojump_clock):
    mailbox = Mailbox("m", 1)

    async def fail():
        (await mailbox.receive()).fail(KeyError("nobody of that name"))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(fail)
        with pytest.raises(KeyError, match="nobody"):
            await ask(mailbox, "who", deadline=1)


async def test_one_deadline_covers_waiting_for_room_and_for_the_answer(autojump_clock):
    mailbox = Mailbox("m", 1)
    mailbox.put_nowait("in the way")
    began = trio.current_time()

    async def make_room():
        await trio.sleep(6)
        await mailbox.receive()
        mailbox.ack()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(make_room)
        with pytest.raises(AskTimeout, match=r"'m' gave no answer to 'x' in 10 s: waiting for the answer"):
            await ask(mailbox, "x", deadline=10)
    assert trio.current_time() - began == 10


async def test_a_full_mailbox_uses_up_the_deadline(autojump_clock):
    mailbox = Mailbox("m", 1)
    mailbox.put_nowait("in the way")
    with pytest.raises(AskTimeout, match="waiting for room"):
        await ask(mailbox, "x", deadline=10)
    assert list(mailbox.pending()) == ["in the way"]


async def test_a_late_answer_is_discarded_and_the_actor_can_know(autojump_clock):
    mailbox = Mailbox("m", 1)
    with pytest.raises(AskTimeout):
        await ask(mailbox, "x", deadline=1)
    question = await mailbox.receive()
    assert question.abandoned
    assert question.reply("late") is False
    assert question.fail(ValueError()) is False


async def test_a_cancelled_asker_has_abandoned_its_question(autojump_clock):
    mailbox = Mailbox("m", 1)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(lambda: ask(mailbox, "x", deadline=10))
        await wait_all_tasks_blocked()
        question = await mailbox.receive()
        assert not question.abandoned
        nursery.cancel_scope.cancel()
    assert question.abandoned


async def test_the_first_answer_counts(autojump_clock):
    mailbox = Mailbox("m", 1)

    async def answer():
        question = await mailbox.receive()
        assert question.reply(1) is True
        assert question.reply(2) is False

    async with trio.open_nursery() as nursery:
        nursery.start_soon(answer)
        assert await ask(mailbox, "x", deadline=1) == 1


async def test_whoever_cannot_be_asked_refuses_at_once(autojump_clock):
    closed, small = Mailbox("closed", 1), Mailbox("small", 1, deadline=2)
    closed.close()
    small.put_nowait("in the way")
    with pytest.raises(AskRefused, match="closed"):
        await ask(closed, "x", deadline=100)
    with pytest.raises(AskRefused, match="no room for 2 s"):
        await ask(small, "x", deadline=100)
    assert trio.current_time() < 10


async def test_a_dropped_question_is_refused_instead_of_waited_for(autojump_clock):
    mailbox = Mailbox("m", 1, Overflow.SHED)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(shed_the_question, mailbox)
        with pytest.raises(AskRefused, match="shed"):
            await ask(mailbox, "x", deadline=100)
    assert trio.current_time() < 1


async def shed_the_question(mailbox):
    await wait_all_tasks_blocked()
    mailbox.put_nowait("newer")


async def test_a_redelivered_question_may_still_be_answered(autojump_clock):
    mailbox = Mailbox("m", 1)

    async def crash_then_answer():
        await mailbox.receive()
        mailbox.give_back(crashed=True)
        await answer_once(mailbox)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(crash_then_answer)
        assert await ask(mailbox, 4, deadline=1) == 8


@pytest.mark.parametrize("deadline", [0, -1, float("nan")])
async def test_a_deadline_must_lie_ahead(autojump_clock, deadline):
    with pytest.raises(ValueError, match="more than 0 seconds"):
        await ask(Mailbox("m", 1), "x", deadline=deadline)
