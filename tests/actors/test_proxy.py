"""Proxies over real sockets: small ones that speak CONNECT and SOCKS5, and what is said when they do not."""

import base64
import ssl
from collections.abc import Awaitable, Callable

import attrs
import pytest
import trio
import trio_websocket
import trustme

from actors.connections.proxy import Proxy, ProxyFailed
from actors.connections.websocket import ConnectFailed, open_websocket

SECRET = "pass:word/%"
QUOTED = "pass%3Aword%2F%25"
Handler = Callable[[trio.SocketStream], Awaitable[None]]


async def serve(nursery: trio.Nursery, handler: Handler) -> int:
    listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
    await nursery.start(trio.serve_listeners, handler, listeners)
    port: int = listeners[0].socket.getsockname()[1]
    return port


async def echo(nursery: trio.Nursery, ssl_context: ssl.SSLContext | None = None) -> int:
    """Serve WebSockets that say everything back."""

    async def handler(request: trio_websocket.WebSocketRequest) -> None:
        connection = await request.accept()
        try:
            while True:
                await connection.send_message(await connection.get_message())
        except trio_websocket.ConnectionClosed:
            pass

    server = await nursery.start(trio_websocket.serve_websocket, handler, "127.0.0.1", 0, ssl_context)
    port: int = server.port
    return port


async def relay(one: trio.SocketStream, port: int) -> None:
    """Carry bytes between a client and the server behind the proxy, until one of them hangs up."""
    other = await trio.open_tcp_stream("127.0.0.1", port)

    async def carry(source: trio.SocketStream, target: trio.SocketStream) -> None:
        try:
            async for data in source:
                await target.send_all(data)
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            pass
        nursery.cancel_scope.cancel()

    async with other, trio.open_nursery() as nursery:
        nursery.start_soon(carry, one, other)
        nursery.start_soon(carry, other, one)


async def exactly(stream: trio.SocketStream, count: int) -> bytes:
    data = b""
    while len(data) < count:
        part = await stream.receive_some(count - len(data))
        assert part
        data += part
    return data


