"""What the actors of one daemon share: memories, mailboxes, stores and counters."""

import time
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path

import attrs
import trio

from actors.memory import ConnectionMemory, Numbering, SymbolMemory
from actors.messages import TradeBatch
from actors.outbox import Outbox
from actors.plan import Plan
from actors.standing import stand
from actors.storage.engines import embedded_url
from actors.storage.journal import Journal
from actors.storage.lock import DirectoryLock
from actors.storage.marks import Marks, Notice
from actors.storage.reader import DataReader
from actors.storage.sink import Sink
from actors.storage.sql import SqlStore
from actors.storage.writer import Writer
from supervision import Mailbox, Supervisor
from wadm.exchanges import registry
from wadm.exchanges.contiguity import Positions
from wadm.ledger import Ledger
from wadm.market import HOUR
from wadm.series import ClosedBars
from wadm.settings import Settings

#: Messages that may wait. A batch is what one read of a socket brought: at most some 300 trades.
AGGREGATOR_CAPACITY = 256
WRITER_CAPACITY = 1024

#: The name of the actor that fills gaps, and of its outbox.
BACKFILL = "backfill"

#: A live connection stops reading for this long (s) at most; beyond it, pings would go unanswered.
PATIENCE = 5.0


@attrs.define(eq=False)
class Runtime:
    """Everything beside the supervision tree that a crash must not take with it."""

    plan: Plan
    epoch: int
    journal: Journal
    store: SqlStore
    reader: DataReader
    marks: Marks
    writer: Writer
    warm: Sink
    writer_mailbox: Mailbox
    symbols: Mapping[str, SymbolMemory]
    aggregators: Mapping[str, Mailbox]
    connections: Mapping[str, ConnectionMemory]
    outboxes: Mapping[str, Outbox]
    positions: Mapping[str, Positions]
    numbering: Numbering
    ledger: Ledger
    gap_noticed: Notice = attrs.field(factory=Notice)
    started_at: float = attrs.field(factory=time.monotonic)
    root: Supervisor | None = None
    url: str | None = None

    def in_flight(self) -> int:
        """Return how many trades are between codec and bar, counted where they wait.

        A batch on its way from one place to the next may be found in both, and one that was folded is still
        in hand for a moment: each counts once, until it is folded.
        """
        waiting: dict[tuple[str, int, int], int] = {}
        for batch in self._batches():
            waiting[batch.trades.key, batch.incarnation, batch.number] = len(batch.trades)
        for key, memory in self.symbols.items():
            waiting |= {(key, *name): count for name, count in memory.left.items()}
        return sum(
            count
            for (key, incarnation, number), count in waiting.items()
            if number > self.symbols[key].applied.get(incarnation, 0)
        )

    def _batches(self) -> Iterator[TradeBatch]:
        for mailbox in self.aggregators.values():
            yield from (message for message in mailbox.pending() if isinstance(message, TradeBatch))
        for outbox in self.outboxes.values():
            yield from (posting.batch for posting in outbox.postings)

    def statement(self) -> dict[str, object]:
        """Return the ledger's balance."""
        return self.ledger.statement(self.in_flight())

    async def complete(self) -> None:
        """Return once a recording has ended, and all of it is applied, journalled and in the warm store."""
        for connection in self.connections.values():
            await connection.ended.wait()
        for key in self.plan.traded:
            await self.symbols[key].ended.wait()
        await self.settle()

    async def settle(self) -> None:
        """Return once all that was handed to the writer is committed, and in the warm store."""
        await self.marks.wait_for(lambda _: not self.writer_mailbox.pending())
        await self.warm.wait_caught_up()


@attrs.frozen
class Parts:
    """What a runtime is made of where it has a choice: a drill puts in parts that can be made to fail."""

    mailbox: type[Mailbox] = Mailbox
    journal: type[Journal] = Journal


@asynccontextmanager
async def open_runtime(
    settings: Settings, plan: Plan, directory: Path, parts: Parts | None = None
) -> AsyncIterator[Runtime]:
    """Open the data directory and make what the actors share. Raises StorageError."""
    parts = parts or Parts()
    with ExitStack() as opened:
        await trio.to_thread.run_sync(opened.enter_context, DirectoryLock(directory))
        journal = await trio.to_thread.run_sync(parts.journal, directory)
        opened.callback(journal.close)
        store = SqlStore(embedded_url(directory), journal.identity())
        opened.callback(store.close)
        await trio.to_thread.run_sync(store.initialise)
        yield _made(settings, plan, journal, store, parts.mailbox)


def _made(
    settings: Settings, plan: Plan, journal: Journal, store: SqlStore, mailbox: type[Mailbox]
) -> Runtime:
    epoch = journal.next_epoch()
    marks = Marks(journal.last_seq())
    patience = None if plan.playback else PATIENCE
    writer = mailbox("writer", WRITER_CAPACITY, deadline=patience)
    keep = settings.memory.hours * HOUR + HOUR
    symbols = {
        key: SymbolMemory(one, ClosedBars(keep), plan.sources[key]) for key, one in plan.instruments.items()
    }
    aggregators = {
        key: mailbox(f"aggregator:{key}", AGGREGATOR_CAPACITY, deadline=patience) for key in symbols
    }
    positions = {one.exchange: registry.find(one.exchange).positions() for one in plan.connections}
    reader = DataReader(journal, store)
    for memory in symbols.values():
        stand(memory, positions[memory.instrument.exchange], reader)
    ledger = Ledger()
    senders = [BACKFILL, *(one.name for one in plan.connections)]
    return Runtime(
        plan=plan,
        epoch=epoch,
        journal=journal,
        store=store,
        reader=reader,
        marks=marks,
        writer=Writer(journal, marks, settings.storage.commit_interval_ms / 1_000),
        warm=Sink(journal, store, marks),
        writer_mailbox=writer,
        symbols=symbols,
        aggregators=aggregators,
        connections={
            one.name: ConnectionMemory(one.name, one.exchange, one.streams) for one in plan.connections
        },
        outboxes={name: Outbox(writer, aggregators, symbols, ledger, positions) for name in senders},
        positions=positions,
        numbering=Numbering(epoch),
        ledger=ledger,
    )
