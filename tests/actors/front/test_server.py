import socket
from collections.abc import AsyncIterator, Callable
from functools import partial
from typing import Any

import httpx
import pytest
import trio
from front_door import FakeDoor
from trio.testing import wait_all_tasks_blocked

from actors.access.access import Access
from actors.front.connections import FrontConfig
from actors.front.front import front
from actors.front.http import create_app
from actors.front.limits import Limits, Message, Receive, Scope, Send
from actors.front.server import BindError, configure, listen, serve
from actors.front.server import url as url_of
from actors.metrics.scrape import Scrape
from supervision.actor import Context
from wadm.sections import HttpSettings

GET = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"


class Endless:
    """An application that sends without end and says what became of it."""

    def __init__(self) -> None:
        self.sending, self.ended = trio.Event(), trio.Event()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await live(receive, send)
            return
        await send({"type": "http.response.start", "status": 200, "headers": []})
        self.sending.set()
        try:
            await self._send_on(receive, send)
        finally:
            self.ended.set()

    async def _send_on(self, receive: Receive, send: Send) -> None:
        async with trio.open_nursery() as nursery:

            async def until_disconnected() -> None:
                while (await receive())["type"] != "http.disconnect":
                    pass
                nursery.cancel_scope.cancel()

            nursery.start_soon(until_disconnected)
            while True:
                await send({"type": "http.response.body", "body": bytes(1_000_000), "more_body": True})


async def live(receive: Receive, send: Send) -> None:
    for step in ("startup", "shutdown"):
        await receive()
        await send({"type": f"lifespan.{step}.complete"})


@pytest.fixture
async def listening() -> AsyncIterator[socket.socket]:
    bound = await listen("127.0.0.1", 0)
    yield bound
    bound.close()


@pytest.fixture
def config() -> FrontConfig:
    return configure()


async def connect(listening: socket.socket) -> trio.SocketStream:
    return await trio.open_tcp_stream(*listening.getsockname())


async def read_all(stream: trio.SocketStream) -> bytes:
    return b"".join([part async for part in stream])


async def test_a_reader_that_stalls_is_dropped(
    nursery: trio.Nursery, listening: socket.socket, config: FrontConfig
) -> None:
    application = Endless()
    config.send_timeout = 0.2
    await nursery.start(partial(serve, application, listening, config=config))
    async with await connect(listening) as stream:
        await stream.send_all(GET)
        with trio.fail_after(30):
            await application.ended.wait()
            await wait_all_tasks_blocked()
        assert not config.connections


async def test_a_reader_that_stalls_does_not_hold_up_the_end(
    nursery: trio.Nursery, listening: socket.socket
) -> None:
    application = Endless()
    await nursery.start(serve, application, listening)
    async with await connect(listening) as stream:
        await stream.send_all(GET)
        await application.sending.wait()
        await wait_all_tasks_blocked(0.05)
        with trio.fail_after(1):
            nursery.cancel_scope.cancel()
            with trio.CancelScope(shield=True):
                await application.ended.wait()


async def test_a_slow_head_and_an_idle_connection_are_closed(
    nursery: trio.Nursery, listening: socket.socket, config: FrontConfig
) -> None:
    config.keep_alive_timeout = 0.1
    await nursery.start(partial(serve, Endless(), listening, config=config))
    for sent in (b"", b"GET / HTTP/1.1\r\nX: "):
        async with await connect(listening) as stream:
            await stream.send_all(sent)
            with trio.fail_after(30):
                assert await read_all(stream) == b""


async def test_an_idle_connection_is_closed_after_an_answer_too(
    nursery: trio.Nursery, listening: socket.socket, config: FrontConfig, door: FakeDoor, access: Access
) -> None:
    config.keep_alive_timeout = 0.1
    await nursery.start(partial(serve, create_app(door, access, Scrape()), listening, config=config))
    async with await connect(listening) as stream:
        await stream.send_all(GET)
        with trio.fail_after(30):
            assert (await read_all(stream)).startswith(b"HTTP/1.1 200")


async def test_more_connections_than_allowed_are_turned_away(
    nursery: trio.Nursery, listening: socket.socket, config: FrontConfig
) -> None:
    config.max_connections = 2
    application = Endless()
    await nursery.start(partial(serve, application, listening, config=config))
    async with await connect(listening) as first, await connect(listening), await connect(listening) as third:
        with trio.fail_after(30):
            assert await read_all(third) == b""
            await first.send_all(GET)
            assert (await first.receive_some()).startswith(b"HTTP/1.1 200")


