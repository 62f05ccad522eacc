"""The connection actor: some streams of an exchange, over one WebSocket or two that overlap.

Every batch goes to the storage writer first and then to its symbol's aggregator, over bounded mailboxes. A
full mailbox stops the reading of the socket.
"""

from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from contextlib import asynccontextmanager, suppress

import attrs
import trio

from actors.background import background
from actors.connections.connects import Connects
from actors.connections.link import Connect, Link, Silent
from actors.connections.market_clock import MarketClock
from actors.connections.memory import ConnectionMemory
from actors.connections.noting import Noting
from actors.connections.succession import END_OF_CAPTURE, Succession
from actors.connections.websocket import ConnectFailed, ConnectionLost, Frames, open_websocket
from actors.memory import Numbering, SymbolMemory
from actors.messages import BookBatch
from actors.notice import Notice
from actors.outbox import Outbox
from supervision import Context, Disconnected, Mailbox, MailboxClosed
from wadm.exchanges import registry
from wadm.exchanges.base import Codec, Reply
from wadm.handover import Handover
from wadm.market import BookRun, Trades
from wadm.subscriber import Unanswered

__all__ = ["END_OF_CAPTURE", "Connection", "ExchangeDisconnected"]

#: Seconds for handing over what was received before a stop.
DRAIN = 0.5

#: A connection over which nothing at all came is given up after twice as long each time, up to so many times.
MOST_LENIENT = 30.0

#: Why trades may have been missed.
REMADE, RENEWED = "the connection had to be made anew", "the stream had to be subscribed to anew"

_LOST = (ConnectFailed, ConnectionLost, Silent, Unanswered)


class ExchangeDisconnected(Disconnected):
    """The exchange could not be reached, or ended the connection."""


