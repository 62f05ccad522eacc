"""Our WebSocket over real sockets: what it says when it works, ends and fails."""

import errno
import math
import re
import socket
import ssl
import time
from collections.abc import Awaitable, Callable

import pytest
import trio
import trio.testing
import trio_websocket
import trustme
from websocket_wire import closing, frame, read_request, response

from actors.connections.dial import Address, explain_handshake
from actors.connections.tap import HandshakeCutError
from actors.connections.websocket import ConnectFailed, ConnectionLost, open_websocket

AUTHORITY = trustme.CA()
Handler = Callable[[trio.SocketStream], Awaitable[None]]


async def _serve(nursery: trio.Nursery, handler: Handler) -> str:
    """Serve raw TCP; return the URL."""
    listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
    await nursery.start(trio.serve_listeners, handler, listeners)
    return f"ws://127.0.0.1:{listeners[0].socket.getsockname()[1]}"


def _saying(wire: bytes) -> Handler:
    """Accept the handshake, say ``wire``, and wait for the client to hang up."""

    async def handler(stream: trio.SocketStream) -> None:
        await stream.send_all(response(await read_request(stream)) + wire)
        while await stream.receive_some():
            pass

    return handler


def _answering(answer: bytes) -> Handler:
    """Answer the handshake with these bytes and hang up."""

    async def handler(stream: trio.SocketStream) -> None:
        await read_request(stream)
        await stream.send_all(answer)

    return handler


async def _nothing(stream: trio.SocketStream) -> None:
    await trio.sleep_forever()


async def _echo(
    nursery: trio.Nursery, ssl_context: ssl.SSLContext | None = None
) -> trio_websocket.WebSocketServer:
    async def handler(request: trio_websocket.WebSocketRequest) -> None:
        connection = await request.accept()
        try:
            while True:
                await connection.send_message(f"{request.path} {await connection.get_message()}")
        except trio_websocket.ConnectionClosed as closed:
            ends.append(closed.reason.code)

    ends: list[int] = []
    server = await nursery.start(trio_websocket.serve_websocket, handler, "127.0.0.1", 0, ssl_context)
    server.ends = ends
    return server


async def test_a_conversation(nursery: trio.Nursery) -> None:
    server = await _echo(nursery)
    before = time.time_ns() // 1000
    async with open_websocket(f"ws://127.0.0.1:{server.port}/stream?streams=a/b#c") as websocket:
        await websocket.send("hé")
        run = await anext(websocket.runs())
        assert websocket.close_code is None
    assert run.frames == ["/stream?streams=a/b hé".encode()]
    assert before <= run.received_at <= time.time_ns() // 1000
    assert 0 <= time.perf_counter() - run.clock < 60
    assert (websocket.close_code, server.ends) == (1000, [1000])
    with pytest.raises(ConnectionLost, match="1000"):
        await websocket.send("too late")


async def test_leaving_the_loop_early_leaves_nothing_behind(nursery: trio.Nursery) -> None:
    url = await _serve(nursery, _saying(frame(b"one")))
    async with open_websocket(url, close_timeout=0) as websocket:
        async for run in websocket.runs():
            assert run.frames == [b"one"]
            break


async def test_runs_end_with_a_clean_close(nursery: trio.Nursery) -> None:
    url = await _serve(nursery, _saying(frame(b"one") + closing(1000, b"end of capture")))
    async with open_websocket(url) as websocket:
        assert [run.frames async for run in websocket.runs()] == [[b"one"]]
        assert (websocket.close_code, websocket.close_reason) == (1000, "end of capture")
        assert [run async for run in websocket.runs()] == []


async def test_runs_tell_a_loss_after_the_last_message(nursery: trio.Nursery) -> None:
    url = await _serve(nursery, _saying(frame(b"one") + closing(1001, b"going away")))
    async with open_websocket(url) as websocket:
        runs = websocket.runs()
        assert (await anext(runs)).frames == [b"one"]
        with pytest.raises(ConnectionLost, match=r"^going away \(WebSocket code 1001\)$") as lost:
            await anext(runs)
        assert (lost.value.code, lost.value.reason) == (1001, "going away")
        with pytest.raises(ConnectionLost, match="going away"):
            await websocket.send("too late")


