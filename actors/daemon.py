"""The composition root: the one place where actors, mailboxes and stores are put together.

Tree: root → storage (warm sink, writer, retention) → aggregators (one a symbol) → connections → front.
Children start in this order and stop in reverse, which drains: connections end, aggregators empty their
mailboxes into the writer, the writer commits, the sink carries over the rest.
"""

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from pathlib import Path

import structlog
import trio

from actors.aggregator import Aggregator
from actors.connection import Connection
from actors.front.front import front
from actors.front.server import BindError
from actors.plan import Plan, PlannedConnection
from actors.queries import Queries
from actors.retention import Retention
from actors.runtime import Runtime, open_runtime
from supervision import (
    Backoff,
    BreakerPolicy,
    ChildSpec,
    Context,
    Edge,
    Intensity,
    Restart,
    Supervisor,
    Topology,
)
from wadm.exchanges import registry
from wadm.settings import Settings

log = structlog.get_logger("daemon")

#: Who sends to whom. A cycle of full mailboxes would stand still for ever; it is refused at start-up.
TOPOLOGY = Topology(
    [
        Edge("connection", "writer"),
        Edge("connection", "aggregator"),
        Edge("aggregator", "writer"),
        Edge("front", "aggregator", via="ask"),
    ]
)


class Daemon:
    """The whole daemon on one data directory. Make it with ``open_daemon``.

    Asked to stop, it takes at most ``stop_within`` seconds; what still runs then is cancelled.
    """

    def __init__(self, settings: Settings, runtime: Runtime, stop_within: float) -> None:
        self.runtime = runtime
        self.queries = Queries(runtime)
        self._settings = settings
        self._stop_within = stop_within
        self._failure: BindError | None = None
        self.root = runtime.root = self._tree()

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Run until ``stop``. Raises BindError where the address is taken."""
        TOPOLOGY.check()
        await self.root.run(task_status=task_status)
        if self._failure is not None:
            raise self._failure

    def stop(self) -> None:
        """Ask for an orderly stop."""
        self.root.stop()

    # --- the tree ---

    def _tree(self) -> Supervisor:
        return Supervisor(
            "root",
            [
                Supervisor("storage", self._storage()),
                Supervisor("aggregators", self._aggregators(), intensity=Intensity(20, 10.0)),
                Supervisor(
                    "connections", self._connections(), intensity=Intensity(20, 10.0), backoff=Backoff(0.5, 30.0)
                ),
                Supervisor("front", [self._front()]),
            ],
            shutdown_timeout=self._stop_within,
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
                memory, runtime.ledger, runtime.writer_mailbox, runtime.journal, runtime.reader, runtime.marks,
                runtime.epoch, self._grace,
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
                breaker=BreakerPolicy(),
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
            make_codec=lambda: exchange.codec(instruments, runtime.positions[planned.exchange], runtime.ledger),
            ledger=runtime.ledger,
            numbering=runtime.numbering,
            symbols=runtime.symbols,
            aggregators={key: runtime.aggregators[key] for key in planned.keys},
            writer=runtime.writer_mailbox,
            grace=self._grace,
            playback=runtime.plan.playback,
        )

    @property
    def _grace(self) -> int:
        return self._settings.memory.grace_ms * 1_000

    def _front(self) -> ChildSpec:
        return ChildSpec("http", self._serve, shutdown_timeout=1.0, kind="front")

    async def _serve(self, context: Context) -> None:
        http = self._settings.http
        try:
            await front(context, self.queries, host=http.host, port=http.port, bound=self._bound)
        except BindError as error:
            # Trying again would not help: the person who started the daemon has to choose another address.
            self._failure = error
            self.stop()

    def _bound(self, url: str) -> None:
        self.runtime.url = url
        log.info("serving", url=url)


@asynccontextmanager
async def open_daemon(
    settings: Settings, plan: Plan, directory: Path, *, stop_within: float = 30.0
) -> AsyncIterator[Daemon]:
    """Open the data directory and put the daemon together; it runs when ``run`` is called.

    Raises StorageError where the directory cannot be used or another daemon holds it.
    """
    async with open_runtime(settings, plan, directory) as runtime:
        yield Daemon(settings, runtime, stop_within)
