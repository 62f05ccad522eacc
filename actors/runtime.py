"""What the actors of one daemon share: memories, mailboxes, stores and counters."""

import logging
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import ExitStack, asynccontextmanager, suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import attrs
import structlog
import trio

from actors.books.memory import BookMemory
from actors.clock_memory import ClockMemory
from actors.connections.connects import Connects
from actors.connections.memory import ConnectionMemory
from actors.following.listing_memory import ListingMemory
from actors.gaps.standing import stand
from actors.memory import Numbering, SymbolMemory, TakenOver
from actors.messages import Reached, TradeBatch, key_of
from actors.metrics.meters import Meters
from actors.notice import Notice
from actors.outbox import Outbox
from actors.plan import Plan, PlannedConnection
from actors.rest import Rest, open_rest
from actors.storage.carrier import Carrier
from actors.storage.cold.archivist import Archivist
from actors.storage.errors import StorageError
from actors.storage.journal import Journal
from actors.storage.lock import DirectoryLock
from actors.storage.marks import Marks
from actors.storage.opening import WARM, open_archive, open_targets
from actors.storage.payload import KeptIds
from actors.storage.reach import Reach
from actors.storage.reader import DataReader
from actors.storage.sink import Sink
from actors.storage.store import Store, Target
from actors.storage.upkeep import Upkeep
from actors.storage.worker.messages import Job
from actors.storage.worker.process import ProcessWorker
from actors.storage.worker.worker import ThreadWorker, Worker
from actors.storage.writer import Writer
from supervision import Mailbox, Overflow, Supervisor
from wadm.exchanges import registry
from wadm.exchanges.contiguity import Positions
from wadm.ledger import Ledger
from wadm.lifetimes import Lifetimes
from wadm.market import HOUR, IdKind, Instrument
from wadm.sections import StorageSettings
from wadm.series import ClosedBars
from wadm.settings import Settings

if TYPE_CHECKING:
    from actors.following.following import Following

log = structlog.get_logger("runtime")

#: Seconds for which a start waits for a store on a server.
STORE_PATIENCE = 2.0

#: The name of the store that is a file in the data directory.
EMBEDDED = "sqlite"

#: Messages that may wait. A batch is what one read of a socket brought: at most some 300 trades.
AGGREGATOR_CAPACITY = 256
BOOK_CAPACITY = 256
WRITER_CAPACITY = 1024

#: The name of the actor that fills gaps; its outboxes have it in front of their exchange.
BACKFILL = "backfill"

#: A live connection stops reading for this long (s) at most; beyond it, pings would go unanswered.
PATIENCE = 5.0


