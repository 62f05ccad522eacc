"""What is told on the way: notices of changed resources, progress; and calls that are cancelled."""

from collections.abc import AsyncIterator, Mapping
from typing import Any

import pytest
import trio
import trio.testing
from agents_client import ASKED, STATELESS
from front_door import FakeDoor
from mcp import Client
from mcp.client.subscriptions import ResourceUpdated
from mcp.shared.exceptions import MCPError

from actors.front.agents import subscriptions, tool
from actors.front.agents.subscriptions import (
    MOST,
    MOST_OF_ONE,
    Mark,
    Subscriber,
    SubscriptionError,
    Subscriptions,
)

pytestmark = [
    pytest.mark.filterwarnings("ignore:resources/(un)?subscribe is removed"),
    pytest.mark.filterwarnings("ignore:Async generator:ResourceWarning"),
    pytest.mark.filterwarnings("ignore:Exception ignored in:pytest.PytestUnraisableExceptionWarning"),
]

TRADES = "wadm://binance_usdm/BTCUSDT/trades"
PROFILE = "wadm://binance_usdm/BTCUSDT/profile/1h"
STATUS = "wadm://status"


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subscriptions, "EVERY", 0.01)
    monkeypatch.setattr(tool, "PROGRESS_EVERY", 0.01)


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


class TestSessions:
    """2025-11-25."""

    @pytest.fixture
    def heard(self) -> list[str]:
        return []

    @pytest.fixture
    def told(self) -> list[trio.Event]:
        return [trio.Event() for _ in range(3)]

    @pytest.fixture
    async def agent(self, url: str, heard: list[str], told: list[trio.Event]) -> AsyncIterator[Client]:
        async def handle(message: Any) -> None:
            await trio.lowlevel.checkpoint()
            if getattr(message, "method", None) == "notifications/resources/updated":
                heard.append(str(message.params.uri))
                told[len(heard) - 1].set()

        async with Client(f"{url}/mcp", mode="legacy", message_handler=handle) as connected:
            yield connected

    async def test_a_session_is_told_what_it_asked_for_and_no_more(
        self, agent: Client, door: FakeDoor, heard: list[str], told: list[trio.Event]
    ) -> None:
        await agent.session.subscribe_resource(TRADES)
        await agent.session.subscribe_resource(STATUS)
        door.last_trade = "2024-08-08T23:59:59.2Z"
        with trio.fail_after(30):
            await told[0].wait()
        assert heard == [TRADES]
        await agent.session.unsubscribe_resource(TRADES)
        door.last_trade = "2024-08-08T23:59:59.3Z"
        door.healthy = "degraded"
        with trio.fail_after(30):
            await told[1].wait()
        assert heard == [TRADES, STATUS]

    @pytest.mark.parametrize("uri", ["wadm://nothing", "wadm://kraken/BTCUSDT/trades", PROFILE[:-2] + "2h"])
    async def test_what_is_not_there_cannot_be_subscribed(self, agent: Client, uri: str) -> None:
        with pytest.raises(MCPError, match="There is no resource"):
            await agent.session.subscribe_resource(uri)


class TestListening:
    """2026-07-28."""

    @pytest.fixture
    async def agent(self, url: str) -> AsyncIterator[Client]:
        async with Client(f"{url}/mcp", mode=STATELESS) as connected:
            yield connected

    async def test_a_listener_is_told_what_exists(self, agent: Client, door: FakeDoor) -> None:
        wanted = [PROFILE, TRADES, "wadm://kraken/BTCUSDT/trades"]
        async with agent.listen(resource_subscriptions=wanted, tools_list_changed=True) as listening:
            assert listening.honored.resource_subscriptions == [PROFILE, TRADES]
            assert listening.honored.tools_list_changed is None
            door.last_trade = "2024-08-08T23:59:59.2Z"
            with trio.fail_after(30):
                heard = {await anext(listening), await anext(listening)}
        assert heard == {ResourceUpdated(uri=PROFILE), ResourceUpdated(uri=TRADES)}

    async def test_too_much_is_refused(self, agent: Client) -> None:
        many = [f"wadm://binance_usdm/S{number}/trades" for number in range(MOST_OF_ONE + 1)]
        with pytest.raises(MCPError, match="at most 50 resources"):
            async with agent.listen(resource_subscriptions=many):
                pass


