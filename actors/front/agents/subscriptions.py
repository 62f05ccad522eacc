"""Notices that a resource has changed, for those who asked for them.

What is watched is looked at once a second; a subscriber has one note per resource at most, however slow he
reads: the newer change takes the place of the older, and a slow one never holds up another.
"""

from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any

import attrs
import structlog
import trio

log = structlog.get_logger("agents")

#: Seconds between two looks, and the least between two notices of one resource.
EVERY = 1.0

#: The most subscribers, and the most resources of each.
MOST = 200
MOST_OF_ONE = 50

#: What tells whether a resource has changed: it is another one then.
Mark = tuple[Any, ...]


MarksOf = Callable[[Iterable[str]], Awaitable[dict[str, Mark]]]


class SubscriptionError(Exception):
    """A subscription that cannot be had; one sentence."""


@attrs.define(eq=False)
class Subscriber:
    """One who is told of changes. ``tell`` may take as long as it likes."""

    tell: Callable[[str], Awaitable[None]]
    marks: dict[str, Mark] = attrs.field(factory=dict)
    _changed: dict[str, None] = attrs.field(factory=dict, init=False)
    _wake: trio.Event = attrs.field(factory=trio.Event, init=False)

    def look(self, marks: Mapping[str, Mark]) -> None:
        """Note what has changed since the last look."""
        for uri, seen in self.marks.items():
            mark = marks.get(uri, seen)
            if mark != seen:
                self.marks[uri] = mark
                self._changed[uri] = None
        if self._changed:
            self._wake.set()

    async def run(self) -> None:
        """Tell what was noted, until cancelled."""
        while True:
            await self._wake.wait()
            self._wake = trio.Event()
            while self._changed:
                uri = next(iter(self._changed))
                del self._changed[uri]
                if uri in self.marks:
                    await self.tell(uri)


@attrs.define(eq=False)
class Subscriptions:
    """Everybody who is told of changes. ``marks_of`` returns the marks of those resources that exist."""

    marks_of: MarksOf
    _subscribers: set[Subscriber] = attrs.field(factory=set, init=False)
    _somebody: trio.Event = attrs.field(factory=trio.Event, init=False)

    def enter(self, tell: Callable[[str], Awaitable[None]]) -> Subscriber:
        """Let somebody in, who hears nothing yet. Raises SubscriptionError."""
        if len(self._subscribers) >= MOST:
            raise SubscriptionError(f"{MOST} subscribers are here already: ask again later.")
        subscriber = Subscriber(tell)
        self._subscribers.add(subscriber)
        self._somebody.set()
        return subscriber

    def leave(self, subscriber: Subscriber) -> None:
        """Tell somebody nothing any more."""
        self._subscribers.discard(subscriber)
        if not self._subscribers:
            self._somebody = trio.Event()

    async def add(self, subscriber: Subscriber, uris: Iterable[str]) -> list[str]:
        """Watch resources from now on; return those that exist. Raises SubscriptionError for too many."""
        wanted = [uri for uri in dict.fromkeys(uris) if uri not in subscriber.marks]
        if len(wanted) + len(subscriber.marks) > MOST_OF_ONE:
            raise SubscriptionError(f"A subscriber watches at most {MOST_OF_ONE} resources.")
        found = await self.marks_of(wanted)
        subscriber.marks |= found
        return list(found)

    async def watch(self) -> None:
        """Look for changes until cancelled; while nobody listens, do nothing."""
        while True:
            await self._somebody.wait()
            await trio.sleep(EVERY)
            try:
                uris = {uri for one in self._subscribers for uri in one.marks}
                marks = await self.marks_of(uris)
            except Exception:
                log.exception("resources_not_looked_at")
                continue
            for subscriber in list(self._subscribers):
                subscriber.look(marks)
