"""Streamable HTTP: who needs a session has one, and who needs none is answered without."""

import logging
from collections.abc import AsyncIterator, Mapping
from functools import partial
from typing import Any

import httpx
import pytest
import trio
from agents_client import ASKED, INITIALIZED, STATELESS, call
from front_door import FakeDoor
from structlog.testing import capture_logs

from actors.access.access import Access
from actors.access.keyring import wall_clock
from actors.front.agents import transport
from wadm.keys import Permission, written

BOTH = "application/json, text/event-stream"
INITIALIZE = {
    "jsonrpc": "2.0", "id": 1, "method": "initialize",
    "params": {
        "protocolVersion": INITIALIZED, "capabilities": {}, "clientInfo": {"name": "t", "version": "1"},
    },
}  # fmt: skip


async def begun(client: httpx.AsyncClient, **headers: str) -> dict[str, str]:
    """Begin a session; return the headers that go on with it."""
    answer = await client.post("/mcp", json=INITIALIZE, headers={"Accept": BOTH, **headers})
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/event-stream")
    session = {"Mcp-Session-Id": answer.headers["mcp-session-id"], **headers}
    told = {"jsonrpc": "2.0", "method": "notifications/initialized"}
    assert (await client.post("/mcp", json=told, headers={"Accept": BOTH, **session})).status_code == 202
    return session


@pytest.mark.parametrize("version", [INITIALIZED, STATELESS])
async def test_a_call_needs_no_session_and_its_answer_is_json(
    client: httpx.AsyncClient, version: str
) -> None:
    for accept in (BOTH, "application/json"):
        answered = await client.post(**call(version, Accept=accept))
        assert answered.status_code == 200, answered.text
        assert answered.headers["content-type"].startswith("application/json")
        assert answered.json()["result"]["structuredContent"]["total"] == 4
        assert "mcp-session-id" not in answered.headers


async def test_a_session_that_was_ended_is_not_found(client: httpx.AsyncClient) -> None:
    session = await begun(client)
    asked = call(INITIALIZED, **session)
    answered = await client.post(**asked)
    assert (answered.status_code, answered.headers["content-type"][:17]) == (200, "text/event-stream")
    assert (await client.delete("/mcp", headers=session)).status_code == 200
    assert (await client.post(**asked)).status_code == 404


async def test_a_session_of_before_a_restart_is_answered_but_hears_nothing(client: httpx.AsyncClient) -> None:
    session = {"Mcp-Session-Id": "0" * 32}
    answered = await client.post(**call(INITIALIZED, **session))
    assert answered.json()["result"]["structuredContent"]["total"] == 4
    listening = await client.get("/mcp", headers={"Accept": "text/event-stream", **session})
    assert listening.status_code == 404  # begin anew
    subscribing = {
        "jsonrpc": "2.0",
        "id": 1,
        "method": "resources/subscribe",
        "params": {"uri": "wadm://status"},
    }
    refused = await client.post("/mcp", json=subscribing, headers=call(INITIALIZED, **session)["headers"])
    assert "begin with initialize" in refused.json()["error"]["message"]


async def test_a_session_opens_to_the_key_that_began_it_only(
    client: httpx.AsyncClient, access: Access
) -> None:
    keys = []
    for name in ("one", "other"):
        key, secret = access.register.create(name, Permission.READ, by="test", now=wall_clock(), days=30)
        keys.append(written(key.id, secret))
    access.keyring.refresh()
    session = await begun(client, **{"X-API-Key": keys[0]})
    assert (await client.post(**call(INITIALIZED, **session))).status_code == 200
    assert (await client.post(**call(INITIALIZED, **session | {"X-API-Key": keys[1]}))).status_code == 404


class TestFewSessions:
    @pytest.fixture(autouse=True)
    def _few(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(transport, "MOST_SESSIONS", 2)

    async def test_sessions_are_not_opened_without_end(self, client: httpx.AsyncClient) -> None:
        first, _ = await begun(client), await begun(client)
        refused = await client.post("/mcp", json=INITIALIZE, headers={"Accept": BOTH})
        assert (refused.status_code, refused.json()["error"]["message"]) == (503, "Too many open sessions")
        assert (await client.post(**call(INITIALIZED))).status_code == 200  # without one
        await client.delete("/mcp", headers=first)
        await begun(client)


class Stuck(FakeDoor):
    """Never answers, and says when it was asked and when that was given up."""

    def __init__(self) -> None:
        super().__init__()
        self.begun, self.given_up = trio.Event(), trio.Event()

    async def ask(self, question: Any, given: Mapping[str, str]) -> dict[str, object]:
        self.begun.set()
        try:
            await trio.sleep_forever()
        finally:
            self.given_up.set()
        raise AssertionError


class TestGone:
    @pytest.fixture
    def door(self) -> Stuck:
        return Stuck()

    async def test_one_who_went_away_in_the_middle_of_a_call_ends_it(
        self, client: httpx.AsyncClient, door: Stuck, caplog: pytest.LogCaptureFixture
    ) -> None:
        asked = call(STATELESS, "get_order_flow")
        asked["json"]["params"]["arguments"] = ASKED
        with caplog.at_level(logging.WARNING), trio.fail_after(30):
            async with trio.open_nursery() as nursery:

                async def ask() -> None:
                    await client.post(**asked)

                nursery.start_soon(ask)
                await door.begun.wait()
                nursery.cancel_scope.cancel()
            await door.given_up.wait()
        assert caplog.records == []

    async def test_one_who_went_away_from_a_session_leaves_no_trace_in_the_log(
        self, client: httpx.AsyncClient, door: Stuck, caplog: pytest.LogCaptureFixture
    ) -> None:
        session = await begun(client)
        asked = call(INITIALIZED, "get_order_flow", **session)
        asked["json"]["params"]["arguments"] = ASKED
        with caplog.at_level(logging.WARNING), trio.fail_after(30):
            async with trio.open_nursery() as nursery:

                async def ask() -> None:
                    await client.post(**asked)

                nursery.start_soon(ask)
                await door.begun.wait()
                nursery.cancel_scope.cancel()
            assert not door.given_up.is_set()  # it may come back for it
            await client.delete("/mcp", headers=session)
            await door.given_up.wait()
        assert caplog.records == []

    @pytest.mark.parametrize("version", ["", INITIALIZED, STATELESS])
    async def test_one_who_went_away_in_the_middle_of_a_request_leaves_no_trace_in_the_log(
        self, client: httpx.AsyncClient, caplog: pytest.LogCaptureFixture, version: str
    ) -> None:
        left = trio.Event()

        async def half() -> AsyncIterator[bytes]:
            yield b'{"jsonrpc": "2.0", '
            left.set()
            await trio.sleep_forever()

        headers = {"Accept": BOTH, "Content-Type": "application/json", "MCP-Protocol-Version": version}
        asked = {name: value for name, value in headers.items() if value}
        with caplog.at_level(logging.WARNING), capture_logs() as lines, trio.fail_after(30):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(partial(client.post, "/mcp", content=half(), headers=asked))
                await left.wait()
                nursery.cancel_scope.cancel()
            while not lines:  # noqa: ASYNC110  # the line of a request is the last that happens
                await trio.sleep(0.001)
        assert [(line["status"], line["log_level"]) for line in lines] == [("none", "debug")]
        assert caplog.records == []


async def test_beside_the_path_there_is_nothing(client: httpx.AsyncClient) -> None:
    for path in ("/mcp/", "/mcp/sse"):
        refused = await client.post(path, json=INITIALIZE, headers={"Accept": BOTH})
        assert (refused.status_code, refused.json()["code"]) == (404, "not_found")