class TestLongQuestions:
    @pytest.fixture
    def door(self) -> Slow:
        return Slow()

    async def test_progress_is_told_where_it_is_asked_for(self, agent: Client, door: Slow) -> None:
        heard: list[tuple[float, float | None]] = []

        async def progress(done: float, total: float | None, message: str | None) -> None:
            await trio.lowlevel.checkpoint()
            assert message
            heard.append((done, total))
            if len(heard) == 3:
                door.go.set()

        with trio.fail_after(30):
            result = await agent.call_tool("get_candles", ASKED, progress_callback=progress)
        assert not result.is_error
        assert [done for done, _ in heard] == sorted(done for done, _ in heard)
        assert {total for _, total in heard} == {tool.ANSWER_TIMEOUT}

    async def test_a_call_that_is_cancelled_stops_the_work(
        self, agent: Client, door: Slow, nursery: trio.Nursery
    ) -> None:
        scope = trio.CancelScope()

        async def ask() -> None:
            with scope:
                await agent.call_tool("get_candles", ASKED)

        nursery.start_soon(ask)
        with trio.fail_after(30):
            await door.begun.wait()
            scope.cancel()
            await door.cancelled.wait()
        door.go.set()
        assert not (await agent.call_tool("get_candles", ASKED)).is_error

    async def test_an_answer_that_is_late_says_so(
        self, agent: Client, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(tool, "ANSWER_TIMEOUT", 0.05)
        result = await agent.call_tool("get_candles", ASKED)
        assert result.is_error
        assert "it took longer than 0.05 s" in result.content[0].text  # type: ignore[union-attr]


class TestSubscribers:
    """Without any server."""

    @staticmethod
    def made(marks: dict[str, Mark]) -> Subscriptions:
        async def marks_of(uris: Any) -> dict[str, Mark]:
            await trio.lowlevel.checkpoint()
            return {uri: marks[uri] for uri in uris if uri in marks}

        return Subscriptions(marks_of)

    async def test_a_slow_one_hears_the_latest_and_holds_up_nobody(
        self, autojump_clock: trio.testing.MockClock, nursery: trio.Nursery
    ) -> None:
        marks: dict[str, Mark] = {"a": (0,), "b": (0,)}
        every = self.made(marks)
        nursery.start_soon(every.watch)
        heard: dict[str, list[str]] = {"slow": [], "quick": []}
        free = trio.Event()

        async def slowly(uri: str) -> None:
            heard["slow"].append(uri)
            await free.wait()

        async def quickly(uri: str) -> None:
            await trio.lowlevel.checkpoint()
            heard["quick"].append(uri)

        for tell in (slowly, quickly):
            one = every.enter(tell)
            await every.add(one, ["a", "b", "nothing"])
            nursery.start_soon(one.run)
        for number in range(1, 11):
            marks["a"] = (number,)
            await trio.sleep(1)
        assert heard == {"slow": ["a"], "quick": ["a"] * 10}
        free.set()
        await trio.sleep(1)
        assert heard["slow"] == ["a", "a"]  # one note, however much was missed

    async def test_one_who_left_is_looked_after_no_more(self) -> None:
        every = self.made({"a": ()})

        async def tell(_uri: str) -> None:
            raise AssertionError

        crowd: list[Subscriber] = [every.enter(tell) for _ in range(MOST)]
        with pytest.raises(SubscriptionError, match="200 subscribers"):
            every.enter(tell)
        for one in crowd:
            every.leave(one)
        every.enter(tell)
