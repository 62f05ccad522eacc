"""Actors killed at random awaits: nothing is lost, nothing counts twice, nothing hangs.

The seed is printed; `CHAOS_SEED=<seed> CHAOS_ROUNDS=1 pytest <this file>` does the same again.
"""

import os
from random import Random, SystemRandom

import pytest
import trio
from trio._core import _run as trio_scheduler

from supervision import (
    Backoff,
    BreakerPolicy,
    ChildSpec,
    Disconnected,
    Escalation,
    Intensity,
    Mailbox,
    State,
    Strategy,
    Supervisor,
)

SEED = int(os.environ.get("CHAOS_SEED", SystemRandom().randrange(2**32)))
ROUNDS = int(os.environ.get("CHAOS_ROUNDS", "12"))
MESSAGES = 300


@pytest.fixture
def random(request, monkeypatch):
    """A generator whose seed also decides the order in which trio runs its tasks."""
    seed = SEED + request.param
    print(f"CHAOS_SEED={seed}")  # noqa: T201 - shown where a test fails
    monkeypatch.setattr(trio_scheduler, "_ALLOW_DETERMINISTIC_SCHEDULING", True)
    trio_scheduler._r.seed(seed)
    return Random(seed)


rotating = pytest.mark.parametrize("random", range(ROUNDS), indirect=True)


class Pipeline:
    """A source, two workers and a writer; what survives in it is what mailboxes and `kept` hold."""

    def __init__(self, random):
        self.random = random
        self.kept: list[int] = []  # what the writer has committed
        self.sent = 0
        self.store = Mailbox("store", 8)
        self.work = [Mailbox(f"work{number}", random.randint(1, 5)) for number in range(2)]
        self.boxes = [self.store, *self.work]
        often = Backoff(minimum=0.001, maximum=0.01, reset_after=0.5)
        writer = ChildSpec(
            "writer", self.writer, mailbox=self.store, breaker=BreakerPolicy(open_seconds=0.01)
        )
        workers = [ChildSpec(f"worker{n}", self.worker, mailbox=box) for n, box in enumerate(self.work)]
        lines = [ChildSpec("source", self.source)]
        make = {"backoff": often, "random": random, "on_event": lambda _: None}
        storage = Supervisor("storage", [writer], intensity=Intensity(3, 0.01), **make)
        strategy = random.choice(list(Strategy))
        middle = Supervisor("workers", workers, strategy, intensity=Intensity(3, 0.01), **make)
        sources = Supervisor("sources", lines, intensity=Intensity(3, 0.01), **make)
        self.root = Supervisor("root", [storage, middle, sources], intensity=Intensity(10**6, 1), **make)

    async def pause(self):
        for _ in range(self.random.randrange(3)):
            await trio.lowlevel.checkpoint()
        if self.random.random() < 0.1:
            await trio.sleep(self.random.random() / 100)

    async def source(self, context):
        await self.pause()
        context.started()
        while self.sent < MESSAGES and not context.stopping.is_set():
            if self.random.random() < 0.02:
                raise Disconnected
            await self.pause()
            await self.work[self.sent % 2].put(self.sent)
            self.sent += 1
        await context.stopping.wait()

    async def worker(self, context):
        await self.pause()
        context.started()
        async for message in context.mailbox:
            await self.pause()
            await self.store.put(message)
            await self.pause()

    async def writer(self, context):
        await self.pause()
        context.started()
        while True:
            try:
                run = await context.mailbox.receive_run(self.random.randint(1, 8))
            except trio.BusyResourceError:
                raise AssertionError("two incarnations at once") from None
            except Exception:
                return
            await self.pause()
            if self.random.random() < 0.02:
                raise Disconnected
            self.kept += [message for message in dict.fromkeys(run) if message not in self.kept]
            await self.pause()
            context.mailbox.ack()

    async def drained(self):
        while any(mailbox.pending() for mailbox in self.boxes):  # noqa: ASYNC110 - many ends to wait for
            await trio.sleep(0.01)

    async def kill_at_random(self, until):
        victims = ["storage", "workers", "sources", "storage/writer", "workers/worker0", "workers/worker1"]
        victims.append("sources/source")
        kills = 0
        while not until():
            for _ in range(self.random.randrange(60)):
                await trio.lowlevel.checkpoint()
            if self.random.random() < 0.3:
                await trio.sleep(self.random.random() / 50)
            kills += self.root.kill(self.random.choice(victims))
        return kills

    def check(self):
        assert self.sent == MESSAGES
        assert sorted(self.kept) == list(range(MESSAGES))
        assert not self.root.dead_letters.list()
        for mailbox in self.boxes:
            counts = mailbox.statistics()
            assert counts.put == counts.acknowledged
            assert counts.depth == counts.in_hand == 0


