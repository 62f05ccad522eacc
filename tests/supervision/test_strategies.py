import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from supervision import Backoff, ChildSpec, Disconnected, Intensity, Mailbox, State, Strategy, Supervisor

EXACT = Backoff(minimum=1, maximum=4, factor=2, jitter=0, reset_after=100)


def noting(name, log, **spec):
    """Make a child that notes its starts and ends."""

    async def actor(context):
        log.append(f"{name}+")
        context.started()
        await context.stopping.wait()
        log.append(f"{name}-")

    return ChildSpec(name, actor, **spec)


@pytest.mark.parametrize(
    ("strategy", "expected"),
    [
        (Strategy.ONE_FOR_ONE, ["b+"]),
        (Strategy.REST_FOR_ONE, ["d-", "c-", "b+", "c+", "d+"]),
        (Strategy.ONE_FOR_ALL, ["d-", "c-", "a-", "a+", "b+", "c+", "d+"]),
    ],
)
async def test_who_restarts_with_a_crashed_child(autojump_clock, running, strategy, expected):
    log = []
    children = [noting("a", log), noting("b", log), Supervisor("sub", [noting("c", log)]), noting("d", log)]
    root = Supervisor("root", children, strategy)
    async with running(root):
        log.clear()
        root.kill("b")
        await wait_all_tasks_blocked()
        assert log == expected


async def test_a_group_waits_for_the_back_off_of_the_one_that_crashed(autojump_clock, running):
    log = []
    root = Supervisor("root", [noting("a", log), noting("b", log)], Strategy.REST_FOR_ONE, backoff=EXACT)
    async with running(root):
        for _ in range(2):
            root.kill("a")
            await wait_all_tasks_blocked()
        assert log == ["a+", "b+", "b-", "a+", "b+", "b-"]
        await trio.sleep(0.9)
        assert len(log) == 6
        await trio.sleep(0.2)
        assert log[6:] == ["a+", "b+"]


async def test_a_groups_mailboxes_keep_their_messages_and_stay_open(autojump_clock, running):
    mailbox, handled = Mailbox("m", 10), []

    async def actor(context):
        context.started()
        async for message in context.mailbox:
            await trio.sleep(1)
            handled.append((context.incarnation, message))

    log = []
    children = [noting("first", log), ChildSpec("b", actor, mailbox=mailbox)]
    root = Supervisor("root", children, Strategy.ONE_FOR_ALL, backoff=EXACT)
    async with running(root):
        for number in range(3):
            await mailbox.put(number)
        await trio.sleep(0.5)
        root.kill("first")
        await mailbox.put(3)
        await trio.sleep(10)
    assert handled == [(1, 0), (2, 1), (2, 2), (2, 3)]


async def test_a_group_takes_one_restart_from_the_budget(autojump_clock, running, status_of):
    log = []
    children = [noting(name, log) for name in "abc"]
    root = Supervisor("root", children, Strategy.ONE_FOR_ALL, intensity=Intensity(1, 10))
    async with running(root):
        root.kill("b")
        await trio.sleep(5)
        assert [status_of(root, name).incarnation for name in "abc"] == [2, 2, 2]


async def test_a_disconnect_takes_nobody_along_and_a_parked_child_is_left_alone(
    autojump_clock, running, status_of
):
    log = []

    async def far(context):
        context.started()
        raise Disconnected

    children = [noting("a", log), ChildSpec("far", far), noting("c", log)]
    root = Supervisor("root", children, Strategy.ONE_FOR_ALL, backoff=Backoff(50, 50, jitter=0))
    async with running(root):
        await trio.sleep(1)
        assert log == ["a+", "c+"]
        root.kill("a")
        await trio.sleep(1)
        assert log == ["a+", "c+", "c-", "a+", "c+"]
        assert status_of(root, "far").state is State.PARKED


async def test_another_crash_during_a_groups_restart_widens_it(autojump_clock, running):
    log = []

    async def slow_to_stop(context):
        log.append("slow+")
        context.started()
        await context.stopping.wait()
        await trio.sleep(2)
        log.append("slow-")

    children = [noting("a", log), noting("b", log), ChildSpec("slow", slow_to_stop)]
    root = Supervisor("root", children, Strategy.REST_FOR_ONE, backoff=EXACT)
    async with running(root):
        log.clear()
        root.kill("b")
        await wait_all_tasks_blocked()
        root.kill("a")
        await trio.sleep(10)
        assert log == ["slow-", "a+", "b+", "slow+"]


async def test_a_group_member_that_does_not_stop_is_cancelled_in_its_time(autojump_clock, running, status_of):
    async def deaf(context):
        context.started()
        await trio.sleep_forever()

    log = []
    children = [noting("a", log), ChildSpec("deaf", deaf, shutdown_timeout=3)]
    root = Supervisor("root", children, Strategy.ONE_FOR_ALL)
    async with running(root):
        root.kill("a")
        await trio.sleep(2.9)
        assert log == ["a+"]
        await trio.sleep(0.2)
        assert log == ["a+", "a+"]
        assert status_of(root, "deaf").incarnation == 2
        assert status_of(root, "deaf").last_crash is None


async def test_a_stop_ends_a_groups_restart(autojump_clock):
    log = []
    root = Supervisor("root", [noting("a", log), noting("b", log)], Strategy.ONE_FOR_ALL)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(root.run)
        await wait_all_tasks_blocked()
        root.kill("a")
        root.stop()
    assert trio.current_time() == 0
    assert (log.count("b+"), log.count("b-")) == (1, 1)
    assert [child.state for child in root.snapshot().children] == [State.STOPPED] * 2
