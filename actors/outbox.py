"""Batches on their way from whoever received trades to the storage writer and the aggregators."""

import math
from collections import Counter, deque
from collections.abc import Mapping
from contextlib import suppress

import attrs
import structlog
import trio

from actors.memory import Numbering, SymbolMemory
from actors.messages import TradeBatch
from supervision import Mailbox, MailboxClosed, MailboxFull
from wadm.exchanges.base import Gap
from wadm.exchanges.contiguity import Positions, runs_of
from wadm.ledger import Ledger
from wadm.market import Trades

log = structlog.get_logger("outbox")


@attrs.define(eq=False)
class Posting:
    """A batch on its way: first to the writer, then to its aggregator."""

    batch: TradeBatch
    written: bool = False


@attrs.define(eq=False)
class Outbox:
    """Numbers batches and hands them over; what it holds outlives the actor that filled it.

    ``live`` says that its trades are received as they happen: not those that fill a gap.
    A full mailbox makes it wait. Where that has a limit (not in playback) and the limit passes, once for all
    that is handed over, a batch is left to the journal, from which its aggregator reads it; or, if the
    journal itself is behind, shed.
    """

    writer: Mailbox
    aggregators: Mapping[str, Mailbox]
    symbols: Mapping[str, SymbolMemory]
    ledger: Ledger
    positions: Mapping[str, Positions]
    live: bool = True
    postings: deque[Posting] = attrs.field(factory=deque, init=False)
    _incarnation: int = attrs.field(default=0, init=False)
    _lives: dict[str, int] = attrs.field(factory=dict, init=False)
    _numbers: Counter[str] = attrs.field(factory=Counter, init=False)

    def begin(self, incarnation: int) -> None:
        """Count from 1 again, for a new life of the actor."""
        self._incarnation, self._lives, self._numbers = incarnation, {}, Counter()

    def begin_symbol(self, key: str, numbering: Numbering) -> None:
        """Count the batches of one symbol from 1 again: its aggregator is a new one and knows none."""
        if self._numbers.pop(key, 0):
            self._lives[key] = numbering.incarnation()

    def add(self, trades: Trades, received_at: int, clock: float, market_time: int) -> None:
        """Queue a run of trades as the next batch of its symbol. No await: a kill loses nothing.

        Trades of another source than the one that is folded end here: they are the same trades once more,
        and are only counted, to check the others.
        """
        key = trades.key
        memory = self.symbols.get(key)
        if memory is None:
            self.ledger.account(key).rejected["not_followed"] += len(trades)
            return
        if trades.id_kind is not memory.source:
            self.ledger.account(key).rejected["second_source"] += len(trades)
            memory.second.count(trades)
            return
        if self.live:
            memory.note_received(trades)
        self._numbers[key] = number = self._numbers[key] + 1
        incarnation = self._lives.get(key, self._incarnation)
        batch = TradeBatch(trades, incarnation, number, received_at, clock, market_time)
        self.postings.append(Posting(batch))

    async def hand_over(self) -> None:
        """Post what waits: each batch to the writer, then to its aggregator."""
        if not self.postings:
            return
        patience = self.writer.deadline
        until = math.inf if patience is None else trio.current_time() + patience
        while self.postings:
            posting = self.postings[0]
            if posting.written or await self._write(posting, until):
                await self._deliver(posting.batch, until)
            self.postings.popleft()

    async def _write(self, posting: Posting, until: float) -> bool:
        batch = posting.batch
        try:
            await _put(self.writer, batch, until)
        except MailboxFull:
            self._shed(batch.trades)
            return False
        posting.written = True
        return True

    def _shed(self, trades: Trades) -> None:
        """Count trades that nobody took, and open the gap they leave, which REST may fill."""
        self.ledger.account(trades.key).shed["journal_behind"] += len(trades)
        log.error("shed", symbol=trades.key, trades=len(trades), reason="the journal is behind")
        if trades.key not in self.symbols:
            return
        memory = self.symbols[trades.key]
        self.positions[trades.exchange].of(trades.symbol, trades.id_kind).forget(trades.ids)
        if not memory.counted:
            memory.suspect(min(trades.times), max(trades.times), "trades were shed: the journal was behind")
        for lost in runs_of(trades.ids):
            memory.note_gap(
                Gap(trades.exchange, trades.symbol, trades.id_kind, lost.first, lost.last, trades.times[0])
            )

    async def _deliver(self, batch: TradeBatch, until: float) -> None:
        key = batch.trades.key
        try:
            await _put(self.aggregators[key], batch, until)
        except (KeyError, MailboxClosed):
            # Given up meanwhile: the journal has the trades, and no bar will.
            self.ledger.account(key).shed["not_followed"] += len(batch.trades)
        except MailboxFull:
            self.symbols[key].left[batch.incarnation, batch.number] = len(batch.trades)

    def waiting(self) -> Counter[str]:
        """Return how many trades wait here, by symbol key."""
        counted: Counter[str] = Counter()
        for posting in self.postings:
            counted[posting.batch.trades.key] += len(posting.batch.trades)
        return counted


async def _put(mailbox: Mailbox, message: object, until: float) -> None:
    """Put a message, waiting for room until then at most. Raises MailboxFull.

    Where there is room this gives nobody else a turn: that would cost a trade on its own more than its fold.
    """
    with suppress(MailboxFull):
        mailbox.put_nowait(message)
        return
    with trio.move_on_at(until):
        await mailbox.put(message)
        return
    mailbox.put_nowait(message)
