"""The doors for news behind the gate: who may listen, and what an open connection is told of its protocol."""

from collections.abc import AsyncIterator

import h11
import httpx
import pytest
import trio

from actors.access.access import Access
from actors.access.keyring import wall_clock
from wadm.keys import Permission, written

UPGRADE = [
    ("Host", "localhost"), ("Connection", "Upgrade"), ("Upgrade", "websocket"),
    ("Sec-WebSocket-Version", "13"), ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),
]  # fmt: skip


@pytest.fixture
async def stream(url: str) -> AsyncIterator[trio.SocketStream]:
    host, port = url.removeprefix("http://").split(":")
    async with await trio.open_tcp_stream(host, int(port)) as opened:
        yield opened


@pytest.fixture
def key(access: Access) -> str:
    made, secret = access.register.create("reader", Permission.READ, by="test", now=wall_clock(), days=30)
    access.keyring.refresh()
    return written(made.id, secret)


async def answered(stream: trio.SocketStream, *headers: tuple[str, str]) -> tuple[int, dict[bytes, bytes]]:
    """Ask for a WebSocket; return the status and the headers of the answer."""
    connection = h11.Connection(h11.CLIENT)
    request = connection.send(h11.Request(method="GET", target="/ws/v1", headers=[*UPGRADE, *headers]))
    assert request is not None
    await stream.send_all(request)
    with trio.fail_after(30):
        while (event := connection.next_event()) is h11.NEED_DATA:
            connection.receive_data(await stream.receive_some(4096))
    assert isinstance(event, h11.InformationalResponse | h11.Response)
    return event.status_code, dict(event.headers)


async def test_once_there_is_a_key_who_listens_needs_it(
    stream: trio.SocketStream, client: httpx.AsyncClient, key: str
) -> None:
    assert (await client.get("/api/v1/stream?channel=trades")).status_code == 401
    shown = {"X-API-Key": key}
    assert (await client.get("/api/v1/stream?channel=trades", headers=shown)).json()["parameter"] == "channel"
    assert (await answered(stream))[0] == 401


async def test_a_browser_names_its_key_as_a_subprotocol_and_gets_the_other(
    stream: trio.SocketStream, key: str
) -> None:
    status, headers = await answered(stream, ("Sec-WebSocket-Protocol", f"wadm.v1, wadm.key.{key}"))
    assert (status, headers[b"sec-websocket-protocol"]) == (101, b"wadm.v1")
    assert b"x-request-id" in headers
    assert key.encode() not in b"".join(headers.values())


async def test_a_page_of_another_site_may_not_listen(stream: trio.SocketStream) -> None:
    assert (await answered(stream, ("Origin", "https://evil.example")))[0] == 403
