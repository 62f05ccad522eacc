"""The hub: topics that have subscribers, each made by one producer, and those who listen."""

import logging
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import attrs
import trio

from actors.live.session import Session
from actors.live.topic import Channel, Name, Topic, Wanted
from wadm.questions import QuestionError

log = logging.getLogger(__name__)

#: Connections of one caller, and of all, that may listen at one time.
MOST_OF_ONE = 100
MOST = 400

#: Topics of all listeners: what is computed for them.
MOST_TOPICS = 500


class TooManyListeners(QuestionError):
    """A caller listens over many connections already."""

    status = 429
    code = "too_many_connections"

    def __init__(self, count: int) -> None:
        Exception.__init__(
            self, f"{count} connections listen already: close one first, or subscribe over one of them."
        )
        self.parameter, self.value, self.expected = "connections", str(count), f"at most {MOST_OF_ONE}"


class TooManyTopics(QuestionError):
    """Everything that is told costs something, whoever listens."""

    status = 503
    code = "too_busy"

    def __init__(self) -> None:
        Exception.__init__(self, "Too many different things are subscribed to: ask again shortly.")
        self.parameter, self.value, self.expected = "channel", None, f"at most {MOST_TOPICS} topics"


@attrs.define(eq=False)
class _Running:
    topic: Topic
    scope: trio.CancelScope = attrs.field(factory=trio.CancelScope)
    users: int = 0


@attrs.define(eq=False)
class Hub:
    """Everything that is told as it happens. ``run`` it; then sessions may be opened."""

    channels: Mapping[str, Channel]
    #: set when the daemon is about to stop: whoever listens shall be told
    stopping: trio.Event = attrs.field(factory=trio.Event)
    _topics: dict[Name, _Running] = attrs.field(factory=dict, init=False)
    _listeners: Counter[str] = attrs.field(factory=Counter, init=False)
    _nursery: trio.Nursery | None = attrs.field(default=None, init=False)

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Be there for sessions until cancelled."""
        async with trio.open_nursery() as nursery:
            self._nursery = nursery
            task_status.started()
            await trio.sleep_forever()

    @contextmanager
    def session(self, caller: str) -> Iterator[Session]:
        """Open a session for somebody. Raises TooManyListeners."""
        if self._listeners[caller] >= MOST_OF_ONE or self._listeners.total() >= MOST:
            raise TooManyListeners(self._listeners[caller])
        self._listeners[caller] += 1
        session = Session(self)
        try:
            yield session
        finally:
            session.close()
            self._listeners[caller] -= 1
            if not self._listeners[caller]:
                del self._listeners[caller]

    def topic(self, wanted: Wanted) -> Topic:
        """Return a topic that somebody wants, and have it produced; ``release`` it afterwards."""
        running = self._topics.get(wanted.name)
        if running is None:
            if len(self._topics) >= MOST_TOPICS:
                raise TooManyTopics
            if self._nursery is None:
                raise RuntimeError("the hub is not running")
            running = self._topics[wanted.name] = _Running(Topic(wanted.name, dict(wanted.heading)))
            self._nursery.start_soon(self._produce, running, wanted, name=f"live {wanted.name}")
        running.users += 1
        return running.topic

    def release(self, topic: Topic) -> None:
        """Produce a topic no longer, once nobody wants it."""
        running = self._topics.get(topic.name)
        if running is None or running.topic is not topic:
            return  # it has ended by itself
        running.users -= 1
        if not running.users:
            del self._topics[topic.name]
            running.scope.cancel()

    async def _produce(self, running: _Running, wanted: Wanted) -> None:
        topic = running.topic
        problem: QuestionError | None = None
        with running.scope:
            try:
                await wanted.produce(topic)
            except QuestionError as error:
                problem = error
            except Exception:
                # One broken topic takes no other along, and not the front.
                log.exception("What is told of %s broke", " ".join(topic.name).strip())
            topic.begun.set()
            if self._topics.get(topic.name) is running:
                del self._topics[topic.name]
            for subscription in tuple(topic.subscriptions):
                subscription.end(problem)

    def statistics(self) -> dict[str, int]:
        """Return how many listen, to how many topics."""
        return {"connections": self._listeners.total(), "topics": len(self._topics)}