async def test_a_connection_that_is_cut(nursery: trio.Nursery) -> None:
    async def handler(stream: trio.SocketStream) -> None:
        await stream.send_all(response(await read_request(stream)) + frame(b"one") + frame(b"half")[:3])

    async with open_websocket(await _serve(nursery, handler)) as websocket:
        runs = websocket.runs()
        assert (await anext(runs)).frames == [b"one"]
        with pytest.raises(ConnectionLost, match="the server hung up without closing the WebSocket") as lost:
            await anext(runs)
        assert lost.value.code == 1006


async def test_a_connection_that_is_reset(nursery: trio.Nursery) -> None:
    async def handler(stream: trio.SocketStream) -> None:
        await stream.send_all(response(await read_request(stream)))
        stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")

    async with open_websocket(await _serve(nursery, handler)) as websocket:
        with pytest.raises(ConnectionLost, match="reset by peer") as lost:
            await anext(websocket.runs())
        assert lost.value.code == 1006


@pytest.mark.parametrize(
    ("answer", "sentence", "status", "retry_after"),
    [
        (b"HTTP/1.1 451 \r\nContent-Length: 9\r\n\r\nforbi", "451 (Unavailable For Legal", 451, None),
        (b"HTTP/1.1 403 Forbidden\r\n\r\n", "with HTTP 403 (Forbidden)", 403, None),
        (b"HTTP/1.1 429 Slow\r\nRetry-After: 17\r\n\r\n", "with HTTP 429 (Too Many Requests)", 429, 17.0),
        (b"HTTP/1.1 418 \r\nretry-after: " + b"9" * 400 + b"\r\n\r\n", "with HTTP 418", 418, 259_200.0),
        (b"HTTP/1.1 418 \r\nretry-after: x\r\n\r\n", "with HTTP 418", 418, None),
        (b"HTTP/1.1 599 \r\n\r\n", "with HTTP 599", 599, None),
        (b"HTTP/1.1 200 OK\r\n\r\nhello", "with HTTP 200 (OK)", 200, None),
        (b"HTTP/1.1 101 Switching\r\n\r\n", "no WebSocket handshake", None, None),
        (b"\x16\x03\x01 not http\r\n\r\n", "hung up during", None, None),
        (b"HTTP/1.1 10", "hung up during", None, None),
        (b"", "hung up during", None, None),
    ],
)  # fmt: skip
async def test_a_refused_handshake(
    nursery: trio.Nursery, answer: bytes, sentence: str, status: int | None, retry_after: float | None
) -> None:
    url = await _serve(nursery, _answering(answer))
    with pytest.raises(ConnectFailed) as failed:
        async with open_websocket(url + "/ws"):
            pytest.fail("it is open")
    assert url.removeprefix("ws://") in str(failed.value)
    assert sentence in str(failed.value)
    assert (failed.value.status, failed.value.retry_after) == (status, retry_after)


async def test_a_port_where_nobody_listens() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with pytest.raises(ConnectFailed, match=f"cannot connect to 127.0.0.1:{port}: Connection refused"):
        async with open_websocket(f"ws://127.0.0.1:{port}"):
            pytest.fail("it is open")


async def test_a_name_that_cannot_be_resolved() -> None:
    class Resolver(trio.abc.HostnameResolver):
        async def getaddrinfo(self, *_: object) -> list[tuple[object, ...]]:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

        async def getnameinfo(self, *_: object) -> tuple[str, str]:
            raise OSError(errno.ENOSYS, "unused")

    trio.socket.set_custom_hostname_resolver(Resolver())
    with pytest.raises(
        ConnectFailed, match=r"connect to nowhere.test: its name cannot be resolved \(Name or"
    ):
        async with open_websocket("wss://nowhere.test/ws"):
            pytest.fail("it is open")


async def test_a_server_that_keeps_silent(nursery: trio.Nursery) -> None:
    url = await _serve(nursery, _nothing)
    with pytest.raises(ConnectFailed, match=r"no WebSocket with 127.0.0.1:\d+ within 0.05 s"):
        async with open_websocket(url, connect_timeout=0.05):
            pytest.fail("it is open")


@pytest.mark.parametrize("url", ["http://host/ws", "ws:///ws", "host:80", ""])
async def test_what_is_no_websocket_url(url: str) -> None:
    with pytest.raises(ValueError, match="expected ws://HOST… or wss://HOST…"):
        async with open_websocket(url):
            pytest.fail("it is open")


def _server_tls() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    AUTHORITY.issue_cert("localhost").configure_cert(context)
    return context


