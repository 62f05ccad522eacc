# ruff: noqa: PLR0917 - fixtures come as arguments

import logging

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from supervision import (
    AskRefused,
    Backoff,
    BreakerPolicy,
    BreakerState,
    ChildSpec,
    Disconnected,
    Escalation,
    Intensity,
    Mailbox,
    MailboxClosed,
    NotStarted,
    Restart,
    State,
    Strategy,
    Supervisor,
    ask,
)

EXACT = Backoff(minimum=1, maximum=4, factor=2, jitter=0, reset_after=100)


def crashing(times, starts, error=ValueError, before_ready=False, after=0.0):
    """Make an actor whose first incarnations crash; it notes the time of each start."""

    async def actor(context):
        starts.append(context.now())
        if not before_ready:
            context.started()
        if len(starts) <= times:
            await trio.sleep(after)
            raise error(f"crash {len(starts)}")
        context.started()
        context.succeeded()
        await context.stopping.wait()

    return actor


# --- starting ---


async def test_children_start_from_left_to_right_each_when_the_one_before_is_ready(autojump_clock, running):
    order = []

    def slow(name):
        async def actor(context):
            order.append(f"{name} begins")
            await trio.sleep(1)
            order.append(f"{name} ready")
            context.started()
            context.started()
            await context.stopping.wait()

        return ChildSpec(name, actor)

    async with running(Supervisor("root", [slow("a"), Supervisor("sub", [slow("b")]), slow("c")])):
        assert order == [f"{name} {what}" for name in "abc" for what in ("begins", "ready")]
        assert trio.current_time() == 3


async def test_a_child_that_is_never_ready_crashes(autojump_clock, events):
    async def hang(_):
        await trio.sleep_forever()

    root = Supervisor(
        "root",
        [ChildSpec("hang", hang, start_timeout=7)],
        intensity=Intensity(restarts=1, period=60),
        on_event=events.append,
    )
    with pytest.raises(Escalation, match=r"'root' gives up: more than 1 restarts in 60 s.*'hang'"):
        await root.run()
    assert trio.current_time() == 14
    assert "was not ready within 7 s" in events[0].detail


async def test_a_crash_in_the_start_holds_the_next_child_back(autojump_clock, running, status_of, idle):
    starts = []
    root = Supervisor(
        "root",
        [ChildSpec("bad", crashing(2, starts, before_ready=True)), ChildSpec("next", idle)],
        backoff=EXACT,
    )
    async with running(root):
        assert starts == [0, 0, 1]
        assert status_of(root, "next").incarnation == 1


async def test_a_child_parked_in_its_start_holds_nobody_back(autojump_clock, running, status_of, idle):
    starts = []
    root = Supervisor(
        "root",
        [ChildSpec("far", crashing(99, starts, Disconnected, before_ready=True)), ChildSpec("next", idle)],
        backoff=EXACT,
    )
    async with running(root):
        assert trio.current_time() == 0
        assert status_of(root, "next").state is State.RUNNING


async def test_the_word_of_an_earlier_incarnation_does_not_count(autojump_clock, running, status_of):
    contexts = []

    async def actor(context):
        contexts.append(context)
        if context.incarnation == 1:
            raise ValueError
        await trio.sleep(5)
        contexts[0].started()
        await trio.sleep(5)
        context.started()
        await context.stopping.wait()

    async with running(Supervisor("root", [ChildSpec("a", actor)])):
        assert trio.current_time() == 10


# --- restarting ---


async def test_the_first_restart_is_immediate_and_later_ones_back_off(autojump_clock, running, events, told):
    starts = []
    root = Supervisor("root", [ChildSpec("a", crashing(5, starts))], backoff=EXACT, on_event=events.append)
    async with running(root):
        await trio.sleep(50)
    assert starts == [0, 0, 1, 3, 7, 11]
    assert told()[:4] == ["root/a started", "root/a crashed", "root/a restarted", "root/a crashed"]
    assert "ValueError: crash 1" in events[1].detail
    assert "Traceback" in events[1].detail


async def test_a_stable_run_resets_the_back_off(autojump_clock, running):
    starts = []
    root = Supervisor("root", [ChildSpec("a", crashing(3, starts, after=100))], backoff=EXACT)
    async with running(root):
        await trio.sleep(1000)
    assert starts == [0, 100, 200, 300]


