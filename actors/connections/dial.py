"""From a WebSocket URL to a stream, and from what can go wrong on the way to one plain sentence."""

import re
import socket
import ssl
from http import HTTPStatus
from urllib.parse import urlsplit

import attrs
import trio

from actors.connections.causes import leaves, why
from actors.connections.proxy import Proxy, ProxyFailed
from actors.connections.tap import HandshakeCutError
from actors.connections.tls import TLSStream
from wadm.quota import LONGEST_BAN

_STATUS = re.compile(r"HTTP/\d\.\d (\d{3})")
_RETRY_AFTER = re.compile(r"^retry-after:[ \t]*(\d+)[ \t]*\r?$", re.IGNORECASE | re.MULTILINE)


#: What else can be done about a refusal, by host.
_NOT_SERVED = "the exchange does not serve this location: use a proxy (network.proxy)"
_ALTERNATIVES = {"stream.binance.com": " or wss://data-stream.binance.vision (exchanges.binance.url)"}

#: A peer that is gone is noticed after some two minutes, also where nothing is to be sent.
_KEEPALIVE = {"TCP_KEEPIDLE": 60, "TCP_KEEPINTVL": 15, "TCP_KEEPCNT": 4}


class ConnectFailed(Exception):  # an event of every day, not an error of ours
    """A connection could not be made, for the reason that the sentence gives.

    ``status`` is the HTTP status with which the server refused the handshake; ``retry_after`` (s) is what
    it asked for then.
    """

    def __init__(self, sentence: str, status: int | None = None, retry_after: float | None = None) -> None:
        super().__init__(sentence)
        self.status = status
        self.retry_after = retry_after


@attrs.frozen
class Address:
    """Where a WebSocket URL leads."""

    host: str
    port: int
    secure: bool
    target: str  # path and query

    @classmethod
    def of(cls, url: str) -> "Address":
        """Read a URL; raise ValueError where it is not a WebSocket's."""
        parts = urlsplit(url)
        if parts.scheme not in ("ws", "wss") or not parts.hostname:
            raise ValueError(f"WebSocket URL is {url!r}: expected ws://HOST… or wss://HOST…")
        secure = parts.scheme == "wss"
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        return cls(parts.hostname, parts.port or (443 if secure else 80), secure, target)

    @property
    def host_header(self) -> str:
        """The value of the Host header."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == (443 if self.secure else 80) else f"{host}:{self.port}"


async def dial(
    address: Address, ssl_context: ssl.SSLContext | None, proxy: Proxy | None = None
) -> trio.abc.Stream:
    """Connect over TCP, through ``proxy`` if any, and TLS where asked for. Raises ConnectFailed."""
    try:
        if proxy is None:
            stream: trio.abc.Stream = await trio.open_tcp_stream(address.host, address.port)
        else:
            stream = await proxy.connect(address.host, address.port)
    except OSError as error:
        raise ConnectFailed(f"cannot connect to {address.host_header}: {why(error)}") from error
    except ProxyFailed as error:
        raise ConnectFailed(f"cannot connect to {address.host_header}: {error}") from error
    if isinstance(stream, trio.SocketStream):
        _keep_alive(stream)
    if not address.secure:
        return stream
    context = ssl_context or ssl.create_default_context()
    try:
        return await TLSStream.open(stream, context, address.host)
    except trio.BrokenResourceError as error:
        await trio.aclose_forcefully(stream)
        raise ConnectFailed(f"no TLS with {address.host_header}: {why(error.__cause__ or error)}") from error
    except BaseException:
        await trio.aclose_forcefully(stream)
        raise


def _keep_alive(stream: trio.SocketStream) -> None:
    stream.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in _KEEPALIVE.items():
        if hasattr(socket, name):  # not every system lets these be chosen
            stream.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)


def explain_handshake(address: Address, error: Exception) -> ConnectFailed:
    """Say why the opening handshake failed."""
    host = address.host_header
    cut = next((leaf for leaf in leaves(error) if isinstance(leaf, HandshakeCutError)), None)
    if cut is None:
        return ConnectFailed(f"{host} answered with something that is no WebSocket handshake")
    status = _STATUS.match(cut.head)
    if status is None:
        how = f" ({cut.failure})" if cut.failure else ""
        return ConnectFailed(f"{host} hung up during the WebSocket handshake{how}")
    code = int(status[1])
    retry_after = _RETRY_AFTER.search(cut.head)
    hint = f": {_NOT_SERVED}{_ALTERNATIVES.get(address.host, '')}" if code == 451 else ""
    return ConnectFailed(
        f"{host} refused the WebSocket {address.target!r} with HTTP {_status_words(code)}{hint}",
        status=code,
        retry_after=min(float(retry_after[1]), LONGEST_BAN) if retry_after else None,
    )


def _status_words(code: int) -> str:
    try:
        return f"{code} ({HTTPStatus(code).phrase})"
    except ValueError:
        return str(code)
