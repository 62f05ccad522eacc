"""A way to an exchange through a proxy: HTTP CONNECT (RFC 9110, section 9.3.6) or SOCKS5 (RFC 1928, 1929).

The proxy resolves the exchange's name, for ``socks5`` as for ``socks5h``: the name may be blocked here too.
"""

import base64
import ssl
from urllib.parse import SplitResult, unquote, urlsplit

import attrs
import h11
import trio
from python_socks import ProxyError, ProxyType
from python_socks.async_.trio.v2 import Proxy as SocksProxy

from actors.connections.causes import why
from actors.connections.tls import TLSStream

_PORTS = {"http": 80, "https": 443, "socks5": 1080, "socks5h": 1080}

#: A proxy's answer to CONNECT is read up to so many bytes.
_LONGEST_ANSWER = 64 * 1024


class ProxyFailed(Exception):  # a state of the far side
    """The proxy could not be reached, or did not let through; the sentence holds no secret."""


@attrs.frozen
class Proxy:
    """A proxy by its URL: ``http``, ``https``, ``socks5`` or ``socks5h``, with user and password if any."""

    scheme: str
    host: str
    port: int
    user: str | None = None
    password: str | None = attrs.field(default=None, repr=False)

    @classmethod
    def of(cls, url: str) -> "Proxy":
        """Read a URL, percent-encoded where it must be. Raises ValueError, which does not repeat the URL."""
        parts = urlsplit(url)
        if parts.scheme not in _PORTS or not parts.hostname:
            raise ValueError(
                f"a proxy's URL begins with one of {', '.join(_PORTS)}, as http://HOST:PORT does"
            )
        user, password = _credentials(parts)
        return cls(parts.scheme, parts.hostname, parts.port or _PORTS[parts.scheme], user, password)

    @property
    def shown(self) -> str:
        """The URL without its secrets."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}:{self.port}"

    async def connect(self, host: str, port: int) -> trio.abc.Stream:
        """Return a stream to a host's port behind the proxy. Raises ProxyFailed."""
        try:
            if self.scheme.startswith("socks"):
                return await self._connect_socks(host, port)
            return await self._connect_http(host, port)
        except OSError as error:
            raise ProxyFailed(f"cannot connect to the proxy {self.shown}: {why(error)}") from error
        except trio.BrokenResourceError as error:
            raise ProxyFailed(f"the proxy {self.shown} hung up") from error

    async def _connect_socks(self, host: str, port: int) -> trio.abc.Stream:
        proxy = SocksProxy(ProxyType.SOCKS5, self.host, self.port, self.user, self.password, rdns=True)
        try:
            found = await proxy.connect(host, port)
        except ProxyError as error:
            raise ProxyFailed(f"the proxy {self.shown} did not connect to {host}:{port}: {error}") from error
        return found.trio_stream

    async def _connect_http(self, host: str, port: int) -> trio.abc.Stream:
        stream: trio.abc.Stream = await trio.open_tcp_stream(self.host, self.port)
        try:
            if self.scheme == "https":
                context = ssl.create_default_context()
                stream = await TLSStream.open(stream, context, self.host)
            await self._ask_http(stream, f"[{host}]:{port}" if ":" in host else f"{host}:{port}")
        except BaseException:
            await trio.aclose_forcefully(stream)
            raise
        return stream

    async def _ask_http(self, stream: trio.abc.Stream, target: str) -> None:
        """Ask for a tunnel, and read the answer and nothing of what comes after it."""
        headers = [("Host", target)]
        if self.user is not None:
            secret = base64.b64encode(f"{self.user}:{self.password or ''}".encode()).decode()
            headers.append(("Proxy-Authorization", f"Basic {secret}"))
        client = h11.Connection(h11.CLIENT)
        request = client.send(h11.Request(method="CONNECT", target=target, headers=headers))
        await stream.send_all((request or b"") + (client.send(h11.EndOfMessage()) or b""))
        read = 0
        try:
            while (event := client.next_event()) is h11.NEED_DATA and read <= _LONGEST_ANSWER:
                data = bytes(await stream.receive_some())
                if not data:
                    break
                read += len(data)
                client.receive_data(data)
        except h11.RemoteProtocolError as error:
            raise ProxyFailed(f"the proxy {self.shown} answered with something that is not HTTP") from error
        if not isinstance(event, h11.Response):
            raise ProxyFailed(f"the proxy {self.shown} hung up")
        if not 200 <= event.status_code < 300:
            words = f"{event.status_code} {event.reason.decode('ascii', 'replace')}".strip()
            hint = ": user or password are wrong" if event.status_code == 407 else ""
            raise ProxyFailed(f"the proxy {self.shown} did not connect to {target}: HTTP {words}{hint}")


def _credentials(parts: SplitResult) -> tuple[str | None, str | None]:
    user = None if parts.username is None else unquote(parts.username)
    return user, None if parts.password is None else unquote(parts.password)