@pytest.mark.parametrize(
    ("restart", "error", "expected"),
    [
        (Restart.PERMANENT, None, 3),
        (Restart.PERMANENT, ValueError, 3),
        (Restart.TRANSIENT, None, 1),
        (Restart.TRANSIENT, ValueError, 3),
        (Restart.TEMPORARY, None, 1),
        (Restart.TEMPORARY, ValueError, 1),
        (Restart.TEMPORARY, Disconnected, 1),
    ],
)
async def test_which_ends_lead_to_a_restart(autojump_clock, running, status_of, restart, error, expected):
    incarnations = []

    async def actor(context):
        incarnations.append(context.incarnation)
        context.started()
        if context.incarnation == 3:
            await context.stopping.wait()
        if error is not None:
            raise error

    mailbox = Mailbox("m", 1)
    root = Supervisor("root", [ChildSpec("a", actor, restart, mailbox=mailbox)], backoff=EXACT)
    async with running(root):
        await trio.sleep(50)
        assert incarnations == list(range(1, expected + 1))
        gone = expected == 1
        assert status_of(root, "a").state is (State.STOPPED if gone else State.RUNNING)
        assert mailbox.closed is gone


async def test_a_permanent_actor_that_returns_is_shown_and_never_spins(autojump_clock):
    async def quitter(context):
        context.started()

    root = Supervisor("root", [ChildSpec("quitter", quitter)], intensity=Intensity(3, 10), backoff=EXACT)
    with pytest.raises(Escalation) as escalation:
        await root.run()
    assert "permanent and returned" in str(escalation.value.__cause__)
    assert root.snapshot().children[0].incarnation == 4


async def test_a_supervisor_that_fails_is_restarted_by_its_parent_with_mailboxes_intact(
    autojump_clock, running, events, told, status_of
):
    mailbox = Mailbox("m", 4)
    for number in range(4):
        mailbox.put_nowait(number)
    handled = []

    async def actor(context):
        context.started()
        async for message in context.mailbox:
            if context.incarnation < 3:
                raise ValueError(message)
            handled.append(message)

    sub = Supervisor(
        "sub", [ChildSpec("a", actor, mailbox=mailbox)], intensity=Intensity(1, 10), backoff=EXACT
    )
    root = Supervisor("root", [sub], on_event=events.append)
    async with running(root):
        await wait_all_tasks_blocked()
        assert handled == [1, 2, 3]
        assert status_of(root, "sub").last_crash.startswith("Escalation: supervisor 'sub' gives up")
        assert status_of(root, "sub/a").incarnation == 3
    assert told().count("root/sub escalated") == 1
    assert (
        told().index("root/sub escalated")
        < told().index("root/sub crashed")
        < told().index("root/sub restarted")
    )
    assert [letter.message for letter in root.dead_letters.list()] == [0]


async def test_failures_escalate_to_the_top_and_out(autojump_clock):
    starts = []
    leaf = Supervisor(
        "leaf", [ChildSpec("a", crashing(99, starts))], intensity=Intensity(1, 10), backoff=EXACT
    )
    middle = Supervisor("middle", [leaf], intensity=Intensity(2, 60), backoff=EXACT)
    root = Supervisor("root", [middle], intensity=Intensity(0, 60))
    with pytest.raises(Escalation, match="'root' gives up") as escalation:
        await root.run()
    assert len(starts) == 2 * 3
    assert "'middle' gives up" in str(escalation.value.__cause__)
    assert "'leaf' gives up" in str(escalation.value.__cause__.__cause__)


async def test_a_group_of_one_is_named_by_what_is_in_it(autojump_clock, running, status_of):
    async def actor(context):
        context.started()
        async with trio.open_nursery():
            if context.incarnation == 1:
                raise KeyError("inner")
            await context.stopping.wait()

    root = Supervisor("root", [ChildSpec("a", actor)])
    async with running(root):
        await wait_all_tasks_blocked()
        assert status_of(root, "a").last_crash == "KeyError: 'inner'"


