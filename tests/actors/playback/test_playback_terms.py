"""What the server asks of its clients, and the faults that strike a connection or the REST interface."""

import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import attrs
import httpx2
import pytest
import trio
import trio.testing
import trio_websocket
from hypothesis import given
from hypothesis import strategies as st
from playback_recordings import NS, host_of, listen, trade, write_capture

from actors.connections.websocket import ConnectFailed, open_websocket
from actors.playback.binance import BINANCE, BINANCE_USDM
from actors.playback.bybit import BYBIT, BYBIT_SPOT
from actors.playback.capture import Capture, Frame, read_capture
from actors.playback.dialect import Dialect
from actors.playback.faults import (
    BAN,
    DROP,
    LIMIT,
    RESTART,
    SHUTDOWN,
    SLOW,
    STALL,
    Fault,
    Script,
)
from actors.playback.player import Player
from actors.playback.process import LocalExchangeError, local_exchange
from actors.playback.terms import Terms
from actors.playback.usage import INSISTENCE, Rate, Refusal, Usage
from actors.playback.wire import PAUSE

BYBIT_RECORDED = Path(__file__).parents[2] / "captures" / "fastmm" / "bybit_spot_btcusdt_20260913.gz"
BOOK = "orderbook.50.BTCUSDT"

# --- counting, without a clock ---


def test_windows_are_counted_anew() -> None:
    usage = Usage(10, 60)
    assert usage.charge(6, 1000.0) is None
    assert usage.used(1019.9) == 6
    assert usage.used(1020.0) == 0
    assert usage.charge(10, 1020.0) is None
    assert usage.charge(1, 1021.0) == Refusal(59, banned=False)
    assert usage.charge(10, 1080.0) is None


def test_who_insists_is_banned() -> None:
    usage = Usage(1, 60)
    usage.charge(1, 0.0)
    assert usage.charge(1, 10.0) == Refusal(50, banned=False)
    found = [usage.charge(1, 20.0) for _ in range(INSISTENCE)]
    assert found == [*[Refusal(40, banned=False)] * (INSISTENCE - 1), Refusal(160, banned=True)]
    assert usage.charge(1, 179.5) == Refusal(1, banned=True)
    assert usage.charge(1, 180.0) is None


def test_without_a_limit_all_is_counted_and_nothing_refused() -> None:
    usage = Usage(None, 60)
    assert all(usage.charge(1000, 1.0) is None for _ in range(1000))
    assert usage.used(1.0) == 1_000_000


@given(st.lists(st.floats(0, 3), max_size=40).map(sorted), st.integers(1, 5))
def test_a_rate_allows_so_many_in_any_window(times: list[float], limit: int) -> None:
    rate = Rate(limit, 1.0)
    for at, now in enumerate(times):
        recent = sum(now - before < 1.0 for before in times[:at])
        assert rate.allows(now) is (recent < limit)


def test_a_rate_without_a_limit() -> None:
    rate = Rate(None, 1.0)
    assert all(rate.allows(0.0) for _ in range(100))


# --- connections, in memory ---

TRADES = Capture([Frame(NS + at * 10**9, "a@trade", b"%d" % at) for at in range(100)], [], ("a@trade",))


@asynccontextmanager
async def connected(
    dialect: Dialect, path: str, player: Player, capture: Capture = TRADES
) -> AsyncIterator[trio_websocket.WebSocketConnection]:
    client, server = trio.testing.memory_stream_pair()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(host_of(capture, player, dialect).serve, server)
        yield await trio_websocket.wrap_client_stream(nursery, client, "test", path)  # type: ignore[arg-type]
        nursery.cancel_scope.cancel()


async def heard(connection: trio_websocket.WebSocketConnection) -> list[tuple[str, float]]:
    """The messages and when they came, until the end."""
    found: list[tuple[str, float]] = []
    try:
        while True:
            found.append((str(await connection.get_message()), trio.current_time()))
    except trio_websocket.ConnectionClosed:
        return found


async def closed(connection: trio_websocket.WebSocketConnection) -> tuple[int, list[str]]:
    """Read to the end; return how it was closed, and what came before."""
    found = [text for text, _ in await heard(connection)]
    assert connection.closed is not None
    return connection.closed.code, found


