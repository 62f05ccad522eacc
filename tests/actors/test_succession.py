"""A connection that changes what it carries, is watched, and is replaced before it ends."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import trio
import trio.testing
from bench import Bench, ids
from scripted import Exchange, Socket, frame_of
from spine import BITCOIN, CONNECTION, until

from actors.connections.connection import ExchangeDisconnected
from actors.connections.connects import Connects
from actors.connections.dial import ConnectFailed
from supervision import Context

BTC, ETH = "btcusdt@trade", "ethusdt@trade"
SHUTDOWN = b'{"e":"serverShutdown","E":1770123456789}'


@asynccontextmanager
async def running(bench: Bench) -> AsyncIterator[trio.Nursery]:
    """Run a connection until the block ends; its own end must not come before."""
    async with trio.open_nursery() as nursery:
        nursery.start_soon(bench.run)
        yield nursery
        nursery.cancel_scope.cancel()


async def first(exchange: Exchange) -> Socket:
    await until(lambda: bool(exchange.sockets) and bool(exchange.sockets[0].streams))
    return exchange.sockets[0]


# --- what it carries ---


async def test_streams_come_and_go_without_touching_the_others(
    autojump_clock: trio.testing.MockClock,
) -> None:
    exchange = Exchange()
    bench = Bench(exchange, streams=(BTC,))
    async with running(bench):
        socket = await first(exchange)
        bench.memory.carry([ETH])
        await until(lambda: socket.streams == {BTC, ETH})
        bench.memory.drop([BTC])
        await until(lambda: socket.streams == {ETH})
        bench.memory.renew(ETH)
        await until(lambda: len(socket.requests) == 5)
    assert [(method, names) for _, method, names in socket.requests] == [
        ("SUBSCRIBE", [BTC]),
        ("SUBSCRIBE", [ETH]),
        ("UNSUBSCRIBE", [BTC]),
        ("UNSUBSCRIBE", [ETH]),
        ("SUBSCRIBE", [ETH]),
    ]
    assert len(exchange.sockets) == 1


async def test_requests_leave_room_for_pongs(autojump_clock: trio.testing.MockClock) -> None:
    exchange = Exchange()
    bench = Bench(exchange, streams=(BTC,))
    async with running(bench):
        socket = await first(exchange)
        for number in range(20):
            bench.memory.carry([f"x{number}usdt@trade"])
            await trio.sleep(0.01)
        await trio.sleep(30)
    times = [at for at, _, _ in socket.requests]
    assert len(socket.streams) == 21
    assert max(sum(at <= other < at + 1 for other in times) for at in times) == 4


async def test_a_refused_stream_is_shown_and_its_siblings_come(
    autojump_clock: trio.testing.MockClock,
) -> None:
    exchange = Exchange(refused={"badusdt@trade"})
    bench = Bench(exchange, streams=(BTC, ETH, "badusdt@trade"))
    async with running(bench):
        await until(lambda: bench.memory.state == "connected")
        assert exchange.sockets[0].streams == {BTC, ETH}
        assert bench.memory.refused == {"badusdt@trade": "Invalid symbol"}
        asked = len(exchange.sockets[0].requests)
        await trio.sleep(1_000)
        assert len(exchange.sockets[0].requests) == asked
        exchange.refused.clear()
        bench.memory.renew("badusdt@trade")
        await until(lambda: bench.memory.refused == {})
        assert exchange.sockets[0].streams == {BTC, ETH, "badusdt@trade"}


async def test_what_is_not_answered_is_asked_once_more_then_the_connection_is_made_again(
    autojump_clock: trio.testing.MockClock,
) -> None:
    exchange = Exchange(mute=True)
    bench = Bench(exchange)
    with pytest.raises(ExchangeDisconnected, match="no answer to a request for btcusdt@trade and 1 more"):
        await bench.run()
    assert [at for at, _, _ in exchange.sockets[0].requests] == pytest.approx([0, 10], abs=0.1)
    assert trio.current_time() == pytest.approx(20, abs=0.1)


# --- one after the other ---


@pytest.mark.parametrize("why", ["lifetime", "shutdown"])
async def test_another_link_takes_over_before_the_first_one_ends(
    autojump_clock: trio.testing.MockClock, why: str
) -> None:
    exchange = Exchange()
    bench = Bench(exchange, lifetime=1_000.0 if why == "lifetime" else None)
    async with running(bench) as nursery:
        old = await first(exchange)
        nursery.start_soon(exchange.trade, 0.1)
        await trio.sleep(1 if why == "lifetime" else 995)
        if why == "shutdown":
            old.put(SHUTDOWN)
        await trio.sleep(1_010 - trio.current_time())
        new = exchange.open[0]
        assert exchange.open == [new]
        assert new.number == 1
        assert old.requests[-1][1:] == ("UNSUBSCRIBE", [BTC, ETH])
        assert bench.memory.state == "connected"
        assert (bench.memory.rollovers, bench.memory.reconnects) == (1, 0)
        # At least a second of overlap, all of it counted as duplicates.
        began, ended = new.requests[0][0], old.requests[-1][0]
        assert 990 <= began <= 1_000
        assert 1.0 <= ended - began < 1.3
    received = ids(bench.batches())
    assert received == list(range(1, len(received) + 1))
    account = bench.ledger.account(BITCOIN.key)
    assert account.duplicate == pytest.approx((ended - began) * 10, abs=2)
    assert {batch.incarnation for batch in bench.batches()} == {3_000_001}
    assert [batch.number for batch in bench.batches()] == list(range(1, len(bench.batches()) + 1))


async def test_what_the_old_link_has_not_delivered_yet_is_waited_for(
    autojump_clock: trio.testing.MockClock,
) -> None:
    exchange = Exchange()
    bench = Bench(exchange)
    async with running(bench):
        old = await first(exchange)
        old.put(*map(frame_of, range(1, 11)), SHUTDOWN)
        await until(lambda: len(exchange.open) == 2 and BTC in exchange.open[1].streams)
        new = exchange.open[1]
        new.put(*map(frame_of, range(21, 31)))
        exchange.mute = True
        await until(lambda: old.requests[-1][1] == "UNSUBSCRIBE")
        # The answer stands behind what the old link is late with: nothing may be lost of that.
        await trio.sleep(3)
        old.put(*map(frame_of, range(11, 21)), b'{"result":null,"id":2}')
        await until(lambda: exchange.open == [new])
    assert sorted(ids(bench.batches())) == list(range(1, 31))
    assert bench.symbols[BITCOIN.key].gaps.open == []


async def test_a_link_that_cannot_be_replaced_lives_on_and_it_is_tried_again(
    autojump_clock: trio.testing.MockClock,
) -> None:
    exchange = Exchange(refuses=lambda: ConnectFailed("no") if 1 <= len(exchange.attempts) - 1 <= 5 else None)
    bench = Bench(exchange)
    async with running(bench) as nursery:
        old = await first(exchange)
        nursery.start_soon(exchange.trade, 0.1)
        await trio.sleep(1)
        old.put(SHUTDOWN)
        await trio.sleep(10)
        assert exchange.open == [old]
        assert bench.memory.state == "connected"
        await until(lambda: len(exchange.open) == 2)
        await until(lambda: exchange.open == [exchange.sockets[1]])
    pauses = [
        later - before for before, later in zip(exchange.attempts[1:], exchange.attempts[2:], strict=False)
    ]
    assert all(0.8 * 2**n <= pause <= 1.2 * 2**n + 0.1 for n, pause in enumerate(pauses))
    received = ids(bench.batches())
    assert received == list(range(1, len(received) + 1))


async def test_a_link_that_is_silent_though_the_old_one_is_not_does_not_take_over(
    autojump_clock: trio.testing.MockClock,
) -> None:
    exchange = Exchange()
    bench = Bench(exchange)
    async with running(bench) as nursery:
        old = await first(exchange)

        async def trade_on_the_old_one() -> None:
            for number in range(1, 100_000):
                old.put(frame_of(number))
                await trio.sleep(0.1)

        nursery.start_soon(trade_on_the_old_one)
        old.put(SHUTDOWN)
        await trio.sleep(65)
        assert [socket.number for socket in exchange.open if socket.number < 2] == [0]
        assert bench.memory.rollovers == 0


async def test_in_a_quiet_market_a_link_takes_over_that_has_heard_nothing_either(
    autojump_clock: trio.testing.MockClock,
) -> None:
    exchange = Exchange()
    bench = Bench(exchange)
    async with running(bench):
        (await first(exchange)).put(frame_of(1), SHUTDOWN)
        await trio.sleep(70)
        assert [socket.number for socket in exchange.open] == [1]
        assert bench.memory.rollovers == 1


async def test_an_old_link_that_ends_too_early_costs_the_connection_nothing_more(
    autojump_clock: trio.testing.MockClock,
) -> None:
    exchange = Exchange()
    bench = Bench(exchange)
    async with running(bench):
        old = await first(exchange)
        old.put(SHUTDOWN)
        await until(lambda: len(exchange.open) == 2)
        old.lose()
        await until(lambda: exchange.open == exchange.sockets[1:])
        exchange.sockets[1].put(frame_of(1))
        await trio.sleep(5)
        assert bench.memory.state == "connected"
        assert (bench.memory.rollovers, bench.memory.reconnects) == (0, 1)
    assert ids(bench.batches()) == [1]


async def test_between_a_link_that_has_ended_and_one_that_waits_for_its_turn_nothing_is_connected(
    autojump_clock: trio.testing.MockClock,
) -> None:
    exchange, connects = Exchange(), Connects()
    bench = Bench(exchange, connects=connects)
    async with running(bench):
        old = await first(exchange)
        await until(lambda: bench.memory.state == "connected")
        connects.failed(ConnectFailed("banned", 403))  # another connection's attempt was
        old.put(SHUTDOWN)
        await trio.sleep(5)
        assert bench.memory.state == "connected"
        old.lose()
        await trio.sleep(5)
        assert (bench.memory.state, bench.memory.connected_at) == ("connecting", None)
        assert bench.memory.reason == "waits 600 s before it connects again: banned"
        await trio.sleep(600)
        assert (bench.memory.state, bench.memory.reason) == ("connected", "")


async def test_a_new_link_that_is_lost_during_the_overlap_leaves_the_old_one(
    autojump_clock: trio.testing.MockClock,
) -> None:
    exchange = Exchange()
    bench = Bench(exchange)
    async with running(bench) as nursery:
        old = await first(exchange)
        nursery.start_soon(exchange.trade, 0.1)
        old.put(SHUTDOWN)
        await until(lambda: len(exchange.open) == 2 and BTC in exchange.open[1].streams)
        exchange.open[1].lose()
        await until(lambda: len(exchange.sockets) == 3)
        assert old in exchange.open
        await until(lambda: exchange.open == exchange.sockets[2:])
    received = ids(bench.batches())
    assert received == list(range(1, len(received) + 1))


async def test_streams_renewed_during_an_overlap_are_renewed_on_both(
    autojump_clock: trio.testing.MockClock,
) -> None:
    exchange = Exchange()
    bench = Bench(exchange)
    async with running(bench):
        (await first(exchange)).put(SHUTDOWN)
        await until(lambda: len(exchange.open) == 2 and BTC in exchange.open[1].streams)
        bench.memory.renew(BTC)
        await trio.sleep(0.5)
        for socket in exchange.sockets:
            assert [names for _, _, names in socket.requests[1:]] == [[BTC], [BTC]]


async def test_a_lost_connection_is_a_disconnect_as_ever(autojump_clock: trio.testing.MockClock) -> None:
    exchange = Exchange()
    bench = Bench(exchange)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(_lose, exchange)
        with pytest.raises(ExchangeDisconnected, match="the server hung up"):
            await bench.run()
    assert bench.memory.state == "disconnected"


async def _lose(exchange: Exchange) -> None:
    (await first(exchange)).lose()


# --- silence ---


async def test_a_silent_stream_is_renewed_alone_and_shown(autojump_clock: trio.testing.MockClock) -> None:
    exchange = Exchange()
    bench = Bench(exchange, quiet_after=60.0)
    async with running(bench) as nursery:
        socket = await first(exchange)
        nursery.start_soon(exchange.trade, 1.0)
        await trio.sleep(63)
        assert list(bench.memory.silent) == [ETH]
        assert [(method, names) for _, method, names in socket.requests[1:]] == [
            ("UNSUBSCRIBE", [ETH]),
            ("SUBSCRIBE", [ETH]),
        ]
        await trio.sleep(3_600)
        assert exchange.open == [socket]
        assert len(socket.requests) == pytest.approx(1 + 2 * 6, abs=2)
        exchange.tell(ETH, frame_of(1, "ETHUSDT"))
        await trio.sleep(2)
        assert bench.memory.silent == {}


async def test_where_every_stream_is_silent_the_connection_is_made_again_ever_more_patiently(
    autojump_clock: trio.testing.MockClock,
) -> None:
    exchange = Exchange()
    bench = Bench(exchange, quiet_after=60.0)
    ends = []
    for _ in range(3):
        with pytest.raises(ExchangeDisconnected, match=r"no frame for|every stream is silent"):
            await bench.run()
        ends.append(trio.current_time())
    assert ends == pytest.approx([60, 180, 420], abs=3)


async def test_sparse_streams_may_be_silent(autojump_clock: trio.testing.MockClock) -> None:
    exchange = Exchange()
    bench = Bench(exchange, quiet_after=60.0, streams=("btcusdt@forceOrder",))
    async with running(bench):
        await trio.sleep(3_600)
        assert len(exchange.sockets) == 1
        assert bench.memory.silent == {}


async def test_the_breaker_is_told_of_success_only_once_something_was_heard(
    autojump_clock: trio.testing.MockClock,
) -> None:
    exchange, told = Exchange(), []
    bench = Bench(exchange)
    context = Context(CONNECTION, 1, on_succeeded=lambda _: told.append(trio.current_time()))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(bench.connection.run, context)
        socket = await first(exchange)
        await trio.sleep(10)
        assert told == []
        socket.put(frame_of(1))
        await trio.sleep(1)
        assert told
        nursery.cancel_scope.cancel()


# --- attempts ---


async def test_attempts_are_spread_over_five_minutes_and_say_so(
    autojump_clock: trio.testing.MockClock,
) -> None:
    exchange = Exchange(refuses=lambda: ConnectFailed("no"))
    bench = Bench(exchange, connects=Connects(10))
    for _ in range(8):
        with pytest.raises(ExchangeDisconnected):
            await bench.run()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(bench.run)
        await trio.sleep(1)
        assert bench.memory.reason == "waits 300 s: 8 attempts to connect in five minutes are spent"
        assert bench.memory.state == "connecting"
        nursery.cancel_scope.cancel()
    assert len(exchange.attempts) == 8


@pytest.mark.parametrize(
    ("refusal", "seconds"),
    [
        (ConnectFailed("banned", 418, 90.0), 90),
        (ConnectFailed("too many", 429), 60),
        (ConnectFailed("forbidden", 403), 600),
        (ConnectFailed("not here", 451), 600),
        (ConnectFailed("busy", 503, 7.0), 7),
        (ConnectFailed("broken", 500), 0),
    ],
)
async def test_an_exchange_that_refuses_is_left_alone_for_a_while_by_all_its_connections(
    autojump_clock: trio.testing.MockClock, refusal: ConnectFailed, seconds: float
) -> None:
    connects = Connects()
    exchange = Exchange(refuses=lambda: refusal)
    one, other = Bench(exchange, connects=connects), Bench(exchange, connects=connects)
    with pytest.raises(ExchangeDisconnected):
        await one.run()
    with pytest.raises(ExchangeDisconnected):
        await other.run()
    assert exchange.attempts == pytest.approx([0, seconds], abs=0.01)
