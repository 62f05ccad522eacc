"""What the actors of one daemon share: memories, mailboxes, stores and counters, made before any of them starts."""

import time
from collections.abc import AsyncIterator, Mapping
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path

import attrs
import trio

from actors.memory import ConnectionMemory, Numbering, SymbolMemory, in_flight
from actors.plan import Plan
from actors.storage.engines import embedded_url
from actors.storage.journal import Journal
from actors.storage.lock import DirectoryLock
from actors.storage.marks import Marks
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
    positions: Mapping[str, Positions]
    numbering: Numbering
    ledger: Ledger = attrs.field(factory=Ledger)
    started_at: float = attrs.field(factory=time.monotonic)
    root: Supervisor | None = None
    url: str | None = None

    def in_flight(self) -> int:
        """Return how many trades are between codec and bar, counted where they wait."""
        pending = (mailbox.pending() for mailbox in self.aggregators.values())
        return in_flight(pending, self.connections.values(), self.symbols.values()).total()

    def statement(self) -> dict[str, object]:
        """Return the ledger's balance."""
        return self.ledger.statement(self.in_flight())

    async def settle(self) -> None:
        """Return once all that was handed to the writer is committed, and in the warm store."""
        await self.marks.wait_for(lambda _: not self.writer_mailbox.pending())
        await self.warm.wait_caught_up()


@asynccontextmanager
async def open_runtime(settings: Settings, plan: Plan, directory: Path) -> AsyncIterator[Runtime]:
    """Open the data directory and make what the actors share. Raises StorageError."""
    with ExitStack() as opened:
        await trio.to_thread.run_sync(opened.enter_context, DirectoryLock(directory))
        journal = await trio.to_thread.run_sync(Journal, directory)
        opened.callback(journal.close)
        store = SqlStore(embedded_url(directory), journal.identity())
        opened.callback(store.close)
        await trio.to_thread.run_sync(store.initialise)
        yield _made(settings, plan, journal, store)


def _made(settings: Settings, plan: Plan, journal: Journal, store: SqlStore) -> Runtime:
    epoch = journal.next_epoch()
    marks = Marks(journal.last_seq())
    keep = settings.memory.hours * HOUR + HOUR
    patience = None if plan.playback else PATIENCE
    return Runtime(
        plan=plan,
        epoch=epoch,
        journal=journal,
        store=store,
        reader=DataReader(journal, store),
        marks=marks,
        writer=Writer(journal, marks, settings.storage.commit_interval_ms / 1_000),
        warm=Sink(journal, store, marks),
        writer_mailbox=Mailbox("writer", WRITER_CAPACITY, deadline=patience),
        symbols={key: SymbolMemory(one, ClosedBars(keep)) for key, one in plan.instruments.items()},
        aggregators={
            key: Mailbox(f"aggregator:{key}", AGGREGATOR_CAPACITY, deadline=patience) for key in plan.instruments
        },
        connections={
            one.name: ConnectionMemory(one.name, one.exchange, one.streams) for one in plan.connections
        },
        positions=_positions(plan, journal),
        numbering=Numbering(epoch),
    )


def _positions(plan: Plan, journal: Journal) -> dict[str, Positions]:
    """Start every stream of ids behind the last one kept, so that what was missed meanwhile is a known gap."""
    positions = {one.exchange: registry.find(one.exchange).positions() for one in plan.connections}
    for instrument in plan.instruments.values():
        for id_kind, ids in journal.last_ids(instrument.exchange, instrument.symbol).items():
            for last_id in ids:
                positions[instrument.exchange].restore(instrument.symbol, id_kind, last_id)
    return positions
