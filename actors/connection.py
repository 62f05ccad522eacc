"""The connection actor: one WebSocket to an exchange, read through its codec.

Every batch goes to the storage writer first and then to its symbol's aggregator, over bounded mailboxes. A
full mailbox stops the reading of the socket.
"""

from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import attrs
import structlog
import trio

from actors.background import background
from actors.memory import ConnectionMemory, Numbering, SymbolMemory
from actors.messages import MarketTime
from actors.outbox import Outbox
from actors.storage.marks import Notice
from actors.websocket import ConnectFailed, ConnectionLost, Frames, WebSocket, open_websocket
from supervision import Context, Disconnected, Mailbox, MailboxFull
from wadm.exchanges.base import Acknowledged, Codec, Event, Filled, Gap, Leaving, Refused, Rejected, Reply
from wadm.market import MINUTE, SECOND, Trades

log = structlog.get_logger("connection")

END_OF_CAPTURE = "end of capture"

#: Seconds for handing over what was received before a stop.
DRAIN = 0.5

#: Refused requests remembered of one connection.
REFUSED = 100


class ExchangeDisconnected(Disconnected):
    """The exchange could not be reached, or ended the connection."""


@attrs.define(eq=False)
class Connection:
    """Everything one connection needs; ``run`` is the actor.

    ``aggregators`` are those of the symbols whose trades come over this connection, by ``exchange:SYMBOL``.
    After ``quiet_after`` seconds without a frame it is made again; None: never. ``connect`` opens a
    WebSocket.
    """

    memory: ConnectionMemory
    url: str
    make_codec: Callable[[], Codec]
    numbering: Numbering
    outbox: Outbox
    symbols: Mapping[str, SymbolMemory]
    aggregators: Mapping[str, Mailbox]
    gap_noticed: Notice
    grace: int
    playback: bool
    quiet_after: float | None = None
    connect: Callable[[str], AbstractAsyncContextManager[WebSocket]] = open_websocket
    _reading: bool = False
    _context: Context | None = None
    _told: dict[str, int] = attrs.field(factory=dict)
    _loud: Counter[str] = attrs.field(factory=Counter)

    async def run(self, context: Context) -> None:
        """Connect, subscribe and read until the exchange ends it. Raises ExchangeDisconnected."""
        memory = self.memory
        self.outbox.begin(self.numbering.incarnation())
        self._context = context
        self._reading = False
        memory.state = "connecting"
        context.started()
        try:
            await self.outbox.hand_over()
            async with self._time_kept(), self.connect(self.url) as websocket:
                memory.connects += 1
                memory.refused.clear()
                await self._converse(websocket)
        except (ConnectFailed, ConnectionLost) as error:
            memory.reason = str(error)
            raise ExchangeDisconnected(f"{self.url}: {error}") from error
        finally:
            memory.state = "disconnected"
            if context.stopping.is_set():
                await self._drain()
        if not (self.playback and websocket.close_reason == END_OF_CAPTURE):
            memory.reason = f"closed by the exchange ({websocket.close_code} {websocket.close_reason})"
            raise ExchangeDisconnected(f"{self.url}: {memory.reason}")
        memory.state = "ended"
        memory.ended.set()
        self.gap_noticed.notify()

    async def _drain(self) -> None:
        """Hand over what was received before the daemon was asked to stop."""
        with trio.move_on_after(DRAIN, shield=True):
            await self.outbox.hand_over()

    async def _converse(self, websocket: WebSocket) -> None:
        codec = self.make_codec()
        for _, frame in codec.subscribe(self.memory.streams):
            await websocket.send(frame)
        async with background() as nursery:
            if codec.heartbeat is not None:
                nursery.start_soon(self._beat, websocket, codec.heartbeat.frame, codec.heartbeat.interval)
            if self.quiet_after is not None:
                nursery.start_soon(self._watch, self.quiet_after)
            async for run in websocket.runs():
                self._reading = True
                await self._read(websocket, codec, run)
                self._reading = False

    async def _beat(self, websocket: WebSocket, frame: Callable[[], str], interval: float) -> None:
        while True:
            await trio.sleep(interval)
            await self._send(websocket, frame())

    async def _send(self, websocket: WebSocket, frame: str) -> None:
        """Send, unless the connection has ended: its last frames are read first, then they tell why."""
        try:
            await websocket.send(frame)
        except ConnectionLost as error:
            log.debug("not_sent", connection=self.memory.name, reason=str(error))

    async def _watch(self, quiet_after: float) -> None:
        """Silence is not calm: a connection on which nothing comes any more is made again."""
        heard = trio.current_time()
        while True:
            await trio.sleep_until(heard + quiet_after)
            now = trio.current_time()
            heard = now if self._reading else max(heard, self.memory.last_frame_at or heard)
            if heard + quiet_after <= now:
                raise ExchangeDisconnected(f"{self.url}: no frame for {quiet_after:g} s")

    @asynccontextmanager
    async def _time_kept(self) -> AsyncIterator[None]:
        async with background() as nursery:
            if not self.playback:
                nursery.start_soon(self._keep_time)
            yield

    async def _keep_time(self) -> None:
        """Let market time go on while nothing is traded, so that a quiet symbol's bar still closes."""
        memory = self.memory
        while True:
            idle = trio.current_time() - memory.market_time_at
            if memory.market_time and idle >= 1:
                await self._tell_time(memory.market_time + int(idle * SECOND))
            await trio.sleep(1)

    async def _read(self, websocket: WebSocket, codec: Codec, run: Frames) -> None:
        """Decode a run of frames and hand on what it held. Between decoding and queueing is no await."""
        memory = self.memory
        memory.frames += len(run.frames)
        memory.bytes += sum(map(len, run.frames))
        memory.first_frame_clock = memory.first_frame_clock or run.clock
        memory.last_frame_at = trio.current_time()
        events = codec.receive(run.frames, run.received_at)
        trades = [event for event in events if isinstance(event, Trades)]
        self._queue(trades, run)
        for event in events:
            self._note(event)
        for event in events:
            if isinstance(event, Reply):
                await self._send(websocket, event.frame)
        await self.outbox.hand_over()
        if trades:
            await self._tell_time(self.memory.market_time)
        for event in events:
            if isinstance(event, Leaving):
                raise ExchangeDisconnected(f"the exchange announced its end: {event.reason}")

    def _queue(self, runs: Sequence[Trades], frames: Frames) -> None:
        memory = self.memory
        for trades in runs:
            memory.move_time(max(trades.times))
        for trades in runs:
            memory.trades += len(trades)
            self.outbox.add(trades, frames.received_at, frames.clock, memory.market_time)

    def _note(self, event: Event) -> None:
        """Take note of what is not a trade, without an await: a kill must not lose half of a run."""
        memory = self.memory
        match event:
            case Acknowledged():
                memory.state, memory.reason = "connected", ""
                if self._context is not None:
                    self._context.succeeded()
            case Refused(request_id=request, code=code, message=message):
                if len(memory.refused) < REFUSED:
                    memory.refused[request or "?"] = message
                log.warning("subscription_refused", connection=memory.name, code=code, message=message)
            case Gap() as gap:
                key = f"{gap.exchange}:{gap.symbol}"
                self.symbols[key].note_gap(gap)
                self.gap_noticed.notify()
                log.warning("gap_opened", symbol=key, first=gap.first, missing=gap.missing)
            case Filled() as filled:
                self.symbols[f"{filled.exchange}:{filled.symbol}"].note_filled(filled)
            case Rejected(reason=reason, count=count, sample=sample):
                self._complain(reason, count, sample)
            case _:
                pass

    def _complain(self, reason: str, count: int, sample: bytes) -> None:
        """Log what was rejected once per burst: the first, then at every doubling of the count."""
        before, after = self._loud[reason], self._loud[reason] + count
        self._loud[reason] = after
        if before.bit_length() != after.bit_length():
            log.warning("rejected", connection=self.memory.name, reason=reason, so_far=after, sample=sample)

    async def _tell_time(self, market_time: int) -> None:
        """Tell the aggregators when market time has passed the end of another minute and its grace."""
        minute = (market_time - self.grace) // MINUTE
        for key, mailbox in self.aggregators.items():
            if self._told.get(key, -1) < minute:
                try:
                    await mailbox.put(MarketTime(market_time))
                except MailboxFull:
                    continue  # it is told again with the next trades, or in a second
                self._told[key] = max(minute, self._told.get(key, -1))