@attrs.define(eq=False)
class Connection:
    """Everything one connection needs; ``run`` is the actor.

    ``symbols``, ``aggregators`` and ``books`` (mailboxes, by ``exchange:SYMBOL``) are those of the daemon;
    they come and go while it runs. ``connects`` are the attempts of all of the exchange's connections.
    After ``quiet_after`` seconds without a frame it is made again, and streams are watched for silence; None:
    never. After ``lifetime`` seconds another WebSocket takes over; None: never. ``connect`` opens one.
    """

    memory: ConnectionMemory
    url: str
    make_codec: Callable[[], Codec]
    numbering: Numbering
    outbox: Outbox
    symbols: Mapping[str, SymbolMemory]
    aggregators: Mapping[str, Mailbox]
    books: Mapping[str, Mailbox]
    gap_noticed: Notice
    grace: int
    playback: bool
    quiet_after: float | None = None
    lifetime: float | None = None
    connects: Connects = attrs.field(factory=Connects)
    connect: Connect = open_websocket
    _succession: Succession = attrs.field(init=False)
    _handover: Handover = attrs.field(init=False)
    _handing: trio.Lock = attrs.field(init=False)
    _leniency: float = 1.0
    _context: Context | None = None
    _clock: MarketClock = attrs.field(init=False)
    _noting: Noting = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self._noting = Noting(self.memory, self.symbols, self.gap_noticed)
        self._clock = MarketClock(self.memory, self.aggregators, self.grace)

    async def run(self, context: Context) -> None:
        """Connect, subscribe and read until the exchange ends it. Raises ExchangeDisconnected."""
        memory = self.memory
        self.outbox.begin(self.numbering.incarnation())
        self._context = context
        self._handover, self._handing = Handover(), trio.Lock()
        self._succession = Succession(
            memory, self._link, self.connects, self.lifetime, self._publish, self._ended
        )
        memory.state = "connecting"
        context.started()
        try:
            await self.outbox.hand_over()
            async with self._served():
                ending = await self._succession.run()
        except _LOST as error:
            memory.reason = str(error)
            raise ExchangeDisconnected(f"{self.url}: {error}") from error
        finally:
            self._break(REMADE)
            memory.state = "disconnected"
            memory.silent, memory.acknowledged, memory.heard, memory.connected_at = {}, 0, 0, None
            if context.stopping.is_set():
                await self._drain()
        if not (self.playback and ending.reason == END_OF_CAPTURE):
            memory.reason = str(ending)
            raise ExchangeDisconnected(f"{self.url}: {memory.reason}")
        memory.state = "ended"
        memory.ended.set()
        self.gap_noticed.notify()

    async def _drain(self) -> None:
        """Hand over what was received before the daemon was asked to stop."""
        with trio.move_on_after(DRAIN, shield=True):
            await self.outbox.hand_over()

    @asynccontextmanager
    async def _served(self) -> AsyncIterator[None]:
        async with background() as nursery:
            nursery.start_soon(self._pass_on_renewals)
            if not self.playback:
                nursery.start_soon(self._clock.run)
            yield

    # --- links ---

    def _link(self, number: int) -> Link:
        """Return a new link, not yet opened."""
        return Link(
            number=number,
            url=self.url,
            memory=self.memory,
            exchange=registry.find(self.memory.exchange),
            codec=self.make_codec(),
            take=self._take,
            tell=self._tell,
            connect=self.connect,
            quiet_after=self.quiet_after,
            leniency=self._leniency,
            renewing=self._renewing,
        )

    def _tell(self, link: Link) -> None:
        if link is self._succession.leading:
            self._publish(link)
        self.memory.changed.notify()

    def _publish(self, link: Link) -> None:
        """Show how the link stands that the connection lives by."""
        memory = self.memory
        if link.settled and (memory.state != "connected" or len(self._succession.links) == 1):
            memory.state, memory.reason = "connected", ""
        memory.acknowledged = len(link.subscriber.acknowledged)
        memory.heard = sum(stream in link.codec.heard for stream in memory.streams)
        memory.silent = link.watchdog.silent
        memory.refused = dict(link.subscriber.refused)
        if link.live and self._context is not None:
            self._context.succeeded()

    def _ended(self, link: Link) -> None:
        self._handover.forget([link.number])
        if not any(other.live for other in self._succession.links):
            self._break(REMADE)
        if not any(other.opened_at is not None for other in self._succession.links):
            # One that is to take over may have to wait for its turn.
            self.memory.state, self.memory.connected_at = "connecting", None
            self.memory.reason = self.memory.reason or str(link.over)
        if link.opened_at is not None:
            silent = isinstance(link.over, Silent) and not link.heard
            self._leniency = min(2 * self._leniency, MOST_LENIENT) if silent else 1.0

    def _renewing(self, link: Link, streams: Collection[str]) -> None:
        if not any(other.live for other in self._succession.links if other is not link):
            self._break(RENEWED, streams)

    def _break(self, reason: str, streams: Collection[str] | None = None) -> None:
        """Note that trades may be missed from now on: of these streams, or of all that come over here."""
        exchange = registry.find(self.memory.exchange)
        for stream in self.memory.streams if streams is None else streams:
            memory = self.symbols.get(f"{exchange.name}:{exchange.stream_symbol(stream)}")
            if memory is not None and exchange.stream_id_kind(stream) is memory.source:
                memory.note_break(reason)

    async def _pass_on_renewals(self) -> None:
        memory = self.memory
        while True:
            await memory.changed.wait_for(lambda: bool(memory.renewed))
            streams, memory.renewed = memory.renewed, set()
            for link in self._succession.links:
                link.renew(streams)

    # --- what is read ---

    async def _take(self, link: Link, run: Frames) -> None:
        """Decode a run of frames and hand on what it held; one link after the other."""
        try:
            # Waiting for a lock that is free would give everybody else a turn first.
            self._handing.acquire_nowait()
        except trio.WouldBlock:
            await self._handing.acquire()
        try:
            await self._read(link, run)
        finally:
            self._handing.release()

    async def _read(self, link: Link, run: Frames) -> None:
        """Between decoding and queueing is no await."""
        memory = self.memory
        memory.frames += len(run.frames)
        memory.bytes += sum(map(len, run.frames))
        memory.first_frame_clock = memory.first_frame_clock or run.clock
        memory.last_frame_at = trio.current_time()
        events = link.codec.receive(run.frames, run.received_at)
        trades = [event for event in events if isinstance(event, Trades)]
        self._queue(trades, run)
        others = [event for event in events if not isinstance(event, Trades)]  # nearly always there are none
        for event in others:
            link.note(event)
        if others:
            self._noting.note(others, overlapping=len(self._succession.links) > 1)
        for event in others:
            if isinstance(event, Reply):
                await link.reply(event)
        await self.outbox.hand_over()
        for event in others:
            if isinstance(event, BookRun):
                await self._hand_on(event, link, run)
        if trades:
            await self._clock.tell(memory.market_time)

    def _queue(self, runs: Sequence[Trades], frames: Frames) -> None:
        memory = self.memory
        for trades in runs:
            memory.move_time(max(trades.times))
        for trades in runs:
            memory.trades += len(trades)
            if not self.playback:
                memory.lag.add(frames.received_at - trades.times[0], len(trades))
            self.outbox.add(trades, frames.received_at, frames.clock, memory.market_time)

    async def _hand_on(self, run: BookRun, link: Link, frames: Frames) -> None:
        """Hand on what came of an order book; while two links overlap, each update once."""
        links = self._succession.links
        passed = run
        if len(links) > 1:
            found = self._handover.passed(run, link.number, newest=link is links[-1])
            if found is None:
                return
            passed = found
        if run.key in self.books:
            with suppress(MailboxClosed):  # its symbol has just been given up
                await self.books[run.key].put(BookBatch(passed, frames.received_at))
