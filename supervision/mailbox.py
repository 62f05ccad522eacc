"""A bounded mailbox that outlives its actor: a message leaves it when it was handled, not when read."""

# ruff: noqa: N818 - these exceptions are named for what happened

from collections import deque
from collections.abc import Sequence
from enum import Enum
from typing import Any, Self

import attrs
import trio

# A message is poison when this many incarnations crashed on it.
POISON_CRASHES = 2


class Overflow(Enum):
    """What a put into a full mailbox does."""

    BLOCK = "block"  # the sender waits
    CONFLATE = "conflate"  # the latest replaces whatever waits, full or not
    SHED = "shed"  # the oldest waiting one is dropped


class MailboxFull(Exception):
    """A message was not put: the mailbox had no room, at once or within its deadline."""


class MailboxClosed(Exception):
    """A put into a closed mailbox, or a receive from one that is closed and empty."""


class Letter:
    """A message that wants to know when nobody will ever handle it."""

    def undelivered(self, reason: str) -> None:
        """Hear that the mailbox dropped this message, and why. Called at most a few times; must not raise."""


@attrs.frozen
class MailboxStatistics:
    """Counts since the mailbox was made.

    `put` equals `acknowledged + shed + conflated + dead_lettered + depth + in_hand` at every moment.
    """

    name: str
    depth: int  # messages waiting
    in_hand: int  # messages handed out and not acknowledged yet
    capacity: int
    high_water: int  # the greatest depth seen
    put: int
    acknowledged: int
    shed: int
    conflated: int
    redelivered: int  # times a message came back from an actor that ended with it in hand
    dead_lettered: int
    overflow: Overflow
    closed: bool


@attrs.frozen
class _Suspect:
    """A message that was in hand when its actor crashed: from now on it is handed out alone."""

    message: Any
    crashes: int


@attrs.define(eq=False)
class _Putter:
    """A sender waiting for room. Its message is admitted for it, so that nobody overtakes it."""

    task: trio.lowlevel.Task
    message: Any
    admitted: bool = False


