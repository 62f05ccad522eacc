# ruff: noqa: PLR0917 - fixtures come as arguments

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from supervision import (
    Backoff,
    BreakerPolicy,
    ChildSpec,
    Disconnected,
    Intensity,
    Mailbox,
    MailboxClosed,
    Restart,
    State,
    Stuck,
    Supervisor,
)

EXACT = Backoff(minimum=10, maximum=10, jitter=0)


def stubborn(seconds):
    """Make an actor that ignores everything for some seconds after it was cancelled."""

    async def actor(context):
        context.started()
        try:
            await trio.sleep_forever()
        finally:
            with trio.CancelScope(shield=True):
                await trio.sleep(seconds)

    return actor


async def never_ready(_):
    await trio.sleep_forever()


async def test_a_stop_drains_from_the_last_child_to_the_first(autojump_clock, running, told, events):
    stored = []
    store, work = Mailbox("store", 100), Mailbox("work", 100)

    async def writer(context):
        context.started()
        async for message in context.mailbox:
            await trio.sleep(0.01)
            stored.append(message)

    async def worker(context):
        context.started()
        async for message in context.mailbox:
            await trio.sleep(0.01)
            await store.put(message)

    async def source(context):
        context.started()
        number = 0
        while not context.stopping.is_set():
            await work.put(number)
            number += 1
            await trio.sleep(0.001)
        sent.append(number)

    sent = []
    children = [
        Supervisor("storage", [ChildSpec("writer", writer, mailbox=store)]),
        ChildSpec("worker", worker, mailbox=work),
        ChildSpec("source", source),
    ]
    root = Supervisor("root", children, on_event=events.append)
    async with running(root):
        await trio.sleep(0.1)
    assert stored == list(range(sent[0]))
    assert len(stored) > 50
    stops = [event for event in told() if event.endswith("stopped")]
    assert stops == [f"root/{path} stopped" for path in ("source", "worker", "storage/writer", "storage")]


async def test_the_drain_is_bounded_and_what_is_left_stays_visible(autojump_clock, running, status_of):
    mailbox = Mailbox("m", 10)

    async def slow(context):
        context.started()
        async for _ in context.mailbox:
            await trio.sleep(1)

    root = Supervisor("root", [ChildSpec("slow", slow, mailbox=mailbox, shutdown_timeout=3.5)])
    async with running(root):
        for number in range(10):
            await mailbox.put(number)
    assert trio.current_time() == 3.5
    assert list(mailbox.pending()) == [3, 4, 5, 6, 7, 8, 9]
    assert mailbox.statistics().dead_lettered == 0


@pytest.mark.parametrize("bound", [0, 4])
async def test_a_child_that_does_not_return_is_cancelled(autojump_clock, running, bound):
    root = Supervisor("root", [ChildSpec("a", stubborn(0), shutdown_timeout=bound)])
    async with running(root):
        pass
    assert trio.current_time() == bound


async def test_the_whole_stop_can_be_bounded(autojump_clock, running):
    slow = [ChildSpec(name, stubborn(0), shutdown_timeout=60) for name in "abc"]
    root = Supervisor("root", [*slow, Supervisor("sub", [ChildSpec("d", stubborn(0))])], shutdown_timeout=7)
    async with running(root):
        pass
    assert trio.current_time() == 7


async def test_a_nested_bound_cancels_what_is_below_and_finishes_it(autojump_clock, running, idle):
    left = Mailbox("left", 1)
    never = ChildSpec("never", stubborn(0), mailbox=left, shutdown_timeout=0)
    sub = Supervisor("sub", [never, ChildSpec("slow", stubborn(0), shutdown_timeout=60)], shutdown_timeout=2)
    async with running(Supervisor("root", [ChildSpec("first", idle), sub])):
        pass
    assert trio.current_time() == 2
    assert left.closed


