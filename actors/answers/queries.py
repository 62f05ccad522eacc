"""The one door for questions: HTTP, MCP and the command line all ask here.

Live windows are answered from the aggregators' memory, what is older from bars in the stores, and a window
that reaches into both is merged.
"""

from collections.abc import Mapping

import attrs
import trio

from actors.answers import recompute, trades
from actors.answers.material import Live
from actors.answers.overview import Overview
from actors.answers.shelf import Shelf
from actors.answers.stored import Stored
from actors.answers.trades import TradesAnswers
from actors.following.choosing import Choosing
from actors.live.channels import channels
from actors.live.depth import book_of
from actors.live.topic import Channel
from wadm import views
from wadm.answers import activity, compare, profile
from wadm.answers.asking import Asked, read
from wadm.answers.question import Material, Question
from wadm.depth import depth_answer
from wadm.market import Instrument
from wadm.questions import QuestionError, read_depth

#: The parameter of every question that asks for the answer to be made again.
RECOMPUTE = "recompute"


@attrs.define(eq=False)
class Queries(Overview):
    """Answers about the market and the daemon itself. All raise QuestionError for the asker's mistakes."""

    choosing: Choosing = attrs.field(
        init=False, default=attrs.Factory(lambda self: Choosing(self.runtime), takes_self=True)
    )

    _live: Live = attrs.field(
        init=False,
        default=attrs.Factory(lambda self: Live(self.runtime, Shelf(self.runtime.reader)), takes_self=True),
    )

    @property
    def instruments(self) -> dict[str, Instrument]:
        """The instruments that are followed, by ``exchange:SYMBOL``."""
        return {key: memory.instrument for key, memory in self.runtime.symbols.items()}

    async def ask(self, question: Question, given: Mapping[str, str]) -> dict[str, object]:
        """Answer a question; with ``recompute`` also from the stored bars, and say whether both agree."""
        if question is activity.QUESTION and "symbol" not in given:
            return await self.activity(given)
        given = dict(given)
        again = _flag(RECOMPUTE, given.pop(RECOMPUTE, "false"))
        asked = read(question, given, self.instruments)
        return await (self._recomputed(asked) if again else self._live.answer(asked))

    async def compare(self, given: Mapping[str, str]) -> dict[str, object]:
        """Compare one symbol on all exchanges that follow it."""
        symbols = self.runtime.symbols
        compared = compare.read(given, self.instruments, lambda key: symbols[key].market_time)
        return compare.respond(compared, [await self._live.give(one, _as_is) for one in compared.asked])

    async def activity(self, given: Mapping[str, str]) -> dict[str, object]:
        """Return the activity of every symbol that is followed."""
        every = activity.each(given, list(self.instruments.values()))
        return activity.together([await self.ask(activity.QUESTION, one) for one in every])

    async def _recomputed(self, asked: Asked) -> dict[str, object]:
        """Answer for the closed minutes of the window, from memory and from what is stored."""
        recompute.check(asked)
        span = asked.span(self.runtime.symbols[asked.instrument.key].market_time)
        end = min(span.end, await self._live.closed_until(asked.instrument))
        if end <= span.start:
            raise QuestionError("recompute", "true", "a window of which at least one minute is closed")
        closed = attrs.evolve(asked, timeframe=None, start=span.start, end=end)
        answer = await self._live.answer(closed)
        await self.runtime.marks.wait_for(lambda _: not self.runtime.writer_mailbox.pending())
        return await trio.to_thread.run_sync(Stored(self.runtime.reader).recomputed, closed, answer)

    async def depth(self, parameters: Mapping[str, str]) -> dict[str, object]:
        """Answer for an order book; see ``wadm.depth.depth_answer`` for its shape.

        The book is read where it lies: it is never folded halfway when another task runs.
        """
        asked = read_depth(parameters, self.instruments)
        memory = book_of(self.runtime, asked.instrument.exchange, asked.instrument.key)
        age = memory.age_ms(trio.current_time())
        return {
            **depth_answer(asked.instrument, memory.sync, asked.levels, age_ms=age),
            "counters": memory.counters(),
            "alarm": memory.alarm or None,
            "last_audit": memory.last_audit,
            "coverage": {
                "sources": ["live"],
                "epoch": self.runtime.epoch,
                "warming": memory.sync.synced_at is None,
            },
        }

    async def trades(self, given: Mapping[str, str]) -> dict[str, object]:
        """Answer with single trades: a page in the order in which they came, and the cursor behind it."""
        return await TradesAnswers(self.runtime).answer(trades.read(given, self.instruments))

    @property
    def channels(self) -> dict[str, Channel]:
        """What can be subscribed to, by name."""
        return channels(self.runtime, self.ask)

    async def summary(self, given: Mapping[str, str]) -> dict[str, object]:
        """Answer what replay prints of one symbol, over everything there is."""
        asked = read(profile.QUESTION, given, self.instruments, everything=True)
        bar = await self._live.everything(asked.instrument)
        return views.summary(bar, profile.of(bar, asked.instrument, asked.values))

    async def symbols(self) -> dict[str, object]:
        """List the symbols that are followed and where each stands."""
        return {"symbols": [self._listed(memory) for memory in self.runtime.symbols.values()]}


def _as_is(material: Material) -> Material:
    return material


def _flag(name: str, text: str) -> bool:
    if text not in ("true", "false"):
        raise QuestionError(name, text, "true or false")
    return text == "true"