@attrs.define(eq=False)
class Runtime:
    """Everything beside the supervision tree that a crash must not take with it.

    What is kept by symbol or by connection comes and goes while the daemon runs, always in these same
    dictionaries: whoever holds one sees it, and copies the keys before awaiting anything between two of them.
    """

    plan: Plan
    epoch: int
    journal: Journal
    store: Store
    rest: Rest
    reader: DataReader
    marks: Marks
    writer: Writer
    #: by tier: ``warm``, and ``hot`` where one is configured
    sinks: dict[str, Sink]
    #: moves old days from the warm store into the archive; ``progress`` says how far it is
    archivist: Archivist
    writer_mailbox: Mailbox
    numbering: Numbering
    ledger: Ledger
    #: how much history (µs) is kept in memory, and of gaps: of those too that lie among raw trades kept
    keep: int
    gaps_keep: int
    mailbox: type[Mailbox] = Mailbox
    #: what the janitor found
    upkeep: Upkeep = attrs.field(factory=Upkeep)
    #: exchange -> symbol -> instrument; codecs read it as it is at the moment
    instruments: dict[str, dict[str, Instrument]] = attrs.field(factory=dict, init=False)
    symbols: dict[str, SymbolMemory] = attrs.field(factory=dict, init=False)
    aggregators: dict[str, Mailbox] = attrs.field(factory=dict, init=False)
    books: dict[str, BookMemory] = attrs.field(factory=dict, init=False)
    book_mailboxes: dict[str, Mailbox] = attrs.field(factory=dict, init=False)
    connections: dict[str, ConnectionMemory] = attrs.field(factory=dict, init=False)
    outboxes: dict[str, Outbox] = attrs.field(factory=dict, init=False)
    positions: dict[str, Positions] = attrs.field(factory=dict, init=False)
    connects: dict[str, Connects] = attrs.field(factory=dict, init=False)
    #: by exchange: the local clock against its clock, and its list of symbols
    clocks: dict[str, ClockMemory] = attrs.field(factory=dict, init=False)
    listings: dict[str, ListingMemory] = attrs.field(factory=dict, init=False)
    gap_noticed: Notice = attrs.field(factory=Notice)
    meters: Meters = attrs.field(factory=Meters)
    #: what the hot tier gave at the start, of symbols that nobody follows yet
    taken_over: dict[str, TakenOver] = attrs.field(factory=dict)
    started_at: float = attrs.field(factory=time.monotonic)
    root: Supervisor | None = None
    #: what is followed, and what shall be; None in playback, which follows what it holds
    following: "Following | None" = None
    url: str | None = None

    @property
    def warm(self) -> Sink:
        """The sink of the store that answers."""
        return self.sinks[WARM]

    @property
    def directory(self) -> Path:
        """The data directory."""
        return self.journal.path.parent

    def note_places(self) -> None:
        """Have the journal remember how far each tier has come."""
        with suppress(StorageError):
            self.journal.note_places({sink.name: sink.stored for sink in self.sinks.values()})

    # --- what is followed ---

    def connects_to(self, exchange: str) -> Connects:
        """Return the attempts to connect to the exchange; those to a local one are not limited."""
        if exchange not in self.connects:
            limits = registry.find(exchange).limits
            limit = None if self.plan.playback else limits.connects_per_five_minutes
            self.connects[exchange] = Connects(limit)
        return self.connects[exchange]

    def positions_of(self, exchange: str) -> Positions:
        """Return where the exchange's streams stand."""
        if exchange not in self.positions:
            self.positions[exchange] = registry.find(exchange).positions()
        return self.positions[exchange]

    def instruments_of(self, exchange: str) -> dict[str, Instrument]:
        """Return the exchange's instruments by symbol, the very mapping that its codecs read."""
        return self.instruments.setdefault(exchange, {})

    def remember(
        self, instrument: Instrument, source: IdKind, ids: Sequence[KeptIds] | None = None
    ) -> tuple[SymbolMemory, Positions]:
        """Return the memory of a symbol that is to be followed, and its streams where its journal ends.

        It reads the disk and changes nothing: nobody knows of the symbol before ``adopt``. ``ids`` are those
        the journal has of it, where they were read already.
        """
        memory = SymbolMemory(instrument, ClosedBars(self.keep), source, gaps_keep=self.gaps_keep)
        positions = registry.find(instrument.exchange).positions()
        stand(memory, positions, self.reader, ids)
        return memory, positions

    def adopt(self, memory: SymbolMemory, positions: Positions) -> None:
        """Follow a symbol from now on: its actors find here what they need. No await."""
        instrument, patience = memory.instrument, self.writer_mailbox.deadline
        key, playback = instrument.key, self.plan.playback
        memory.gap_noticed = self.gap_noticed
        memory.taken_over = taken = self.taken_over.pop(key, None)
        if taken is not None:
            self.ledger.account(key).take_over(taken.trades, taken.duplicate)
        self.symbols[key] = memory
        self.positions_of(instrument.exchange).take(positions)
        self.books[key] = BookMemory(instrument)
        self.aggregators[key] = self.mailbox(f"aggregator:{key}", AGGREGATOR_CAPACITY, deadline=patience)
        overflow = Overflow.BLOCK if playback else Overflow.SHED
        self.book_mailboxes[key] = self.mailbox(f"book:{key}", BOOK_CAPACITY, overflow=overflow)
        self.instruments_of(instrument.exchange)[instrument.symbol] = instrument
        for outbox in self.outboxes.values():
            outbox.begin_symbol(key, self.numbering)
        self.gap_noticed.notify()

    def release(self, key: str) -> None:
        """Forget a symbol whose actors have ended. No await."""
        memory = self.symbols.pop(key)
        for of_symbol in (self.books, self.aggregators, self.book_mailboxes):
            of_symbol.pop(key, None)
        exchange, symbol = memory.instrument.exchange, memory.instrument.symbol
        self.instruments_of(exchange).pop(symbol, None)
        self.positions_of(exchange).forget(symbol)

    def connect(self, planned: PlannedConnection) -> None:
        """Make what a connection needs, which its actor finds here. No await."""
        self.positions_of(planned.exchange)
        self.connections[planned.name] = ConnectionMemory(
            planned.name, planned.exchange, planned.streams, planned.url
        )
        self.send_as(planned.name)

    def disconnect(self, name: str) -> None:
        """Forget a connection whose actor has ended. No await."""
        del self.connections[name], self.outboxes[name]

    def send_as(self, name: str) -> None:
        """Make an outbox."""
        self.outboxes[name] = Outbox(
            self.writer_mailbox, self.aggregators, self.symbols, self.ledger, self.positions
        )

    # --- what there is of it ---

    def in_flight(self) -> int:
        """Return how many trades are between codec and bar, counted where they wait."""
        return self.waiting().total()

    def waiting(self) -> Counter[str]:
        """Return how many trades of each symbol are between codec and bar.

        A batch on its way from one place to the next may be found in both, and one that was folded is still
        in hand for a moment: each counts once, until it is folded.
        """
        batches: dict[tuple[str, int, int], int] = {}
        for batch in self._batches():
            batches[batch.trades.key, batch.incarnation, batch.number] = len(batch.trades)
        for key, memory in self.symbols.items():
            batches |= {(key, *name): count for name, count in memory.left.items()}
        waiting: Counter[str] = Counter()
        for (key, incarnation, number), count in batches.items():
            if key not in self.symbols or number > self.symbols[key].applied.get(incarnation, 0):
                waiting[key] += count
        return waiting

    def _batches(self) -> Iterator[TradeBatch]:
        for mailbox in self.aggregators.values():
            yield from (message for message in mailbox.pending() if isinstance(message, TradeBatch))
        for outbox in self.outboxes.values():
            yield from (posting.batch for posting in outbox.postings)

    def is_being_written(self, key: str) -> bool:
        """Return whether something of a symbol waits for its commit to the journal."""
        return any(key_of(entry) == key for entry in self.writer_mailbox.pending())

    def statement(self) -> dict[str, object]:
        """Return the ledger's balance."""
        return self.ledger.statement(self.in_flight())

    async def complete(self) -> None:
        """Return once a recording has ended, and all of it is applied, journalled and in the warm store."""
        for connection in self.connections.values():
            await connection.ended.wait()
        for key in self.plan.traded:
            await self.symbols[key].ended.wait()
        for mailbox in list(self.book_mailboxes.values()):
            if mailbox.pending():
                last = Reached()
                await mailbox.put(last)
                await last.event.wait()
        await self.settle()

    async def settle(self) -> None:
        """Return once all that was handed to the writer is committed, and in every tier."""
        await self.marks.wait_for(lambda _: not self.writer_mailbox.pending())
        for sink in self.sinks.values():
            await sink.wait_caught_up()


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
        lock = await trio.to_thread.run_sync(opened.enter_context, DirectoryLock(directory))
        journal = await trio.to_thread.run_sync(parts.journal, directory)
        opened.callback(journal.close)
        store, others = open_targets(settings.storage, directory, journal.identity())
        for target in (store, *others.values()):
            opened.callback(target.close)
        reach = await _reach(store)
        taken = await _take_over(settings, plan, journal)
        async with open_rest(plan.rest, playback=plan.playback, proxy=settings.network.proxy) as rest:
            runtime = _made(
                settings,
                plan,
                journal,
                store,
                others,
                lock=lock,
                taken=taken,
                reach=reach,
                rest=rest,
                mailbox=parts.mailbox,
            )
            opened.callback(runtime.note_places)
            yield runtime


