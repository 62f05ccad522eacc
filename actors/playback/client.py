"""One client of the local exchange server, from its handshake to its closing."""

import math

import trio
import trio_websocket

from actors.connections.framing import message_frame
from actors.playback.dialect import Dialect, Session
from actors.playback.player import Player
from actors.playback.rest import Caller, RestDesk
from actors.playback.seat import Seat
from actors.playback.usage import Rate
from actors.playback.wire import Outbox, SharedWire

#: Bytes that may wait for a client before playback waits for it.
OUTBOX_LIMIT = 1 << 20
HANDSHAKE_TIMEOUT = 10.0
NORMAL_CLOSURE, GOING_AWAY, POLICY_VIOLATION = 1000, 1001, 1008
END_OF_CAPTURE = "end of capture"
TOO_MANY_REQUESTS = 429


class Host:
    """Serves an exchange's clients."""

    def __init__(self, dialect: Dialect, player: Player, desk: RestDesk) -> None:
        self.dialect = dialect
        self.player = player
        self.desk = desk
        self._attempts = Rate(dialect.terms.connections, 300.0)

    async def serve(self, transport: trio.abc.Stream) -> None:
        """Serve one connection, a WebSocket's or REST's, until it ends. Closes ``transport``."""
        caller, request = Caller(transport), None
        try:
            with trio.move_on_after(HANDSHAKE_TIMEOUT):
                request = await caller.request()
            if request is None:
                return
            if (b"upgrade", b"websocket") in ((name, value.lower()) for name, value in request.headers):
                await self._serve_websocket(SharedWire(transport, caller.received))
            else:
                await self.desk.serve(caller, request)
        except trio.BrokenResourceError:
            pass  # the client is gone
        finally:
            await trio.aclose_forcefully(transport)

    async def _serve_websocket(self, wire: SharedWire) -> None:
        session = None
        async with trio.open_nursery() as nursery:
            with trio.move_on_after(HANDSHAKE_TIMEOUT) as handshake:
                request = await trio_websocket.wrap_server_stream(nursery, wire)
                if not self._attempts.allows(trio.current_time()):
                    await request.reject(TOO_MANY_REQUESTS)
                elif (session := self.dialect.open(request.path, self.player.symbols)) is None:
                    await request.reject(404)
                else:
                    connection = await request.accept()
            if not handshake.cancelled_caught and session is not None:
                await _Client(self, connection, session, Outbox(wire, OUTBOX_LIMIT), nursery).run()
            nursery.cancel_scope.cancel()


class _Client:
    def __init__(
        self,
        host: Host,
        connection: trio_websocket.WebSocketConnection,
        session: Session,
        outbox: Outbox,
        nursery: trio.Nursery,
    ) -> None:
        self._connection = connection
        self._session = session
        self._player = host.player
        self._desk = host.desk
        self._greets = host.dialect.greets
        self._terms = host.dialect.terms
        self._nursery = nursery
        self._seat = Seat(session, outbox, self._dismiss)
        self._requests = Rate(self._terms.messages_per_second, 1.0)
        self._patience = trio.CancelScope()
        self._answered = trio.Event()
        self._closing = False
        if session.requests or not self._player.finished.is_set():
            self._answered.set()  # only who comes after the end must be heard once before it is closed

    async def run(self) -> None:
        """Take part in the playback and answer requests, until either side closes."""
        self._player.join(self._seat)
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._seat.outbox.run)
                nursery.start_soon(self._close_at_end)
                if self._terms.ping_interval is not None:
                    nursery.start_soon(self._ping, self._terms.ping_interval)
                if self._terms.idle_timeout is not None:
                    nursery.start_soon(self._close_when_idle, self._terms.idle_timeout)
                if self._terms.lifetime is not None:
                    self._dismiss(self._terms.lifetime)
                await self._answer()
                if not self._closing:
                    nursery.cancel_scope.cancel()
        finally:
            self._player.leave(self._seat)

    async def _answer(self) -> None:
        """Answer requests, each before the first frame that it brings."""
        outbox = self._seat.outbox
        try:
            while True:
                await outbox.room()
                message = await self._connection.get_message()
                now = trio.current_time()
                self._patience.deadline = now + (self._terms.idle_timeout or math.inf)
                if not self._requests.allows(now):
                    await self._close(POLICY_VIOLATION, "Too many requests")
                    return
                outbox.put(
                    self._answers(message if isinstance(message, str) else message.decode(errors="replace"))
                )
                self._player.changed()
                self._answered.set()
        except trio_websocket.ConnectionClosed:
            pass

    def _answers(self, request: str) -> list[bytes]:
        """Return the answer to a request, and the snapshots that its subscriptions begin with."""
        before = self._session.receives
        frames = [self._session.receive(request).encode()]
        if self._greets:
            after = self._session.receives
            frames += self._desk.present(stream for stream in after if stream not in before)
        return [message_frame(frame) for frame in frames]

    async def _close_at_end(self) -> None:
        """Close after the last frame, in-band: the client then knows that it has all that was sent before."""
        await self._player.finished.wait()
        await self._answered.wait()
        await self._close(NORMAL_CLOSURE, END_OF_CAPTURE)

    def _dismiss(self, seconds: float) -> None:
        self._nursery.start_soon(self._close_in, seconds)

    async def _close_in(self, seconds: float) -> None:
        await trio.sleep(seconds)
        await self._close(GOING_AWAY, "")

    async def _close_when_idle(self, timeout: float) -> None:  # noqa: ASYNC109  # of the client's messages
        with trio.CancelScope(deadline=trio.current_time() + timeout) as self._patience:
            await trio.sleep_forever()
        await self._close(GOING_AWAY, "")

    async def _close(self, code: int, reason: str) -> None:
        """Close once everything is sent, unless the connection ends otherwise; then all its tasks end."""
        if self._closing or self._seat.outbox.to_be_cut:
            return
        self._closing = True
        self._player.leave(self._seat)
        await self._seat.outbox.flushed()
        await self._connection.aclose(code, reason)
        self._nursery.cancel_scope.cancel()

    async def _ping(self, interval: float) -> None:
        try:
            while not self._closing:
                await trio.sleep(interval)
                with trio.move_on_after(self._terms.pong_timeout) as patience:
                    await self._connection.ping()
                if patience.cancelled_caught:
                    with trio.move_on_after(1):
                        await self._connection.aclose(POLICY_VIOLATION, "Pong timeout")
        except trio_websocket.ConnectionClosed:
            pass
