"""One WebSocket to an exchange, from its opening to its end: subscriptions, heartbeat, watchdogs.

What it reads it gives to its connection, of which it is the only link, or one of two while a newer one takes
over.
"""

import math
from collections.abc import Awaitable, Callable, Collection
from contextlib import AbstractAsyncContextManager

import attrs
import structlog
import trio

from actors.background import background
from actors.connections.memory import ConnectionMemory
from actors.connections.websocket import ConnectionLost, Frames, WebSocket
from wadm.exchanges.base import Acknowledged, Codec, Event, Exchange, Heartbeat, Leaving, Refused, Reply
from wadm.pacing import Pacing
from wadm.subscriber import Subscriber
from wadm.watchdog import Watchdog

log = structlog.get_logger("link")

Connect = Callable[[str], AbstractAsyncContextManager[WebSocket]]

#: Seconds between two looks at which streams are silent.
LOOK = 1.0

#: Seconds after which a heartbeat that nothing has followed counts as unanswered.
PONG_WITHIN = 10.0

#: Seconds that the last requests of a link may take, with which it ends its subscriptions.
FAREWELL = 5.0


class Silent(Exception):  # an event of every day, not an error of ours
    """Nothing comes over the link any more."""


@attrs.frozen
class Ending:
    """How the exchange closed a link."""

    code: int | None
    reason: str

    def __str__(self) -> str:
        return f"closed by the exchange ({self.code} {self.reason})"