async def _take_over(settings: Settings, plan: Plan, journal: Journal) -> Mapping[str, TakenOver]:
    """Take over from the hot tier what the journal knows nothing of, before anybody asks where it ends."""
    if settings.storage.redis_url is None or plan.playback:
        return {}
    from actors.storage.redis.warm_restart import take_over  # noqa: PLC0415  # only where its driver is used

    return await take_over(settings, plan, journal)


async def _reach(store: Store) -> Reach:
    """Return whether the store can be reached; the daemon starts without it, and its sink tries again.

    Raises StorageError for a file: it does not mend by itself. A server is not waited for for as long as its
    driver would: trades are missed meanwhile.
    """
    reach = Reach()
    if store.name == EMBEDDED:
        await trio.to_thread.run_sync(store.initialise)
        reach.works()
        return reach
    reason = f"the store at {store.address} did not answer within {STORE_PATIENCE:g} s"
    try:
        with trio.move_on_after(STORE_PATIENCE):
            await trio.to_thread.run_sync(store.initialise, abandon_on_cancel=True)
            reason = ""
    except StorageError as error:
        reason = str(error)
    if reason:
        log.warning("store_not_reached", store=store.address, reason=reason)
        reach.failed(reason)
    else:
        reach.works()
    return reach


def _worker(
    storage: StorageSettings, journal: Journal, lock: DirectoryLock, tier: str, target: Target
) -> Worker:
    """Return where the sink of a tier has its work done."""
    apart = storage.processes == "all" or (storage.processes == "servers" and target.name != EMBEDDED)
    if not apart:
        return ThreadWorker(Carrier(journal, target))
    level = logging.getLogger().getEffectiveLevel()
    job = Job(str(journal.directory), journal.identity(), tier, storage, level)
    return ProcessWorker(job, [lock.fileno()])


