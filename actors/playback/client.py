"""One client of the local exchange server, from its handshake to its closing."""

import trio
import trio_websocket

from actors.framing import text_frame
from actors.playback.dialect import Dialect, Session
from actors.playback.player import Player, Seat
from actors.playback.rest import Caller, RestDesk
from actors.playback.wire import Outbox, SharedWire

#: Bytes that may wait for a client before playback waits for it.
OUTBOX_LIMIT = 1 << 20
HANDSHAKE_TIMEOUT = 10.0
NORMAL_CLOSURE, POLICY_VIOLATION = 1000, 1008
END_OF_CAPTURE = "end of capture"


async def serve_client(
    transport: trio.abc.Stream,
    dialect: Dialect,
    player: Player,
    ping_interval: float,
    desk: RestDesk | None = None,
) -> None:
    """Serve one connection, a WebSocket's or REST's, until it ends. Closes ``transport``."""
    caller, request = Caller(transport), None
    try:
        with trio.move_on_after(HANDSHAKE_TIMEOUT):
            request = await caller.request()
        if request is None:
            return
        if (b"upgrade", b"websocket") in ((name, value.lower()) for name, value in request.headers):
            await _serve_websocket(SharedWire(transport, caller.received), dialect, player, ping_interval)
        elif desk is not None:
            await desk.serve(caller, request)
    except trio.BrokenResourceError:
        pass  # the client is gone
    finally:
        await trio.aclose_forcefully(transport)


async def _serve_websocket(wire: SharedWire, dialect: Dialect, player: Player, ping_interval: float) -> None:
    async with trio.open_nursery() as nursery:
        with trio.move_on_after(HANDSHAKE_TIMEOUT) as handshake:
            request = await trio_websocket.wrap_server_stream(nursery, wire)
            session = dialect.open(request.path)
            if session is None:
                await request.reject(404)
            else:
                connection = await request.accept()
        if not handshake.cancelled_caught and session is not None:
            client = _Client(connection, session, Outbox(wire, OUTBOX_LIMIT), player)
            await client.run(ping_interval, dialect.pong_timeout)
        nursery.cancel_scope.cancel()


class _Client:
    def __init__(
        self, connection: trio_websocket.WebSocketConnection, session: Session, outbox: Outbox, player: Player
    ) -> None:
        self._connection = connection
        self._session = session
        self._player = player
        self._seat = Seat(session, outbox)
        self._answered = trio.Event()
        self._closing = False
        if session.requests or not player.finished.is_set():
            self._answered.set()  # only who comes after the end must be heard once before it is closed

    async def run(self, ping_interval: float, pong_timeout: float) -> None:
        """Take part in the playback and answer requests, until either side closes."""
        self._player.join(self._seat)
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._seat.outbox.run)
                nursery.start_soon(self._close_at_end, nursery.cancel_scope)
                nursery.start_soon(self._ping, ping_interval, pong_timeout)
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
                text = message if isinstance(message, str) else message.decode(errors="replace")
                outbox.put([text_frame(self._session.receive(text).encode())])
                self._player.changed()
                self._answered.set()
        except trio_websocket.ConnectionClosed:
            pass

    async def _close_at_end(self, scope: trio.CancelScope) -> None:
        """Close after the last frame, in-band: the client then knows that it has all that was sent before."""
        await self._player.finished.wait()
        await self._answered.wait()
        if self._seat.outbox.to_be_cut:
            return
        await self._seat.outbox.flushed()
        self._closing = True
        await self._connection.aclose(NORMAL_CLOSURE, END_OF_CAPTURE)
        scope.cancel()

    async def _ping(self, interval: float, timeout: float) -> None:  # noqa: ASYNC109  # of a pong
        try:
            while not self._closing:
                await trio.sleep(interval)
                with trio.move_on_after(timeout) as patience:
                    await self._connection.ping()
                if patience.cancelled_caught:
                    with trio.move_on_after(1):
                        await self._connection.aclose(POLICY_VIOLATION, "Pong timeout")
        except trio_websocket.ConnectionClosed:
            pass
