"""The mailbox against a model of two lists: whatever the order of events, no message is lost or doubled."""

from contextlib import nullcontext

import pytest
import trio
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from trio.testing import wait_all_tasks_blocked

from supervision import Mailbox, MailboxClosed, MailboxFull, Overflow


class MailboxMachine(RuleBasedStateMachine):
    @initialize(capacity=st.integers(1, 4), overflow=st.sampled_from(Overflow))
    def make(self, capacity, overflow):
        self.mailbox = Mailbox("m", capacity, overflow)
        self.waiting: list[int] = []
        self.in_hand: list[int] = []
        self.crashes: dict[int, int] = {}
        self.gone: dict[str, list[int]] = {
            "acknowledged": [],
            "shed": [],
            "conflated": [],
            "dead_lettered": [],
        }
        self.put_count = 0
        self.closed = self.halted = False

    def model_put(self):
        """Say whether the next message fits, and make room for it as the policy has it."""
        if self.closed:
            return MailboxClosed
        if self.mailbox.overflow is Overflow.CONFLATE:
            self.gone["conflated"] += self.waiting
            self.waiting = []
        elif len(self.waiting) >= self.mailbox.capacity:
            if self.mailbox.overflow is Overflow.BLOCK:
                return MailboxFull
            while len(self.waiting) >= self.mailbox.capacity:
                self.gone["shed"].append(self.waiting.pop(0))
        self.waiting.append(self.put_count)
        self.put_count += 1
        return None

    def model_take(self, limit):
        if self.waiting[0] in self.crashes:
            limit = 1
        self.in_hand, self.waiting = self.waiting[:limit], self.waiting[limit:]

    @rule()
    def put_nowait(self):
        message, refusal = self.put_count, self.model_put()
        with pytest.raises(refusal) if refusal else nullcontext():
            self.mailbox.put_nowait(message)

    @rule()
    def put_or_give_up(self):
        message, refusal = self.put_count, self.model_put()
        seen = None

        async def put():
            nonlocal seen
            try:
                await self.mailbox.put(message)
            except MailboxClosed:
                seen = MailboxClosed

        async def main():
            async with trio.open_nursery() as nursery:
                nursery.start_soon(put)
                await wait_all_tasks_blocked()
                nursery.cancel_scope.cancel()

        trio.run(main)
        assert seen is (MailboxClosed if refusal is MailboxClosed else None)

    @precondition(lambda self: not self.in_hand)
    @rule(limit=st.integers(1, 5), single=st.booleans())
    def receive(self, limit, single):
        can = bool(self.waiting) and not self.halted
        if can:
            self.model_take(1 if single else limit)

        async def main():
            with trio.move_on_after(1) as scope:
                if single:
                    return [await self.mailbox.receive()]
                return await self.mailbox.receive_run(limit)
            assert scope.cancelled_caught
            return None

        clock = trio.testing.MockClock(autojump_threshold=0)
        try:
            got = trio.run(main, clock=clock)
        except MailboxClosed:
            assert self.halted or (self.closed and not can)
        else:
            assert got == (self.in_hand if can else None)

    @precondition(lambda self: not self.in_hand)
    @rule()
    def receive_cancelled_at_once(self):
        async def main():
            with trio.CancelScope() as scope:
                scope.cancel()
                await self.mailbox.receive()

        try:
            trio.run(main)
        except MailboxClosed:
            assert self.closed or self.halted

    @precondition(lambda self: not self.in_hand and not self.halted and not self.closed)
    @rule(crowd=st.integers(1, 4), quitters=st.sets(st.integers(0, 3)))
    def crowd_of_senders(self, crowd, quitters):
        """Senders queue up, some give up, a receiver takes all: the others' messages are all there."""
        if self.mailbox.overflow is not Overflow.BLOCK:
            return
        room = max(self.mailbox.capacity - len(self.waiting), 0)
        numbers = list(range(self.put_count, self.put_count + crowd))
        stayed = [n for place, n in enumerate(numbers) if place < room or place not in quitters]
        self.waiting += stayed
        self.put_count += crowd
        self.never_put = getattr(self, "never_put", 0) + crowd - len(stayed)

        async def send(number, scope):
            with scope:
                await self.mailbox.put(number)

        async def main():
            async with trio.open_nursery() as nursery:
                scopes = [trio.CancelScope() for _ in numbers]
                for number, scope in zip(numbers, scopes, strict=True):
                    nursery.start_soon(send, number, scope)
                    await wait_all_tasks_blocked()
                for place in quitters & set(range(crowd)):
                    scopes[place].cancel()
                await wait_all_tasks_blocked()
                while self.waiting:
                    self.model_take(1)
                    assert await self.mailbox.receive() == self.in_hand[0]
                    self.ack()

        trio.run(main)

    @rule()
    def ack(self):
        self.mailbox.ack()
        self.gone["acknowledged"] += self.in_hand
        self.in_hand = []

    @rule(crashed=st.booleans())
    def end_of_the_actor(self, crashed):
        poison = []
        if crashed:
            for message in self.in_hand:
                self.crashes[message] = self.crashes.get(message, 0) + 1
            poison = [message for message in self.in_hand if self.crashes[message] == 2]
        self.waiting = [m for m in self.in_hand if m not in poison] + self.waiting
        self.gone["dead_lettered"] += poison
        self.in_hand = []
        assert self.mailbox.give_back(crashed=crashed) == poison

    @rule()
    def halt_or_resume(self):
        self.halted = not self.halted
        (self.mailbox.halt if self.halted else self.mailbox.resume)()

    @precondition(lambda self: self.put_count > 8)
    @rule()
    def close(self):
        self.closed = True
        self.mailbox.close()

    @invariant()
    def same_as_the_model(self):
        if not hasattr(self, "mailbox"):
            return
        assert list(self.mailbox.pending()) == self.in_hand + self.waiting
        counts = self.mailbox.statistics()
        assert (counts.in_hand, counts.depth) == (len(self.in_hand), len(self.waiting))
        for reason, messages in self.gone.items():
            assert getattr(counts, reason) == len(messages)
        assert counts.put == self.put_count - getattr(self, "never_put", 0)
        assert counts.put == sum(map(len, self.gone.values())) + counts.depth + counts.in_hand
        assert counts.high_water >= counts.depth


MailboxMachine.TestCase.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
TestMailbox = MailboxMachine.TestCase
