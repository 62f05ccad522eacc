"""What a mailbox holds, in order, with what is in hand and what was counted. It waits for nothing."""

from collections import deque
from collections.abc import Sequence
from enum import Enum
from typing import Any

import attrs

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


class Buffer:
    """The messages of one mailbox: those that wait, oldest first, and those in hand."""

    def __init__(self, name: str, capacity: int, overflow: Overflow) -> None:
        """Make an empty one; raises ValueError for a capacity below 1 or an unknown overflow policy."""
        if not capacity >= 1:
            raise ValueError(f"the capacity of mailbox {name!r} must be at least 1, not {capacity!r}")
        if overflow not in tuple(Overflow):
            known = ", ".join(str(policy) for policy in Overflow)
            raise ValueError(f"the overflow of mailbox {name!r} must be one of {known}, not {overflow!r}")
        self.name = name
        self.capacity = capacity
        self.overflow = overflow
        self.waiting: deque[Any] = deque()  # suspects, where there are any, stand before all others
        self.in_hand: list[Any] = []
        self._high_water = self._put = self._acknowledged = self._shed = 0
        self._conflated = self._redelivered = self._dead_lettered = 0

    @property
    def full(self) -> bool:
        """Whether a sender would have to wait."""
        return self.overflow is Overflow.BLOCK and len(self.waiting) >= self.capacity

    def add(self, message: Any) -> None:
        """Add a message as the policy has it; raises MailboxFull where that is to block, and it is full."""
        if self.overflow is Overflow.CONFLATE:
            self._conflated += self._drop(len(self.waiting), "a later message replaced it")
        elif len(self.waiting) >= self.capacity:
            if self.overflow is Overflow.BLOCK:
                raise MailboxFull(f"mailbox {self.name!r} is full ({self.capacity} waiting)")
            self._shed += self._drop(len(self.waiting) - self.capacity + 1, "it was shed")
        self.waiting.append(message)
        self._put += 1
        self._high_water = max(self._high_water, len(self.waiting))

    def take(self, limit: int) -> list[Any]:
        """Move at least one message that waits into the empty hand; one that has seen a crash comes alone."""
        if type(self.waiting[0]) is _Suspect:
            self.in_hand.append(self.waiting.popleft())
            return [self.in_hand[0].message]
        if limit >= len(self.waiting):
            self.in_hand.extend(self.waiting)
            self.waiting.clear()
        else:
            self.in_hand.extend([self.waiting.popleft() for _ in range(limit)])
        return self.in_hand.copy()

    def ack(self) -> None:
        """Forget what is in hand: it is handled."""
        self._acknowledged += len(self.in_hand)
        self.in_hand.clear()

    def give_back(self, *, crashed: bool) -> list[Any]:
        """Put what is in hand back before all that waits; return and remove what is poison."""
        poison: list[Any] = []
        for entry in reversed(self.in_hand):
            message, crashes = _open(entry)
            if not crashed:
                self.waiting.appendleft(entry)
            elif crashes + 1 < POISON_CRASHES:
                self.waiting.appendleft(_Suspect(message, crashes + 1))
            else:
                poison.insert(0, message)
                tell(message, f"it is poison: {POISON_CRASHES} crashes in mailbox {self.name!r}")
        self._dead_lettered += len(poison)
        self._redelivered += len(self.in_hand) - len(poison)
        self.in_hand.clear()
        self._high_water = max(self._high_water, len(self.waiting))
        return poison

    def pending(self) -> Sequence[Any]:
        """Return what is in hand and what waits, oldest first."""
        return tuple(_open(entry)[0] for entry in (*self.in_hand, *self.waiting))

    def statistics(self, *, closed: bool) -> MailboxStatistics:
        """Return the counts of this moment."""
        return MailboxStatistics(
            name=self.name,
            depth=len(self.waiting),
            in_hand=len(self.in_hand),
            capacity=self.capacity,
            high_water=self._high_water,
            put=self._put,
            acknowledged=self._acknowledged,
            shed=self._shed,
            conflated=self._conflated,
            redelivered=self._redelivered,
            dead_lettered=self._dead_lettered,
            overflow=self.overflow,
            closed=closed,
        )

    def _drop(self, count: int, reason: str) -> int:
        for _ in range(count):
            tell(_open(self.waiting.popleft())[0], f"mailbox {self.name!r}: {reason}")
        return count


def tell(message: Any, reason: str) -> None:
    """Tell a letter that nobody will handle it."""
    if isinstance(message, Letter):
        message.undelivered(reason)


def _open(entry: Any) -> tuple[Any, int]:
    """Return an entry's message and how many crashes it has seen."""
    return (entry.message, entry.crashes) if type(entry) is _Suspect else (entry, 0)