@pytest.mark.parametrize("request_type", [KeyboardInterrupt, SystemExit])
async def test_exits_and_interrupts_pass_through(autojump_clock, idle, request_type):
    async def actor(context):
        context.started()
        raise request_type(3)

    root = Supervisor("root", [ChildSpec("idle", idle), Supervisor("sub", [ChildSpec("a", actor)])])
    with pytest.raises(request_type):
        await root.run()


# --- disconnects and breakers ---


async def test_a_disconnect_parks_and_spends_no_budget(autojump_clock, running, events, told, status_of):
    starts = []

    async def lonely(context):
        starts.append(context.now())
        context.started()
        async with trio.open_nursery():
            raise Disconnected("the line is dead")

    root = Supervisor(
        "root", [ChildSpec("a", lonely)], intensity=Intensity(0, 1000), backoff=EXACT, on_event=events.append
    )
    async with running(root):
        await trio.sleep(20)
        assert status_of(root, "a").state is State.PARKED
        assert status_of(root, "a").last_crash == "Disconnected: the line is dead"
    assert starts == [0, 0, 1, 3, 7, 11, 15, 19]
    assert "root/a parked" in told()
    assert "root/a crashed" not in told()


async def test_a_breaker_keeps_a_child_parked_until_its_probe(
    autojump_clock, running, status_of, events, told
):
    starts = []
    policy = BreakerPolicy(window=10, minimum_calls=3, open_seconds=60)
    child = ChildSpec("far", crashing(4, starts, Disconnected, before_ready=True), breaker=policy)
    root = Supervisor("root", [child], backoff=EXACT, on_event=events.append)
    async with running(root):
        await trio.sleep(10)
        assert starts == [0, 0, 1]
        assert told() == ["root/far parked"] * 3
        assert status_of(root, "far").state is State.PARKED
        assert status_of(root, "far").breaker.state is BreakerState.OPEN
        await trio.sleep(100)
        assert starts == [0, 0, 1, 61]
        await trio.sleep(30)
        assert starts == [0, 0, 1, 61, 121]
        assert status_of(root, "far").breaker.state is BreakerState.CLOSED


async def test_being_ready_is_no_success_and_losing_what_worked_is_no_failure(
    autojump_clock, running, status_of
):
    async def far(context):
        context.started()  # it may go on trying while others start
        await trio.sleep(1)
        if context.incarnation > 3:
            context.succeeded()
            await trio.sleep(1)
        raise Disconnected

    policy = BreakerPolicy(window=3, minimum_calls=3, failure_rate=1, open_seconds=60)
    root = Supervisor("root", [ChildSpec("far", far, breaker=policy)], backoff=EXACT)
    async with running(root):
        await trio.sleep(20)
        assert status_of(root, "far").breaker.state is BreakerState.OPEN
        assert status_of(root, "far").incarnation == 3
        await trio.sleep(200)
        breaker = status_of(root, "far").breaker
        assert breaker.state is BreakerState.CLOSED
        assert breaker.opened == 1
        assert breaker.failures == 0


async def test_an_isolated_child_stays_parked_until_its_breaker_is_reset(
    autojump_clock, running, status_of, idle
):
    root = Supervisor("root", [ChildSpec("a", idle, breaker=BreakerPolicy()), ChildSpec("b", idle)])
    async with running(root):
        root.breaker("root/a").isolate()
        await trio.sleep(5)
        assert status_of(root, "a").state is State.RUNNING
        root.kill("a")
        await trio.sleep(10_000)
        assert status_of(root, "a").state is State.PARKED
        root.breaker("a").reset()
        await wait_all_tasks_blocked()
        assert status_of(root, "a").state is State.RUNNING
        with pytest.raises(LookupError, match="'b' of 'root' has no circuit breaker"):
            root.breaker("b")


async def test_an_actor_that_dies_with_a_probe_in_flight_loses_no_permit(autojump_clock, running, status_of):
    async def sink(context):
        context.started()
        if context.incarnation == 1:
            for _ in range(2):
                context.breaker.acquire(context.now()).failed(context.now(), 1)
            raise Disconnected
        if context.incarnation == 2:
            await trio.sleep(1)
            root.breaker("sink").isolate()
            root.breaker("sink").reset()
        await context.stopping.wait()

    root = Supervisor(
        "root", [ChildSpec("sink", sink, breaker=BreakerPolicy(minimum_calls=2, open_seconds=10))]
    )
    async with running(root):
        await trio.sleep(20)
        assert status_of(root, "sink").breaker.state is BreakerState.CLOSED
        assert status_of(root, "sink").incarnation == 2


