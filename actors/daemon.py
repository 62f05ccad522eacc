"""The composition root: the one place where actors, mailboxes and stores are put together.

Tree: root → storage (warm sink, writer, retention) → aggregators (one a symbol) → books (one a symbol) →
connections → services (backfill; live also follower, listings, clock) → front.
Children start in this order and stop in reverse, which drains: connections end, aggregators empty their
mailboxes into the writer, the writer commits, the sink carries over the rest.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import structlog
import trio

from actors.answers.queries import Queries
from actors.burial import bury
from actors.clock import Clock
from actors.connections.link import Connect
from actors.connections.proxy import Proxy
from actors.connections.websocket import open_websocket
from actors.crews import BACKOFF, INTENSITY, Crews, Reconnecting
from actors.following.follower import FOLLOWER, Follower
from actors.following.following import Following
from actors.following.listings import Listings
from actors.gaps.backfill import Backfill
from actors.plan import Plan
from actors.retention import Retention
from actors.runtime import BACKFILL, Parts, Runtime, open_runtime
from supervision import (
    ChildSpec,
    Context,
    Edge,
    Event,
    Happening,
    Supervisor,
    Topology,
)
from supervision.status import log_event
from wadm.mistakes import Mistake
from wadm.settings import Settings, following_only

log = structlog.get_logger("daemon")

#: Who sends to whom. A cycle of full mailboxes would stand still for ever; it is refused at start-up.
TOPOLOGY = Topology(
    [
        Edge("connection", "writer"),
        Edge("connection", "aggregator"),
        Edge("connection", "book"),
        Edge("backfill", "writer"),
        Edge("backfill", "aggregator"),
        Edge("aggregator", "writer"),
        Edge("follower", "aggregator"),
        Edge("listings", "follower", via="ask"),
        Edge("front", "aggregator", via="ask"),
        Edge("front", "follower", via="ask"),
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
        grace, playback = settings.memory.grace_ms * 1_000, runtime.plan.playback
        self.crews = Crews(runtime, grace, reconnecting, _connect(settings, playback=playback))
        if not runtime.plan.playback:
            runtime.following = Following(runtime, settings)
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

    def configure(self, settings: Settings) -> list[str]:
        """Take over the symbols and streams of new settings; return what else differs and has to wait.

        Nothing else is taken over before the next start.
        """
        self._settings, waits = following_only(self._settings, settings)
        if self.runtime.following is not None:
            self.runtime.following.configure(self._settings)
        return waits

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
                self.crews.aggregators,
                self.crews.books,
                self.crews.connections,
                Supervisor("services", self._services(), intensity=INTENSITY, backoff=BACKOFF),
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

    def _services(self) -> Iterable[ChildSpec]:
        runtime = self.runtime
        yield ChildSpec(BACKFILL, Backfill(runtime).run, shutdown_timeout=0, kind="backfill")
        if runtime.following is not None:
            follower = Follower(runtime, self.crews, runtime.following)
            yield ChildSpec(FOLLOWER, follower.run, shutdown_timeout=0, kind="follower")
            yield ChildSpec(
                "listings", Listings(runtime, runtime.following).run, shutdown_timeout=0, kind="listings"
            )
            yield ChildSpec("clock", Clock(runtime).run, shutdown_timeout=0, kind="clock")

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


def _connect(settings: Settings, *, playback: bool) -> Connect:
    proxy = settings.network.proxy
    return open_websocket if proxy is None or playback else partial(open_websocket, proxy=Proxy.of(proxy))


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
        replayed = Reconnecting(quiet_after=None, lifetime=None)
        kept = reconnecting or (replayed if plan.playback else Reconnecting())
        yield Daemon(settings, runtime, stop_within, listener, kept)
