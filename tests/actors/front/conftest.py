"""A front on a free port of the loopback, answering from a fake door."""

from collections.abc import AsyncIterator, Iterator
from functools import partial
from pathlib import Path

import httpx
import pytest
import trio
from agents_client import STATELESS
from front_door import FakeDoor
from mcp import Client

from actors.access.access import Access
from actors.front.front import front
from supervision.actor import Context
from wadm.sections import AccessSettings, HttpSettings


@pytest.fixture
def door() -> FakeDoor:
    return FakeDoor()


@pytest.fixture
def context() -> Context:
    return Context("front", 1)


@pytest.fixture
def http() -> HttpSettings:
    return HttpSettings(port=0)


@pytest.fixture
def access(tmp_path: Path) -> Iterator[Access]:
    opened = Access.open(tmp_path, AccessSettings())
    yield opened
    opened.close()


@pytest.fixture
async def url(
    door: FakeDoor, context: Context, http: HttpSettings, access: Access, nursery: trio.Nursery
) -> str:
    send, receive = trio.open_memory_channel[str](1)
    nursery.start_soon(partial(front, context, door, http=http, access=access, bound=send.send_nowait))
    with trio.fail_after(10):
        return await receive.receive()


@pytest.fixture
async def client(url: str) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=url, timeout=10) as http:
        yield http


@pytest.fixture(params=["legacy", STATELESS])
async def agent(url: str, request: pytest.FixtureRequest) -> AsyncIterator[Client]:
    async with Client(f"{url}/mcp", mode=request.param) as connected:
        yield connected
