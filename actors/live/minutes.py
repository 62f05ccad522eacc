"""``bars``: one-minute bars as they close, and again with a higher ``revision`` where a trade came late."""

from collections.abc import Mapping
from functools import partial

import attrs
import trio

from actors.live.inbox import Inbox
from actors.live.subscription import Body, Publication, Subscription
from actors.live.topic import Topic, Wanted
from actors.memory import SymbolMemory
from actors.runtime import Runtime
from wadm import bar as bars
from wadm import views
from wadm.bar import Bar
from wadm.instants import iso
from wadm.questions import find_instrument, read_whole

#: Messages that wait for one subscriber.
WAITING = 500

#: Closed bars that come first: as many as are asked for, up to a limit.
USUAL, MOST = 10, 500


@attrs.frozen(eq=False)
class Minutes:
    """The channel."""

    runtime: Runtime
    name: str = "bars"
    parameters: tuple[str, ...] = ("limit",)

    def read(self, given: Mapping[str, str]) -> Wanted:
        """Read what somebody wrote. Raises QuestionError."""
        known = {key: one.instrument for key, one in self.runtime.symbols.items()}
        instrument = find_instrument(given.get("exchange"), given.get("symbol"), known)
        memory, count = (
            self.runtime.symbols[instrument.key],
            read_whole("limit", given.get("limit"), USUAL, MOST),
        )
        names = {"exchange": instrument.exchange, "symbol": instrument.symbol}
        return Wanted(
            (self.name, instrument.key, ""),
            {"channel": self.name, **names, "timeframe": "1m"},
            partial(_produce, memory),
            WAITING,
            whole=False,
            opening=lambda topic: _Latest(topic, memory, count),
        )


async def _produce(memory: SymbolMemory, topic: Topic) -> None:
    topic.place = inbox = Inbox[Bar]()
    memory.bar_listeners.append(inbox)
    topic.begun.set()
    try:
        while True:
            await inbox.wait()
            _tell(topic)
    finally:
        memory.bar_listeners.remove(inbox)


def _tell(topic: Topic) -> None:
    """Tell what waits in a topic's inbox; what was lost there leaves a hole in the numbers."""
    inbox: Inbox[Bar] = topic.place
    topic.seq, inbox.lost = topic.seq + inbox.lost, 0
    for bar in inbox.take():
        topic.publish({"bar": written(bar)})


def written(bar: Bar) -> Body:
    """Return a closed bar as it is told."""
    span = {"start": iso(bar.start), "end": iso(bar.end)}
    return {**span, **views.candle(bar), "revision": bar.revision, "partial": bar.partial}


@attrs.define(eq=False)
class _Latest:
    """The last closed bars; the subscriber joins at the very moment they are looked up."""

    topic: Topic
    memory: SymbolMemory
    count: int
    _packed: list[bytes] | None = None
    _seq: int = 0
    _told: bool = False

    async def next(self, subscription: Subscription) -> Publication | None:
        """Return the bars."""
        if self._told:
            return None
        await self.topic.begun.wait()
        if self._packed is None:
            _tell(self.topic)
            self.topic.join(subscription)
            self._seq = self.topic.seq
            closed = self.memory.closed
            self._packed = [closed.packed[start] for start in closed.starts[-self.count :]]
        told = await trio.to_thread.run_sync(_unpacked, self._packed)
        self._told = True
        return self.topic.publication({"bars": told}, seq=self._seq)


def _unpacked(packed: list[bytes]) -> list[Body]:
    return [written(bars.decode(one)) for one in packed]
