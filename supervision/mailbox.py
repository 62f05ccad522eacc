"""A bounded mailbox that outlives its actor: a message leaves it when it was handled, not when read."""

from collections.abc import Sequence
from typing import Any, Self

import attrs
import trio

from supervision.buffer import Buffer, MailboxClosed, MailboxFull, MailboxStatistics, Overflow, tell


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

        `deadline` is how many seconds a `put` waits for room at most (None: without limit); it has a
        meaning for `Overflow.BLOCK` only. Raises ValueError for a capacity below 1, an unknown overflow
        policy, or a deadline that is negative or that the policy never uses.
        """
        if deadline is not None and not deadline >= 0:
            raise ValueError(f"the deadline of mailbox {name!r} must be at least 0 seconds, not {deadline!r}")
        if deadline is not None and overflow is not Overflow.BLOCK:
            raise ValueError(f"mailbox {name!r} never waits ({overflow}): a deadline has no meaning for it")
        self._buffer = Buffer(name, capacity, overflow)
        self.name = name
        self.capacity = capacity
        self.overflow = overflow
        self.deadline = deadline
        self._putters: dict[
            _Putter, None
        ] = {}  # in the order they came; there are some only while it is full
        self._receiver: trio.lowlevel.Task | None = None
        self._closed = False
        self._halted = False

    def __repr__(self) -> str:
        return f"<Mailbox {self.name!r}: {len(self._buffer.waiting)} of {self.capacity} waiting>"

    # --- senders ---

    async def put(self, message: Any) -> None:
        """Put a message, waiting for room where the policy is to block.

        Raises MailboxFull when there was no room for `deadline` seconds, MailboxClosed when the mailbox is
        or becomes closed. In both cases, and when cancelled, the message was not put.
        """
        await trio.lowlevel.checkpoint()
        if self._closed or not self._buffer.full:
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
        self._buffer.add(message)
        if self._receiver is not None:
            self._wake_receiver()

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
        return self._take(limit)

    def ack(self) -> None:
        """Say that everything in hand is handled: it is gone. Does nothing when nothing is in hand."""
        self._buffer.ack()

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
        return self._buffer.give_back(crashed=crashed)

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
            tell(message, reason)

    def pending(self) -> Sequence[Any]:
        """Return what is in hand and what waits, oldest first, without removing it."""
        return self._buffer.pending()

    @property
    def closed(self) -> bool:
        """Whether `close` was called."""
        return self._closed

    def statistics(self) -> MailboxStatistics:
        """Return the counts of this moment."""
        return self._buffer.statistics(closed=self._closed)

    # --- inside ---

    def _take(self, limit: int) -> list[Any]:
        self._refuse_second_receive()
        messages = self._buffer.take(limit)
        while self._putters and not self._buffer.full:
            self._admit()
        return messages

    def _admit(self) -> None:
        putter = next(iter(self._putters))
        del self._putters[putter]
        putter.admitted = True
        self._buffer.add(putter.message)
        trio.lowlevel.reschedule(putter.task)

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
        self._refuse_second_receive()
        if self._buffer.waiting and not self._halted:
            await trio.lowlevel.checkpoint()
        while not self._buffer.waiting or self._halted:
            if self._closed or self._halted:
                raise MailboxClosed(f"mailbox {self.name!r} has no more messages for its actor")
            await self._wait_for_sender()

    def _refuse_second_receive(self) -> None:
        """With one run in hand at a time, a crash is blamed on the right messages."""
        if self._buffer.in_hand:
            raise RuntimeError(f"mailbox {self.name!r}: acknowledge what is in hand before you receive again")

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
