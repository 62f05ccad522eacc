"""One client's connection: it can neither end the server nor hold it up.

hypercorn's own connection lets an unexpected message (a WebSocket upgrade with a byte too many, a reset in
the middle of an HTTP/2 upgrade) end the whole server, and waits without limit, shielded from cancellation,
for a reader that has stalled. Importing this module puts a better one in its place.
"""

import errno
import logging
import socket
import struct
from collections.abc import Awaitable
from typing import Any

import hypercorn.trio.run
import trio
from hypercorn.config import Config
from hypercorn.events import Closed, Event, RawData, Updated
from hypercorn.trio.tcp_server import TCPServer

log = logging.getLogger(__name__)

#: A reader gets this many bytes at a time, and this long (s) to take them.
SLICE = 64 * 1024
SEND_TIMEOUT = 10.0

#: An application gets this long (s) to take notice that its client has gone.
CLOSE_TIMEOUT = 2.0

#: Seconds between two lines about connections that broke; those in between are only counted.
QUIET = 10.0

_NO_LINGER = struct.pack("ii", 1, 0)

#: What a socket says when its other end has gone.
GONE = frozenset({errno.ENOTCONN, errno.EBADF, errno.ECONNRESET, errno.EPIPE, errno.EINVAL})


class FrontConfig(Config):
    """hypercorn's settings, and the connections that are open under them."""

    max_connections = 1000
    send_timeout = SEND_TIMEOUT

    def __init__(self) -> None:
        self.connections: set[Connection] = set()
        self.broken = Broken()

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

    async def run(self) -> None:
        """Serve the client until either side ends it."""
        if len(self.config.connections) >= self.config.max_connections:
            await trio.aclose_forcefully(self.stream)
            return
        self.config.connections.add(self)
        try:
            await self._run()
        finally:
            self.config.connections.discard(self)

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
        stream: Any = self.stream
        client = getattr(stream, "transport_stream", stream).socket
        if reset and client.fileno() != -1:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)
        client.close()

    async def protocol_send(self, event: Event) -> None:
        """Send bytes within a deadline, by slices; everything else as hypercorn does."""
        if isinstance(event, Updated):
            # quart cancels a request's tasks while its last send is still marking the connection idle; that
            # would cancel the idle timeout at its birth, and the connection would stay open for ever.
            with trio.CancelScope(shield=True):
                await super().protocol_send(event)
            return
        if not isinstance(event, RawData):
            await super().protocol_send(event)
            return
        async with self.send_lock:
            try:
                await self._send(event.data)
            except (trio.BrokenResourceError, trio.ClosedResourceError, trio.TooSlowError):
                self.abort(reset=True)
                await _bounded(self.protocol.handle(Closed()))

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


setattr(hypercorn.trio.run, "TCPServer", Connection)  # noqa: B010 - not exported, so not assignable to mypy