async def test_one_that_breaks_is_logged_and_a_flood_of_them_is_counted(
    nursery: trio.Nursery, listening: socket.socket, config: FrontConfig, caplog: pytest.LogCaptureFixture
) -> None:
    async def broken(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await live(receive, send)
        await send({"type": "nonsense"})

    upgrade = b"GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    await nursery.start(partial(serve, broken, listening, config=config))
    for _ in range(5):
        async with await connect(listening) as stream:
            await stream.send_all(
                upgrade + b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\nx"
            )
            with trio.fail_after(30):
                await read_all(stream)
    told = [record for record in caplog.records if record.name == "actors.front.connections"]
    assert len(told) == 1
    assert "client connection(s) broke" in told[0].getMessage()


async def test_a_port_in_use_is_one_sentence(door: FakeDoor, context: Context, access: Access) -> None:
    taken = await listen("127.0.0.1", 0)
    port = taken.getsockname()[1]
    with pytest.raises(BindError) as raised:
        await front(context, door, http=HttpSettings(port=port), access=access)
    taken.close()
    assert str(raised.value).startswith(f"Cannot listen on 127.0.0.1:{port}: it is in use; stop the program")
    assert (raised.value.host, raised.value.port) == ("127.0.0.1", port)


@pytest.mark.parametrize(
    ("host", "port", "why"),
    [
        ("192.0.2.1", 0, "this machine has no such address"),
        ("no such host", 0, "the host is not known"),
        ("127.0.0.1", 70_000, ""),
        ("\udce4", 0, "the host is not known"),
    ],
)
async def test_an_address_that_cannot_be_had_is_one_sentence(host: str, port: int, why: str) -> None:
    with pytest.raises(BindError, match=f"Cannot listen on {host}:{port}: {why}"):
        await listen(host, port)


@pytest.mark.parametrize(
    ("host", "shown"), [("127.0.0.1", "127.0.0.1"), ("0.0.0.0", "127.0.0.1"), ("::1", "[::1]")]
)
async def test_the_url_is_one_that_can_be_opened(host: str, shown: str) -> None:
    try:
        bound = await listen(host, 0)
    except BindError:
        pytest.skip(f"this machine has no {host}")
    assert url_of(bound) == f"http://{shown}:{bound.getsockname()[1]}"
    bound.close()


@pytest.fixture
def start(
    door: FakeDoor, context: Context, http: HttpSettings, access: Access, nursery: trio.Nursery
) -> Callable[[], Any]:
    """Start a front that says when it is bound and when it has ended."""

    async def started() -> tuple[str, trio.Event]:
        ended = trio.Event()
        send, receive = trio.open_memory_channel[str](1)

        async def run() -> None:
            await front(context, door, http=http, access=access, bound=send.send_nowait)
            ended.set()

        nursery.start_soon(run)
        return await receive.receive(), ended

    return started


async def test_asked_to_stop_it_ends_at_once_and_frees_the_port(
    start: Callable[[], Any], context: Context
) -> None:
    address, ended = await start()
    async with httpx.AsyncClient(base_url=address) as client:
        await client.get("/health")
        context.stopping.set()
        with trio.fail_after(0.4):
            await ended.wait()
    (await listen("127.0.0.1", int(address.rsplit(":", 1)[1]))).close()


async def test_a_request_in_flight_is_answered_before_the_end(
    start: Callable[[], Any], context: Context, door: FakeDoor, nursery: trio.Nursery
) -> None:
    asked, answer = hold(door)
    address, ended = await start()
    codes: list[int] = []
    nursery.start_soon(get, f"{address}/api/v1/symbols", codes)
    await asked.wait()
    context.stopping.set()
    answer.set()
    with trio.fail_after(2):
        await ended.wait()
        await wait_all_tasks_blocked()
    assert codes == [200]


async def test_a_request_that_takes_too_long_does_not_hold_up_the_end(
    start: Callable[[], Any], context: Context, door: FakeDoor, nursery: trio.Nursery
) -> None:
    asked, _ = hold(door)
    address, ended = await start()
    nursery.start_soon(get, f"{address}/api/v1/symbols", [])
    await asked.wait()
    context.stopping.set()
    with trio.fail_after(2):
        await ended.wait()


async def get(address: str, codes: list[int]) -> None:
    async with httpx.AsyncClient(timeout=5) as client:
        try:
            codes.append((await client.get(address)).status_code)
        except httpx.TransportError:
            codes.append(0)


def hold(door: FakeDoor) -> tuple[trio.Event, trio.Event]:
    """Make the door wait before it answers; return the events of being asked and of the leave to answer."""
    asked, answer = trio.Event(), trio.Event()

    async def symbols() -> dict[str, object]:
        asked.set()
        await answer.wait()
        return {"symbols": []}

    door.listing = symbols
    return asked, answer


async def test_a_body_that_does_not_come_is_refused(autojump_clock: trio.abc.Clock) -> None:
    sent: list[Message] = []

    async def never() -> Message:
        await trio.sleep_forever()
        raise AssertionError

    async def reads(scope: Scope, receive: Receive, send: Send) -> None:
        assert (await receive())["type"] == "http.disconnect"
        assert (await receive())["type"] == "http.disconnect"
        raise ConnectionError("the client has gone")

    async def send(message: Message) -> None:
        sent.append(message)

    started = trio.current_time()
    await Limits(reads)({"type": "http", "headers": [(b"transfer-encoding", b"chunked")]}, never, send)
    assert trio.current_time() - started == pytest.approx(10)
    assert sent[0]["status"] == 408
    assert b"body_too_slow" in sent[1]["body"]


async def test_a_body_that_grows_too_large_is_refused() -> None:
    sent: list[Message] = []

    async def more() -> Message:
        return {"type": "http.request", "body": bytes(300_000), "more_body": True}

    async def reads(scope: Scope, receive: Receive, send: Send) -> None:
        while (await receive())["type"] == "http.request":
            pass
        await send({"type": "http.response.start", "status": 500, "headers": []})

    async def send(message: Message) -> None:
        sent.append(message)

    await Limits(reads)({"type": "http", "headers": [(b"transfer-encoding", b"chunked")]}, more, send)
    assert [message.get("status") for message in sent] == [413, None]


async def test_a_body_that_comes_after_the_answer_was_made_leaves_the_connection_usable(url: str) -> None:
    head = b"PUT /api/v1/symbols HTTP/1.1\r\nHost: localhost\r\nContent-Length: 7\r\n\r\n"
    async with await trio.open_tcp_stream("127.0.0.1", int(url.rsplit(":", 1)[1])) as stream:
        for _ in range(3):
            await stream.send_all(head)
            await wait_all_tasks_blocked(0.02)
            await stream.send_all(b"nothing")
            with trio.fail_after(30):
                assert (await stream.receive_some()).startswith(b"HTTP/1.1 405")
