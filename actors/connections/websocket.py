"""A client's WebSocket: runs of messages as fast as they come, and plain errors.

trio-websocket speaks the protocol; a ``FrameTap`` between it and the socket takes the whole text frames
past it.
"""

import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import trio
import trio_websocket
from wsproto import ConnectionType
from wsproto.connection import Connection as FrameWriter
from wsproto.events import CloseConnection
from wsproto.utilities import LocalProtocolError

from actors.background import background
from actors.connections.dial import Address, ConnectFailed, dial, explain_handshake
from actors.connections.frames import Frames, Inbox
from actors.connections.proxy import Proxy
from actors.connections.tap import FrameTap

__all__ = ["ConnectFailed", "ConnectionLost", "Frames", "WebSocket", "open_websocket"]

NORMAL_CLOSURE, PROTOCOL_ERROR, ABNORMAL_CLOSURE, INVALID_TEXT = 1000, 1002, 1006, 1007
MAX_MESSAGE_SIZE = 8 * 2**20
PENDING_LIMIT = 4 * 2**20


class ConnectionLost(Exception):  # an event of every day, not an error of ours
    """The connection ended with a ``code`` other than 1000 (1006: without a closing frame)."""

    def __init__(self, reason: str, code: int) -> None:
        super().__init__(f"{reason} (WebSocket code {code})")
        self.reason = reason
        self.code = code


@asynccontextmanager
async def open_websocket(
    url: str,
    *,
    ssl_context: ssl.SSLContext | None = None,
    proxy: Proxy | None = None,
    max_message_size: int = MAX_MESSAGE_SIZE,
    pending_limit: int = PENDING_LIMIT,
    connect_timeout: float = 10.0,
    close_timeout: float = 1.0,
) -> AsyncIterator["WebSocket"]:
    """Open the WebSocket at ``url`` (ws: or wss:), through ``proxy`` if any, for the length of the block.

    Messages longer than ``max_message_size`` bytes end it with code 1009. Once ``pending_limit`` bytes wait
    to be taken, the socket is not read any more. Timeouts are in seconds. At the block's end the closing
    handshake gets ``close_timeout``; a cancelled block closes at once.

    Raises ConnectFailed where no connection comes about, ValueError where ``url`` is not a WebSocket's.
    """
    address = Address.of(url)
    async with background() as nursery:
        with trio.move_on_after(connect_timeout) as connecting:
            transport = await dial(address, ssl_context, proxy)
            websocket = WebSocket(address, transport, max_message_size, pending_limit)
            await nursery.start(websocket._serve)  # noqa: SLF001  # this function is the class's constructor
        if connecting.cancelled_caught:
            raise ConnectFailed(f"no WebSocket with {address.host_header} within {connect_timeout:g} s")
        try:
            yield websocket
        finally:
            await websocket._close(close_timeout)  # noqa: SLF001


class WebSocket:
    """An open connection. Made by ``open_websocket``; one task at a time may take its runs."""

    #: How the connection ended; None while it lives. 1006: without a closing frame.
    close_code: int | None = None
    close_reason: str = ""

    def __init__(
        self, address: Address, transport: trio.abc.Stream, max_message_size: int, pending_limit: int
    ) -> None:
        self._address = address
        self._transport = transport
        self._max_message_size = max_message_size
        self._inbox = Inbox(pending_limit)
        self._tap = FrameTap(transport, self._inbox, max_message_size)
        self._connection: trio_websocket.WebSocketConnection | None = None
        self._closing: trio.CancelScope | None = None

    def runs(self) -> "Runs":
        """Iterate over what arrives, as ``Frames``: each time, all the messages that have gathered.

        Ends after the last message of a connection that was closed with code 1000; raises ConnectionLost
        after the last message of one that ended otherwise.
        """
        return Runs(self)

    async def send(self, text: str) -> None:
        """Send a text message. Raises ConnectionLost where the connection has ended.

        A send that is cancelled half-way ends the connection.
        """
        assert self._connection is not None
        try:
            await self._connection.send_message(text)
        except (trio_websocket.ConnectionClosed, LocalProtocolError):
            raise self._loss() from None

    async def _take(self) -> Frames | None:
        """Return the next run, or None at a clean end. Raises ConnectionLost."""
        run = await self._inbox.take()
        if run is None and self.close_code != NORMAL_CLOSURE:
            raise self._loss()
        return run

    def _loss(self) -> ConnectionLost:
        return ConnectionLost(
            self.close_reason or "the connection is closed", self.close_code or ABNORMAL_CLOSURE
        )

    async def _serve(self, *, task_status: trio.TaskStatus[None]) -> None:
        """Run the library and move what it reads into the inbox, until the connection ends.

        Raises ConnectFailed before it has started, nothing afterwards.
        """
        try:
            async with trio.open_nursery() as nursery:
                self._connection = await trio_websocket.wrap_client_stream(
                    nursery,
                    self._tap,  # type: ignore[arg-type]  # takes any stream, as its documentation says
                    self._address.host_header,
                    self._address.target,
                    max_message_size=self._max_message_size,
                    receive_buffer_size=None,
                )
                task_status.started()
                await self._pump(self._connection)
                if self._closing is None:
                    nursery.cancel_scope.cancel()
        except Exception as error:
            if self._connection is None:
                raise explain_handshake(self._address, error) from error
            # The library can be surprised (by a ping while it closes, say): the connection is over.
            self._end(ABNORMAL_CLOSURE, f"the connection broke: {error.__class__.__name__}")
        finally:
            self._inbox.close()
            self._tap.stop_waiting()
            if self._closing is not None:
                self._closing.cancel()
            await trio.aclose_forcefully(self._transport)

    async def _pump(self, connection: trio_websocket.WebSocketConnection) -> None:
        """Give back what the library reads; note how the connection ended."""
        try:
            while True:
                message = await connection.get_message()
                self._tap.give_back(message if isinstance(message, bytes) else message.encode())
        except trio_websocket.ConnectionClosed:
            self._tap.stop_waiting()
        ended = connection.closed
        code = ended.code if ended is not None else ABNORMAL_CLOSURE
        reason = (ended.reason if ended is not None else None) or ""
        if code == ABNORMAL_CLOSURE:
            reason = self._tap.failure or "the server hung up without closing the WebSocket"
        self._end(code, reason)
        if code in (PROTOCOL_ERROR, INVALID_TEXT) and not self._tap.close_sent:
            await self._tell(code, reason)

    def _end(self, code: int, reason: str) -> None:
        if self.close_code is None:
            self.close_code, self.close_reason = code, reason

    async def _tell(self, code: int, reason: str) -> None:
        """Send the closing frame that the library omits when it finds the peer in breach of the protocol."""
        frame = FrameWriter(ConnectionType.CLIENT).send(CloseConnection(code=code, reason=reason))
        try:
            with trio.move_on_after(1.0):
                await self._tap.send_all(frame)
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            pass

    async def _close(self, timeout: float) -> None:  # noqa: ASYNC109  # it bounds the closing handshake only
        """Close from our side, within ``timeout`` seconds. What is still on its way is dropped."""
        self._inbox.close()
        with trio.move_on_after(timeout) as self._closing:
            if self._connection is not None and not self._tap.torn and self.close_code is None:
                await self._connection.aclose()


class Runs:
    """The runs of a WebSocket, one after the other."""

    def __init__(self, websocket: WebSocket) -> None:
        self._websocket = websocket

    def __aiter__(self) -> "Runs":
        return self

    async def __anext__(self) -> Frames:
        run = await self._websocket._take()  # noqa: SLF001  # two halves of one class
        if run is None:
            raise StopAsyncIteration
        return run
