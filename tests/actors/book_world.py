"""A book actor, the exchange it asks, and the mailbox it reads."""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

import attrs
import trio

from actors.books.book import Book
from actors.books.memory import BookMemory
from actors.connections.memory import ConnectionMemory
from actors.messages import BookBatch, Reached
from supervision import Context, Mailbox
from wadm.book_sync import BookSync, Outcome
from wadm.exchanges.base import BookRule, Query
from wadm.market import SECOND, BestQuote, BookRun, BookUpdate, Instrument

SPOT = Instrument("binance", "BTCUSDT")
BYBIT = Instrument("bybit", "BTCUSDT")
STREAM = "orderbook.50.BTCUSDT"


@attrs.define(eq=False)
class FakeRest:
    """Answers what it is told to, one after the other, the last one again and again."""

    answers: list[BookUpdate | Exception] = attrs.field(factory=list)
    #: when it was asked, on trio's clock
    asked: list[float] = attrs.field(factory=list)
    hold: trio.Event | None = None
    addresses: dict[str, str] = attrs.field(factory=lambda: {"binance": "", "bybit": ""})

    async def ask(self, _exchange: str, _query: Query[Any]) -> BookUpdate:
        self.asked.append(trio.current_time())
        await trio.lowlevel.checkpoint()
        if self.hold is not None:
            await self.hold.wait()
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer


@attrs.define(eq=False)
class World:
    memory: BookMemory
    rest: FakeRest
    connection: ConnectionMemory
    mailbox: Mailbox
    writer: Mailbox

    def put(self, *steps: BookUpdate | BestQuote) -> None:
        instrument = self.memory.instrument
        self.mailbox.put_nowait(BookBatch(BookRun(instrument.exchange, instrument.symbol, steps), 7))

    async def folded(self) -> None:
        """Return once everything that was put is folded."""
        last = Reached()
        self.mailbox.put_nowait(last)
        await last.event.wait()

    async def until(self, holds: Callable[[], bool]) -> None:
        """Return once something holds; time goes on by itself."""
        with trio.fail_after(3_600):
            while not holds():  # noqa: ASYNC110
                await trio.sleep(0.05)


@asynccontextmanager
async def world(
    instrument: Instrument = SPOT,
    answers: Sequence[BookUpdate | Exception] = (),
    *,
    playback: bool = False,
    streams: Sequence[str] = (STREAM,),
) -> AsyncIterator[World]:
    """Run a book actor for the length of the block."""
    rest, memory = FakeRest(list(answers)), BookMemory(instrument)
    connection = ConnectionMemory("connection:1", instrument.exchange, streams, connected_at=1)
    writer = Mailbox("writer", 8, deadline=None if playback else 5.0)
    made = World(memory, rest, connection, Mailbox("book", 256), writer)
    book = Book(memory, rest, {"connection:1": connection}, made.writer, playback=playback)  # type: ignore[arg-type]
    async with trio.open_nursery() as nursery:
        nursery.start_soon(book.run, Context("book", 1, made.mailbox))
        yield made
        made.mailbox.close()


def of_each_second(rule: BookRule, first: BookUpdate, live: Sequence[BookUpdate | BestQuote]) -> list[int]:
    """Return the updates at which a book is to be taken down, from one plain fold."""
    sync, seconds, found = BookSync(rule), {0}, []
    for step in live:
        outcome = sync.take(step, 1) if isinstance(step, BookUpdate) else Outcome.IGNORED
        if sync.wants_snapshot:
            sync.snapshot(first, 1)
        if outcome is Outcome.APPLIED and sync.at // SECOND not in seconds:
            seconds.add(sync.at // SECOND)
            found.append(sync.last)
    return found
