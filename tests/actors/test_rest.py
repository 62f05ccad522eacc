"""Asking exchanges: each waits for itself, refusals are obeyed, and what cannot be answered says why."""

import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import attrs
import httpx2
import pytest
import trio

from actors.rest import LARGE_ANSWER, LONGEST_ANSWER, NotEver, NotNow, Rest
from wadm.exchanges import registry
from wadm.exchanges.base import PageError, Query, RateLimited, Request

ADDRESSES = {"binance": "http://spot.test", "bybit": "http://bybit.test"}
Answer = Callable[[httpx2.Request], httpx2.Response]


@attrs.define
class Exchanges:
    """Far sides that answer what they are told to, by host."""

    answers: dict[str, list[httpx2.Response]] = attrs.field(factory=dict)
    asked: list[tuple[str, float]] = attrs.field(factory=list)

    def __call__(self, request: httpx2.Request) -> httpx2.Response:
        self.asked.append((request.url.host, trio.current_time()))
        waiting = self.answers.get(request.url.host)
        return waiting.pop(0) if waiting else httpx2.Response(200, text="{}")


@asynccontextmanager
async def asking(exchanges: Exchanges, *, playback: bool = False) -> AsyncIterator[Rest]:
    async with httpx2.AsyncClient(transport=httpx2.MockTransport(exchanges)) as client:
        yield Rest(client, ADDRESSES, playback)


def light(weight: int = 1) -> Request:
    return Request("/path", {"symbol": "BTCUSDT"}, weight=weight)


async def test_a_query_is_asked_and_read(autojump_clock: trio.testing.MockClock) -> None:
    exchanges = Exchanges({"spot.test": [httpx2.Response(200, text="12")]})
    async with asking(exchanges) as rest:
        assert await rest.ask("binance", Query(light(), int)) == 12


@pytest.mark.parametrize(("length", "aside"), [(LARGE_ANSWER - 1, False), (LARGE_ANSWER, True)])
async def test_only_a_long_answer_is_read_beside_the_loop(length: int, aside: bool) -> None:
    def read(body: bytes) -> bool:
        return threading.current_thread() is not threading.main_thread()

    async with asking(Exchanges({"spot.test": [httpx2.Response(200, content=bytes(length))]})) as rest:
        assert await rest.ask("binance", Query(light(), read)) is aside


async def test_an_exchange_that_refuses_is_left_alone_and_the_others_are_not(
    autojump_clock: trio.testing.MockClock,
) -> None:
    exchanges = Exchanges({"spot.test": [httpx2.Response(429, headers={"Retry-After": "30"})]})
    async with asking(exchanges) as rest:
        with pytest.raises(NotNow) as refused:
            await rest.get("binance", light())
        assert refused.value.after == 30
        with pytest.raises(NotNow) as still:
            await rest.get("binance", light())
        assert still.value.after == pytest.approx(30)
        await rest.get("bybit", light())
        await trio.sleep(30)
        await rest.get("binance", light())
        assert [host for host, _ in exchanges.asked] == ["spot.test", "bybit.test", "spot.test"]


async def test_no_exchange_is_left_alone_for_ever_whatever_it_asks_for() -> None:
    exchanges = Exchanges({"spot.test": [httpx2.Response(429, headers={"Retry-After": "9" * 400})]})
    async with asking(exchanges) as rest:
        with pytest.raises(NotNow) as refused:
            await rest.get("binance", light())
        assert refused.value.after == 3 * 86_400
        assert rest.status()["binance"]["waiting_until"] is not None


@pytest.mark.parametrize(("status", "after"), [(403, 600), (418, 120), (429, 5)])
async def test_a_refusal_without_a_time_is_obeyed_for_longer_every_time(
    autojump_clock: trio.testing.MockClock, status: int, after: float
) -> None:
    exchanges = Exchanges({"bybit.test": [httpx2.Response(status), httpx2.Response(status)]})
    async with asking(exchanges) as rest:
        for wanted in (after, 2 * after):
            with pytest.raises(NotNow) as refused:
                await rest.get("bybit", light())
            assert refused.value.after == wanted
            await trio.sleep(wanted)
        assert await rest.get("bybit", light()) == b"{}"