async def test_a_crash_gives_back_the_probes_of_the_crashed(autojump_clock, running, status_of):
    starts = []

    async def sink(context):
        starts.append(context.now())
        context.started()
        if context.incarnation == 1:
            context.breaker.acquire(context.now()).failed(context.now(), 1)
            await trio.sleep(10)
            context.breaker.acquire(context.now())
            raise ValueError
        context.succeeded()
        await context.stopping.wait()

    policy = BreakerPolicy(window=1, minimum_calls=1, open_seconds=10)
    root = Supervisor("root", [ChildSpec("sink", sink, breaker=policy)])
    async with running(root):
        await trio.sleep(100)
        assert starts == [0, 10]
        assert status_of(root, "sink").breaker.state is BreakerState.CLOSED


# --- mailboxes ---


async def test_poison_goes_to_the_dead_letters_and_can_be_replayed(autojump_clock, running, events, told):
    mailbox, handled = Mailbox("m", 8), []
    fixed = False

    async def actor(context):
        context.started()
        async for message in context.mailbox:
            if message == "poison" and not fixed:
                raise ValueError("cannot read this")
            handled.append(message)

    root = Supervisor("root", [ChildSpec("a", actor, mailbox=mailbox)], backoff=EXACT, on_event=events.append)
    async with running(root):
        for message in ("one", "poison", "two"):
            await mailbox.put(message)
        await trio.sleep(5)
        assert handled == ["one", "two"]
        [letter] = root.dead_letters.list()
        assert (letter.mailbox, letter.message) == ("m", "poison")
        assert letter.cause == "ValueError: cannot read this"
        assert told().count("root/a dead_lettered") == 1
        fixed = True
        root.dead_letters.replay(letter.id)
    assert handled == ["one", "two", "poison"]


async def test_kills_and_disconnects_blame_no_message(autojump_clock, running, status_of):
    mailbox = Mailbox("m", 1)

    async def actor(context):
        context.started()
        async for _ in context.mailbox:
            if context.incarnation % 2:
                raise Disconnected
            await trio.sleep_forever()

    root = Supervisor("root", [ChildSpec("a", actor, mailbox=mailbox, shutdown_timeout=0)], backoff=EXACT)
    async with running(root):
        await mailbox.put("innocent")
        for _ in range(4):
            await trio.sleep(30)
            assert root.kill("a")
        await wait_all_tasks_blocked()
        assert list(mailbox.pending()) == ["innocent"]
        assert not root.dead_letters.list()
        assert status_of(root, "a").mailbox.redelivered >= 8


async def test_a_question_survives_its_actors_crash(autojump_clock, running):
    mailbox = Mailbox("m", 1)

    async def actor(context):
        context.started()
        async for question in context.mailbox:
            if context.incarnation == 1:
                raise ValueError
            question.reply(context.incarnation)

    async with running(Supervisor("root", [ChildSpec("a", actor, mailbox=mailbox)])):
        assert await ask(mailbox, "who answers?", deadline=5) == 2


async def test_questions_left_in_an_ended_actors_mailbox_are_refused(autojump_clock, running):
    mailbox = Mailbox("m", 2)

    async def once(context):
        context.started()
        await context.mailbox.receive()
        await trio.sleep(1)

    async with running(Supervisor("root", [ChildSpec("a", once, Restart.TRANSIENT, mailbox=mailbox)])):
        with pytest.raises(AskRefused, match="'a' has ended"):
            await ask(mailbox, "too late", deadline=100)
        with pytest.raises(AskRefused, match="closed"):
            await ask(mailbox, "much too late", deadline=100)


# --- while it runs ---


