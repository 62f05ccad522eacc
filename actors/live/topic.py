"""A topic: one channel of one symbol, with its parameters, made once for all who have subscribed to it."""

import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Protocol

import attrs
import trio

from actors.live.subscription import Body, Opening, Publication, Subscription, tail_of
from wadm.instants import iso
from wadm.questions import QuestionError

#: Channel, ``exchange:SYMBOL``, and parameters as they are told apart.
Name = tuple[str, str, str]


class LiveTooLarge(QuestionError):
    """One message of a topic would be larger than any subscriber's buffer."""

    code = "too_large"


#: No message is larger (bytes).
MOST_MESSAGE = 256 * 1024


@attrs.define(eq=False)
class Topic:
    """What is told under one name. ``heading`` names it in every message.

    ``seq`` counts what was told: every message has the next number, whoever misses it. ``place`` is where
    its producer stands, in the channel's own terms.
    """

    name: Name
    heading: Body
    seq: int = 0
    place: Any = None
    latest: Publication | None = None
    subscriptions: set[Subscription] = attrs.field(factory=set)
    #: set once its producer knows where it begins
    begun: trio.Event = attrs.field(factory=trio.Event)

    def publish(self, body: Body, cursor: str | None = None, before: str | None = None) -> None:
        """Tell all subscribers. Raises LiveTooLarge."""
        self.seq += 1
        self.latest = publication = self.publication(body, cursor, before)
        for subscription in tuple(self.subscriptions):
            subscription.offer(publication)

    def publication(
        self, body: Body, cursor: str | None = None, before: str | None = None, seq: int | None = None
    ) -> Publication:
        """Return something to be told, under the present number or another. Raises LiveTooLarge."""
        seq = self.seq if seq is None else seq
        told = {**self.heading, "seq": seq, "at": iso(time.time_ns() // 1_000), **body}
        tail = tail_of(told)
        if len(tail) > MOST_MESSAGE:
            raise LiveTooLarge(
                "the message", f"{len(tail)} bytes", f"at most {MOST_MESSAGE}: larger rows, or fewer levels"
            )
        return Publication(seq, tail, cursor, before)

    def join(self, subscription: Subscription) -> None:
        """Tell a subscriber everything from now on."""
        self.subscriptions.add(subscription)


Produce = Callable[[Topic], Awaitable[None]]


@attrs.frozen(eq=False)
class Wanted:
    """What somebody wants to subscribe to, as it was read.

    ``most`` messages wait for a subscriber; of a ``whole`` topic each says all. ``opening`` makes what is
    told first, None where that is the latest publication.
    """

    name: Name
    heading: Body
    produce: Produce
    most: int
    whole: bool
    opening: Callable[[Topic], Opening] | None = None


class Channel(Protocol):
    """A kind of news that can be subscribed to."""

    @property
    def name(self) -> str:
        """The channel's name."""
        ...

    @property
    def parameters(self) -> tuple[str, ...]:
        """The names of its parameters, beside exchange and symbol."""
        ...

    def read(self, given: Mapping[str, str]) -> Wanted:
        """Read what somebody wrote. Raises QuestionError."""
        ...
