"""A channel whose news a test tells."""

from collections.abc import Mapping
from functools import partial

import attrs
import trio

from actors.live.subscription import Publication, Subscription
from actors.live.topic import Topic, Wanted
from wadm.market import Instrument
from wadm.questions import QuestionError, find_instrument

KNOWN = {one.key: one for one in (Instrument("binance", "BTCUSDT"), Instrument("binance", "ETHUSDT"))}
BITCOIN = {"channel": "news", "exchange": "binance", "symbol": "BTCUSDT"}
ETHER = {**BITCOIN, "symbol": "ETHUSDT"}


@attrs.define(eq=False)
class Scripted:
    """A channel; ``topics`` are those that are produced at the moment, by symbol and ``depth``."""

    name: str = "news"
    parameters: tuple[str, ...] = ("depth",)
    most: int = 5
    whole: bool = False
    opened: bool = False
    topics: dict[str, Topic] = attrs.field(factory=dict)
    made: int = 0
    failure: Exception | None = None
    failing: trio.Event = attrs.field(factory=trio.Event)

    def read(self, given: Mapping[str, str]) -> Wanted:
        instrument = find_instrument(given.get("exchange"), given.get("symbol"), KNOWN)
        name = f"{instrument.symbol}{given.get('depth', '')}"
        heading = {"channel": self.name, "exchange": "binance", "symbol": instrument.symbol}
        return Wanted(
            (self.name, instrument.key, given.get("depth", "")),
            heading,
            partial(self._produce, name),
            self.most,
            self.whole,
            Greeting if self.opened else None,
        )

    async def _produce(self, name: str, topic: Topic) -> None:
        self.made += 1
        self.topics[name] = topic
        topic.begun.set()
        try:
            await self.failing.wait()
            assert self.failure is not None
            raise self.failure
        finally:
            del self.topics[name]

    def tell(self, number: int, name: str = "BTCUSDT", size: int = 0) -> None:
        """Tell a number, and so many bytes."""
        more = {"filling": "x" * size} if size else {}
        self.topics[name].publish({"number": number, **more}, str(number), str(number - 1))

    def fail(self, failure: Exception) -> None:
        self.failure = failure
        self.failing.set()


@attrs.define(eq=False)
class Greeting:
    """Three pages before anything else; then the subscriber joins."""

    topic: Topic
    page: int = 0

    async def next(self, subscription: Subscription) -> Publication | None:
        await trio.lowlevel.checkpoint()
        if self.page == 3:
            return None
        self.page += 1
        if self.page == 3:
            self.topic.join(subscription)
        return self.topic.publication({"page": self.page})


BROKEN = QuestionError("symbol", "BTCUSDT", "one that is still followed")