async def test_a_stuck_child_is_shown_and_keeps_nobody_else_from_stopping(
    autojump_clock, running, status_of, told, events, idle
):
    root = Supervisor(
        "root",
        [
            ChildSpec("first", idle),
            Supervisor("sub", [ChildSpec("stuck", stubborn(100), shutdown_timeout=2)]),
            ChildSpec("last", idle),
        ],
        on_event=events.append,
    )
    async with running(root):
        root.stop()
        await trio.sleep(8)
        assert status_of(root, "sub/stuck").state is State.STUCK
        assert status_of(root, "sub").state is State.STUCK
        assert status_of(root, "first").state is State.STOPPED
        assert root.snapshot().state is State.STUCK
    stuck = [event for event in told() if event.endswith(" stuck")]
    assert stuck == ["root/sub/stuck stuck", "root/sub stuck", "root stuck"]
    assert events[-1].path == "root/sub"
    assert trio.current_time() == 102


async def test_stopping_a_stuck_child_does_not_wait_for_ever(autojump_clock, running, idle):
    root = Supervisor("root", [ChildSpec("stuck", stubborn(100), shutdown_timeout=2), ChildSpec("b", idle)])
    async with running(root):
        with pytest.raises(Stuck, match="'stuck' of 'root' ignores its cancellation"):
            await root.stop_child("stuck")
        assert trio.current_time() == 7
        await trio.sleep(100)
        assert [child.name for child in root.snapshot().children] == ["b"]


async def test_a_stuck_child_restarts_when_it_has_ended_at_last(autojump_clock, running, status_of):
    mailbox = Mailbox("m", 1)
    root = Supervisor("root", [ChildSpec("a", stubborn(20), mailbox=mailbox, shutdown_timeout=0)])
    async with running(root):
        root.kill("a")
        await trio.sleep(6)
        assert status_of(root, "a").state is State.STUCK
        assert root.kill("a") is False
        await trio.sleep(15)
        assert status_of(root, "a").state is State.RUNNING
        assert status_of(root, "a").incarnation == 2
        began = trio.current_time()
        with pytest.raises(Stuck):
            await root.stop_child("a")
        assert trio.current_time() - began == 5
    assert mailbox.closed


async def test_an_error_in_the_cleanup_is_shown_and_harms_nobody(
    autojump_clock, running, told, events, status_of, idle
):
    mailbox = Mailbox("m", 1)

    async def bad_cleanup(context):
        context.started()
        try:
            async for _ in context.mailbox:
                await trio.sleep_forever()
        finally:
            raise RuntimeError("cleanup")

    bad = ChildSpec("bad", bad_cleanup, mailbox=mailbox, shutdown_timeout=1)
    root = Supervisor("root", [ChildSpec("first", idle), bad], on_event=events.append)
    async with running(root):
        await mailbox.put("innocent")
        await wait_all_tasks_blocked()
        root.kill("bad")
        await wait_all_tasks_blocked()
        assert "RuntimeError: cleanup" in next(
            event.detail for event in events if event.what.value == "crashed"
        )
        assert status_of(root, "bad").last_crash.startswith("Killed")
    assert list(mailbox.pending()) == ["innocent"]
    assert told()[-2:] == ["root/bad stopped", "root/first stopped"]
    assert status_of(root, "bad").last_crash == "RuntimeError: cleanup"


async def test_a_child_that_crashes_while_it_drains_comes_back_to_drain(
    autojump_clock, running, told, events
):
    mailbox, handled = Mailbox("m", 10), []

    async def actor(context):
        context.started()
        async for message in context.mailbox:
            if message == 0:
                await context.stopping.wait()
            if message == "poison":
                raise ValueError(message)
            handled.append((context.incarnation, message))

    root = Supervisor("root", [ChildSpec("a", actor, mailbox=mailbox)], backoff=EXACT, on_event=events.append)
    async with running(root):
        for message in (0, 1, "poison", 2):
            await mailbox.put(message)
    assert handled == [(1, 0), (1, 1), (3, 2)]
    assert trio.current_time() == 0
    assert told()[-1] == "root/a stopped"


