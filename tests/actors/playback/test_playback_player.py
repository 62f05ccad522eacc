"""Playback against the clock, to the moment: clients in memory, a clock that jumps."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import attrs
import pytest
import trio
import trio.testing
import trio_websocket
from playback_recordings import host_of

from actors.playback.binance import BINANCE
from actors.playback.capture import Capture, Frame
from actors.playback.dialect import Dialect
from actors.playback.player import Played, Player, parse_speed
from actors.playback.terms import Terms

TIMES = (0.0, 0.5, 0.5, 2.0, 1.5, 60.0)  # seconds; the recorder's clock stepped back once
STREAMS = ("a@trade", "b@trade")
FRAMES = [
    Frame(10**18 + int(at * 1e9), STREAMS[number % 2], b"%d" % number) for number, at in enumerate(TIMES)
]
CAPTURE = Capture(FRAMES, [], STREAMS)
DIALECT = attrs.evolve(BINANCE, terms=Terms())
PINGING = attrs.evolve(BINANCE, terms=Terms(ping_interval=20, pong_timeout=60))


@asynccontextmanager
async def _connect(
    player: Player, path: str, dialect: Dialect = DIALECT
) -> AsyncIterator[trio_websocket.WebSocketConnection]:
    """Connect to the server's side in memory."""
    client, server = trio.testing.memory_stream_pair()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(host_of(CAPTURE, player, dialect).serve, server)
        yield await trio_websocket.wrap_client_stream(nursery, client, "test", path)
        nursery.cancel_scope.cancel()


async def _listen(connection: trio_websocket.WebSocketConnection) -> list[tuple[str, float]]:
    """Note messages and the time they came, until the end."""
    found = []
    try:
        while True:
            found.append((await connection.get_message(), trio.current_time()))
    except trio_websocket.ConnectionClosed:
        pass
    assert connection.closed is not None
    assert (connection.closed.code, connection.closed.reason) == (1000, "end of capture")
    return found


@pytest.mark.parametrize("speed", [1.0, 2.5, 60.0])
async def test_frames_come_when_they_are_due(autojump_clock: object, speed: float) -> None:
    """A frame whose recorded time lies before its predecessor's comes right after it."""
    player = Player(CAPTURE, speed)
    async with _connect(player, "/ws/a@trade/b@trade") as connection, trio.open_nursery() as nursery:
        nursery.start_soon(player.run)
        begun = trio.current_time()
        found = await _listen(connection)
    due = [0.0, 0.5, 0.5, 2.0, 2.0, 60.0]
    assert [message for message, _ in found] == [str(number) for number in range(6)]
    assert [at - begun for _, at in found] == pytest.approx([at / speed for at in due])


async def test_playback_waits_for_all_streams(autojump_clock: object) -> None:
    player = Player(CAPTURE, parse_speed("max"))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(player.run)
        async with _connect(player, "/ws/a@trade") as first:
            await trio.sleep(1000)
            async with _connect(player, "/ws") as second:
                await trio.sleep(1000)
                await second.send_message(json.dumps({"method": "SUBSCRIBE", "params": ["b@trade"], "id": 1}))
                assert [message for message, _ in await _listen(second)] == [
                    '{"result":null,"id":1}',
                    "1",
                    "3",
                    "5",
                ]
            assert [message for message, _ in await _listen(first)] == ["0", "2", "4"]


async def test_what_is_subscribed_for_a_while_is_heard_for_a_while(autojump_clock: object) -> None:
    player = Player(CAPTURE, 1.0)
    played: list[Played] = []

    async def run() -> None:
        played.append(await player.run())

    async with _connect(player, "/ws/a@trade/b@trade") as connection, trio.open_nursery() as nursery:
        nursery.start_soon(run)
        assert [await connection.get_message() for _ in range(3)] == ["0", "1", "2"]
        await connection.send_message(json.dumps({"method": "UNSUBSCRIBE", "params": ["b@trade"], "id": 1}))
        assert await connection.get_message() == '{"result":null,"id":1}'
        assert [message for message, _ in await _listen(connection)] == ["4"]
    assert [(figures.frames, figures.lost) for figures in played] == [(4, 2)]
    assert played[0].seconds == pytest.approx(60)


async def test_a_stalled_client_holds_up_playback_and_loses_nothing(
    autojump_clock: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("actors.playback.client.OUTBOX_LIMIT", 100)
    monkeypatch.setattr("actors.playback.player.BATCH", 10)
    frames = [Frame(10**18, "a@trade", b"%060d" % number) for number in range(100)]
    capture = Capture(frames, [], ("a@trade",))
    player = Player(capture, parse_speed("max"))
    client, server = trio.testing.lockstep_stream_pair()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(host_of(capture, player, DIALECT).serve, server)
        nursery.start_soon(player.run)
        await client.send_all(
            b"GET /ws/a@trade HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
        )
        received = b""
        while not received.endswith(b"\r\n\r\n"):
            received += await client.receive_some()
        await trio.sleep(1000)
        assert not player.finished.is_set()
        while frames[-1].body not in received:
            received += await _some(client)
            await trio.sleep(1)
        assert [received.count(frame.body) for frame in frames] == [1] * 100
        nursery.cancel_scope.cancel()


async def test_pongs_keep_a_connection(autojump_clock: object) -> None:
    player = Player(CAPTURE, 1.0)
    async with _connect(player, "/ws", PINGING) as connection:
        await trio.sleep(10_000)
        assert connection.closed is None


async def test_a_client_that_does_not_answer_pings_is_closed(autojump_clock: object) -> None:
    player = Player(CAPTURE, 1.0)
    client, server = trio.testing.memory_stream_pair()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(host_of(CAPTURE, player, PINGING).serve, server)
        await client.send_all(
            b"GET /ws HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
        )
        received, ended = await _until_end(client)
    assert received.endswith(b"\x88\x0e" + (1008).to_bytes(2) + b"Pong timeout")
    assert ended == pytest.approx(80)


async def test_a_client_that_never_shakes_hands_is_closed(autojump_clock: object) -> None:
    client, server = trio.testing.memory_stream_pair()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(host_of(CAPTURE, Player(CAPTURE, 1.0), DIALECT).serve, server)
        await client.send_all(b"GET /ws HTTP/1.1\r\n")
        received, ended = await _until_end(client)
    assert received == b""
    assert ended == pytest.approx(10)


async def _some(stream: trio.abc.ReceiveStream) -> bytes:
    """Receive what must not be the end."""
    received = await stream.receive_some()
    assert received
    return bytes(received)


async def _until_end(stream: trio.abc.ReceiveStream) -> tuple[bytes, float]:
    """Read to the end; return what came and how long it took."""
    begun = trio.current_time()
    received = b"".join([chunk async for chunk in stream])
    return received, trio.current_time() - begun


@pytest.mark.parametrize(
    ("text", "speed"), [("max", float("inf")), ("1", 1.0), ("2.5", 2.5), ("inf", float("inf"))]
)
def test_speeds(text: str, speed: float) -> None:
    assert parse_speed(text) == speed


@pytest.mark.parametrize("text", ["", "0", "-1", "nan", "fast", "1x"])
def test_what_is_no_speed(text: str) -> None:
    with pytest.raises(ValueError, match=f"speed is '{text}': expected 'max' or a number above 0"):
        parse_speed(text)