@attrs.define
class HttpProxy:
    """Answers CONNECT byte by byte, so that no reply comes in one piece."""

    port: int
    user: str | None = None
    asked: list[str] = attrs.field(factory=list)

    async def __call__(self, stream: trio.SocketStream) -> None:
        request = b""
        while not request.endswith(b"\r\n\r\n"):
            request += await exactly(stream, 1)
        line, *headers = request.decode().split("\r\n")
        self.asked.append(line)
        secret = base64.b64encode(f"{self.user}:{SECRET}".encode()).decode()
        if self.user is not None and f"Proxy-Authorization: Basic {secret}" not in headers:
            await stream.send_all(b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n")
            return
        for byte in b"HTTP/1.1 200 Connection established\r\nVia: test\r\n\r\n":
            await stream.send_all(bytes([byte]))
        await relay(stream, self.port)


@attrs.define
class SocksProxy:
    """Wants ``user`` and SECRET where there is a user; ``reply`` is what it answers a request with."""

    port: int
    user: str | None = None
    reply: int = 0
    asked: list[tuple[str, int]] = attrs.field(factory=list)

    async def __call__(self, stream: trio.SocketStream) -> None:
        _, count = await exactly(stream, 2)
        methods = await exactly(stream, count)
        wanted = 0 if self.user is None else 2
        await stream.send_all(bytes([5, wanted if wanted in methods else 255]))
        if wanted not in methods or (self.user is not None and not await self._knows(stream)):
            return
        head = await exactly(stream, 4)
        assert head == b"\x05\x01\x00\x03", "the name is to be resolved by the proxy"
        (length,) = await exactly(stream, 1)
        name = (await exactly(stream, length)).decode()
        self.asked.append((name, int.from_bytes(await exactly(stream, 2))))
        await stream.send_all(bytes([5, self.reply, 0, 1, 127, 0, 0, 1, 0, 80]))
        if not self.reply:
            await relay(stream, self.port)

    async def _knows(self, stream: trio.SocketStream) -> bool:
        _, length = await exactly(stream, 2)
        user = (await exactly(stream, length)).decode()
        (length,) = await exactly(stream, 1)
        known = (user, (await exactly(stream, length)).decode()) == (self.user, SECRET)
        await stream.send_all(bytes([1, not known]))
        return known


async def conversation(url: str, proxy: str, ssl_context: ssl.SSLContext | None = None) -> bytes:
    async with open_websocket(url, proxy=Proxy.of(proxy), ssl_context=ssl_context) as websocket:
        await websocket.send("hello")
        return (await anext(websocket.runs())).frames[0]


@pytest.mark.parametrize("user", [None, "me"])
@pytest.mark.parametrize("scheme", ["http", "socks5", "socks5h"])
async def test_a_conversation_through_a_proxy_that_resolves_the_name(
    nursery: trio.Nursery, scheme: str, user: str | None
) -> None:
    target = await echo(nursery)
    proxy = HttpProxy(target, user) if scheme == "http" else SocksProxy(target, user)
    port = await serve(nursery, proxy)
    credentials = "" if user is None else f"{user}:{QUOTED}@"
    # Nobody here knows this name.
    url = "ws://exchange.test:9443/ws"
    assert await conversation(url, f"{scheme}://{credentials}127.0.0.1:{port}") == b"hello"
    assert proxy.asked == (
        ["CONNECT exchange.test:9443 HTTP/1.1"] if scheme == "http" else [("exchange.test", 9443)]
    )


@pytest.mark.parametrize("scheme", ["http", "socks5"])
async def test_the_exchange_is_spoken_to_in_tls_through_the_proxy(nursery: trio.Nursery, scheme: str) -> None:
    authority = trustme.CA()
    ours, theirs = ssl.create_default_context(), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.configure_trust(ours)
    authority.issue_cert("exchange.test").configure_cert(theirs)
    target = await echo(nursery, theirs)
    port = await serve(nursery, HttpProxy(target) if scheme == "http" else SocksProxy(target))
    assert await conversation("wss://exchange.test/ws", f"{scheme}://127.0.0.1:{port}", ours) == b"hello"


@pytest.mark.parametrize(
    ("scheme", "proxy", "why"),
    [
        (
            "http",
            HttpProxy(0, "other"),
            r"HTTP 407 Proxy Authentication Required: user or password are wrong",
        ),
        ("socks5", SocksProxy(0, "other"), "Username and password authentication failure"),
        ("socks5", SocksProxy(0, reply=5), "Connection refused by destination host"),
    ],
)
async def test_a_proxy_that_does_not_let_through_is_named_without_its_secrets(
    nursery: trio.Nursery, scheme: str, proxy: HttpProxy | SocksProxy, why: str
) -> None:
    port = await serve(nursery, proxy)
    with pytest.raises(ConnectFailed, match=why) as failed:
        await conversation("ws://exchange.test/ws", f"{scheme}://me:{QUOTED}@127.0.0.1:{port}")
    said = str(failed.value)
    assert said.startswith(f"cannot connect to exchange.test: the proxy {scheme}://127.0.0.1:{port} did not")
    assert "pass" not in said.replace("password", "").replace("Username", "")
    assert SECRET not in repr(Proxy.of(f"{scheme}://me:{QUOTED}@127.0.0.1:{port}"))


async def _hang_up(stream: trio.SocketStream) -> None:
    await stream.aclose()


async def _babble(stream: trio.SocketStream) -> None:
    await stream.send_all(b"220 smtp.example ESMTP\r\n\r\n")
    await trio.sleep_forever()


@pytest.mark.parametrize(
    ("scheme", "handler", "why"),
    [
        ("http", _hang_up, "the proxy .* hung up|Connection reset"),
        ("http", _babble, "answered with something that is not HTTP"),
        ("socks5", _hang_up, "the proxy .* hung up|did not connect|Connection reset"),
        ("socks5", _babble, "Unexpected SOCKS version number: 50"),
    ],
)
async def test_what_is_no_proxy_is_said_to_be_none(
    nursery: trio.Nursery, scheme: str, handler: Handler, why: str
) -> None:
    port = await serve(nursery, handler)
    with pytest.raises(ConnectFailed, match=why):
        await conversation("ws://exchange.test/ws", f"{scheme}://127.0.0.1:{port}")


@pytest.mark.parametrize("scheme", ["http", "socks5"])
async def test_a_proxy_that_is_not_there(nursery: trio.Nursery, scheme: str) -> None:
    listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
    port = listeners[0].socket.getsockname()[1]
    await listeners[0].aclose()
    why = f"cannot connect to the proxy {scheme}://127.0.0.1:{port}: Connection refused"
    with pytest.raises(ConnectFailed, match=why):
        await conversation("ws://exchange.test/ws", f"{scheme}://me:{QUOTED}@127.0.0.1:{port}")


async def test_a_proxy_that_never_answers_is_waited_for_as_long_as_the_exchange(
    nursery: trio.Nursery,
) -> None:
    async def silent(stream: trio.SocketStream) -> None:
        await trio.sleep_forever()

    proxy = Proxy.of(f"http://127.0.0.1:{await serve(nursery, silent)}")
    with pytest.raises(ConnectFailed, match=r"no WebSocket with exchange.test within 0.1 s"):
        async with open_websocket("ws://exchange.test", proxy=proxy, connect_timeout=0.1):
            pass


@pytest.mark.parametrize("url", ["ftp://host:1", "host:8080", "http://", "socks4://me:secret@host"])
def test_other_addresses_are_no_proxies_and_are_not_repeated(url: str) -> None:
    with pytest.raises(ValueError, match="a proxy's URL begins with") as refused:
        Proxy.of(url)
    assert "secret" not in str(refused.value)


def test_a_proxy_is_shown_without_its_secrets_and_has_a_usual_port() -> None:
    assert Proxy.of("socks5h://me:secret@[::1]").shown == "socks5h://[::1]:1080"
    assert Proxy.of("https://proxy.test").port == 443


async def test_a_proxy_answer_without_an_end_is_not_read_for_ever(nursery: trio.Nursery) -> None:
    async def endless(stream: trio.SocketStream) -> None:
        await stream.receive_some()
        try:
            while True:
                await stream.send_all(b"HTTP/1.1 200 OK\r\nX: " + b"x" * 4_096 + b"\r\n")
        except trio.BrokenResourceError:
            pass

    proxy = Proxy.of(f"http://127.0.0.1:{await serve(nursery, endless)}")
    with pytest.raises(ProxyFailed, match=r"hung up|not HTTP"):
        await proxy.connect("exchange.test", 80)