class Mailbox:
    """A FIFO queue of messages between any number of senders and one actor.

    `capacity` bounds what waits; what the actor has in hand is beside it, so the depth can pass the
    capacity only when a crash brings messages back. Nothing is lost or doubled by a cancellation: a
    cancelled `put` has put nothing and a cancelled `receive` has taken nothing.
    """

    def __init__(
        self, name: str, capacity: int, overflow: Overflow = Overflow.BLOCK, deadline: float | None = None
    ) -> None:
        """Make an empty mailbox.

        `deadline` is how many seconds a `put` into a full mailbox waits at most (None: without limit); it
        has a meaning for `Overflow.BLOCK` only. Raises ValueError for a capacity below 1, an unknown
        overflow policy or a deadline that is negative or that the policy never uses.
        """
        if not capacity >= 1:
            raise ValueError(f"the capacity of mailbox {name!r} must be at least 1, not {capacity!r}")
        if overflow not in tuple(Overflow):
            known = ", ".join(str(policy) for policy in Overflow)
            raise ValueError(f"the overflow of mailbox {name!r} must be one of {known}, not {overflow!r}")
        if deadline is not None and not deadline >= 0:
            raise ValueError(f"the deadline of mailbox {name!r} must be at least 0 seconds, not {deadline!r}")
        if deadline is not None and overflow is not Overflow.BLOCK:
            raise ValueError(f"mailbox {name!r} never waits ({overflow}): a deadline has no meaning for it")
        self.name = name
        self.capacity = capacity
        self.overflow = overflow
        self.deadline = deadline
        self._waiting: deque[Any] = deque()  # suspects, where there are any, stand before all others
        self._in_hand: list[Any] = []
        self._putters: dict[
            _Putter, None
        ] = {}  # in the order they came; there are some only while it is full
        self._receiver: trio.lowlevel.Task | None = None
        self._closed = False
        self._halted = False
        self._high_water = self._put = self._acknowledged = self._shed = 0
        self._conflated = self._redelivered = self._dead_lettered = 0

    def __repr__(self) -> str:
        return f"<Mailbox {self.name!r}: {len(self._waiting)} of {self.capacity} waiting>"

    # --- senders ---

    async def put(self, message: Any) -> None:
        """Put a message, waiting for room where the policy is to block.

        Raises MailboxFull when there was no room for `deadline` seconds, MailboxClosed when the mailbox is or
        becomes closed. In both cases, and when cancelled, the message was not put.
        """
        await trio.lowlevel.checkpoint()
        if self.overflow is not Overflow.BLOCK or len(self._waiting) < self.capacity or self._closed:
            self.put_nowait(message)
        elif self.deadline is None:
            await self._wait_for_room(message)
        else:
            with trio.move_on_after(self.deadline) as scope:
                await self._wait_for_room(message)
            if scope.cancelled_caught:
                raise MailboxFull(f"mailbox {self.name!r} had no room for {self.deadline:g} s")

    def put_nowait(self, message: Any) -> None:
        """Put a message without waiting.

        Raises MailboxFull where the policy is to block and there is no room, MailboxClosed after `close`.
        """
        if self._closed:
            raise MailboxClosed(f"mailbox {self.name!r} is closed")
        if self.overflow is Overflow.CONFLATE:
            self._conflated += self._drop(len(self._waiting), "a later message replaced it")
        elif len(self._waiting) >= self.capacity:
            if self.overflow is Overflow.BLOCK:
                raise MailboxFull(f"mailbox {self.name!r} is full ({self.capacity} waiting)")
            self._shed += self._drop(len(self._waiting) - self.capacity + 1, "it was shed")
        self._append(message)

    def close(self) -> None:
        """Take no more messages: senders get MailboxClosed, the receiver empties it first. Idempotent."""
        self._closed = True
        for putter in self._putters:
            trio.lowlevel.reschedule(putter.task)
        self._putters.clear()
        self._wake_receiver()

    # --- the actor ---

    async def receive(self) -> Any:
        """Hand out the oldest message; it stays in hand until `ack`.

        Raises MailboxClosed when the mailbox is closed and empty (or its actor is being restarted with its
        group), RuntimeError when something is still in hand, trio.BusyResourceError beside another receive.
        """
        await self._wait_for_message()
        return self._take(1)[0]

    async def receive_run(self, limit: int) -> list[Any]:
        """Hand out all that waits, at most `limit` messages and at least one; raises as `receive` does.

        After a crash the messages that were in hand come one by one, so that only a guilty one is blamed.
        """
        if limit < 1:
            raise ValueError(
                f"the limit of a run from mailbox {self.name!r} must be at least 1, not {limit!r}"
            )
        await self._wait_for_message()
        return self._take(1 if type(self._waiting[0]) is _Suspect else limit)

    def ack(self) -> None:
        """Everything in hand is handled and gone. Does nothing when nothing is in hand."""
        self._acknowledged += len(self._in_hand)
        self._in_hand.clear()

    def __aiter__(self) -> "_Deliveries":
        """Receive one by one; a message is acknowledged when the loop's body comes back for the next.

        A body that leaves the loop by `break` or `return` has not acknowledged its message.
        """
        return _Deliveries(self)

    # --- the supervisor, ledgers, introspection ---

    def give_back(self, *, crashed: bool) -> list[Any]:
        """Take back what is in hand from an actor that ended; return the messages found to be poison.

        What is not poison is the first to be received again. `crashed` says whether the actor ended by its
        own fault: only then does it count against the messages, and they are redelivered one by one.
        """
        poison: list[Any] = []
        for entry in reversed(self._in_hand):
            message, crashes = _open(entry)
            if not crashed:
                self._waiting.appendleft(entry)
            elif crashes + 1 < POISON_CRASHES:
                self._waiting.appendleft(_Suspect(message, crashes + 1))
            else:
                poison.insert(0, message)
                _tell(message, f"it is poison: {POISON_CRASHES} crashes in mailbox {self.name!r}")
        self._dead_lettered += len(poison)
        self._redelivered += len(self._in_hand) - len(poison)
        self._in_hand.clear()
        self._high_water = max(self._high_water, len(self._waiting))
        return poison

    def halt(self) -> None:
        """Be as if closed for the receiver alone until `resume`: its actor is to end and come back."""
        self._halted = True
        self._wake_receiver()

    def resume(self) -> None:
        """Hand out messages again after `halt`."""
        self._halted = False

    def refuse_pending(self, reason: str) -> None:
        """Tell every letter still here that nobody will handle it. Nothing is removed."""
        for message in self.pending():
            _tell(message, reason)

    def pending(self) -> Sequence[Any]:
        """Return what is in hand and what waits, oldest first, without removing it."""
        return tuple(_open(entry)[0] for entry in (*self._in_hand, *self._waiting))

    @property
    def closed(self) -> bool:
        """Whether `close` was called."""
        return self._closed

    def statistics(self) -> MailboxStatistics:
        """Return the counts of this moment."""
        return MailboxStatistics(
            name=self.name,
            depth=len(self._waiting),
            in_hand=len(self._in_hand),
            capacity=self.capacity,
            high_water=self._high_water,
            put=self._put,
            acknowledged=self._acknowledged,
            shed=self._shed,
            conflated=self._conflated,
            redelivered=self._redelivered,
            dead_lettered=self._dead_lettered,
            overflow=self.overflow,
            closed=self._closed,
        )

    # --- inside ---

    def _append(self, message: Any) -> None:
        self._waiting.append(message)
        self._put += 1
        self._high_water = max(self._high_water, len(self._waiting))
        if self._receiver is not None and not self._halted:
            self._wake_receiver()

    def _take(self, limit: int) -> list[Any]:
        if self._in_hand:
            raise RuntimeError(f"mailbox {self.name!r}: acknowledge what is in hand before you receive again")
        waiting = self._waiting
        if limit >= len(waiting):
            self._in_hand.extend(waiting)
            waiting.clear()
        else:
            self._in_hand.extend([waiting.popleft() for _ in range(limit)])
        while self._putters and len(waiting) < self.capacity:
            self._admit()
        if type(self._in_hand[0]) is _Suspect:
            return [self._in_hand[0].message]
        return self._in_hand.copy()

    def _admit(self) -> None:
        putter = next(iter(self._putters))
        del self._putters[putter]
        putter.admitted = True
        self._append(putter.message)
        trio.lowlevel.reschedule(putter.task)

    def _drop(self, count: int, reason: str) -> int:
        for _ in range(count):
            _tell(_open(self._waiting.popleft())[0], f"mailbox {self.name!r}: {reason}")
        return count

    async def _wait_for_room(self, message: Any) -> None:
        putter = _Putter(trio.lowlevel.current_task(), message)

        def abort(_: object) -> trio.lowlevel.Abort:
            del self._putters[putter]
            return trio.lowlevel.Abort.SUCCEEDED

        self._putters[putter] = None
        await trio.lowlevel.wait_task_rescheduled(abort)
        if not putter.admitted:
            raise MailboxClosed(f"mailbox {self.name!r} was closed before it had room")

    async def _wait_for_message(self) -> None:
        if self._in_hand:
            raise RuntimeError(f"mailbox {self.name!r}: acknowledge what is in hand before you receive again")
        if self._waiting and not self._halted:
            await trio.lowlevel.checkpoint()
        while not self._waiting or self._halted:
            if self._closed or self._halted:
                raise MailboxClosed(f"mailbox {self.name!r} has no more messages for its actor")
            await self._wait_for_sender()

    async def _wait_for_sender(self) -> None:
        def abort(_: object) -> trio.lowlevel.Abort:
            self._receiver = None
            return trio.lowlevel.Abort.SUCCEEDED

        if self._receiver is not None:
            raise trio.BusyResourceError(f"another task is receiving from mailbox {self.name!r}")
        self._receiver = trio.lowlevel.current_task()
        await trio.lowlevel.wait_task_rescheduled(abort)

    def _wake_receiver(self) -> None:
        if self._receiver is not None:
            task, self._receiver = self._receiver, None
            trio.lowlevel.reschedule(task)


class _Deliveries:
    """One `async for` over a mailbox: it acknowledges only what it handed out itself."""

    def __init__(self, mailbox: Mailbox) -> None:
        self._mailbox = mailbox
        self._handed_out = False

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Any:
        if self._handed_out:
            self._handed_out = False
            self._mailbox.ack()
        try:
            message = await self._mailbox.receive()
        except MailboxClosed:
            raise StopAsyncIteration from None
        self._handed_out = True
        return message


def _open(entry: Any) -> tuple[Any, int]:
    """Return an entry's message and how many crashes it has seen."""
    return (entry.message, entry.crashes) if type(entry) is _Suspect else (entry, 0)


def _tell(message: Any, reason: str) -> None:
    if isinstance(message, Letter):
        message.undelivered(reason)