@pytest.mark.parametrize(("dialect", "path", "most"), [(BINANCE, "/ws", 5), (BINANCE_USDM, "/market/ws", 10)])
async def test_too_many_messages_a_second_end_a_connection(
    autojump_clock: object, dialect: Dialect, path: str, most: int
) -> None:
    ask = '{"method":"LIST_SUBSCRIPTIONS","id":1}'
    async with connected(dialect, path, Player(TRADES, 1.0)) as connection:
        for _ in range(3):
            for _ in range(most):
                await connection.send_message(ask)
            assert [await connection.get_message() for _ in range(most)] == ['{"result":[],"id":1}'] * most
            await trio.sleep(1)
        for _ in range(most + 1):
            await connection.send_message(ask)
        code, answers = await closed(connection)
    assert (code, len(answers)) == (1008, most)


async def test_a_connection_lives_so_long(autojump_clock: object) -> None:
    dialect, player = attrs.evolve(BINANCE, terms=Terms(lifetime=20.5)), Player(TRADES, 1.0)
    async with trio.open_nursery() as nursery:
        async with connected(dialect, "/ws/a@trade", player) as connection:
            nursery.start_soon(player.run)
            begun = trio.current_time()
            assert await closed(connection) == (1001, [str(at) for at in range(21)])
            assert trio.current_time() - begun == pytest.approx(20.5)
        nursery.cancel_scope.cancel()


@pytest.mark.parametrize("pings", [True, False])
@pytest.mark.parametrize(("dialect", "category"), [(BYBIT, "linear"), (BYBIT_SPOT, "spot")])
async def test_bybit_cuts_who_is_idle(
    autojump_clock: object, dialect: Dialect, category: str, *, pings: bool
) -> None:
    async with connected(dialect, f"/v5/public/{category}", Player(TRADES, 1.0)) as connection:
        begun = trio.current_time()
        for _ in range(100 if pings else 0):
            await trio.sleep(20)
            await connection.send_message('{"op":"ping"}')
            assert json.loads(await connection.get_message())["ret_msg"] == "pong"
        assert await closed(connection) == (1001, [])
        assert trio.current_time() - begun == pytest.approx(2000 * pings + 600)


# --- faults, in memory ---


@asynccontextmanager
async def struck(fault: Fault, path: str) -> AsyncIterator[trio_websocket.WebSocketConnection]:
    dialect = attrs.evolve(BINANCE, terms=Terms())
    player = Player(TRADES, 1.0, script=Script((fault,)))
    async with trio.open_nursery() as nursery, connected(dialect, path, player) as connection:
        nursery.start_soon(player.run)
        yield connection
        nursery.cancel_scope.cancel()


