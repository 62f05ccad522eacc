"""``trades``: every trade in the order of the journal, once it is on the disk.

So its cursor is good whatever happens: after a restart, of the client's or of the daemon, nothing is left out
and nothing told twice. Trades come by groups, as they are committed, about every 50 ms.
"""

from collections.abc import Callable, Mapping
from functools import partial

import attrs
import msgspec
import structlog
import trio

from actors.answers import trades
from actors.answers.places import CursorError, Place
from actors.answers.trade_pages import Recent, TradePage, TradePages
from actors.answers.trades import TradesAsked, gaps_among
from actors.live.subscription import Body, Publication, Subscription
from actors.live.topic import Topic, Wanted
from actors.memory import SymbolMemory
from actors.runtime import Runtime
from actors.storage.errors import StorageError
from actors.storage.marks import Marks
from wadm.questions import QuestionError, Unavailable, UnknownSymbol

log = structlog.get_logger("live")

#: Trades of one message.
PAGE = 500

#: Messages that wait for one subscriber.
WAITING = 200

#: Seconds until a journal that could not be read is tried again.
RETRY = 1.0


@attrs.frozen(eq=False)
class Tape:
    """The channel."""

    runtime: Runtime
    name: str = "trades"
    parameters: tuple[str, ...] = ("cursor", "start", "limit")
    #: Reading for listeners holds up nobody else's threads.
    _threads: trio.CapacityLimiter = attrs.field(factory=lambda: trio.CapacityLimiter(4))

    def read(self, given: Mapping[str, str]) -> Wanted:
        """Read what somebody wrote. Raises QuestionError."""
        asked = trades.read(given, {key: one.instrument for key, one in self.runtime.symbols.items()})
        instrument, memory = asked.instrument, self.runtime.symbols[asked.instrument.key]
        pages = TradePages(self.runtime.journal, instrument.exchange, instrument.symbol)
        heading: Body = {
            "channel": self.name,
            "exchange": instrument.exchange,
            "symbol": instrument.symbol,
            "id_kind": str(memory.source),
        }
        return Wanted(
            (self.name, instrument.key, ""),
            heading,
            partial(self._produce, pages, memory),
            WAITING,
            whole=False,
            opening=lambda topic: _CatchingUp(self, topic, asked, pages, memory),
        )

    async def page(self, read: Callable[[], TradePage]) -> tuple[TradePage, msgspec.Raw]:
        """Return a page, and its trades as JSON."""

        def made() -> tuple[TradePage, msgspec.Raw]:
            found = read()
            return found, msgspec.Raw(msgspec.json.encode(found.rows))

        return await trio.to_thread.run_sync(made, limiter=self._threads, abandon_on_cancel=True)

    async def _produce(self, pages: TradePages, memory: SymbolMemory, topic: Topic) -> None:
        """Follow the journal; a topic's ``place`` is behind all trades that were told."""
        runtime, key, recent = self.runtime, memory.instrument.key, Recent()
        topic.place = place = await trio.to_thread.run_sync(pages.end, limiter=self._threads)
        topic.begun.set()
        while True:
            await runtime.marks.wait_for(partial(_moved, runtime, memory, place))
            if runtime.symbols.get(key) is not memory:
                raise UnknownSymbol("symbol", memory.instrument.symbol, "one that is still followed")
            try:
                page, rows = await self.page(partial(pages.behind, place, PAGE, recent))
            except StorageError as error:
                log.warning("trades_not_told", symbol=key, reason=str(error))
                await trio.sleep(RETRY)
                continue
            if page.rows:
                topic.publish(_body(memory, page, rows), str(page.place), str(place))
            topic.place = place = page.place


def _moved(runtime: Runtime, memory: SymbolMemory, place: Place, marks: Marks) -> bool:
    key = memory.instrument.key
    return marks.traded.get(key, 0) >= place.seq or runtime.symbols.get(key) is not memory


def _body(memory: SymbolMemory, page: TradePage, rows: msgspec.Raw) -> Body:
    body: Body = {"trades": rows, "cursor": str(page.place)}
    if gaps := gaps_among(memory, page.span):
        body["gaps"] = [gap.answer() for gap in gaps]
    return body


@attrs.define(eq=False)
class _CatchingUp:
    """What lies between the place where a subscriber begins and the one where the topic stands.

    It is read page by page as the subscriber takes it, so that nobody is hurried; where the two meet, the
    subscriber joins.
    """

    tape: Tape
    topic: Topic
    asked: TradesAsked
    pages: TradePages
    memory: SymbolMemory
    _place: Place | None = None
    _told: bool = False
    _joined: bool = False

    async def next(self, subscription: Subscription) -> Publication | None:
        """Return the next page. Raises QuestionError."""
        await self.topic.begun.wait()
        while not self._joined:
            until: Place | None = self.topic.place
            if until is None:
                raise Unavailable("the journal", "it could not be read")
            try:
                page, rows = await self.tape.page(partial(self._read, until))
            except CursorError as error:
                raise QuestionError("cursor", str(self.asked.place), str(error)) from None
            except StorageError as error:
                raise Unavailable("the journal", str(error)) from error
            self._place = page.place
            if self.topic.place is until and until.precedes(page.place.seq, page.place.index):
                self.topic.join(subscription)
                self._joined = True
            if page.rows or page.missed or not self._told:
                self._told = True
                body = {**_body(self.memory, page, rows), "more": not self._joined, "missed": page.missed}
                return self.topic.publication(body, str(page.place))
        return None

    def _read(self, until: Place) -> TradePage:
        asked, missed, place = self.asked, None, self._place or self.asked.place
        if place is None:
            if asked.start is None:
                return self.pages.newest(asked.limit, until)
            place, missed = self.pages.at(asked.start)
        page = self.pages.behind(place, PAGE, until=until)
        return attrs.evolve(page, missed=missed or page.missed)