async def test_children_come_and_go_while_it_runs(autojump_clock, running, idle, told, events):
    root = Supervisor("root", [ChildSpec("a", idle)], on_event=events.append)
    async with running(root):
        for _ in range(2):
            await root.start_child(ChildSpec("b", idle, mailbox=Mailbox("b", 1)))
            assert [child.name for child in root.snapshot().children] == ["a", "b"]
            await root.stop_child("b")
            assert [child.name for child in root.snapshot().children] == ["a"]
        await root.start_child(Supervisor("sub", [ChildSpec("c", idle)]))
        assert root.kill("root/sub/c")
        await wait_all_tasks_blocked()
        await root.stop_child("sub")
        await root.stop_child("a")
        assert root.snapshot().children == ()
        with pytest.raises(LookupError, match="'root' has no child 'a'"):
            await root.stop_child("a")
    assert told().count("root/b stopped") == 2


async def test_a_dynamic_child_that_is_done_is_forgotten(autojump_clock, running):
    async def job(context):
        context.started()

    root = Supervisor("root")
    async with running(root):
        for _ in range(3):
            await root.start_child(ChildSpec("job", job, Restart.TEMPORARY))
            await wait_all_tasks_blocked()
        assert root.snapshot().children == ()


async def test_a_job_may_be_done_before_it_says_that_it_is_ready_and_its_name_is_free_then(
    autojump_clock, running
):
    async def job(_):
        pass

    root = Supervisor("root")
    async with running(root):
        for _ in range(30):
            await root.start_child(ChildSpec("job", job, Restart.TEMPORARY))


async def test_a_child_that_ends_before_it_is_ready_was_not_started(autojump_clock, running):
    async def broken(_):
        raise ValueError("no such symbol")

    root = Supervisor("root")
    async with running(root):
        with pytest.raises(
            NotStarted, match="'broken' of 'root' ended before it was ready: ValueError: no such"
        ):
            await root.start_child(ChildSpec("broken", broken, Restart.TEMPORARY))


async def test_a_stopping_supervisor_takes_no_child(autojump_clock, running, idle):
    async def never_ready(_):
        await trio.sleep_forever()

    root = Supervisor("root")
    refusals = []

    async def add(spec):
        with pytest.raises(NotStarted) as refusal:
            await root.start_child(spec)
        refusals.append(str(refusal.value))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(root.run)
        await wait_all_tasks_blocked()
        nursery.start_soon(add, ChildSpec("slow", never_ready))
        nursery.start_soon(add, ChildSpec("slower", never_ready))
        await wait_all_tasks_blocked()
        root.stop()
        nursery.start_soon(add, ChildSpec("late", idle))
    assert len(refusals) == 3


async def test_children_added_before_the_run_start_with_the_others(autojump_clock, running, idle, status_of):
    root = Supervisor("root", [ChildSpec("a", idle)])
    await root.start_child(ChildSpec("b", idle))
    await root.start_child(ChildSpec("c", idle))
    await root.stop_child("c")
    async with running(root):
        assert [child.state for child in root.snapshot().children] == [State.RUNNING] * 2


async def test_kill_finds_its_victim_by_name_or_path(autojump_clock, running, idle, status_of):
    root = Supervisor("root", [ChildSpec("a", idle), Supervisor("sub", [ChildSpec("b:x:y", idle)])])
    async with running(root):
        for path in ("a", "root/a", "sub/b:x:y", "root/sub/b:x:y", "sub"):
            assert root.kill(path)
            assert root.kill(path) is False
            await trio.sleep(50)
        assert status_of(root, "a").restarts == 2
        assert status_of(root, "a").last_crash == "Killed: root/a was killed on purpose"
        assert status_of(root, "sub").restarts == 1
        assert status_of(root, "sub/b:x:y").incarnation == 4
        for unknown in ("c", "root/c", "sub/c", "a/b"):
            with pytest.raises(LookupError):
                root.kill(unknown)