def _made(
    settings: Settings,
    plan: Plan,
    journal: Journal,
    store: Store,
    others: Mapping[str, Target],
    *,
    lock: DirectoryLock,
    taken: Mapping[str, TakenOver],
    reach: Reach,
    rest: Rest,
    mailbox: type[Mailbox],
) -> Runtime:
    archive, keep = open_archive(settings.storage, journal.path.parent), settings.memory.hours * HOUR + HOUR
    lifetimes = Lifetimes.of(settings.storage)
    epoch = journal.next_epoch()
    marks = Marks(journal.last_seq())
    worker = partial(_worker, settings.storage, journal, lock)
    writer_mailbox = mailbox("writer", WRITER_CAPACITY, deadline=None if plan.playback else PATIENCE)
    runtime = Runtime(
        plan=plan,
        epoch=epoch,
        journal=journal,
        store=store,
        rest=rest,
        reader=DataReader(journal, store, archive, reach),
        marks=marks,
        writer=Writer(journal, marks, settings.storage.commit_interval_ms / 1_000),
        sinks={
            WARM: Sink(journal, store, marks, history=True, reach=reach, worker=worker(WARM, store)),
            **{tier: Sink(journal, one, marks, worker=worker(tier, one)) for tier, one in others.items()},
        },
        # Memory is built anew from bars in the store, and from raw trades after them.
        archivist=Archivist(store, archive, max(lifetimes.bars, lifetimes.raw, keep)),
        writer_mailbox=writer_mailbox,
        numbering=Numbering(epoch),
        ledger=Ledger(),
        keep=keep,
        gaps_keep=max(keep, lifetimes.raw) + HOUR,
        mailbox=mailbox,
        taken_over=dict(taken),
    )
    for connection in plan.connections:
        runtime.connect(connection)
    ids = journal.joined_ids()
    for key, instrument in plan.instruments.items():
        kept = ids.pop((instrument.exchange, instrument.symbol), None)
        runtime.adopt(*runtime.remember(instrument, plan.sources[key], kept))
    return runtime