@attrs.define(eq=False)
class Link:
    """One life of a WebSocket; ``run`` is all of it. A newer one of a connection has a higher ``number``.

    ``take`` is given every run of frames; ``tell`` is told when something about the link has changed,
    ``renewing`` which streams are interrupted because they are subscribed to anew.
    ``over`` is how it ended, once it has. After ``quiet_after`` seconds, times ``leniency``, without a frame
    it is given up; None: its silence is not minded, nor that of single streams.
    """

    number: int
    url: str
    memory: ConnectionMemory
    exchange: Exchange
    codec: Codec
    take: Callable[["Link", Frames], Awaitable[None]]
    tell: Callable[["Link"], None]
    connect: Connect
    quiet_after: float | None
    leniency: float
    renewing: Callable[["Link", Collection[str]], None] = lambda _, __: None
    opened_at: float | None = None
    over: Ending | Exception | None = None
    leaving: str | None = None
    subscriber: Subscriber = attrs.field(init=False)
    watchdog: Watchdog = attrs.field(init=False)
    _websocket: WebSocket | None = None
    _heard_at: float = 0.0
    _busy: bool = False
    _was_live: bool = False
    _retiring: bool = False
    _ending: bool = False
    _reading: trio.CancelScope = attrs.field(factory=trio.CancelScope)

    def __attrs_post_init__(self) -> None:
        size = self.exchange.limits.streams_per_request
        self.subscriber = Subscriber(self.codec) if size is None else Subscriber(self.codec, size)
        self.watchdog = Watchdog(self.exchange.pace, self.leniency)

    @property
    def wanted(self) -> Collection[str]:
        """The streams it is to carry."""
        return () if self._retiring else self.memory.streams

    @property
    def heard(self) -> int:
        """How many frames have come on its streams."""
        return sum(self.codec.heard.values())

    @property
    def settled(self) -> bool:
        """Whether every stream wanted was acknowledged or refused."""
        return self.opened_at is not None and self.subscriber.settled(self.wanted)

    @property
    def live(self) -> bool:
        """Whether it is subscribed to all, and has heard something unless all its streams are sparse."""
        return self.settled and (self.heard > 0 or self.all_sparse)

    @property
    def all_sparse(self) -> bool:
        """Whether no stream is wanted that should move all the time."""
        refused = self.subscriber.refused
        return all(stream in refused or self.exchange.pace(stream) is None for stream in self.wanted)

    def renew(self, streams: Collection[str]) -> None:
        """Subscribe to some streams anew."""
        self.renewing(self, streams)
        self.subscriber.renew(streams)
        self.tell(self)

    async def run(self) -> Ending:
        """Connect, subscribe and read until it ends.

        Raises ConnectFailed, ConnectionLost, Silent or Unanswered.
        """
        async with self.connect(self.url) as websocket:
            self._websocket = websocket
            self.opened_at = self._heard_at = trio.current_time()
            self.tell(self)
            async with background() as nursery:
                nursery.start_soon(self._subscribe)
                if self.codec.heartbeat is not None:
                    nursery.start_soon(self._beat, self.codec.heartbeat)
                if self.quiet_after is not None:
                    nursery.start_soon(self._mind_quiet, self.quiet_after * self.leniency)
                    nursery.start_soon(self._mind_streams)
                with self._reading:
                    await self._read(websocket)
        return Ending(websocket.close_code, websocket.close_reason)

    async def retire(self) -> None:
        """End the subscriptions, and the link once all has come that belonged to them.

        The exchange answers in the stream itself: what it sent before its answer has come before it.
        """
        self._retiring = True
        self.tell(self)
        with trio.move_on_after(FAREWELL):
            await self.memory.changed.wait_for(
                lambda: bool(self.over) or (self.subscriber.idle and not self.subscriber.acknowledged)
            )
        self.end()

    def end(self) -> None:
        """End it, after what is being taken in."""
        self._ending = True
        if not self._busy:
            self._reading.cancel()

    # --- reading ---

    async def _read(self, websocket: WebSocket) -> None:
        async for run in websocket.runs():
            self._busy = True
            self._heard_at = trio.current_time()
            await self.take(self, run)
            self._heard_at = trio.current_time()
            self._busy = False
            if not self._was_live and self.live:
                self._was_live = True
                self.tell(self)
            if self._ending:
                return

    def note(self, event: Event) -> None:
        """Take note of what concerns the link itself."""
        match event:
            case Acknowledged(request_id=request):
                self.subscriber.accept(request, trio.current_time())
                self.tell(self)
            case Refused() as refusal:
                refused = list(self.subscriber.refuse(refusal, trio.current_time()))
                log.warning(
                    "request_refused", connection=self.memory.name, code=refusal.code,
                    message=refusal.message, streams=refused,
                )  # fmt: skip
                self.tell(self)
            case Leaving(reason=reason):
                self.leaving = reason
                self.tell(self)
            case _:
                pass

    async def reply(self, event: Reply) -> None:
        """Send what the codec answers."""
        await self._send(event.frame)

    async def _send(self, frame: str) -> None:
        """Send, unless the connection has ended: its last frames are read first, then they tell why."""
        assert self._websocket is not None
        try:
            await self._websocket.send(frame)
        except ConnectionLost as error:
            log.debug("not_sent", connection=self.memory.name, reason=str(error))

    # --- subscribing ---

    async def _subscribe(self) -> None:
        """Ask for what is wanted and not there yet, and the other way round, at the exchange's pace."""
        subscriber, changed = self.subscriber, self.memory.changed
        rate = self.exchange.limits.requests_per_second
        # One less than allowed: pongs count as well.
        pacing = Pacing(None if rate is None else max(1, int(rate) - 1), 1.0)
        while True:
            while subscriber.has_to_ask(self.wanted):
                for frame in subscriber.ask(self.wanted, trio.current_time()):
                    await trio.sleep(pacing.delay(trio.current_time()))
                    pacing.spend(trio.current_time())
                    await self._send(frame)
            due = math.inf if subscriber.due is None else subscriber.due
            with trio.move_on_at(due):
                await changed.wait_for(lambda: subscriber.has_to_ask(self.wanted))
            if self._busy:
                await trio.sleep(LOOK)  # an answer may be behind what is being taken in
            elif lost := subscriber.expire(trio.current_time()):
                self.memory.reason = f"no answer to a request for {lost[0]}: asked once more"
                log.warning("request_unanswered", connection=self.memory.name, streams=len(lost))

    # --- watching ---

    async def _beat(self, heartbeat: Heartbeat) -> None:
        """Send the frames that are owed. What follows none of them for too long is no connection."""
        due = trio.current_time()
        while True:
            due += heartbeat.interval
            await trio.sleep_until(due)
            await self._send(heartbeat.frame())
            await trio.sleep_until(due + min(PONG_WITHIN, heartbeat.interval))
            if not self._busy and self._heard_at < due:
                raise Silent(f"nothing has followed a ping for {PONG_WITHIN:g} s")

    async def _mind_quiet(self, quiet_after: float) -> None:
        """Silence is not calm: a link over which nothing comes any more is given up."""
        while True:
            await trio.sleep_until(self._heard_at + quiet_after)
            now = trio.current_time()
            if self._busy or self.all_sparse:
                self._heard_at = now
            if self._heard_at + quiet_after <= now:
                raise Silent(f"no frame for {quiet_after:g} s")

    async def _mind_streams(self) -> None:
        """Renew the streams that are silent while others move; raise Silent once all of them are."""
        while True:
            await trio.sleep(LOOK)
            if self._busy:
                continue
            acknowledged = self.subscriber.acknowledged
            found = self.watchdog.look(self.wanted, acknowledged, self.codec.heard, trio.current_time())
            if found.all_silent:
                raise Silent("every stream is silent")
            for stream in found.spoken:
                log.info("stream_speaks_again", connection=self.memory.name, stream=stream)
            for stream in found.renew:
                log.warning("stream_silent", connection=self.memory.name, stream=stream)
            if found.renew:
                self.renew(found.renew)
            self.tell(self)
