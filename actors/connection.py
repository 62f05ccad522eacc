"""The connection actor: one WebSocket to an exchange, read through its codec.

Every batch goes to the storage writer first and then to its symbol's aggregator, over bounded mailboxes. A
full mailbox stops the reading of the socket; when a live one stays full for longer than the exchange would
forgive, the batch is left to the journal (the aggregator reads it there) or, if it is the journal that is
behind, shed and counted.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence

import attrs
import structlog
import trio

from actors.background import background
from actors.memory import ConnectionMemory, Numbering, Posting, SymbolMemory
from actors.messages import EndOfCapture, GapRecord, MarketTime, TradeBatch
from actors.websocket import ConnectFailed, ConnectionLost, Frames, WebSocket, open_websocket
from supervision import Context, Disconnected, Mailbox, MailboxFull
from wadm.exchanges.base import Acknowledged, Codec, Event, Filled, Gap, Leaving, Refused, Rejected, Reply
from wadm.ledger import Ledger
from wadm.market import MINUTE, SECOND, Trades

log = structlog.get_logger("connection")

END_OF_CAPTURE = "end of capture"


class ExchangeDisconnected(Disconnected):
    """The exchange could not be reached, or ended the connection."""


@attrs.define(eq=False)
class Connection:
    """Everything one connection needs; ``run`` is the actor.

    ``aggregators`` are those of the symbols whose trades come over this connection, by ``exchange:SYMBOL``.
    """

    memory: ConnectionMemory
    url: str
    make_codec: Callable[[], Codec]
    ledger: Ledger
    numbering: Numbering
    symbols: Mapping[str, SymbolMemory]
    aggregators: Mapping[str, Mailbox]
    writer: Mailbox
    grace: int
    playback: bool
    _incarnation: int = 0
    _numbers: Counter[str] = attrs.field(factory=Counter)
    _market_time: int = 0
    _told: dict[str, int] = attrs.field(factory=dict)
    _loud: Counter[str] = attrs.field(factory=Counter)

    async def run(self, context: Context) -> None:
        """Connect, subscribe and read until the exchange ends it. Raises ExchangeDisconnected."""
        memory = self.memory
        self._incarnation, self._numbers = self.numbering.incarnation(), Counter()
        memory.state = "connecting"
        context.started()
        try:
            await self._hand_over()
            async with open_websocket(self.url) as websocket:
                memory.connects += 1
                await self._converse(websocket)
        except (ConnectFailed, ConnectionLost) as error:
            memory.reason = str(error)
            raise ExchangeDisconnected(f"{self.url}: {error}") from error
        finally:
            memory.state = "disconnected"
        if not (self.playback and websocket.close_reason == END_OF_CAPTURE):
            memory.reason = f"closed by the exchange ({websocket.close_code} {websocket.close_reason})"
            raise ExchangeDisconnected(f"{self.url}: {memory.reason}")
        await self._end()

    async def _converse(self, websocket: WebSocket) -> None:
        codec = self.make_codec()
        for _, frame in codec.subscribe(self.memory.streams):
            await websocket.send(frame)
        async with background() as nursery:
            if codec.heartbeat is not None:
                nursery.start_soon(self._beat, websocket, codec.heartbeat.frame, codec.heartbeat.interval)
            if not self.playback:
                nursery.start_soon(self._keep_time)
            async for run in websocket.runs():
                await self._read(websocket, codec, run)

    async def _beat(self, websocket: WebSocket, frame: Callable[[], str], interval: float) -> None:
        while True:
            await trio.sleep(interval)
            await websocket.send(frame())

    async def _keep_time(self) -> None:
        """Let market time go on while nothing is traded, so that a quiet symbol's bar still closes."""
        while True:
            await trio.sleep(1)
            idle = trio.current_time() - (self.memory.last_frame_at or trio.current_time())
            if self._market_time and idle >= 1:
                await self._tell_time(self._market_time + int(idle * SECOND))

    async def _read(self, websocket: WebSocket, codec: Codec, run: Frames) -> None:
        """Decode a run of frames and hand on what it held. Decoding and queueing are one step, without await."""
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
                await websocket.send(event.frame)
        await self._hand_over()
        if trades:
            await self._tell_time(self._market_time)
        for event in events:
            if isinstance(event, Leaving):
                raise ExchangeDisconnected(f"the exchange announced its end: {event.reason}")

    def _queue(self, runs: Sequence[Trades], frames: Frames) -> None:
        for trades in runs:
            self._market_time = max(self._market_time, max(trades.times))
        for trades in runs:
            self.memory.trades += len(trades)
            self._numbers[trades.key] += 1
            batch = TradeBatch(
                trades, self._incarnation, self._numbers[trades.key], frames.received_at, frames.clock,
                self._market_time,
            )  # fmt: skip
            self.memory.outbox.append(Posting(batch))

    def _note(self, event: Event) -> None:
        """Take note of what is not a trade, without an await: a kill must not lose half of a run."""
        memory = self.memory
        match event:
            case Acknowledged():
                memory.state, memory.reason = "connected", ""
            case Refused(request_id=request, code=code, message=message):
                memory.refused[request or "?"] = message
                log.warning("subscription_refused", connection=memory.name, code=code, message=message)
            case Gap() as gap:
                symbol = self.symbols[f"{gap.exchange}:{gap.symbol}"]
                symbol.gaps.opened(gap)
                symbol.records.append(GapRecord(gap, "open"))
                log.warning("gap_opened", symbol=symbol.instrument.key, first=gap.first, missing=gap.missing)
            case Filled() as filled:
                symbol = self.symbols[f"{filled.exchange}:{filled.symbol}"]
                symbol.records.extend(GapRecord(gap, "filled") for gap in symbol.gaps.filled(filled))
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

    async def _hand_over(self) -> None:
        """Post what waits: each batch to the writer, then to its aggregator."""
        outbox = self.memory.outbox
        while outbox:
            posting = outbox[0]
            batch = posting.batch
            key = batch.trades.key
            if not posting.written:
                try:
                    await self.writer.put(batch)
                except MailboxFull:
                    outbox.popleft()
                    self.ledger.account(key).shed["journal_behind"] += len(batch.trades)
                    log.error("shed", symbol=key, trades=len(batch.trades), reason="the journal is behind")
                    continue
                posting.written = True
            try:
                await self.aggregators[key].put(batch)
            except MailboxFull:
                self.symbols[key].left[batch.incarnation, batch.number] = len(batch.trades)
            outbox.popleft()

    async def _tell_time(self, market_time: int) -> None:
        """Tell the aggregators when market time has passed the end of another minute and its grace."""
        minute = (market_time - self.grace) // MINUTE
        for key, mailbox in self.aggregators.items():
            if self._told.get(key, -1) < minute:
                self._told[key] = minute
                try:
                    await mailbox.put(MarketTime(market_time))
                except MailboxFull:
                    self._told[key] = -1

    async def _end(self) -> None:
        """Playback is over: say so to every aggregator, behind the last trade."""
        for mailbox in self.aggregators.values():
            await mailbox.put(EndOfCapture(self._market_time))
        self.memory.state = "ended"
        self.memory.ended.set()
