"""The book actor: one symbol's order book, put together from snapshots and diffs.

A run of updates is folded without an await; snapshots are asked for beside it. In a recording, which is read
as fast as it can be, the fold waits for them instead, at the update that wants one: the far side would be at
its end otherwise.
"""

from collections.abc import Mapping

import attrs
import structlog
import trio

from actors.background import background
from actors.books.audits import Audits
from actors.books.memory import BookMemory
from actors.books.records import BookRecords
from actors.books.snapshots import Snapshots
from actors.connections.memory import ConnectionMemory
from actors.messages import BookBatch, Reached
from actors.rest import Rest
from supervision import Context, Mailbox
from wadm.book_sync import Outcome
from wadm.market import SECOND, BestQuote, BookChange, BookUpdate

log = structlog.get_logger("book")

#: Seconds after which a book that is out of step is an alarm.
OUT_OF_STEP = 60.0

#: Seconds between two looks at a book on which nothing comes.
_LOOK = 1.0


@attrs.define(eq=False)
class Book:
    """Everything one book needs; ``run`` is the actor."""

    memory: BookMemory
    rest: Rest
    connections: Mapping[str, ConnectionMemory]
    writer: Mailbox
    playback: bool = False
    _records: BookRecords = attrs.field(
        init=False, default=attrs.Factory(lambda self: BookRecords(self.memory, self.writer), takes_self=True)
    )

    async def run(self, context: Context) -> None:
        """Put the book together until the mailbox is closed and empty."""
        if context.mailbox is None:
            raise RuntimeError(f"{context.name} was started without a mailbox")
        memory = self.memory
        memory.audit = None
        snapshots = Snapshots(memory, self.rest, self.connections, self.playback)
        audits = Audits(memory, snapshots)
        context.started()
        async with background() as nursery:
            nursery.start_soon(audits.run)
            if not self.playback:
                nursery.start_soon(snapshots.run)
                nursery.start_soon(self._watch, audits, snapshots)
            async for message in context.mailbox:
                if isinstance(message, Reached):
                    message.event.set()
                elif isinstance(message, BookBatch):
                    await self._fold(message, snapshots)
                    await self._records.hand_on()

    async def _fold(self, batch: BookBatch, snapshots: Snapshots) -> None:
        """Fold a run. No await within an update: nobody may see half of one."""
        memory = self.memory
        for step in batch.run.steps:
            if isinstance(step, BestQuote):
                memory.quotes.quote(step)
            else:
                self._take(step, batch.received_at)
                if self.playback:
                    await snapshots.catch_up()
        self._look_at_crossing()
        if memory.sync.wants_snapshot:
            memory.changed.notify()

    def _take(self, update: BookUpdate, at: int) -> None:
        memory = self.memory
        outcome = memory.sync.take(update, at)
        if outcome is Outcome.IGNORED:
            return
        memory.received += 1
        memory.updated_at, memory.updated_clock = at, trio.current_time()
        if outcome is Outcome.GAP or update.change is BookChange.SNAPSHOT:
            memory.quotes.forget()
            memory.audit = None
            memory.changed.notify()
        if outcome is Outcome.GAP:
            log.warning("book_out_of_step", symbol=memory.instrument.key, reason=memory.sync.reason)
        elif outcome is Outcome.APPLIED:
            self._records.look()
            if update.change is BookChange.DIFF:
                memory.quotes.applied(update, memory.sync.book)
        if memory.audit is not None:
            memory.audit.take(update, at)
            memory.changed.notify()

    def _look_at_crossing(self) -> None:
        """Give up a book that is crossed for longer than a market can be: it is wrong, gaps or no gaps."""
        memory, sync = self.memory, self.memory.sync
        # A recording's time is the exchange's alone: it may be held up at any point.
        now = 0 if self.playback else int(trio.current_time() * SECOND)
        if not sync.synced:
            memory.crossing.since = None
            return
        if memory.crossing.look(sync.at, now, crossed=sync.book.crossed):
            memory.crossing.since = None
            memory.alarm = f"the book of {memory.instrument.key} was crossed for too long"
            log.error("book_crossed", symbol=memory.instrument.key, update=sync.last)
            memory.lose("the book was crossed for too long")
        elif memory.crossing.since is None:
            memory.alarm = ""

    async def _watch(self, audits: Audits, snapshots: Snapshots) -> None:
        while True:
            await trio.sleep(_LOOK)
            self._look_at_connections(snapshots)
            self._look_at_crossing()
            self._look_at_standing()
            audits.look()

    def _look_at_standing(self) -> None:
        """Raise an alarm over a book that does not come into step."""
        memory, now = self.memory, trio.current_time()
        if memory.sync.synced or not memory.received:
            memory.out_since = None
            return
        if memory.out_since is None:
            memory.out_since = now
        if now - memory.out_since >= OUT_OF_STEP:
            memory.alarm = f"the book of {memory.instrument.key} is out of step: {memory.sync.reason}"

    def _look_at_connections(self, snapshots: Snapshots) -> None:
        """Take a book for out of step that no open connection brings any more, however it stood."""
        memory, carriers = self.memory, snapshots.carriers()
        if memory.sync.synced and carriers and all(one.connected_at is None for one, _ in carriers):
            memory.lose("the connection that brings it was lost")
            log.info("book_out_of_step", symbol=memory.instrument.key, reason=memory.sync.reason)
