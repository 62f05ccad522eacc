"""The aggregator actor: one symbol's trades become bars, and questions about them are answered from memory.

A batch is folded and counted without an await in between, so that a kill finds it either wholly applied or
not at all; one that is handed out again afterwards is known by its number.
"""

import time
from collections.abc import Collection

import attrs
import structlog
import trio

from actors.background import background
from actors.gaps import checking
from actors.memory import Checkpoint, SymbolMemory
from actors.messages import BarRecord, BarsAnswer, BarsQuery, EndOfCapture, MarketTime, TradeBatch
from actors.notice import Notice
from actors.rebuild import rebuild
from actors.storage.errors import StorageError
from actors.storage.marks import Marks
from actors.storage.reader import DataReader
from actors.storage.runs import distinct, within
from actors.window_records import WindowRecords
from supervision import Ask, Context, Mailbox, MailboxClosed, MailboxFull
from wadm import bar as bars
from wadm.bar import Bar
from wadm.ledger import Ledger
from wadm.market import MINUTE, Trades
from wadm.path import straightened
from wadm.series import BarSeries

log = structlog.get_logger("aggregator")

#: More batches than the writer's mailbox and its run in hand can hold: the oldest is committed by then.
UNCOMMITTED = 4_096

#: Open bars are copied after so many trades, but not more often than once in so many seconds: a rebuild
#: begins there, and takes as long whether the minute was busy or calm.
CHECKPOINT_TRADES = 500
CHECKPOINT_SECONDS = 0.5

#: Records that may wait for a writer that is behind, and how many are left when more do.
MOST_RECORDS, LEFT_RECORDS = 5_000, 4_500


