"""One subscriber of one topic: a buffer with bounds, which loses the oldest and says how much."""

from collections import deque
from collections.abc import Callable
from typing import Any, Protocol

import attrs
import msgspec

from actors.front.problems import question_problem
from wadm.questions import QuestionError

Body = dict[str, Any]

#: Bytes that may wait for one subscriber of one topic.
MOST_BYTES = 1 << 20


def tail_of(body: Body) -> str:
    """Return a message as JSON but for its brace and what is the subscriber's own: made once for all."""
    return msgspec.json.encode(body).decode()[1:]


@attrs.frozen(eq=False)
class Publication:
    """A change as it is told to all subscribers; ``cursor`` lies behind it and ``before`` ahead of it."""

    seq: int
    tail: str
    cursor: str | None = None
    before: str | None = None


@attrs.frozen
class Message:
    """What goes to one subscriber. ``cursor`` is where it may go on."""

    text: str
    cursor: str | None = None


class Opening(Protocol):
    """What a subscriber is told first, before the changes."""

    async def next(self, subscription: "Subscription") -> Publication | None:
        """Return the next part; None once the subscriber has joined its topic. Raises QuestionError."""
        ...


@attrs.define(eq=False)
class Subscription:
    """What waits for one subscriber. ``wake`` is told when there is something.

    ``heading`` names the topic in messages of the subscriber's own. Of a ``whole`` topic every publication
    says all, so that the newest is a snapshot.
    """

    number: int
    heading: Body
    wake: Callable[["Subscription"], None]
    most: int
    whole: bool
    opening: Opening | None = None
    #: whether it waits for its turn among the others of its connection
    queued: bool = False
    missed: int = 0
    #: whether the next publication is told as a snapshot
    _fresh: bool = attrs.field(default=attrs.Factory(lambda self: self.whole, takes_self=True), init=False)
    _last_missed: Publication | None = None
    _first_missed: Publication | None = None
    #: whether the last word has been said
    ended: bool = False
    _last_word: Message | None = None
    _bytes: int = 0
    _pending: deque[Publication] = attrs.field(factory=deque)

    @property
    def ready(self) -> bool:
        """Whether there is something to be told."""
        return not self.ended and bool(self._pending or self.missed or self.opening or self._last_word)

    def offer(self, publication: Publication) -> None:
        """Let a change wait here; beyond the bounds the oldest is lost. Never waits."""
        self._pending.append(publication)
        self._bytes += len(publication.tail)
        while len(self._pending) > self.most or (self._bytes > MOST_BYTES and len(self._pending) > 1):
            self._lose(self._pending.popleft())
        self.wake(self)

    def _lose(self, publication: Publication) -> None:
        self._bytes -= len(publication.tail)
        self._first_missed = self._first_missed or publication
        self._last_missed = publication
        self.missed += 1

    def end(self, problem: QuestionError | None) -> None:
        """Say a last word after what waits, and why: nothing more comes."""
        why = None if problem is None else question_problem(problem)
        self._last_word = self._own("ended", {"problem": why})
        self.wake(self)

    async def take(self) -> Message | None:
        """Return the next message; None where there is none after all. Raises QuestionError."""
        if self.opening is not None:
            part = await self.opening.next(self)
            if part is not None:
                return self._message("snapshot", part)
            self.opening = None
        if self.missed:
            return self._tell_missed()
        if self._pending:
            publication = self._pending.popleft()
            self._bytes -= len(publication.tail)
            kind, self._fresh = "snapshot" if self._fresh else "change", False
            return self._message(kind, publication)
        self.ended = self._last_word is not None
        return self._last_word

    def _message(self, kind: str, publication: Publication) -> Message:
        text = f'{{"type":"{kind}","subscription":{self.number},{publication.tail}'
        return Message(text, publication.cursor)

    def _tell_missed(self) -> Message:
        count, first, last = self.missed, self._first_missed, self._last_missed
        self.missed, self._first_missed, self._last_missed = 0, None, None
        self._fresh = self.whole
        body: Body = {"count": count, "seq": last.seq if last else None}
        if first is not None and first.before is not None:
            body["cursor"] = first.before
        return self._own("missed", body)

    def _own(self, kind: str, body: Body) -> Message:
        whole = {"type": kind, "subscription": self.number, **self.heading, **body}
        return Message(msgspec.json.encode(whole).decode())
