"""``wadm mcp``: the running daemon on standard input and output, as the SDK's own client sees it."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import trio
from agents_client import ASKED, STATELESS, answer
from front_door import FakeDoor
from mcp import Client, StdioServerParameters, stdio_client
from mcp.client.subscriptions import ResourceUpdated

from actors.access.access import Access
from actors.access.keyring import wall_clock
from actors.bridge.bridge import Bridge
from actors.bridge.lines import LONGEST
from actors.front.agents import subscriptions, tool
from actors.front.front import front
from supervision.actor import Context
from wadm.keys import Permission, written
from wadm.sections import HttpSettings

TRADES = "wadm://binance_usdm/BTCUSDT/trades"
INITIALIZE = {
    "jsonrpc": "2.0", "id": 1, "method": "initialize",
    "params": {
        "protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"},
    },
}  # fmt: skip
INITIALIZED = {"jsonrpc": "2.0", "method": "notifications/initialized"}
NOWHERE = "http://127.0.0.1:1"


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "wadm", "mcp", *arguments]


class Slow(FakeDoor):
    """Answers once it is let to."""

    def __init__(self) -> None:
        super().__init__()
        self.begun, self.go, self.cancelled = trio.Event(), trio.Event(), trio.Event()

    async def ask(self, question: Any, given: Mapping[str, str]) -> dict[str, object]:
        self.begun.set()
        try:
            await self.go.wait()
        except trio.Cancelled:
            self.cancelled.set()
            raise
        return await super().ask(question, given)


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subscriptions, "EVERY", 0.01)
    monkeypatch.setattr(tool, "PROGRESS_EVERY", 0.01)


class TestSdkClient:
    """Everything over the two pipes of a real process."""

    @pytest.fixture
    def door(self) -> Slow:
        return Slow()

    @pytest.fixture(params=["legacy", STATELESS])
    async def agent(self, url: str, request: pytest.FixtureRequest) -> AsyncIterator[Client]:
        server = StdioServerParameters(command=sys.executable, args=command("--url", url)[1:])
        with trio.fail_after(30):
            async with Client(stdio_client(server), mode=request.param) as connected:
                yield connected

    async def test_an_agent_sees_what_it_would_see_over_http(self, agent: Client, door: Slow) -> None:
        heard: list[float] = []

        async def progress(done: float, _total: float | None, _message: str | None) -> None:
            await trio.lowlevel.checkpoint()
            heard.append(done)
            door.go.set()

        assert len((await agent.list_tools()).tools) == 13
        called = await agent.call_tool("get_candles", ASKED, progress_callback=progress)
        assert called.structured_content is not None
        assert heard
        flow = await answer(agent, "get_order_flow", **ASKED)
        assert flow["trades"] == 4000
        (contents,) = (await agent.read_resource("wadm://symbols")).contents
        assert "SHIB1000USDT" in contents.text  # type: ignore[union-attr]

    async def test_a_call_that_is_cancelled_stops_the_work(
        self, agent: Client, door: Slow, nursery: trio.Nursery
    ) -> None:
        scope = trio.CancelScope()

        async def ask() -> None:
            with scope:
                await agent.call_tool("get_candles", ASKED)

        nursery.start_soon(ask)
        await door.begun.wait()
        scope.cancel()
        await door.cancelled.wait()


async def test_a_listener_hears_through_the_bridge(url: str, door: FakeDoor) -> None:
    server = StdioServerParameters(command=sys.executable, args=command("--url", url)[1:])
    with trio.fail_after(30):
        async with (
            Client(stdio_client(server), mode=STATELESS) as agent,
            agent.listen(resource_subscriptions=[TRADES]) as listening,
        ):
            door.last_trade = "2024-08-08T23:59:59.2Z"
            assert await anext(listening) == ResourceUpdated(uri=TRADES)


def run(*lines: object) -> subprocess.CompletedProcess[bytes]:
    """Run the bridge on a file, which is no pipe, and where there is no daemon."""
    with tempfile.TemporaryFile() as file:
        for one in lines:
            file.write((one if isinstance(one, bytes) else json.dumps(one).encode()) + b"\n")
        file.seek(0)
        return subprocess.run(
            command("--url", NOWHERE), stdin=file, capture_output=True, check=False, timeout=30
        )


def test_without_a_daemon_every_request_is_told_and_a_person_once() -> None:
    ended = run(INITIALIZE, INITIALIZED, {"jsonrpc": "2.0", "id": "b", "method": "tools/list"}, b"{", b"[]")
    told = {one["id"]: one["error"] for one in map(json.loads, ended.stdout.splitlines())}
    assert ended.returncode == 0
    for name in (1, "b"):
        assert told[name]["code"] == -32000
        assert "no daemon answers at http://127.0.0.1:1/mcp" in told[name]["message"]
    assert [
        one["error"]["code"] for one in map(json.loads, ended.stdout.splitlines()) if one["id"] is None
    ] == [
        -32700,
        -32600,
    ]
    (line,) = ended.stderr.decode().splitlines()
    assert line.startswith("wadm mcp: no daemon answers at http://127.0.0.1:1/mcp")
    assert "start one with `wadm run`" in line


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--url", "127.0.0.1:8920"), "--url is '127.0.0.1:8920'; expected an address"),
        (("--key-file", "/nothing"), "--key-file /nothing cannot be read"),
        (("--key-file", os.devnull), "--key-file /dev/null holds no key"),
    ],
)
def test_a_wrong_argument_is_one_sentence(arguments: tuple[str, ...], says: str) -> None:
    ended = subprocess.run(command(*arguments), input=b"", capture_output=True, check=False, timeout=30)
    assert (ended.returncode, ended.stdout) == (2, b"")
    assert says in ended.stderr.decode()


def test_a_message_without_end_ends_the_bridge() -> None:
    ended = run(b"x" * (LONGEST + 100_000))
    assert ended.returncode == 0
    assert f"longer than {LONGEST} bytes" in ended.stderr.decode()


class Pipe:
    """A bridge in this process, its input a pipe and its output a channel."""

    def __init__(self, url: str, key: dict[str, str] | None = None) -> None:
        self.said: list[str] = []
        self._out, self._in = trio.open_memory_channel[dict[str, Any]](100)
        self._read, self._write = os.pipe()
        self.bridge = Bridge(f"{url}/mcp", key or {}, self._told, self.said.append)

    async def _told(self, message: bytes) -> None:
        assert b"\n" not in message
        await self._out.send(json.loads(message))

    async def run(self) -> None:
        await self.bridge.run(self._read)
        os.close(self._read)

    def send(self, *messages: object) -> None:
        for one in messages:
            os.write(self._write, json.dumps(one).encode() + b"\n")

    async def next(self) -> dict[str, Any]:
        with trio.fail_after(10):
            return await self._in.receive()

    def end(self) -> None:
        os.close(self._write)


async def test_a_key_is_shown_and_one_that_is_wrong_is_told(
    url: str, access: Access, nursery: trio.Nursery
) -> None:
    key, secret = access.register.create("agent", Permission.READ, by="test", now=wall_clock(), days=30)
    access.keyring.refresh()
    right, wrong = Pipe(url, {"X-API-Key": written(key.id, secret)}), Pipe(url, {"X-API-Key": "wrong"})
    for one in (right, wrong):
        nursery.start_soon(one.run)
        one.send(INITIALIZE)
    assert (await right.next())["result"]["serverInfo"]["name"] == "wadm"
    assert (await wrong.next())["error"]["message"].startswith("The key is not known here")
    for one in (right, wrong):
        one.end()


async def test_after_a_restart_the_session_goes_on_with_its_subscriptions(
    context: Context, access: Access, tmp_path: Path, nursery: trio.Nursery
) -> None:
    """The agent begins one session; the daemon is another one afterwards."""
    doors = [FakeDoor(), FakeDoor()]
    port, urls = 0, trio.open_memory_channel[str](1)

    async def serve(door: FakeDoor, scope: trio.CancelScope) -> None:
        with scope:
            await front(context, door, http=HttpSettings(port=port), access=access, bound=urls[0].send_nowait)

    scopes = [trio.CancelScope(), trio.CancelScope()]
    nursery.start_soon(serve, doors[0], scopes[0])
    url = await urls[1].receive()
    port = int(url.rpartition(":")[2])
    pipe = Pipe(url)
    nursery.start_soon(pipe.run)
    subscribing = {"jsonrpc": "2.0", "id": 2, "method": "resources/subscribe", "params": {"uri": TRADES}}
    pipe.send(INITIALIZE)
    assert (await pipe.next())["id"] == 1
    pipe.send(INITIALIZED, subscribing)
    assert await pipe.next() == {"jsonrpc": "2.0", "id": 2, "result": {}}
    scopes[0].cancel()
    nursery.start_soon(serve, doors[1], scopes[1])
    await urls[1].receive()
    pipe.send({"jsonrpc": "2.0", "id": 3, "method": "tools/call", "params": {"name": "list_symbols"}})
    assert (await pipe.next())["id"] == 3
    with trio.fail_after(10):
        while not pipe.said or "goes on" not in pipe.said[-1]:  # noqa: ASYNC110 - no event tells of it
            await trio.sleep(0.01)
    doors[1].last_trade = "2024-08-08T23:59:59.2Z"
    assert (await pipe.next())["params"] == {"uri": TRADES}
    pipe.end()
    scopes[1].cancel()


async def test_it_ends_with_its_input_also_while_a_request_is_open(url: str, monkeypatch: Any) -> None:
    monkeypatch.setattr("actors.bridge.bridge.GRACE", 0.1)
    pipe = Pipe(url)
    listening = {
        "notifications": {"resourceSubscriptions": [TRADES]},
        "_meta": {
            "io.modelcontextprotocol/protocolVersion": STATELESS,
            "io.modelcontextprotocol/clientInfo": {"name": "test", "version": "1"},
            "io.modelcontextprotocol/clientCapabilities": {},
        },
    }
    with trio.fail_after(10):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(partial(pipe.run))
            pipe.send({"jsonrpc": "2.0", "id": 1, "method": "subscriptions/listen", "params": listening})
            assert (await pipe.next())["method"] == "notifications/subscriptions/acknowledged"
            pipe.end()
