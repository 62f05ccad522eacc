"""One listener's subscriptions, and the order in which it is told of them: each in its turn."""

from collections import deque
from collections.abc import Iterator, Mapping
from itertools import count
from typing import TYPE_CHECKING, Any

import attrs
import trio

from actors.live.subscription import Message, Subscription
from actors.live.topic import Topic
from wadm.questions import MissingParameter, QuestionError, UnknownParameter, nearest

if TYPE_CHECKING:
    from actors.live.hub import Hub

#: Subscriptions of one connection.
MOST_SUBSCRIPTIONS = 50


class AlreadySubscribed(QuestionError):
    """The connection is told of this already."""

    status = 409
    code = "already_subscribed"

    def __init__(self, number: int) -> None:
        Exception.__init__(self, f"This is subscription {number} already; unsubscribe from that one first.")
        self.parameter, self.value, self.expected = "channel", str(number), "something else"


class TooManySubscriptions(QuestionError):
    """A connection has as many subscriptions as it may."""

    status = 429
    code = "too_many_subscriptions"

    def __init__(self) -> None:
        Exception.__init__(
            self,
            f"This connection has {MOST_SUBSCRIPTIONS} subscriptions already; unsubscribe from one first.",
        )
        self.parameter, self.value, self.expected = "channel", None, f"at most {MOST_SUBSCRIPTIONS}"


@attrs.define(eq=False)
class Session:
    """The subscriptions of one connection. Used by two tasks: one subscribes, the other tells."""

    hub: "Hub"
    _subscriptions: dict[int, tuple[Topic, Subscription]] = attrs.field(factory=dict, init=False)
    _ready: deque[Subscription] = attrs.field(factory=deque, init=False)
    _something: trio.Event = attrs.field(factory=trio.Event, init=False)
    _numbers: Iterator[int] = attrs.field(factory=lambda: count(1), init=False)

    # --- what is subscribed to ---

    def subscribe(self, given: Mapping[str, str]) -> dict[str, Any]:
        """Subscribe to a channel; return the number and name of the subscription. Raises QuestionError.

        ``given`` has ``channel``, ``exchange``, ``symbol`` and the channel's own parameters, as text.
        """
        channels, rest = self.hub.channels, dict(given)
        name = rest.pop("channel", None)
        if name is None:
            raise MissingParameter("channel", None, f"one of {', '.join(channels)}")
        if name not in channels:
            raise QuestionError("channel", name, nearest(name, channels))
        channel = channels[name]
        known = ("exchange", "symbol", *channel.parameters)
        for parameter, value in rest.items():
            if parameter not in known:
                raise UnknownParameter(parameter, value, nearest(parameter, known))
        wanted = channel.read(rest)
        for number, (topic, _) in self._subscriptions.items():
            if topic.name == wanted.name:
                raise AlreadySubscribed(number)
        if len(self._subscriptions) >= MOST_SUBSCRIPTIONS:
            raise TooManySubscriptions
        topic = self.hub.topic(wanted)
        subscription = Subscription(
            next(self._numbers), dict(wanted.heading), self._wake, wanted.most, wanted.whole
        )
        self._subscriptions[subscription.number] = topic, subscription
        if wanted.opening is not None:
            subscription.opening = wanted.opening(topic)
            self._wake(subscription)
        else:
            topic.join(subscription)
            if topic.latest is not None:
                subscription.offer(topic.latest)
        return {"subscription": subscription.number, **wanted.heading}

    def unsubscribe(self, number: int) -> None:
        """Be told of something no longer. Raises QuestionError."""
        if number not in self._subscriptions:
            known = ", ".join(map(str, self._subscriptions)) or "none: there is no subscription"
            raise QuestionError("subscription", str(number), f"one of {known}")
        topic, subscription = self._subscriptions.pop(number)
        subscription.ended = True
        topic.subscriptions.discard(subscription)
        self.hub.release(topic)

    def listed(self) -> list[dict[str, Any]]:
        """Return the subscriptions there are."""
        return [{"subscription": one.number, **one.heading} for _, one in self._subscriptions.values()]

    def close(self) -> None:
        """End all subscriptions."""
        for number in list(self._subscriptions):
            self.unsubscribe(number)

    # --- what is told ---

    async def next(self) -> Message:
        """Return the next message, waiting until there is one; subscriptions take turns."""
        while True:
            await trio.lowlevel.checkpoint()
            while not self._ready:
                self._something = trio.Event()
                await self._something.wait()
            subscription = self._ready.popleft()
            subscription.queued = False
            message = await self._take(subscription)
            if message is not None:
                return message

    async def _take(self, subscription: Subscription) -> Message | None:
        try:
            return await subscription.take()
        except QuestionError as error:
            subscription.opening = None
            subscription.end(error)
            return None
        finally:
            # Also where it was cancelled halfway: what was not told yet is told later.
            if subscription.ready:
                self._wake(subscription)
            elif subscription.ended and subscription.number in self._subscriptions:
                self.unsubscribe(subscription.number)

    def _wake(self, subscription: Subscription) -> None:
        if not subscription.queued:
            subscription.queued = True
            self._ready.append(subscription)
            self._something.set()