@rotating
async def test_nothing_is_lost_and_nothing_counts_twice(autojump_clock, random):
    pipeline = Pipeline(random)
    with trio.fail_after(1000):
        async with trio.open_nursery() as nursery:
            await nursery.start(lambda task_status: pipeline.root.run(task_status=task_status))
            kills = await pipeline.kill_at_random(lambda: pipeline.sent == MESSAGES)
            assert kills > 3
            await pipeline.drained()
            pipeline.root.stop()
    pipeline.check()


@rotating
async def test_kills_during_start_and_shutdown_end_in_good_order(autojump_clock, random):
    """The drain may be cut short when the budget is spent; what is left then stays in its mailbox."""
    pipeline = Pipeline(random)
    over = False
    with trio.fail_after(1000):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(pipeline.kill_at_random, lambda: over)
            nursery.start_soon(stop_at_random, pipeline.root, random)
            await pipeline.root.run()
            over = True
    assert pipeline.root.snapshot().state is State.STOPPED
    left = {message for mailbox in pipeline.boxes for message in mailbox.pending()}
    left |= {letter.message for letter in pipeline.root.dead_letters.list()}
    missing = set(range(pipeline.sent)) - set(pipeline.kept) - left
    assert not missing
    assert len(set(pipeline.kept)) == len(pipeline.kept)
    for mailbox in pipeline.boxes:
        counts = mailbox.statistics()
        assert counts.put == counts.acknowledged + counts.depth + counts.dead_lettered
        assert counts.in_hand == 0


async def stop_at_random(root, random):
    for _ in range(random.randrange(400)):
        await trio.lowlevel.checkpoint()
    root.stop()


@rotating
async def test_a_cancellation_at_a_random_moment_loses_nothing_and_blames_nobody(autojump_clock, random):
    pipeline = Pipeline(random)
    with trio.fail_after(1000):
        while pipeline.sent < MESSAGES:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(pipeline.root.run)
                for _ in range(random.randrange(400)):
                    await trio.lowlevel.checkpoint()
                await trio.sleep(random.random() / 10)
                nursery.cancel_scope.cancel()
        async with trio.open_nursery() as nursery:
            await nursery.start(lambda task_status: pipeline.root.run(task_status=task_status))
            await pipeline.drained()
            pipeline.root.stop()
    pipeline.check()


@rotating
async def test_a_restart_storm_ends_at_the_root_and_never_spins(autojump_clock, random):
    starts = 0

    async def broken(context):
        nonlocal starts
        starts += 1
        if random.random() < 0.5:
            context.started()
        for _ in range(random.randrange(3)):
            await trio.lowlevel.checkpoint()
        raise ValueError

    def level(name, children):
        return Supervisor(
            name,
            children,
            random.choice(list(Strategy)),
            intensity=Intensity(2, 1000),
            backoff=Backoff(0.01, 0.1),
            random=random,
            on_event=lambda _: None,
        )

    leaves = [level(f"leaf{n}", [ChildSpec(f"{n}{m}", broken) for m in range(3)]) for n in range(2)]
    with trio.fail_after(100), pytest.raises(Escalation, match="'root' gives up"):
        await level("root", [level("middle", leaves)]).run()
    assert starts < 500
