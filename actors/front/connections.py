"""One client's connection: it can neither end the server nor hold it up.

hypercorn's own connection lets an unexpected message (a WebSocket upgrade with a byte too many, a reset in
the middle of an HTTP/2 upgrade) end the whole server, and waits without limit, shielded from cancellation,
for a reader that has stalled. Importing this module puts a better one in its place.
"""

import contextlib
import errno
import logging
import socket
import ssl
import struct
from collections.abc import Awaitable, Callable
from typing import Any

import h11
import hypercorn.protocol.h2
import hypercorn.protocol.h11
import hypercorn.protocol.ws_stream
import hypercorn.trio.run
import trio
from hypercorn.config import Config
from hypercorn.events import Closed, Event, RawData, Updated
from hypercorn.protocol.events import Event as StreamEvent
from hypercorn.protocol.h11 import H11Protocol, H11WSConnection
from hypercorn.protocol.ws_stream import ASGIWebsocketState, WSStream
from hypercorn.trio.tcp_server import TCPServer
from wsproto.connection import ConnectionState
from wsproto.extensions import Extension
from wsproto.frame_protocol import CloseReason

from actors.front.work import Work

log = logging.getLogger(__name__)

#: A reader gets this many bytes at a time, and this long (s) to take them.
SLICE = 64 * 1024
SEND_TIMEOUT = 10.0

#: Seconds within which a client has to take the next part of an answer.
STALL_TIMEOUT = 30.0

#: An application gets this long (s) to take notice that its client has gone.
CLOSE_TIMEOUT = 2.0

#: Seconds between two lines about connections that broke; those in between are only counted.
QUIET = 10.0

_NO_LINGER = struct.pack("ii", 1, 0)

#: It is broken, closed, being closed, or its reader has stalled.
_CANNOT_SEND = (
    trio.BrokenResourceError,
    trio.ClosedResourceError,
    trio.BusyResourceError,
    trio.TooSlowError,
)

#: What a socket says when its other end has gone.
GONE = frozenset({errno.ENOTCONN, errno.EBADF, errno.ECONNRESET, errno.EPIPE, errno.EINVAL})


class FrontConfig(Config):
    """hypercorn's settings, and the connections that are open under them."""

    max_connections = 1000
    #: of one address: nobody alone keeps everybody else out
    max_of_one = 600
    send_timeout = SEND_TIMEOUT
    close_timeout = CLOSE_TIMEOUT
    stall_timeout = STALL_TIMEOUT
    tls: ssl.SSLContext | None = None

    def create_ssl_context(self) -> ssl.SSLContext | None:
        """Return the context that a certificate made, which may be renewed while it is used."""
        return self.tls

    def __init__(self) -> None:
        self.connections: set[Connection] = set()
        self.broken = Broken()

    def has_room(self, address: str) -> bool:
        """Say whether one more connection from an address is served."""
        of_one = sum(one.address == address for one in self.connections)
        return len(self.connections) < self.max_connections and of_one < self.max_of_one

    def abort(self) -> None:
        """Close every connection at once, so that nothing shielded waits any longer."""
        for connection in list(self.connections):
            connection.abort()


class Broken:
    """Says that connections broke, without letting one client fill the log."""

    def __init__(self) -> None:
        self._count = 0
        self._silent_until = float("-inf")

    def note(self, error: BaseException) -> None:
        """Log an exception that escaped from a connection, or count it."""
        self._count += 1
        if trio.current_time() >= self._silent_until:
            self._silent_until = trio.current_time() + QUIET
            log.warning("%d client connection(s) broke, the last with: %r", self._count, _innermost(error))
            log.debug("The last broken connection", exc_info=error)
            self._count = 0


def _innermost(error: BaseException) -> BaseException:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