async def test_a_child_that_backs_off_when_the_stop_comes_is_started_to_drain(autojump_clock, running):
    mailbox, handled = Mailbox("m", 10), []

    async def actor(context):
        context.started()
        if context.incarnation < 3:
            raise ValueError
        handled.extend([message async for message in context.mailbox])

    root = Supervisor("root", [ChildSpec("a", actor, mailbox=mailbox)], backoff=EXACT)
    async with running(root):
        await wait_all_tasks_blocked()
        await mailbox.put("left")
    assert handled == ["left"]
    assert trio.current_time() == 0


async def test_a_drain_that_only_crashes_ends_with_the_budget_and_one_that_lost_contact_at_once(
    autojump_clock, running, status_of
):
    full, far = Mailbox("full", 10), Mailbox("far", 10)

    def raising(error):
        async def actor(context):
            context.started()
            await context.stopping.wait()
            raise error

        return actor

    children = [
        ChildSpec("crashes", raising(ValueError()), mailbox=full),
        ChildSpec("far", raising(Disconnected()), mailbox=far),
    ]
    root = Supervisor("root", children, intensity=Intensity(3, 10))
    async with running(root):
        await full.put("left")
        await far.put("left")
    assert trio.current_time() == 0
    assert [status_of(root, name).incarnation for name in ("crashes", "far")] == [4, 1]
    assert list(full.pending()) == list(far.pending()) == ["left"]


# --- a stop, a kill or a cancellation in every state ---


def child_in(state, mailbox):
    """Make a child that reaches this state and stays in it for the moment."""
    policy = BreakerPolicy(window=1, minimum_calls=1, open_seconds=1000)

    async def actor(context):
        if state is State.STARTING:
            await trio.sleep_forever()
        if state is State.BACKING_OFF:
            raise ValueError
        if state is State.PARKED:
            raise Disconnected
        context.started()
        if state is State.STOPPED:
            return
        async for _ in context.mailbox:
            await trio.sleep_forever()

    restart = Restart.TRANSIENT if state is State.STOPPED else Restart.PERMANENT
    breaker = policy if state is State.PARKED else None
    return ChildSpec("child", actor, restart, mailbox=mailbox, breaker=breaker, shutdown_timeout=1)


STATES = [State.WAITING, State.STARTING, State.RUNNING, State.BACKING_OFF, State.PARKED, State.STOPPED]


async def reach(state, nursery, idle):
    """Run a supervisor until its child is in this state."""
    mailbox = Mailbox("m", 1)
    children = [ChildSpec("first", idle), child_in(state, mailbox), ChildSpec("last", idle)]
    if state is State.WAITING:
        children.insert(0, ChildSpec("blocker", never_ready, shutdown_timeout=1))
    root = Supervisor("root", children, backoff=EXACT)
    nursery.start_soon(root.run)
    await wait_all_tasks_blocked()
    if not mailbox.closed:
        mailbox.put_nowait("message")
        await wait_all_tasks_blocked()
    child = next(child for child in root.snapshot().children if child.name == "child")
    assert child.state is state
    return root, mailbox


@pytest.mark.parametrize("state", STATES, ids=lambda state: state.value)
async def test_a_stop_is_honoured_from_every_state(autojump_clock, state, idle):
    async with trio.open_nursery() as nursery:
        root, mailbox = await reach(state, nursery, idle)
        root.stop()
        root.stop()
    assert trio.current_time() <= 2
    assert [child.state for child in root.snapshot().children] == [State.STOPPED] * len(
        root.snapshot().children
    )
    assert mailbox.closed
    assert mailbox.statistics().dead_lettered == 0


