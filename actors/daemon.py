"""The composition root: the one place where actors, mailboxes and stores are put together.

Tree: root → storage (warm sink, writer, retention) → aggregators (one a symbol) → connections → services
(backfill) → front.
Children start in this order and stop in reverse, which drains: connections end, aggregators empty their
mailboxes into the writer, the writer commits, the sink carries over the rest.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from pathlib import Path

import attrs
import structlog
import trio

from actors.aggregator import Aggregator
from actors.backfill import Backfill
from actors.burial import bury
from actors.connection import Connection
from actors.plan import Plan, PlannedConnection
from actors.queries import Queries
from actors.retention import Retention
from actors.runtime import BACKFILL, Parts, Runtime, open_runtime
from supervision import (
    Backoff,
    BreakerPolicy,
    ChildSpec,
    Context,
    Edge,
    Event,
    Happening,
    Intensity,
    Restart,
    Supervisor,
    Topology,
)
from supervision.status import log_event
from wadm.exchanges import registry
from wadm.mistakes import Mistake
from wadm.settings import Settings

log = structlog.get_logger("daemon")

#: An actor that ran for a second was in order: its next crash is met with an immediate restart.
BACKOFF = Backoff(minimum=0.01, maximum=10.0, reset_after=1.0)
INTENSITY = Intensity(restarts=20, period=10.0)


@attrs.frozen
class Reconnecting:
    """How connections are kept. ``quiet_after``: the seconds one may be without a frame, None without limit.

    The defaults are for exchanges, which count attempts (300 in five minutes at Binance): only a stable
    minute forgives a failure.
    """

    backoff: Backoff = attrs.field(factory=lambda: Backoff(minimum=0.5, maximum=30.0, reset_after=60.0))
    breaker: BreakerPolicy = attrs.field(factory=BreakerPolicy)
    quiet_after: float | None = 60.0


#: Who sends to whom. A cycle of full mailboxes would stand still for ever; it is refused at start-up.
TOPOLOGY = Topology(
    [
        Edge("connection", "writer"),
        Edge("connection", "aggregator"),
        Edge("backfill", "writer"),
        Edge("backfill", "aggregator"),
        Edge("aggregator", "writer"),
        Edge("front", "aggregator", via="ask"),
    ]
)


class Daemon:
    """The whole daemon on one data directory. Make it with ``open_daemon``.

    Asked to stop, it takes at most ``stop_within`` seconds; what still runs then is cancelled.
    """

    def __init__(
        self,
        settings: Settings,
        runtime: Runtime,
        stop_within: float,
        listener: Callable[[Event], None],
        reconnecting: Reconnecting,
    ) -> None:
        self.runtime = runtime
        self.queries = Queries(runtime)
        self._settings = settings
        self._stop_within = stop_within
        self._listener = listener
        self._reconnecting = reconnecting
        self._failure: Mistake | None = None
        self.ended = trio.Event()
        self.root = runtime.root = self._tree()

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Run until ``stop``. Raises the front's BindError where the address is taken."""
        TOPOLOGY.check()
        await self.root.run(task_status=task_status)
        if self._failure is not None:
            raise self._failure
        self.ended.set()

    def stop(self) -> None:
        """Ask for an orderly stop."""
        self.root.stop()

    def _heard(self, event: Event) -> None:
        if event.what is Happening.DEAD_LETTERED:
            bury(self.root.dead_letters, self.runtime.symbols, self.runtime.ledger)
        self._listener(event)

    # --- the tree ---

    def _tree(self) -> Supervisor:
        return Supervisor(
            "root",
            [
                Supervisor("storage", self._storage(), intensity=INTENSITY, backoff=BACKOFF),
                Supervisor("aggregators", self._aggregators(), intensity=INTENSITY, backoff=BACKOFF),
                Supervisor(
                    "connections",
                    self._connections(),
                    intensity=INTENSITY,
                    backoff=self._reconnecting.backoff,
                ),
                Supervisor("services", [self._backfill()], intensity=INTENSITY, backoff=BACKOFF),
                Supervisor("front", [self._front()], intensity=INTENSITY, backoff=BACKOFF),
            ],
            shutdown_timeout=self._stop_within,
            on_event=self._heard,
        )

    def _storage(self) -> Iterable[ChildSpec]:
        runtime, storage = self.runtime, self._settings.storage
        retention = Retention(runtime, storage.raw_retention_minutes)
        # The sink stops after the writer, so that it finds the writer's last commit.
        yield ChildSpec("warm", runtime.warm.run, shutdown_timeout=10.0, kind="sink")
        yield ChildSpec(
            "writer", runtime.writer.run, mailbox=runtime.writer_mailbox, shutdown_timeout=10.0, kind="writer"
        )
        yield ChildSpec("retention", retention.run, shutdown_timeout=0, kind="janitor")

    def _aggregators(self) -> Iterable[ChildSpec]:
        runtime = self.runtime
        for key, memory in runtime.symbols.items():
            actor = Aggregator(
                memory, runtime.ledger, runtime.writer_mailbox, runtime.reader,
                runtime.marks, runtime.epoch, self._grace,
            )  # fmt: skip
            yield ChildSpec(
                f"aggregator:{key}", actor.run, mailbox=runtime.aggregators[key], shutdown_timeout=5.0,
                start_timeout=300.0, kind="aggregator",
            )  # fmt: skip

    def _connections(self) -> Iterable[ChildSpec]:
        playback = self.runtime.plan.playback
        for planned in self.runtime.plan.connections:
            yield ChildSpec(
                planned.name,
                self._connection(planned).run,
                restart=Restart.TRANSIENT if playback else Restart.PERMANENT,
                shutdown_timeout=0,
                breaker=self._reconnecting.breaker,
                kind="connection",
            )

    def _connection(self, planned: PlannedConnection) -> Connection:
        runtime = self.runtime
        exchange = registry.find(planned.exchange)
        instruments = {
            memory.instrument.symbol: memory.instrument
            for memory in runtime.symbols.values()
            if memory.instrument.exchange == planned.exchange
        }
        return Connection(
            memory=runtime.connections[planned.name],
            url=planned.url,
            make_codec=lambda: exchange.codec(
                instruments, runtime.positions[planned.exchange], runtime.ledger
            ),
            numbering=runtime.numbering,
            outbox=runtime.outboxes[planned.name],
            symbols=runtime.symbols,
            aggregators={key: runtime.aggregators[key] for key in planned.keys},
            gap_noticed=runtime.gap_noticed,
            grace=self._grace,
            playback=runtime.plan.playback,
            quiet_after=self._reconnecting.quiet_after,
        )

    def _backfill(self) -> ChildSpec:
        return ChildSpec(BACKFILL, Backfill(self.runtime).run, shutdown_timeout=0, kind="backfill")

    @property
    def _grace(self) -> int:
        return self._settings.memory.grace_ms * 1_000

    def _front(self) -> ChildSpec:
        return ChildSpec("http", self._serve, shutdown_timeout=1.0, kind="front")

    async def _serve(self, context: Context) -> None:
        http = self._settings.http
        try:
            # Its libraries take a second to import: meanwhile trades are already being received.
            front = await trio.to_thread.run_sync(_front)
            await front(context, self.queries, host=http.host, port=http.port, bound=self._bound)
        except Mistake as error:
            # Trying again would not help: the person who started the daemon has to choose another address.
            self._failure = error
            self.stop()

    def _bound(self, url: str) -> None:
        self.runtime.url = url
        log.info("serving", url=url)


def _front() -> Callable[..., Awaitable[None]]:
    from actors.front.front import front  # noqa: PLC0415  # imported in a thread, see above

    return front


@asynccontextmanager
async def open_daemon(
    settings: Settings,
    plan: Plan,
    directory: Path,
    *,
    stop_within: float = 30.0,
    parts: Parts | None = None,
    listener: Callable[[Event], None] = log_event,
    reconnecting: Reconnecting | None = None,
) -> AsyncIterator[Daemon]:
    """Open the data directory and put the daemon together; it runs when ``run`` is called.

    ``listener`` hears what happens in the supervision tree. Raises StorageError where the directory cannot
    be used or another daemon holds it.
    """
    async with open_runtime(settings, plan, directory, parts) as runtime:
        kept = reconnecting or (Reconnecting(quiet_after=None) if plan.playback else Reconnecting())
        yield Daemon(settings, runtime, stop_within, listener, kept)
