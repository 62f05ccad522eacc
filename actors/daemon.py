"""The composition root: the one place where actors, mailboxes and stores are put together.

Tree: root → storage (one sink a tier, writer, checkpoints, retention, archivist) → aggregators (one a
symbol) → books (one a symbol) → connections → services (backfill, completion; live also follower, listings,
clock) → front.
Children start in this order and stop in reverse, which drains: connections end, aggregators empty their
mailboxes into the writer, the writer commits, the sinks carry over the rest.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import structlog
import trio

from actors import garbage
from actors.access.access import Access
from actors.access.keyring import wall_clock
from actors.answers.queries import Queries
from actors.burial import bury
from actors.clock import Clock
from actors.completion import Completion
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
from actors.storage.checkpoints import Checkpoints
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

if TYPE_CHECKING:
    from actors.metrics.scrape import Scrape

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
        Edge("book", "writer"),
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
        access: Access,
        *,
        stop_within: float,
        listener: Callable[[Event], None],
        reconnecting: Reconnecting,
    ) -> None:
        self.runtime = runtime
        self.access = access
        self.queries = Queries(runtime)
        self.queries.concerns.append(lambda: access.keyring.alarms(wall_clock()))
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
        self.runtime.meters.recoveries.hear(event)
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
        # Sinks stop after the writer, so that they find the writer's last commit.
        for tier, sink in runtime.sinks.items():
            yield ChildSpec(tier, sink.run, shutdown_timeout=10.0, kind="sink")
        yield ChildSpec(
            "writer", runtime.writer.run, mailbox=runtime.writer_mailbox, shutdown_timeout=10.0, kind="writer"
        )
        yield ChildSpec("checkpoints", Checkpoints(runtime.journal).run, shutdown_timeout=0, kind="janitor")
        retention = Retention(runtime, storage.raw_retention_minutes, storage.quota_mb)
        yield ChildSpec("retention", retention.run, shutdown_timeout=0, kind="janitor")
        yield ChildSpec("archivist", runtime.archivist.run, shutdown_timeout=0, kind="janitor")

    def _services(self) -> Iterable[ChildSpec]:
        runtime = self.runtime
        yield ChildSpec("probe", runtime.meters.probe.run, shutdown_timeout=0, kind="probe")
        yield ChildSpec("keys", self.access.keyring.run, shutdown_timeout=0, kind="keys")
        yield ChildSpec("audit", self.access.audit.run, shutdown_timeout=2.0, kind="audit")
        yield ChildSpec(BACKFILL, Backfill(runtime).run, shutdown_timeout=0, kind="backfill")
        yield ChildSpec("completion", Completion(runtime).run, shutdown_timeout=0, kind="loader")
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
            front, scrape_of = await trio.to_thread.run_sync(_front)
            scrape = scrape_of(self.runtime)
            await front(
                context, self.queries, http=http, access=self.access, bound=self._bound, scrape=scrape
            )
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


def _front() -> "tuple[Callable[..., Awaitable[None]], Callable[[Runtime], Scrape]]":
    with garbage.put_off():
        from actors.front.front import front  # noqa: PLC0415  # imported in a thread, see above
        from actors.metrics.scrape import scrape_of  # noqa: PLC0415  # likewise

    return front, scrape_of


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
        access = await trio.to_thread.run_sync(Access.open, directory, settings.access)
        try:
            yield Daemon(
                settings, runtime, access, stop_within=stop_within, listener=listener, reconnecting=kept
            )
        finally:
            access.close()