@pytest.mark.parametrize("state", STATES, ids=lambda state: state.value)
async def test_one_child_can_be_stopped_in_every_state(autojump_clock, state, idle):
    async with trio.open_nursery() as nursery:
        root, mailbox = await reach(state, nursery, idle)
        await root.stop_child("child")
        assert "child" not in [child.name for child in root.snapshot().children]
        assert mailbox.closed
        root.stop()
    assert trio.current_time() <= 3


@pytest.mark.parametrize("state", STATES, ids=lambda state: state.value)
async def test_a_cancellation_in_every_state_is_no_crash_and_loses_nothing(autojump_clock, state, idle):
    async with trio.open_nursery() as nursery:
        root, mailbox = await reach(state, nursery, idle)
        before = next(child for child in root.snapshot().children if child.name == "child").last_crash
        nursery.cancel_scope.cancel()
    assert trio.current_time() == 0
    child = next(child for child in root.snapshot().children if child.name == "child")
    assert child.last_crash == before
    if state is not State.STOPPED:
        assert list(mailbox.pending()) == ["message"]
        assert not mailbox.closed
        assert mailbox.statistics().in_hand == 0


@pytest.mark.parametrize("state", STATES, ids=lambda state: state.value)
async def test_a_kill_in_every_state_hits_only_the_living(autojump_clock, state, idle):
    async with trio.open_nursery() as nursery:
        root, _ = await reach(state, nursery, idle)
        assert root.kill("child") is (state in (State.STARTING, State.RUNNING))
        await wait_all_tasks_blocked()
        root.stop()
    assert trio.current_time() <= 2


async def test_a_kill_during_the_shutdown_ends_the_child_and_the_shutdown_goes_on(
    autojump_clock, running, told, events, idle
):
    root = Supervisor(
        "root",
        [ChildSpec("first", idle), ChildSpec("slow", stubborn(0), shutdown_timeout=60)],
        on_event=events.append,
    )
    async with running(root):
        root.stop()
        await trio.sleep(1)
        assert root.kill("slow")
    assert trio.current_time() == 1
    assert told()[-3:] == ["root/slow crashed", "root/slow stopped", "root/first stopped"]


async def test_a_cancelled_supervisor_can_run_again_where_it_was(autojump_clock, running):
    mailbox, handled = Mailbox("m", 2), []

    async def actor(context):
        context.started()
        async for message in context.mailbox:
            await trio.sleep(1)
            handled.append((context.incarnation, message))

    sub = Supervisor("sub", [ChildSpec("a", actor, mailbox=mailbox)])
    root = Supervisor("root", [sub])
    mailbox.put_nowait(1)
    with trio.move_on_after(0.5):
        await root.run()
    assert handled == []
    async with running(root):
        await trio.sleep(2)
    assert handled == [(2, 1)]


async def test_a_supervisor_stopped_before_it_runs_starts_nothing(autojump_clock, idle):
    mailbox = Mailbox("m", 1)
    root = Supervisor("root", [Supervisor("sub", [ChildSpec("a", idle, mailbox=mailbox)])])
    root.stop()
    await root.run()
    assert root.snapshot().children[0].incarnation == 0
    with pytest.raises(MailboxClosed):
        mailbox.put_nowait(0)


async def test_a_nested_supervisor_can_be_stopped_by_itself(autojump_clock, running, status_of, idle):
    sub = Supervisor("sub", [ChildSpec("a", idle)])
    root = Supervisor("root", [sub, ChildSpec("b", idle)])
    async with running(root):
        sub.stop()
        await wait_all_tasks_blocked()
        assert status_of(root, "sub").state is State.STOPPED
        assert status_of(root, "sub").last_crash is None
        assert status_of(root, "b").state is State.RUNNING


async def test_a_stop_during_start_up_lets_whoever_waits_for_it_go_on(autojump_clock):
    root = Supervisor("root", [ChildSpec("never", never_ready, shutdown_timeout=1)])
    async with trio.open_nursery() as nursery:
        nursery.start_soon(lambda: nursery.start(lambda task_status: root.run(task_status=task_status)))
        await wait_all_tasks_blocked()
        root.stop()
    assert trio.current_time() == 1