@pytest.mark.parametrize(
    ("path", "event"),
    [
        ("/ws/a@trade", {"e": "serverShutdown", "E": NS // 10**6 + 10_000}),
        (
            "/stream?streams=a@trade",
            {"stream": "serverShutdown", "data": {"e": "serverShutdown", "E": NS // 10**6 + 10_000}},
        ),
    ],
)
async def test_a_shutdown_is_announced_before_the_end(
    autojump_clock: object, path: str, event: dict[str, object]
) -> None:
    async with struck(Fault(10, SHUTDOWN, 7.5), path) as connection:
        begun = trio.current_time()
        code, found = await closed(connection)
        assert (code, trio.current_time() - begun) == (1001, pytest.approx(17.5))
    assert json.loads(found.pop(10)) == event
    assert [json.loads(one) if path.startswith("/ws") else json.loads(one)["data"] for one in found] == list(
        range(18)
    )


async def test_a_dropped_frame_is_lost(autojump_clock: object) -> None:
    async with struck(Fault(10, DROP), "/ws/a@trade") as connection:
        assert await closed(connection) == (1000, [str(at) for at in range(100) if at != 10])


async def test_a_stall_delays_and_loses_nothing(autojump_clock: object) -> None:
    async with struck(Fault(10, STALL, 30.5), "/ws/a@trade") as connection:
        begun = trio.current_time()
        found = [(text, at - begun) for text, at in await heard(connection)]
    assert [text for text, _ in found] == [str(at) for at in range(100)]
    due = [at if at < 10 else max(at, 40.5) for at in range(100)]
    assert [at for _, at in found] == pytest.approx(due)


async def test_who_is_stalled_is_not_heard(autojump_clock: object) -> None:
    async with struck(Fault(10, STALL, 30.5), "/ws/a@trade") as connection:
        begun = trio.current_time()
        await trio.sleep(15)
        await connection.send_message("{}")
        texts = await heard(connection)
    (answered,) = [at - begun for text, at in texts if "code" in text]
    assert answered == pytest.approx(40.5)


async def test_a_slow_line_delays_and_loses_nothing(autojump_clock: object) -> None:
    frames = [Frame(NS, "a@trade", b'"%s"' % (b"%06d" % at * 1000)) for at in range(100)]
    capture = Capture(frames, [], ("a@trade",))
    player = Player(capture, float("inf"), script=Script((Fault(50, SLOW, 3.0),)))
    dialect = attrs.evolve(BINANCE, terms=Terms())
    async with (
        connected(dialect, "/ws/a@trade", player, capture) as connection,
        trio.open_nursery() as nursery,
    ):
        nursery.start_soon(player.run)
        begun = trio.current_time()
        found = [(text, at - begun) for text, at in await heard(connection)]
    assert [text.encode() for text, _ in found] == [frame.body for frame in frames]
    assert found[-1][1] == pytest.approx(3.0, abs=PAUSE)
    assert 20 < sum(at < 2.9 for _, at in found) < 95


# --- over sockets, of a process ---


@pytest.mark.parametrize("terms", [{"lifetime": 0.2}, {"idle_timeout": 0.2}])
async def test_terms_are_given_to_the_server(tmp_path: Path, terms: dict[str, float]) -> None:
    path = write_capture(tmp_path / "capture", [trade("a", 1)])
    async with local_exchange([path], exchange="binance", **terms) as exchange:  # type: ignore[arg-type]
        assert await listen(exchange, "/ws") == ([], 1001)


async def test_connections_are_counted(tmp_path: Path) -> None:
    path = write_capture(tmp_path / "capture", [trade("a", 1)])
    async with local_exchange([path], exchange="binance", connections=2) as exchange:
        with pytest.raises(ConnectFailed, match="404"):
            async with open_websocket(exchange.url + "/none"):
                pass
        async with open_websocket(exchange.url + "/ws"):
            pass
        with pytest.raises(ConnectFailed, match="429"):
            async with open_websocket(exchange.url + "/ws/a@trade"):
                pass


async def test_rest_is_refused_over_its_limit(tmp_path: Path) -> None:
    path = write_capture(tmp_path / "capture", [trade("a", 1)])
    async with (
        local_exchange([path], exchange="binance", weight_limit=30) as exchange,
        httpx2.AsyncClient(base_url=exchange.rest_url) as client,
    ):
        info = await client.get("/api/v3/exchangeInfo")
        assert (info.status_code, info.headers["x-mbx-used-weight-1m"]) == (200, "20")
        refused = [await client.get("/api/v3/exchangeInfo") for _ in range(1 + INSISTENCE)]
        assert [one.status_code for one in refused] == [429] * INSISTENCE + [418]
        assert [one.json()["code"] for one in refused] == [-1003] * (1 + INSISTENCE)
        assert 0 < int(refused[0].headers["retry-after"]) <= 60 < int(refused[-1].headers["retry-after"])


@pytest.mark.parametrize(
    ("exchange_name", "kind", "expected"),
    [
        ("binance", LIMIT, (429, b'{"code":-1003,')),
        ("binance", BAN, (418, b'{"code":-1003,')),
        ("bybit", LIMIT, (200, b'{"retCode":10006,')),
        ("bybit", BAN, (403, b"access too frequent")),
    ],
)
async def test_rest_is_refused_when_told_to(
    tmp_path: Path, exchange_name: str, kind: str, expected: tuple[int, bytes]
) -> None:
    target = "/api/v3/ping" if exchange_name == "binance" else "/v5/market/time"
    path = write_capture(tmp_path / "capture", [trade("a", 1)])
    async with (
        local_exchange(
            [path], exchange=exchange_name, start_after=0, faults=[Fault(0, kind, 100.0)]
        ) as exchange,
        httpx2.AsyncClient(base_url=exchange.rest_url) as client,
    ):
        await exchange.done.wait()
        assert exchange.faults == {kind: 1}
        refused = await client.get(target)
        assert refused.status_code == expected[0]
        assert refused.content.startswith(expected[1])
        if exchange_name == "binance":
            assert 90 < int(refused.headers["retry-after"]) <= 100


@pytest.mark.parametrize(
    ("exchange_name", "kind"), [("binance", RESTART), ("binance_usdm", RESTART), ("bybit", SHUTDOWN)]
)
async def test_faults_that_an_exchange_never_has(tmp_path: Path, exchange_name: str, kind: str) -> None:
    path = write_capture(tmp_path / "capture", [trade("a", 1)])
    with pytest.raises(LocalExchangeError, match=f"^the {kind} at 0: {exchange_name} has no such fault$"):
        async with local_exchange([path], exchange=exchange_name, faults=[Fault(0, kind)]):
            pytest.fail("it runs")


def numbers_of(frames: Sequence[bytes]) -> list[tuple[str, int]]:
    told = [json.loads(frame) for frame in frames]
    return [(one["type"], one["data"]["u"]) for one in told if one.get("topic") == BOOK]


@pytest.mark.parametrize("restart", [False, True])
async def test_bybit_tells_a_book_anew_to_who_subscribes_again(tmp_path: Path, *, restart: bool) -> None:
    """In the middle of a playback: a snapshot of what was played, then the changes that follow it."""
    bodies = [frame.body for frame in read_capture([BYBIT_RECORDED]).frames if frame.stream == BOOK]
    middle = len(bodies) // 2
    path = write_capture(
        tmp_path / "capture", bodies, [0.0 if at < middle else 0.5 for at in range(len(bodies))]
    )
    first = json.loads(bodies[0])["data"]["u"]
    faults = [Fault(3, RESTART)] if restart else []
    async with (
        local_exchange([path], exchange="bybit_spot", speed=1, marks=[middle - 1], faults=faults) as exchange,
        open_websocket(exchange.url + "/v5/public/spot") as websocket,
    ):
        found: list[bytes] = []

        async def hear() -> None:
            async for run in websocket.runs():
                found.extend(run.frames)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(hear)
            await websocket.send(json.dumps({"op": "subscribe", "args": [BOOK]}))
            assert await anext(exchange.marks) == middle - 1
            await websocket.send(json.dumps({"op": "unsubscribe", "args": [BOOK]}))
            await websocket.send(json.dumps({"op": "subscribe", "args": [BOOK]}))
    kinds = numbers_of(found)
    again = max(at for at, (kind, _) in enumerate(kinds) if kind == "snapshot")
    before, after = kinds[:again], kinds[again:]
    assert len(after) > 1
    end = len(bodies) - 3 if restart else first + len(bodies) - 1
    assert after[1:] == [("delta", number) for number in range(after[0][1] + 1, end + 1)]
    assert after[0][1] >= before[-1][1] > 1
    expected = [("snapshot", first), *(("delta", first + at) for at in range(1, len(bodies)))]
    if restart:
        expected[3:] = [("snapshot", 1), *(("delta", at) for at in range(2, len(bodies)))]
    assert before == expected[: len(before)]


async def test_a_wrong_symbol_is_refused_over_sockets(tmp_path: Path) -> None:
    path = write_capture(tmp_path / "capture", [trade("btcusdt", 1)])
    async with (
        local_exchange([path], exchange="bybit") as exchange,
        open_websocket(exchange.url + "/v5/public/linear") as websocket,
    ):
        await websocket.send('{"op":"subscribe","args":["publicTrade.NONE"]}')
        await websocket.send('{"op":"subscribe","args":["publicTrade.BTCUSDT"]}')
        found = [json.loads(frame) async for run in websocket.runs() for frame in run.frames]
    assert [one.get("success") for one in found] == [False, True, None]
    assert found[2]["data"][0]["p"] == "61837.63"


async def test_the_daemon_listens_to_what_was_recorded_of_bybit() -> None:
    capture = read_capture([BYBIT_RECORDED])
    async with (
        local_exchange([BYBIT_RECORDED], exchange="bybit_spot") as exchange,
        open_websocket(exchange.url + "/v5/public/spot") as websocket,
    ):
        await websocket.send(json.dumps({"op": "subscribe", "args": exchange.streams}))
        found = [frame async for run in websocket.runs() for frame in run.frames]
    assert found[1:] == [frame.body for frame in capture.frames]
