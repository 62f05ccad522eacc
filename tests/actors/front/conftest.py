"""A front on a free port of the loopback, answering from a fake door."""

from collections.abc import AsyncIterator
from functools import partial

import httpx
import pytest
import trio
from front_door import FakeDoor

from actors.front.front import front
from supervision.actor import Context


@pytest.fixture
def door() -> FakeDoor:
    return FakeDoor()


@pytest.fixture
def context() -> Context:
    return Context("front", 1)


@pytest.fixture
async def url(door: FakeDoor, context: Context, nursery: trio.Nursery) -> str:
    send, receive = trio.open_memory_channel[str](1)
    nursery.start_soon(partial(front, context, door, port=0, version="0.1.0", bound=send.send_nowait))
    with trio.fail_after(10):
        return await receive.receive()


@pytest.fixture
async def client(url: str) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=url, timeout=10) as http:
        yield http
