"""The HTTP server: one port, hypercorn on trio, `/mcp` to the agents' door and everything else to the app."""

import errno
import logging
import socket
import ssl
from collections.abc import Awaitable, Callable, Mapping

import trio
from hypercorn.app_wrappers import ASGIWrapper
from hypercorn.config import Sockets
from hypercorn.trio.run import worker_serve
from hypercorn.utils import repr_socket_addr

from actors.front.connections import FrontConfig
from actors.front.limits import Application, Limits, Receive, Scope, Send
from actors.front.problems import RefusedRequestError
from actors.front.refusals import refuse
from wadm.mistakes import Mistake

#: Requests in flight get this long (s) when the server is asked to stop.
GRACE = 0.5

_BACKLOG = 256

_WHY = {
    errno.EADDRINUSE: "it is in use; stop the program that holds it, or set another port (0 is any free one)",
    errno.EACCES: "this user may not; set a port from 1024 up",
    errno.EADDRNOTAVAIL: "this machine has no such address; set one of its own, such as 127.0.0.1",
}


class BindError(Mistake):
    """The address cannot be listened on. ``str()`` says which, why, and what to do."""

    def __init__(self, host: str, port: int, why: str) -> None:
        super().__init__(f"Cannot listen on {host}:{port}: {why}.")
        self.host, self.port = host, port


class Dispatcher:
    """Sends each request to the application that owns its path; ``others`` are those of a single path."""

    def __init__(
        self, app: Application, mcp: Application | None, others: Mapping[str, Application] | None = None
    ) -> None:
        self._app, self._mcp, self._others = app, mcp, others or {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, one WebSocket or the server's lifespan."""
        path = scope.get("path", "")
        if path in self._others:
            await self._others[path](scope, receive, send)
        elif self._mcp is not None and (path == "/mcp" or path.startswith("/mcp/")):
            await self._mcp(scope, receive, send)
        elif scope["type"] == "websocket":
            await receive()  # the handshake
            sockets = RefusedRequestError(404, "not_found", "path", path, "/ws/v1 for a WebSocket")
            await refuse(send, sockets, kind="websocket.http")
        else:
            await self._app(scope, receive, send)


async def listen(host: str, port: int) -> socket.socket:
    """Return a socket that listens on ``host:port``. Raises BindError."""
    if not 0 <= port <= 65535:  # the resolver would take it modulo 65536
        raise BindError(host, port, "a port is a number from 0 to 65535")
    try:
        found = await trio.socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE | socket.AI_NUMERICSERV
        )
    except (OSError, UnicodeError) as error:
        raise BindError(host, port, f"the host is not known ({error})") from error
    family, kind, protocol, _, address = found[0]
    bound = socket.socket(family, kind, protocol)
    try:
        bound.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind(address)
        bound.listen(_BACKLOG)
        bound.setblocking(False)
    except OSError as error:
        bound.close()
        raise BindError(host, port, _WHY.get(error.errno or 0, str(error))) from error
    return bound


def configure() -> FrontConfig:
    """Return hypercorn's settings: short patience, no access log, errors to the standard logging."""
    config = FrontConfig()
    logger = logging.getLogger("actors.front.hypercorn")
    if logger.level == logging.NOTSET:
        logger.setLevel(logging.WARNING)  # "Running on …" is said by whoever announces the address
    config.errorlog = logger
    config.accesslog = None
    config.include_server_header = False
    config.h11_max_incomplete_size = 32 * 1024
    config.h2_max_concurrent_streams = 20
    config.keep_alive_timeout = 15.0
    config.ssl_handshake_timeout = 10.0
    config.websocket_max_message_size = 64 * 1024
    config.websocket_ping_interval = 20.0
    config.graceful_timeout = GRACE
    config.shutdown_timeout = 2.0
    return config


async def serve(
    application: Application,
    listening: socket.socket,
    *,
    tls: ssl.SSLContext | None = None,
    stopping: Callable[[], Awaitable[object]] = trio.sleep_forever,
    config: FrontConfig | None = None,
    task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Serve until cancelled, or until ``stopping()`` returns and the requests in flight had their grace."""
    config = config or configure()
    config.tls = tls
    served = Limits(application)
    async with trio.open_nursery() as nursery:
        stop = trio.Event()
        nursery.start_soon(_stop, config, stopping, stop)
        await nursery.start(_work, served, config, listening, stop, nursery.cancel_scope)
        task_status.started()


async def _work(
    application: Limits,
    config: FrontConfig,
    listening: socket.socket,
    stop: trio.Event,
    over: trio.CancelScope,
    *,
    task_status: trio.TaskStatus[list[str]],
) -> None:
    await worker_serve(
        ASGIWrapper(application),  # type: ignore[arg-type]  # the same protocol in looser words
        config,
        sockets=Sockets([], [listening], []) if config.tls is None else Sockets([listening], [], []),
        shutdown_trigger=stop.wait,
        task_status=task_status,
    )
    over.cancel()


async def _stop(config: FrontConfig, stopping: Callable[[], Awaitable[object]], stop: trio.Event) -> None:
    try:
        await stopping()
        stop.set()
        await trio.sleep(GRACE)
    finally:
        # Also when cancelled: a send that is shielded ends because its socket is closed.
        config.abort()


def url(listening: socket.socket, *, tls: bool = False) -> str:
    """Return the URL under which this machine reaches a listening socket."""
    address = listening.getsockname()
    shown = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(address[0], address[0])
    return f"{'https' if tls else 'http'}://{repr_socket_addr(listening.family, (shown, *address[1:]))}"
