"""``profile`` and ``flow``: the answer to a question about the window that is developing, as it changes.

At most once a second, and only where trades came, a gap was found or the window has ended; less often where
the answer takes long to make. One who is slow gets the latest.
"""

from collections.abc import Awaitable, Callable, Mapping
from functools import partial

import attrs
import msgspec
import trio

from actors.live.subscription import Body
from actors.live.topic import Topic, Wanted
from actors.memory import SymbolMemory
from actors.runtime import Runtime
from wadm.answers.asking import SESSION, WINDOWS, Asked, read, written
from wadm.answers.question import Question
from wadm.questions import MissingParameter, QuestionError, UnknownSymbol

#: Seconds between two answers at least, and between two looks whether there is anything new.
EVERY = 1.0
LOOK = 0.2

#: An answer that took so long (s) is made again after so many times as long.
REST = 20

#: A slow subscriber gets the newest of these.
WAITING = 2

#: HTTP status of what may be there a moment later.
LATER = 503

Ask = Callable[[Question, Mapping[str, str]], Awaitable[Mapping[str, object]]]


@attrs.frozen(eq=False)
class Developing:
    """A channel of one question. ``usual`` are its parameters where nothing else is asked for."""

    runtime: Runtime
    ask: Ask
    name: str
    question: Question
    usual: Mapping[str, str] = attrs.field(factory=dict)

    @property
    def parameters(self) -> tuple[str, ...]:
        """The names of its parameters."""
        return ("timeframe", SESSION, *(one.name for one in self.question.parameters))

    def read(self, given: Mapping[str, str]) -> Wanted:
        """Read what somebody wrote. Raises QuestionError."""
        given = {**self.usual, **given}
        if "timeframe" not in given:
            raise MissingParameter("timeframe", None, f"one of {', '.join(WINDOWS)}")
        known = {key: one.instrument for key, one in self.runtime.symbols.items()}
        asked = read(self.question, given, known)
        instrument = asked.instrument
        names: Body = {
            "channel": self.name,
            "exchange": instrument.exchange,
            "symbol": instrument.symbol,
            "timeframe": asked.timeframe,
        }
        values = {name: written(value) for name, value in asked.values.items()}
        told = {**names, **({SESSION: str(asked.session)} if asked.timeframe == SESSION else {})}
        told |= {"parameters": values} if values else {}
        # A session's hours may matter beyond its own window: where a running sum begins.
        name = msgspec.json.encode([asked.timeframe, str(asked.session), values]).decode()
        memory = self.runtime.symbols[instrument.key]
        return Wanted(
            (self.name, instrument.key, name),
            told,
            partial(self._produce, asked, given, memory),
            WAITING,
            whole=True,
        )

    async def _produce(
        self, asked: Asked, given: Mapping[str, str], memory: SymbolMemory, topic: Topic
    ) -> None:
        topic.begun.set()
        told: object = None
        while True:
            began = trio.current_time()
            if self.runtime.symbols.get(asked.instrument.key) is not memory:
                raise UnknownSymbol("symbol", asked.instrument.symbol, "one that is still followed")
            now = self._mark(asked, memory)
            if now != told and await self._tell(given, topic):
                told = now
                took = trio.current_time() - began
                await trio.sleep_until(began + max(EVERY, REST * took))
            else:
                await trio.sleep(LOOK)

    def _mark(self, asked: Asked, memory: SymbolMemory) -> object:
        """Return what differs where the answer may differ."""
        account = self.runtime.ledger.account(asked.instrument.key)
        return (
            account.applied,
            asked.span(memory.market_time).start,
            memory.gaps_noted.total(),
            memory.warming,
        )

    async def _tell(self, given: Mapping[str, str], topic: Topic) -> bool:
        try:
            answer = await self.ask(self.question, given)
        except QuestionError as error:
            if error.status == LATER:
                return False
            raise
        topic.publish({name: value for name, value in answer.items() if name not in topic.heading})
        return True
