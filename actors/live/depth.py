"""``depth``: the best levels of an order book, whenever it changed, at most ten times a second."""

from collections.abc import Mapping
from functools import partial

import attrs
import trio

from actors.books.memory import BookMemory
from actors.live.topic import Topic, Wanted
from actors.runtime import Runtime
from wadm.depth import depth_answer
from wadm.questions import MOST_LEVELS, NotFollowed, QuestionError, UnknownSymbol, read_depth

#: Seconds between two messages at least: of few levels, and of many.
EVERY, EVERY_OF_MANY = 0.1, 0.25
FEW = 50

#: The most levels of each side.
MOST = min(200, MOST_LEVELS)

#: A slow subscriber gets the newest of these.
WAITING = 2


@attrs.frozen(eq=False)
class Depth:
    """The channel."""

    runtime: Runtime
    name: str = "depth"
    parameters: tuple[str, ...] = ("levels",)

    def read(self, given: Mapping[str, str]) -> Wanted:
        """Read what somebody wrote. Raises QuestionError."""
        asked = read_depth(given, {key: one.instrument for key, one in self.runtime.symbols.items()})
        if asked.levels > MOST:
            raise QuestionError("levels", str(asked.levels), f"a whole number from 1 to {MOST}")
        instrument = asked.instrument
        memory = book_of(self.runtime, instrument.exchange, instrument.key)
        names = {"exchange": instrument.exchange, "symbol": instrument.symbol}
        return Wanted(
            (self.name, instrument.key, str(asked.levels)),
            {"channel": self.name, **names, "levels": asked.levels},
            partial(self._produce, memory, asked.levels),
            WAITING,
            whole=True,
        )

    async def _produce(self, memory: BookMemory, levels: int, topic: Topic) -> None:
        topic.begun.set()
        told: object = None
        while True:
            if self.runtime.books.get(memory.instrument.key) is not memory:
                raise UnknownSymbol("symbol", memory.instrument.symbol, "one that is still followed")
            sync = memory.sync
            now = memory.received, sync.synced, sync.reason
            if now != told:
                told = now
                age = memory.age_ms(trio.current_time())
                answer = depth_answer(memory.instrument, sync, levels, age_ms=age)
                topic.publish({name: value for name, value in answer.items() if name not in topic.heading})
            await trio.sleep(EVERY if levels <= FEW else EVERY_OF_MANY)


def book_of(runtime: Runtime, exchange: str, key: str) -> BookMemory:
    """Return a symbol's order book. Raises NotFollowed."""
    memory = runtime.books[key]
    if not memory.is_followed(runtime.connections.values()):
        remedy = f"add book to exchanges.{exchange}.streams in the settings"
        raise NotFollowed("The order book", "symbol", key, remedy)
    return memory