async def test_the_tree_can_be_seen_at_any_moment(autojump_clock, running, idle):
    mailbox = Mailbox("m", 5)
    sub = Supervisor("sub", [ChildSpec("a", idle, mailbox=mailbox, kind="aggregator")])
    root = Supervisor("root", [sub])
    assert root.snapshot().state is State.WAITING
    async with running(root):
        mailbox.put_nowait("x")
        await trio.sleep(7)
        status = root.snapshot()
        assert (status.name, status.kind, status.state) == ("root", "supervisor", State.RUNNING)
        assert status.children[0] == sub.snapshot()
        worker = status.children[0].children[0]
        assert (worker.name, worker.kind, worker.state, worker.uptime) == (
            "a",
            "aggregator",
            State.RUNNING,
            7,
        )
        assert (worker.incarnation, worker.restarts, worker.last_crash, worker.breaker) == (1, 0, None, None)
        assert worker.mailbox.depth == 1
        root.kill("sub/a")
        await trio.sleep(1)
        worker = sub.snapshot().children[0]
        assert (worker.incarnation, worker.restarts, worker.last_crash_at, worker.uptime) == (2, 1, 7, 1)
    assert root.snapshot().state is State.STOPPED


async def test_without_a_listener_events_are_logged(autojump_clock, running, caplog):
    starts = []
    caplog.set_level(logging.INFO, "supervision")
    async with running(Supervisor("root", [ChildSpec("a", crashing(1, starts))])):
        await wait_all_tasks_blocked()
    assert [record.levelname for record in caplog.records] == ["INFO", "ERROR", "INFO", "INFO"]


async def test_a_listener_that_raises_harms_nobody(autojump_clock, running, idle, caplog):
    def broken(_):
        raise ValueError("listener")

    root = Supervisor("root", [ChildSpec("a", idle)], on_event=broken)
    async with running(root):
        assert root.snapshot().state is State.RUNNING
    assert "listener" in caplog.text


async def test_it_runs_once_at_a_time(autojump_clock, running, idle):
    root = Supervisor("root", [ChildSpec("a", idle)])
    async with running(root):
        with pytest.raises(RuntimeError, match="'root' is running already"):
            await root.run()
        with pytest.raises(ValueError, match="running by itself"):
            Supervisor("other", [root])


# --- what is refused ---


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (
            lambda a: Supervisor("root", [ChildSpec("x", a), ChildSpec("x", a)]),
            "'root' has two children named 'x'",
        ),
        (lambda a: Supervisor("root", strategy="one"), "Strategy.ONE_FOR_ONE.*not 'one'"),
        (lambda a: Supervisor("a/b"), "must be a text without '/', not 'a/b'"),
        (
            lambda a: Supervisor("root", shutdown_timeout=-1),
            "shutdown_timeout of 'root' must be at least 0, not -1",
        ),
        (lambda a: ChildSpec("", a), "ChildSpec.name must be a text"),
        (
            lambda a: ChildSpec("x", a, restart="always"),
            "ChildSpec.restart of 'x' must be one of .*not 'always'",
        ),
        (
            lambda a: ChildSpec("x", a, shutdown_timeout=-2),
            "ChildSpec.shutdown_timeout of 'x' must be at least 0",
        ),
        (lambda a: ChildSpec("x", a, start_timeout=0), "ChildSpec.start_timeout of 'x' must be more than 0"),
    ],
)
def test_wrong_declarations_are_refused_by_name(idle, make, sentence):
    with pytest.raises(ValueError, match=sentence):
        make(idle)


async def test_a_mailbox_belongs_to_one_child_and_is_open(autojump_clock, idle):
    mailbox, closed = Mailbox("m", 1), Mailbox("closed", 1)
    closed.close()
    with pytest.raises(ValueError, match="mailbox 'm' belongs to both 'a' and 'b'"):
        Supervisor("root", [ChildSpec("a", idle, mailbox=mailbox), ChildSpec("b", idle, mailbox=mailbox)])
    with pytest.raises(ValueError, match="mailbox 'closed' of 'a' is closed"):
        Supervisor("root", [ChildSpec("a", idle, mailbox=closed)])
    with pytest.raises(MailboxClosed):
        closed.put_nowait(0)


def test_a_supervisor_has_one_parent():
    sub = Supervisor("sub", strategy=Strategy.ONE_FOR_ALL)
    Supervisor("one", [sub])
    with pytest.raises(ValueError, match="'sub' has a parent already"):
        Supervisor("two", [sub])
    with pytest.raises(TypeError, match="must be a ChildSpec or a Supervisor"):
        Supervisor("root", ["worker"])