class Connection(TCPServer):
    """hypercorn's connection; no error leaves it, no send and no farewell lasts for ever."""

    config: FrontConfig
    work: Work
    address: str
    _reading: trio.CancelScope

    async def run(self) -> None:
        """Serve the client until either side ends it."""
        self._reading = trio.CancelScope()
        self.work = Work(self.app, self.config.stall_timeout, self.abort)
        self.app = self.work  # type: ignore[assignment]  # the same protocol in looser words
        self.address = self._address()
        if not self.config.has_room(self.address):
            await trio.aclose_forcefully(self.stream)
            return
        self.config.connections.add(self)
        try:
            await self._run()
        finally:
            self.config.connections.discard(self)
            # Also where the TLS handshake failed: hypercorn leaves those open.
            await trio.aclose_forcefully(self.stream)

    def _address(self) -> str:
        try:
            return str(self._socket.getpeername()[0])
        except OSError:
            return ""  # gone already

    @property
    def _socket(self) -> trio.socket.SocketType:
        stream: Any = self.stream
        found: trio.socket.SocketType = getattr(stream, "transport_stream", stream).socket
        return found

    async def _run(self) -> None:
        try:
            await super().run()
        except Exception as error:  # a client's doing, whatever it is
            self._broke(error)
        except BaseExceptionGroup as group:
            errors, others = group.split(Exception)
            if errors is not None:
                self._broke(errors)
            if others is not None:
                raise others from None

    def _broke(self, error: Exception) -> None:
        inner = _innermost(error)
        if not (isinstance(inner, OSError) and inner.errno in GONE):
            self.config.broken.note(error)

    def abort(self, *, reset: bool = False) -> None:
        """Close the socket now; whoever waits on it learns that it is closed.

        With ``reset``, what the kernel still holds for the client is thrown away as well.
        """
        client = self._socket
        if reset and client.fileno() != -1:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)
        client.close()

    async def protocol_send(self, event: Event) -> None:
        """Send bytes within a deadline, by slices; everything else as hypercorn does."""
        if isinstance(event, Updated):
            return  # what is in work tells when the connection is idle
        if isinstance(event, Closed):
            # quart cancels a request's tasks while its last send is still closing the connection; that would
            # leave the socket open for ever.
            with trio.move_on_after(CLOSE_TIMEOUT, shield=True):
                await super().protocol_send(event)
            return
        if not isinstance(event, RawData):
            await super().protocol_send(event)
            return
        async with self.send_lock:
            try:
                await self._send(event.data)
            except _CANNOT_SEND:
                self.abort(reset=True)
                await _bounded(self.protocol.handle(Closed()))
                self._reading.cancel()
        if self._has_refused_upgrade():
            self._reading.cancel()

    async def _read_data(self) -> None:
        # Behind a request in work it may wait for the end of an answer that will not come.
        with self._reading:
            await super()._read_data()
        await self.idle_task.stop()
        # What is in work has been told that its client is gone; some never listen.
        tasks = self._task_group._nursery  # noqa: SLF001
        assert tasks is not None
        tasks.cancel_scope.deadline = trio.current_time() + self.config.close_timeout

    def _has_refused_upgrade(self) -> bool:
        """Say whether a WebSocket was refused: hypercorn would keep such a connection for ever."""
        protocol = self.protocol.protocol
        if not isinstance(protocol, H11Protocol) or not isinstance(protocol.connection, H11WSConnection):
            return False
        return protocol.connection.h11_connection.our_state is h11.MUST_CLOSE

    async def _idle_timeout(self) -> None:
        async with trio.open_nursery() as nursery:

            async def until_the_end() -> None:
                await self.context.terminated.wait()
                await self.work.wait_idle(0)
                nursery.cancel_scope.cancel()

            nursery.start_soon(until_the_end)
            await self.work.wait_idle(self.config.keep_alive_timeout)
            nursery.cancel_scope.cancel()
        with trio.CancelScope(shield=True):
            await self._initiate_server_close()

    async def _send(self, data: bytes) -> None:
        # Shielded as in hypercorn: a message cut in the middle would leave the connection's state a lie.
        view = memoryview(data)
        for at in range(0, len(view), SLICE):
            with trio.fail_after(self.config.send_timeout) as scope:
                scope.shield = True
                await self.stream.send_all(view[at : at + SLICE])

    async def _initiate_server_close(self) -> None:
        await _bounded(super()._initiate_server_close())


async def _bounded(closing: Awaitable[None]) -> None:
    with trio.move_on_after(CLOSE_TIMEOUT):
        await closing


class WebSocket(WSStream):
    """hypercorn's WebSocket; what its client goes on sending to an application that has ended is dropped.

    It would fill a channel that nobody reads, and hold the connection for ever. One that was told to close
    for a frame too large is over as well, whatever its client does.
    """

    def __init__(self, *arguments: Any, **more: Any) -> None:
        super().__init__(*arguments, **more)
        self._over = False
        self._handing_on: set[trio.CancelScope] = set()
        self._hand_on: Callable[[Any], Awaitable[None]] | None = None

    async def handle(self, event: StreamEvent) -> None:
        """Take what the connection brought."""
        await super().handle(event)
        if self._hand_on is None and self.app_put is not None:
            self._hand_on, self.app_put = self.app_put, self._put

    async def app_send(self, message: Any) -> None:
        """Take what the application sends, None when it has ended."""
        if message is None:
            self._over = True
            for scope in self._handing_on:
                scope.cancel()
        with contextlib.suppress(h11.LocalProtocolError):  # what its client sent too early has broken it
            await super().app_send(message)

    async def _put(self, message: Any) -> None:
        if self._over or self._hand_on is None:
            return
        with trio.CancelScope() as scope:
            self._handing_on.add(scope)
            await self._hand_on(message)
        self._handing_on.discard(scope)

    async def _handle_events(self) -> None:
        await super()._handle_events()
        told_to_close = self.connection.state is ConnectionState.LOCAL_CLOSING
        if told_to_close and self.state is ASGIWebsocketState.CONNECTED:
            self.state = ASGIWebsocketState.CLOSED
            await self._put({"type": "websocket.disconnect", "code": int(CloseReason.MESSAGE_TOO_BIG)})


def _no_extensions(_wanted: list[str], _known: list[Extension]) -> None:
    """Compress nothing: the same message would be compressed once for every subscriber."""


setattr(hypercorn.trio.run, "TCPServer", Connection)  # noqa: B010 - not exported, so not assignable to mypy
for _user in (hypercorn.protocol.h11, hypercorn.protocol.h2):
    setattr(_user, "WSStream", WebSocket)  # noqa: B010 - likewise
setattr(hypercorn.protocol.ws_stream, "server_extensions_handshake", _no_extensions)  # noqa: B010 - likewise
