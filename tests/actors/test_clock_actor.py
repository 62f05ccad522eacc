"""The local clock is measured against the exchanges', an alarm is raised, and no bar moves for it."""

import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import attrs
import pytest
import trio
import trio.testing
from rest_answers import RestAnswers
from spine import BITCOIN, ETHER, FakeExchange, plan_of, recorded, spine, until
from structlog.testing import capture_logs

from actors.answers.overview import Overview
from actors.clock import LOOK, PERIOD, PROBES, Clock
from actors.clock_memory import ClockMemory
from actors.messages import MarketTime
from actors.rest import NotNow
from supervision import Context
from wadm.bar import encode
from wadm.clock import Skew
from wadm.exchanges.base import Request
from wadm.market import HOUR, MILLISECOND, MINUTE, SECOND

SPOT, LINEAR = "/api/v3/time", "/v5/market/time"
#: 2026-09-13T10:25:19Z, by every clock that is right
TRUTH = 1_789_295_119_000_000


@attrs.define(eq=False)
class World:
    """Clocks: the local one is ``wrong`` (µs); a question takes ``there`` seconds and its answer ``back``."""

    monkeypatch: pytest.MonkeyPatch
    wrong: int = 0
    playback: bool = False
    exchanges: list[str] = attrs.field(factory=lambda: ["binance"])
    there: list[float] = attrs.field(factory=list)
    rest: "Slow" = attrs.field(init=False)
    clocks: dict[str, ClockMemory] = attrs.field(factory=dict)
    runtime: Any = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self.rest = Slow(self)
        self.rest.answers = {SPOT: self._spot, LINEAR: self._linear}
        self.runtime = SimpleNamespace(
            plan=SimpleNamespace(playback=self.playback), rest=self.rest, clocks=self.clocks, connections={}
        )
        self.follow(*self.exchanges)
        self.monkeypatch.setattr("actors.clock._now", lambda: self.truth() + self.wrong)
        self.monkeypatch.setattr(
            "actors.clock.time", SimpleNamespace(perf_counter_ns=lambda: int(trio.current_time() * 1e9))
        )

    def follow(self, *exchanges: str) -> None:
        for number, exchange in enumerate(exchanges):
            self.runtime.connections[f"connection:{exchange}#{number}"] = SimpleNamespace(exchange=exchange)

    @staticmethod
    def truth() -> int:
        return TRUTH + int(trio.current_time() * SECOND)

    def _spot(self, _request: Request) -> object:
        return {"serverTime": self.truth() // MILLISECOND}

    def _linear(self, _request: Request) -> object:
        return {"retCode": 0, "result": {"timeSecond": "0", "timeNano": str(self.truth() * 1_000)}}

    @asynccontextmanager
    async def run(self) -> AsyncIterator[None]:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(Clock(self.runtime).run, Context("clock", 1))
            await trio.testing.wait_all_tasks_blocked()
            await trio.sleep(1.0)
            yield
            nursery.cancel_scope.cancel()


@attrs.define(eq=False)
class Slow(RestAnswers):
    """Answers come back after as many seconds as the world says, the last number for all further ones."""

    world: World = attrs.field(kw_only=True, default=None)

    def __init__(self, world: World) -> None:
        self.__attrs_init__(world=world)  # type: ignore[attr-defined]

    async def ask(self, exchange: str, query: Any) -> Any:
        answer = await super().ask(exchange, query)
        backs = self.world.there
        await trio.sleep(backs.pop(0) if len(backs) > 1 else backs[0] if backs else 0.0)
        return answer


def down(_request: Request) -> object:
    raise NotNow("it is down")


# --- measuring ---


async def test_a_clock_is_measured_by_the_quickest_of_five_answers_and_again_after_five_minutes(
    autojump_clock: trio.testing.MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = World(monkeypatch, wrong=-300 * MILLISECOND, there=[0.2, 0.1, 0.04, 0.1, 0.2])
    async with world.run():
        answer = world.clocks["binance"].answer()
        # All of the 40 ms went by on the way back: half of it is the error.
        assert (answer["offset_ms"], answer["uncertainty_ms"]) == (280, 20)
        assert (answer["alarm"], answer["error"]) == (None, None)
        assert len(world.rest.times(SPOT)) == PROBES
        await trio.sleep(PERIOD + LOOK)
        assert len(world.rest.times(SPOT)) == 2 * PROBES


async def test_every_exchange_that_is_followed_is_measured_those_that_come_later_too(
    autojump_clock: trio.testing.MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = World(monkeypatch)
    async with world.run():
        world.follow("binance", "bybit")
        await trio.sleep(LOOK + 1)
        assert [one.answer()["offset_ms"] for one in world.clocks.values()] == [0, 0]
        assert list(world.clocks) == ["binance", "bybit"]
        assert len(world.rest.times(SPOT)) == PROBES
        world.runtime.connections.clear()
        world.follow("bybit")
        await trio.sleep(LOOK)
        assert list(world.clocks) == ["bybit"]


async def test_what_cannot_be_measured_leaves_the_last_measurement_standing(
    autojump_clock: trio.testing.MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = World(monkeypatch, wrong=5 * SECOND)
    async with world.run():
        sound, world.rest.answers[SPOT] = world.rest.answers[SPOT], down
        await trio.sleep(PERIOD + LOOK)
        answer = world.clocks["binance"].answer()
        assert (answer["offset_ms"], answer["error"]) == (-5_000, "it is down")
        assert answer["alarm"]
        world.rest.answers[SPOT] = sound
        await trio.sleep(PERIOD + LOOK)
        assert world.clocks["binance"].answer()["error"] is None


async def test_an_exchange_whose_time_cannot_be_read_is_named_with_the_reason(
    autojump_clock: trio.testing.MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = World(monkeypatch)
    world.rest.answers[SPOT] = lambda _: b'{"serverTime":"soon"}'
    async with world.run():
        answer = world.clocks["binance"].answer()
        assert answer["offset_ms"] is None
        assert "binance's time cannot be read" in str(answer["error"])


async def test_a_recording_is_not_measured_against(
    autojump_clock: trio.testing.MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = World(monkeypatch, wrong=HOUR, playback=True)
    async with world.run():
        await trio.sleep(PERIOD)
        assert (world.clocks, world.rest.asked) == ({}, [])


# --- the alarm ---


async def test_a_clock_that_is_wrong_is_told_of_once_and_when_it_is_right_again(
    autojump_clock: trio.testing.MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = World(monkeypatch, wrong=-3 * SECOND)
    with capture_logs() as logs:
        async with world.run():
            await trio.sleep(3 * PERIOD)
            assert "3.0 s behind that of binance" in world.clocks["binance"].alarm
            world.wrong = 0
            await trio.sleep(2 * PERIOD)
            assert world.clocks["binance"].alarm == ""
    assert [(one["event"], one["log_level"]) for one in logs] == [
        ("clock_skewed", "error"),
        ("clock_in_order", "info"),
    ]


async def test_health_is_degraded_while_a_clock_is_wrong_and_says_what_to_do(tmp_path: Path) -> None:
    async with spine(tmp_path) as running:
        overview = Overview(running.runtime)
        memory = running.runtime.clocks["binance"] = ClockMemory("binance")
        for connection in running.runtime.connections.values():
            connection.state = "connected"
        assert overview.health()["status"] == "healthy"
        memory.skew = Skew(-2 * SECOND, 0)
        health = overview.health()
        assert health["status"] == "degraded"
        assert any("2.0 s ahead of that of binance: set it" in str(one) for one in health["reasons"])  # type: ignore[attr-defined]
        status = await overview.status(fresh=True)
        assert status["clocks"] == [memory.answer()]


# --- no bar moves ---


@pytest.mark.parametrize("wrong", [-2 * HOUR, -1_500 * MILLISECOND, 90 * SECOND, 3 * HOUR])
async def test_bars_are_the_same_whatever_the_local_clock_says(
    wrong: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert await _bars(tmp_path / "wrong", wrong, monkeypatch) == await _bars(
        tmp_path / "right", 0, monkeypatch
    )


async def _bars(directory: Path, wrong: int, monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """Fold recorded trades on a machine whose clock was wrong by so many µs when they were traded."""
    frames, real = recorded(3_000), time.perf_counter_ns()
    began = json.loads(frames[0])["data"]["T"] * MILLISECOND + wrong
    exchange = FakeExchange(frames, hold=trio.Event())
    with monkeypatch.context() as patched, trio.fail_after(20):
        patched.setattr(time, "time_ns", lambda: began * 1_000 + time.perf_counter_ns() - real)
        async with spine(directory, exchange, plan_of(playback=False)) as running:
            await until(lambda: running.runtime.ledger.total().applied == len(frames))
            market_time = max(one.market_time for one in running.runtime.symbols.values())
            for key in (BITCOIN.key, ETHER.key):
                await running.runtime.aggregators[key].put(MarketTime(market_time + 2 * MINUTE))
                await running.everything(key)
            bars = [bar for key in (BITCOIN.key, ETHER.key) for bar in running.bars(key)]
            assert len(bars) > 2
            return [encode(bar) for bar in bars]