async def test_what_crashes_before_its_turn_is_restarted_for_those_that_still_drain(autojump_clock, running):
    work, store, stored = Mailbox("work", 10), Mailbox("store", 1), []

    async def writer(context):
        context.started()
        async for message in context.mailbox:
            stored.append(message)  # noqa: PERF401 - one by one, since a kill may come between

    async def worker(context):
        context.started()
        async for message in context.mailbox:
            await trio.sleep(1)
            await store.put(message)

    storage = Supervisor("storage", [ChildSpec("writer", writer, mailbox=store)], backoff=EXACT)
    children = [storage, ChildSpec("worker", worker, mailbox=work, shutdown_timeout=20)]
    root = Supervisor("root", children)
    async with running(root):
        for number in range(10):
            await work.put(number)
        root.stop()
        await trio.sleep(2.5)
        assert root.kill("storage/writer")
        await trio.sleep(2)
        assert root.kill("storage")
    assert stored == list(range(10))
    assert trio.current_time() == 10


async def test_a_child_waiting_for_its_turn_to_be_stopped_is_not_restarted(autojump_clock, running):
    starts = []

    async def broken(context):
        starts.append(context.now())
        context.started()
        if len(starts) == 3:
            await context.stopping.wait()
        raise ValueError

    children = [ChildSpec("broken", broken), ChildSpec("slow", stubborn(0), shutdown_timeout=20)]
    root = Supervisor("root", children, backoff=EXACT)
    async with running(root) as nursery:
        await wait_all_tasks_blocked()
        nursery.start_soon(root.stop_child, "slow")
        nursery.start_soon(root.stop_child, "broken")
        await trio.sleep(30)
        assert root.snapshot().children == ()
    assert starts == [0, 0]


async def test_nobody_waits_for_ever_for_a_child_of_a_cancelled_supervisor(autojump_clock):
    async def broken(context):
        context.started()
        await trio.lowlevel.checkpoint()
        raise ValueError

    children = [ChildSpec("broken", broken), ChildSpec("slow", stubborn(0), shutdown_timeout=20)]
    sub = Supervisor("sub", children, backoff=EXACT)
    root = Supervisor("root", [sub])
    async with trio.open_nursery() as nursery:
        with trio.move_on_after(5):
            async with trio.open_nursery() as inner:
                inner.start_soon(root.run)
                await wait_all_tasks_blocked()
                nursery.start_soon(sub.stop_child, "slow")
                nursery.start_soon(sub.stop_child, "broken")
    assert trio.current_time() == 5


@pytest.mark.parametrize("answer", [None, ValueError("cleanup")])
async def test_an_actor_that_swallows_a_cancellation_from_outside_spends_nothing(
    autojump_clock, events, told, answer
):
    async def swallow(context):
        context.started()
        try:
            await trio.sleep_forever()
        except trio.Cancelled:
            if answer is not None:
                raise answer from None

    root = Supervisor("root", [ChildSpec("a", swallow)], intensity=Intensity(0, 1), on_event=events.append)
    with trio.move_on_after(1) as scope:
        await root.run()
    assert scope.cancelled_caught
    crashed = ["root/a crashed"] if answer else []
    assert told() == ["root/a started", *crashed, "root/a stopped"]


async def test_it_is_too_late_to_give_up_during_a_stop(autojump_clock, running, status_of, idle):
    children = [ChildSpec("a", idle), ChildSpec("slow", stubborn(0), shutdown_timeout=20)]
    root = Supervisor("root", children, intensity=Intensity(0, 1))
    async with running(root):
        root.stop()
        await trio.sleep(1)
        root.kill("a")
        await wait_all_tasks_blocked()
        assert status_of(root, "a").state is State.STOPPED
    assert trio.current_time() == 20