async def test_tls(nursery: trio.Nursery) -> None:
    server = await _echo(nursery, _server_tls())
    context = ssl.create_default_context()
    AUTHORITY.configure_trust(context)
    async with open_websocket(f"wss://localhost:{server.port}/ws", ssl_context=context) as websocket:
        await websocket.send("x" * 100_000)
        run = await anext(websocket.runs())
    assert run.frames == [b"/ws " + b"x" * 100_000]
    assert (websocket.close_code, server.ends) == (1000, [1000])


async def test_a_certificate_that_is_not_trusted(nursery: trio.Nursery) -> None:
    listeners = await trio.open_ssl_over_tcp_listeners(0, _server_tls(), host="127.0.0.1")

    async def handler(stream: trio.SSLStream[trio.SocketStream]) -> None:
        with pytest.raises(trio.BrokenResourceError):
            await stream.do_handshake()

    await nursery.start(trio.serve_listeners, handler, listeners)
    port = listeners[0].transport_listener.socket.getsockname()[1]
    with pytest.raises(ConnectFailed, match=f"no TLS with localhost:{port}: its certificate is not trusted"):
        async with open_websocket(f"wss://localhost:{port}"):
            pytest.fail("it is open")


async def test_a_server_without_tls(nursery: trio.Nursery) -> None:
    async def handler(stream: trio.SocketStream) -> None:
        await stream.receive_some()
        await stream.send_all(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    url = await _serve(nursery, handler)
    with pytest.raises(ConnectFailed, match=r"no TLS with 127.0.0.1:\d+: .*(VERSION|version)"):
        async with open_websocket(url.replace("ws:", "wss:")):
            pytest.fail("it is open")


async def test_the_blocks_own_exception_leaves_bare(nursery: trio.Nursery) -> None:
    url = await _serve(nursery, _saying(b""))
    with pytest.raises(ZeroDivisionError):
        async with open_websocket(url, close_timeout=0.01):
            _ = 1 / 0


async def test_a_cancelled_block_ends_at_once(nursery: trio.Nursery) -> None:
    url = await _serve(nursery, _nothing_after_handshake)
    with trio.fail_after(5), trio.CancelScope() as scope:
        async with open_websocket(url, close_timeout=math.inf) as websocket:
            scope.cancel()
            await anext(websocket.runs())
    assert scope.cancelled_caught


async def _nothing_after_handshake(stream: trio.SocketStream) -> None:
    await stream.send_all(response(await read_request(stream)))
    await trio.sleep_forever()


async def test_closing_gives_up_on_a_server_that_does_not_answer(nursery: trio.Nursery) -> None:
    url = await _serve(nursery, _nothing_after_handshake)
    with trio.fail_after(5):
        async with open_websocket(url, close_timeout=0.05) as websocket:
            pass
    assert websocket.close_code == 1000


async def test_a_ping_while_closing_does_not_hold_up_the_end(nursery: trio.Nursery) -> None:
    async def handler(stream: trio.SocketStream) -> None:
        await stream.send_all(response(await read_request(stream)))
        await stream.receive_some()  # the closing frame
        await stream.send_all(frame(b"still there?", 9))
        await trio.sleep_forever()

    url = await _serve(nursery, handler)
    with trio.fail_after(5):
        async with open_websocket(url, close_timeout=math.inf):
            pass


async def test_a_send_that_is_cut_short_ends_the_connection(nursery: trio.Nursery) -> None:
    url = await _serve(nursery, _nothing_after_handshake)
    with trio.fail_after(5):
        async with open_websocket(url, close_timeout=math.inf) as websocket:
            async with trio.open_nursery() as sending:
                sending.start_soon(websocket.send, "x" * 8_000_000)
                await trio.testing.wait_all_tasks_blocked()
                sending.cancel_scope.cancel()
            with pytest.raises(ConnectionLost):
                await websocket.send("after the half")


@pytest.mark.parametrize(
    ("host", "what_to_do"),
    [
        ("stream.bybit.com", r"use a proxy \(network.proxy\)$"),
        ("stream.binance.com", r"use a proxy \(network.proxy\) or wss://data-stream.binance.vision "),
    ],
)
def test_where_an_exchange_does_not_serve_it_is_said_what_to_do(host: str, what_to_do: str) -> None:
    refused = HandshakeCutError("HTTP/1.1 451 Unavailable For Legal Reasons\r\n\r\n")
    said = explain_handshake(Address(host, 443, secure=True, target="/ws"), refused)
    assert said.status == 451
    assert re.search(r"HTTP 451 \(.*\): the exchange does not serve this location: " + what_to_do, str(said))