@attrs.define(eq=False)
class Aggregator:
    """Everything one symbol's aggregator needs; ``run`` is the actor."""

    memory: SymbolMemory
    ledger: Ledger
    writer: Mailbox
    reader: DataReader
    marks: Marks
    epoch: int
    grace: int
    turns: trio.CapacityLimiter = attrs.field(factory=lambda: trio.CapacityLimiter(1))
    _windows: WindowRecords = attrs.field(init=False)
    _window_ended: Notice = attrs.field(factory=Notice, init=False)
    _series: BarSeries = attrs.field(init=False)
    _mailbox: Mailbox = attrs.field(init=False)
    _since_checkpoint: int = 0
    _checkpoint_due: float = 0.0

    async def run(self, context: Context) -> None:
        """Rebuild, then fold and answer until the mailbox is closed and empty."""
        mailbox = context.mailbox
        if mailbox is None:
            raise RuntimeError(f"{context.name} was started without a mailbox")
        self._mailbox = mailbox
        self._series = BarSeries(self.memory.closed, self.grace)
        self._windows = WindowRecords(self.memory, self.reader, self.grace, self.turns)
        await rebuild(self.memory, self._series, self.reader, epoch=self.epoch)
        self.memory.let_gaps_go()
        self._record(self._series.advance(self.memory.market_time))
        context.started()
        async with background() as nursery:
            if not self._in_playback:
                nursery.start_soon(self._record_windows)
            await self._hand_on()
            async for message in mailbox:
                await self._handle(message)
        await self._windows.record()
        await self._settle_records()

    @property
    def _in_playback(self) -> bool:
        """Whether the writer is waited for, however long that takes."""
        return self.writer.deadline is None

    async def _handle(self, message: object) -> None:
        if self.memory.left:
            await self._take_left()
        match message:
            case TradeBatch():
                await self._take(message)
            case MarketTime(market_time=market_time):
                self._advance(market_time)
            case EndOfCapture(market_time=market_time):
                self._finish(market_time)
                await self._straighten(at_once=True)
                await self._windows.record_all()
            case Ask(request=BarsQuery() as query):
                message.reply(self._answer(query))
        await self._straighten(at_once=False)
        await self._hand_on()
        if isinstance(message, EndOfCapture):
            self.memory.ended.set()

    # --- folding ---

    async def _take(self, batch: TradeBatch) -> None:
        done = self.memory.applied.get(batch.incarnation, 0)
        if batch.number > done + 1:
            await self._catch_up(batch.incarnation, done, batch.number - 1)
        self._apply(batch)

    async def _take_left(self) -> None:
        """Apply what was left to the journal as far as it is committed: no later batch may ever come."""
        memory = self.memory
        for incarnation, number in sorted(memory.left):
            if self.marks.batch(incarnation, memory.instrument.key) >= number:
                await self._catch_up(incarnation, memory.applied.get(incarnation, 0), number)

    async def _catch_up(self, incarnation: int, done: int, last: int) -> None:
        """Read batches that never reached the mailbox from the journal, once they are committed there."""
        name = self.memory.instrument
        await self.marks.wait_for_batch(incarnation, name.key, last)
        while done < last:
            missing = await trio.to_thread.run_sync(
                self.reader.journal.batches, name.exchange, name.symbol, incarnation, done
            )
            for batch in missing:
                if batch.number <= last:
                    self._apply(batch)
            done = missing[-1].number if missing else last

    def _apply(self, batch: TradeBatch) -> None:
        """Fold a batch unless it was folded before. No await here: see the module's text."""
        memory, trades = self.memory, batch.trades
        if batch.number <= memory.applied.get(batch.incarnation, 0):
            return
        if (batch.incarnation, batch.number) in memory.poisoned:
            memory.came_to(batch.incarnation, batch.number)
            return
        account = self.ledger.account(memory.instrument.key)
        too_old = self._series.fold(trades)
        memory.came_to(batch.incarnation, batch.number)
        memory.folded.append((batch.incarnation, batch.number))
        self._remember(batch)
        memory.left.pop((batch.incarnation, batch.number), None)
        account.applied += len(trades) - too_old
        if too_old:
            account.rejected["older_than_memory"] += too_old
        memory.seen(trades)
        if batch.clock:
            memory.latency.add((time.perf_counter() - batch.clock) * 1e6, len(trades))
        self._advance(batch.market_time)
        self._since_checkpoint += len(trades)
        if self._since_checkpoint >= CHECKPOINT_TRADES and trio.current_time() >= self._checkpoint_due:
            self._take_checkpoint()

    def _take_checkpoint(self) -> None:
        memory = self.memory
        memory.checkpoint = Checkpoint(
            dict(memory.applied), tuple(bar.copy() for bar in self._series.open.values())
        )
        memory.folded.clear()
        self._since_checkpoint, self._checkpoint_due = 0, trio.current_time() + CHECKPOINT_SECONDS

    def _remember(self, batch: TradeBatch) -> None:
        """Keep a batch until the writer has committed it: a rebuild could not find it elsewhere."""
        waiting, key = self.memory.uncommitted, self.memory.instrument.key
        waiting.append(batch)
        while (
            self.marks.batch(waiting[0].incarnation, key) >= waiting[0].number or len(waiting) > UNCOMMITTED
        ):
            waiting.popleft()
            if not waiting:
                break

    def _advance(self, market_time: int) -> None:
        memory = self.memory
        memory.market_time = max(memory.market_time, market_time)
        self._record(self._series.advance(memory.market_time))
        memory.open_from = min(self._series.open, default=None)
        checking.compare(memory, self._series.open, self.grace)

    def _finish(self, market_time: int) -> None:
        """Store what is open, marked partial: the data ends here."""
        memory = self.memory
        memory.market_time = max(memory.market_time, market_time)
        self._record(self._series.finish(memory.market_time))
        memory.open_from = None
        checking.compare(memory, self._series.open, self.grace)

    async def _straighten(self, *, at_once: bool) -> None:
        """Make the path of bars exact in which a trade came late; where more waits, that can wait too."""
        memory = self.memory
        while memory.crooked and (at_once or not self._mailbox.statistics().depth):
            start = min(memory.crooked)
            try:
                runs = await trio.to_thread.run_sync(self._raw, start)
            except StorageError as error:
                memory.crooked.discard(start)
                log.warning("path_left_inexact", symbol=memory.instrument.key, reason=str(error))
                return
            memory.crooked.discard(start)  # not before: whoever is killed meanwhile does it again
            closed = None if start in self._series.open else self._series.closed.get(start)
            better = None if closed is None or closed.exact_path else straightened(closed, runs)
            if better is not None:
                self._series.closed.put(better)
                self._record([better])

    def _raw(self, start: int) -> list[Trades]:
        """Return the raw trades of a minute: what is journalled, and what soon will be. Runs in a thread."""
        name = self.memory.instrument
        waiting = [within(one.trades, start, start + MINUTE) for one in tuple(self.memory.uncommitted)]
        kept = self.reader.journal.trades(name.exchange, name.symbol, start, start + MINUTE)
        return list(distinct([*kept, *waiting]))

    # --- records ---

    def _record(self, closed: Collection[Bar]) -> None:
        name = self.memory.instrument
        if closed:
            self.memory.let_gaps_go()
        for bar in closed:
            packed = self.memory.closed.packed.get(bar.start) or bars.encode(bar)
            self.memory.records.append(BarRecord(name.exchange, name.symbol, bar, packed))
            self.memory.due.noted(bar.start)
            for listener in self.memory.bar_listeners:
                listener.put(bar)
            checking.closed_again(self.memory, bar)
            if not bar.exact_path:
                self.memory.crooked.add(bar.start)

    async def _hand_on(self) -> None:
        """Hand on what is to be journalled; a live writer that is behind gets it at a later message."""
        if self._in_playback:
            await self._windows.record()
            await self._settle_records()
        else:
            if self._windows.wanted:
                self._window_ended.notify()
            self._offer_records()

    async def _record_windows(self) -> None:
        """Record windows as they end, beside the fold."""
        while True:
            await self._window_ended.wait_for(lambda: self._windows.wanted)
            await self._windows.record()
            self._offer_records()

    def _offer_records(self) -> None:
        """Hand on as many records as the writer's mailbox has room for."""
        records = self.memory.records
        while records:
            try:
                self.writer.put_nowait(records[0])
            except (MailboxFull, MailboxClosed):
                break
            records.popleft()
        if len(records) > MOST_RECORDS:
            self.memory.bound_records(LEFT_RECORDS)
            log.error("records_given_up", symbol=self.memory.instrument.key, all=self.memory.unrecorded)

    async def _settle_records(self) -> None:
        """Hand on all that is to be journalled, for as long as the writer's mailbox lets its senders wait."""
        records = self.memory.records
        try:
            while records:
                await self.writer.put(records[0])
                records.popleft()
        except (MailboxFull, MailboxClosed) as error:
            # The bars among them are made again from raw trades at the next start.
            log.warning("records_not_journalled", symbol=self.memory.instrument.key, reason=str(error))

    # --- answering ---

    def _answer(self, query: BarsQuery) -> BarsAnswer:
        memory, series = self.memory, self._series
        extent = series.extent()
        return BarsAnswer(
            bars={name: series.merged(start, end) for name, (start, end) in query.spans.items()},
            minutes=() if query.minutes is None else series.packed(*query.minutes),
            memory_from=extent and extent[0],
            held_from=memory.held_from,
            closed_until=(memory.market_time - self.grace) // MINUTE * MINUTE,
            market_time=memory.market_time,
            epoch=self.epoch,
            warming=memory.warming or not memory.closed.whole,
        )
