import socket
from functools import partial

import pytest
import trio
from scripted_channel import Scripted

from actors.front import events, websocket
from actors.front.caller import Caller
from actors.front.server import Dispatcher, listen, serve, url
from actors.live.hub import Hub
from wadm.keys import Permission


@pytest.fixture
def news() -> Scripted:
    return Scripted()


@pytest.fixture
async def hub(news: Scripted, nursery: trio.Nursery) -> Hub:
    made = Hub({"news": news, "more": Scripted("more", parameters=())})
    await nursery.start(made.run)
    return made


@pytest.fixture
async def url_of(hub: Hub, nursery: trio.Nursery) -> str:
    """Serve the hub on a free port of the loopback, as behind a gate that lets everybody pass."""
    live = {websocket.PATH: websocket.LiveSocket(hub), events.PATH: events.EventStream(hub)}
    dispatcher = Dispatcher(_nothing, None, live)

    async def passing(scope, receive, send):
        scope["state"] = {"caller": Caller("127.0.0.1", None, Permission.READ)}
        await dispatcher(scope, receive, send)

    listening = await listen("127.0.0.1", 0)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 8192)  # of its connections: they fill sooner
    await nursery.start(partial(serve, passing, listening, stopping=hub.stopping.wait))
    return url(listening)


async def _nothing(scope, receive, send):
    await send({"type": "http.response.start", "status": 404, "headers": []})
    await send({"type": "http.response.body", "body": b"", "more_body": False})