async def test_too_many_visits_is_a_refusal_though_it_comes_as_an_answer(
    autojump_clock: trio.testing.MockClock,
) -> None:
    def read(_: bytes) -> int:
        raise RateLimited("Too many visits!")

    async with asking(exchanges := Exchanges()) as rest:
        for _ in range(2):
            with pytest.raises(NotNow):
                await rest.ask("bybit", Query(light(), read))
        assert len(exchanges.asked) == 1
        assert rest.status()["bybit"]["refused"] == 1


async def test_an_answer_that_cannot_be_read_is_the_askers_affair(
    autojump_clock: trio.testing.MockClock,
) -> None:
    def read(_: bytes) -> int:
        raise PageError("no page")

    async with asking(Exchanges()) as rest:
        with pytest.raises(PageError):
            await rest.ask("binance", Query(light(), read))
        assert rest.status()["binance"]["refused"] == 0


async def test_requests_wait_where_the_weight_of_a_minute_is_used_up(
    autojump_clock: trio.testing.MockClock,
) -> None:
    limit = registry.find("binance").limits.weight_per_minute
    assert limit is not None
    async with asking(exchanges := Exchanges()) as rest:
        began = trio.current_time()
        async with trio.open_nursery() as nursery:
            for _ in range(5):
                nursery.start_soon(rest.get, "binance", light(limit // 4))
            nursery.start_soon(rest.get, "bybit", light())
        waited = [round(at - began) for host, at in exchanges.asked if host == "spot.test"]
        assert waited == [0, 0, 60, 60, 120]
        assert [round(at - began) for host, at in exchanges.asked if host == "bybit.test"] == [0]
        assert rest.status()["binance"]["weight_allowed"] == limit // 2


async def test_a_local_exchange_is_asked_without_limit(autojump_clock: trio.testing.MockClock) -> None:
    refusal = httpx2.Response(418)
    async with asking(exchanges := Exchanges({"spot.test": [refusal]}), playback=True) as rest:
        with pytest.raises(NotNow) as refused:
            await rest.get("binance", light())
        assert refused.value.after is None
        for _ in range(9):
            await rest.get("binance", light(10**6))
        assert {at for _, at in exchanges.asked} == {exchanges.asked[0][1]}


async def test_a_place_that_is_not_served_is_told_what_to_do(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with asking(Exchanges({"spot.test": [httpx2.Response(451)]})) as rest:
        with pytest.raises(NotEver, match=r"451.*network\.proxy.*data-api\.binance\.vision"):
            await rest.get("binance", light())


@pytest.mark.parametrize("status", [500, 503])
async def test_an_exchange_in_trouble_is_asked_again(
    autojump_clock: trio.testing.MockClock, status: int
) -> None:
    async with asking(Exchanges({"spot.test": [httpx2.Response(status)]})) as rest:
        with pytest.raises(NotNow):
            await rest.get("binance", light())
        assert await rest.get("binance", light()) == b"{}"


async def test_an_answer_without_end_is_refused(autojump_clock: trio.testing.MockClock) -> None:
    sent = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal sent
        while True:
            sent += 1 << 20
            yield bytes(1 << 20)

    async with asking(Exchanges({"spot.test": [httpx2.Response(200, content=endless())]})) as rest:
        with pytest.raises(NotEver, match="more than 32 MB"):
            await rest.get("binance", light())
    assert sent <= LONGEST_ANSWER + 2 * (1 << 20)


async def test_a_key_that_is_not_there_is_named(
    autojump_clock: trio.testing.MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("BINANCE_API_KEY", raising=False)
    async with asking(exchanges := Exchanges()) as rest:
        with pytest.raises(NotEver, match="set BINANCE_API_KEY"):
            await rest.get("binance", attrs.evolve(light(), key_header="X-MBX-APIKEY"))
        assert exchanges.asked == []


async def test_status_says_what_was_asked_and_until_when_nothing_will_be(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with asking(Exchanges({"spot.test": [httpx2.Response(403)]})) as rest:
        with pytest.raises(NotNow):
            await rest.get("binance", light(7))
        await rest.get("bybit", light())
        status = rest.status()
    assert (status["binance"]["requests"], status["binance"]["weight"]) == (1, 7)
    assert status["binance"]["refused"] == 1
    assert status["binance"]["waiting_until"] is not None
    assert status["bybit"]["waiting_until"] is None
