"""The actors that stand for symbols and connections: how each is made and kept, at the start and later."""

from collections.abc import Callable, Iterable
from contextlib import AbstractAsyncContextManager, suppress

import attrs
import trio

from actors.aggregator import Aggregator
from actors.books.book import Book
from actors.connections.connection import Connection
from actors.connections.websocket import WebSocket, open_websocket
from actors.runtime import Runtime
from supervision import Backoff, BreakerPolicy, ChildSpec, Intensity, Restart, Supervisor
from wadm.exchanges import registry

#: An actor that ran for a second was in order: its next crash is met with an immediate restart.
BACKOFF = Backoff(minimum=0.01, maximum=10.0, reset_after=1.0)
INTENSITY = Intensity(restarts=20, period=10.0)


@attrs.frozen
class Reconnecting:
    """How connections are kept. ``quiet_after``: the seconds one may be without a frame.

    None: without limit, and the silence of single streams is not minded either.
    After ``lifetime`` seconds another WebSocket takes over, None: never; Binance ends each after 24 hours.
    The defaults are for exchanges, which count attempts (300 in five minutes at Binance): only a stable
    minute forgives a failure.
    """

    backoff: Backoff = attrs.field(factory=lambda: Backoff(minimum=0.5, maximum=30.0, reset_after=60.0))
    breaker: BreakerPolicy = attrs.field(factory=BreakerPolicy)
    quiet_after: float | None = 60.0
    lifetime: float | None = 23 * 3_600 + 50 * 60.0


class Crews:
    """The supervisors of aggregators, books and connections, whose children come and go."""

    def __init__(
        self,
        runtime: Runtime,
        grace: int,
        reconnecting: Reconnecting,
        connect: Callable[[str], AbstractAsyncContextManager[WebSocket]] = open_websocket,
    ) -> None:
        """Declare those of what the runtime holds now. ``grace`` (µs) is what a bar waits for late trades."""
        self._runtime, self._grace, self._reconnecting, self._connect = runtime, grace, reconnecting, connect
        self._turns = trio.CapacityLimiter(1)
        symbols, connections = list(runtime.symbols), list(runtime.connections)
        self.aggregators = Supervisor(
            "aggregators", map(self._aggregator, symbols), intensity=INTENSITY, backoff=BACKOFF
        )
        self.books = Supervisor("books", map(self._book, symbols), intensity=INTENSITY, backoff=BACKOFF)
        self.connections = Supervisor(
            "connections",
            map(self._connection, connections),
            intensity=INTENSITY,
            backoff=reconnecting.backoff,
        )

    # --- later ---

    async def start_symbols(self, keys: Iterable[str]) -> None:
        """Start the actors of symbols, those that are not there yet. Raises NotStarted."""
        folding, keeping = _names(self.aggregators), _names(self.books)
        for key in keys:
            if f"aggregator:{key}" not in folding:
                await self.aggregators.start_child(self._aggregator(key))
            if f"book:{key}" not in keeping:
                await self.books.start_child(self._book(key))

    def folds(self, key: str) -> bool:
        """Return whether a symbol's trades have an actor that folds them."""
        return f"aggregator:{key}" in _names(self.aggregators)

    async def stop_symbol(self, key: str) -> None:
        """Stop a symbol's actors, which empty their mailboxes first. Raises Stuck."""
        await _stop(self.books, f"book:{key}")
        await _stop(self.aggregators, f"aggregator:{key}")

    async def start_connections(self, names: Iterable[str]) -> None:
        """Start connections, those that are not there yet. Raises NotStarted."""
        there = _names(self.connections)
        for name in names:
            if name not in there:
                await self.connections.start_child(self._connection(name))

    async def stop_connection(self, name: str) -> None:
        """Stop a connection. Raises Stuck."""
        await _stop(self.connections, name)

    # --- one by one ---

    def _aggregator(self, key: str) -> ChildSpec:
        runtime = self._runtime
        actor = Aggregator(
            runtime.symbols[key], runtime.ledger, runtime.writer_mailbox, runtime.reader,
            runtime.marks, runtime.epoch, self._grace, self._turns,
        )  # fmt: skip
        return ChildSpec(
            f"aggregator:{key}", actor.run, mailbox=runtime.aggregators[key], shutdown_timeout=5.0,
            start_timeout=300.0, kind="aggregator",
        )  # fmt: skip

    def _book(self, key: str) -> ChildSpec:
        runtime = self._runtime
        actor = Book(
            runtime.books[key], runtime.rest, runtime.connections, runtime.writer_mailbox,
            playback=runtime.plan.playback,
        )  # fmt: skip
        mailbox = runtime.book_mailboxes[key]
        return ChildSpec(f"book:{key}", actor.run, mailbox=mailbox, shutdown_timeout=1.0, kind="book")

    def _connection(self, name: str) -> ChildSpec:
        playback = self._runtime.plan.playback
        return ChildSpec(
            name,
            self._actor(name).run,
            restart=Restart.TRANSIENT if playback else Restart.PERMANENT,
            shutdown_timeout=0,
            breaker=self._reconnecting.breaker,
            kind="connection",
        )

    def _actor(self, name: str) -> Connection:
        runtime = self._runtime
        memory = runtime.connections[name]
        exchange, positions = registry.find(memory.exchange), runtime.positions_of(memory.exchange)
        instruments = runtime.instruments_of(memory.exchange)
        return Connection(
            memory=memory,
            url=memory.url,
            make_codec=lambda: exchange.codec(instruments, positions, runtime.ledger),
            numbering=runtime.numbering,
            outbox=runtime.outboxes[name],
            symbols=runtime.symbols,
            aggregators=runtime.aggregators,
            books=runtime.book_mailboxes,
            gap_noticed=runtime.gap_noticed,
            grace=self._grace,
            playback=runtime.plan.playback,
            quiet_after=self._reconnecting.quiet_after,
            lifetime=self._reconnecting.lifetime,
            connects=runtime.connects_to(memory.exchange),
            connect=self._connect,
        )


def _names(crew: Supervisor) -> set[str]:
    return {child.name for child in crew.snapshot().children}


async def _stop(crew: Supervisor, name: str) -> None:
    with suppress(LookupError):  # it is gone already
        await crew.stop_child(name)
