"""The WebSocket over real connections: operations, mistakes, garbage, and clients that do not read."""

import json
import socket
import struct
from contextlib import asynccontextmanager, suppress

import pytest
import trio
from scripted_channel import BITCOIN, ETHER
from trio_websocket import ConnectionClosed, wrap_client_stream

from actors.front.connections import FrontConfig
from actors.front.websocket import BURST
from actors.live.hub import MOST_OF_ONE


@asynccontextmanager
async def connected(url, **more):
    host, port = url.removeprefix("http://").split(":")
    async with await trio.open_tcp_stream(host, int(port)) as stream, trio.open_nursery() as nursery:
        client = await wrap_client_stream(nursery, stream, f"{host}:{port}", "/ws/v1", **more)
        yield client
        with trio.fail_after(30):
            await client.aclose()
        nursery.cancel_scope.cancel()


UPGRADE = (
    b"GET /ws/v1 HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
)


@asynccontextmanager
async def upgraded(url, buffer=None, headers=b""):
    """Connect without a library, which would be better behaved; yield the stream and the server's answer."""
    host, port = url.removeprefix("http://").split(":")
    async with await trio.open_tcp_stream(host, int(port)) as stream:
        if buffer is not None:
            stream.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
        await stream.send_all(UPGRADE + headers + b"\r\n")
        yield stream, await stream.receive_some(4096)


async def rest_of(stream, answer):
    """Return an answer with its body, which may come later than its headers."""
    return answer if not answer.endswith(b"\r\n\r\n") else answer + await stream.receive_some(4096)


def frame(**operation):
    """Return an operation of up to 125 bytes as a client's text frame."""
    text = json.dumps(operation).encode()
    return b"\x81" + bytes([0x80 | len(text)]) + bytes(4) + text


@pytest.fixture
async def client(url_of):
    async with connected(url_of, subprotocols=["wadm.v1"]) as opened:
        yield opened


async def received(client):
    with trio.fail_after(30):
        return json.loads(await client.get_message())


async def asked(client, **operation):
    await client.send_message(json.dumps(operation))
    return await received(client)


async def closed(client):
    """Return the code and the reason with which the server ended it."""
    with trio.fail_after(30):
        try:
            while True:
                await client.get_message()
        except ConnectionClosed as ended:
            return ended.reason.code, ended.reason.reason


async def until(holds):
    """Return once something holds that no event tells of."""
    with trio.fail_after(30):
        while not holds():  # noqa: ASYNC110
            await trio.sleep(0.001)


async def subscribed(client, news, given=BITCOIN, **more):
    answer = await asked(client, op="subscribe", id=1, **given, **more)
    assert answer["ok"], answer
    await until(lambda: given["symbol"] in news.topics)
    return answer["subscription"]


async def test_one_subscribes_is_told_and_unsubscribes(client, news):
    assert client.subprotocol == "wadm.v1"
    answer = await asked(client, op="subscribe", id="mine", **BITCOIN)
    assert answer == {
        "type": "answer", "id": "mine", "ok": True, "op": "subscribe", "subscription": 1, **BITCOIN,
    }  # fmt: skip
    await until(lambda: news.topics)
    news.tell(5)
    change = await received(client)
    assert (change["type"], change["subscription"], change["number"]) == ("change", 1, 5)
    listed = await asked(client, op="list", id=2)
    assert listed["subscriptions"] == [{"subscription": 1, **BITCOIN}]
    assert (await asked(client, op="unsubscribe", id=3, subscription=1))["ok"] is True
    await until(lambda: not news.topics)
    assert await asked(client, op="ping", id=4) == {"type": "answer", "id": 4, "ok": True, "op": "ping"}


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("", "bad_operation"),
        ("{", "bad_operation"),
        ("[]", "bad_operation"),
        ('"subscribe"', "bad_operation"),
        ("[" * 5_000, "bad_operation"),
        ('{"op":"subscribe"' + ',"a":{"b":' * 600, "bad_operation"),
        ("{}", "missing_parameter"),
        ('{"op":"subscripe"}', "bad_value"),
        ('{"op":{}}', "bad_value"),
        ('{"op":"subscribe"}', "missing_parameter"),
        ('{"op":"subscribe","channel":5}', "bad_value"),
        ('{"op":"subscribe","channel":["news"]}', "bad_value"),
        ('{"op":"subscribe","channel":"news","exchange":"binanc"}', "unknown_exchange"),
        ('{"op":"subscribe","channel":"news","exchange":"binance","symbol":"x"}', "unknown_symbol"),
        ('{"op":"subscribe","channel":"news","wrong":1}', "unknown_parameter"),
        ('{"op":"unsubscribe"}', "bad_value"),
        ('{"op":"unsubscribe","subscription":true}', "bad_value"),
        ('{"op":"unsubscribe","subscription":99}', "bad_value"),
    ],
)
async def test_a_mistake_is_answered_with_a_problem_and_the_conversation_goes_on(client, text, code):
    await client.send_message(text)
    answer = await received(client)
    assert (answer["ok"], answer["problem"]["code"]) == (False, code)
    assert answer["problem"]["detail"].endswith(".")
    assert (await asked(client, op="ping", id=1))["ok"] is True


@pytest.mark.parametrize("made_up", [[1], {"a": 1}, 1.5, None, True, 10**30])
async def test_an_id_of_another_kind_is_not_repeated(client, made_up):
    answer = await asked(client, op="ping", id=made_up)
    assert answer["id"] in (None, True)


async def test_a_binary_frame_ends_it(client):
    await client.send_message(b"\x00\xff")
    assert await closed(client) == (1003, "operations are JSON in text frames")


async def test_an_empty_binary_frame_ends_it(client):
    await client.send_message(b"")
    assert (await closed(client))[0] == 1003


@pytest.mark.parametrize("size", [9_000, 65_000, 70_000, 300_000])
async def test_a_frame_too_large_ends_it_and_leaves_nothing_behind(client, hub, size):
    await client.send_message('{"op":"' + "x" * size)
    assert (await closed(client))[0] == 1009
    await until(lambda: hub.statistics()["connections"] == 0)


async def test_a_flood_of_operations_ends_it(url_of, hub):
    async with upgraded(url_of) as (stream, _):
        with suppress(trio.BrokenResourceError):
            await stream.send_all(frame(op="ping", id=1) * 10 * BURST)
        await until(lambda: hub.statistics()["connections"] == 0)
        answers = b""
        with trio.fail_after(30), suppress(trio.BrokenResourceError):
            while part := await stream.receive_some(65536):
                answers += part
        assert answers.count(b'"op":"ping"') <= BURST + 20
        assert b"more than 20 operations a second" in answers or not answers.endswith(b"}")


async def test_who_listens_is_told_when_the_daemon_stops(client, hub):
    hub.stopping.set()
    assert await closed(client) == (1001, "the daemon stops")


async def test_who_leaves_takes_his_subscriptions_along(url_of, news, hub):
    async with connected(url_of) as client:
        await subscribed(client, news)
    await until(lambda: not news.topics)
    assert hub.statistics() == {"connections": 0, "topics": 0}


async def test_who_is_cut_off_takes_his_subscriptions_along(url_of, news, hub):
    async with upgraded(url_of) as (stream, answer):
        assert answer.startswith(b"HTTP/1.1 101")
        await stream.send_all(frame(op="subscribe", **BITCOIN))
        await until(lambda: news.topics)
        stream.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        stream.socket.close()
        for number in range(50):
            if news.topics:
                news.tell(number, size=1_000)
            await trio.lowlevel.checkpoint()
        await until(lambda: not news.topics)
    assert hub.statistics()["connections"] == 0


async def test_too_many_connections_of_one_caller_are_refused_before_they_open(url_of, hub):
    opened = [hub.session("127.0.0.1") for _ in range(MOST_OF_ONE)]
    for one in opened:
        one.__enter__()
    async with upgraded(url_of) as (stream, answer):
        assert answer.startswith(b"HTTP/1.1 429")
        assert b"too_many_connections" in await rest_of(stream, answer)
    for one in opened:
        one.__exit__(None, None, None)
    async with connected(url_of) as client:
        assert (await asked(client, op="ping"))["ok"]


async def test_nothing_is_compressed_once_for_every_subscriber(url_of):
    async with upgraded(url_of, headers=b"Sec-WebSocket-Extensions: permessage-deflate\r\n") as (_, answer):
        assert b"HTTP/1.1 101" in answer
        assert b"deflate" not in answer


async def test_one_that_does_not_read_holds_up_none_of_ten_others(url_of, news, nursery):
    """The stalled one's socket fills; the others get every message, and it is told later what it missed."""
    async with upgraded(url_of, buffer=4096) as (stalled, _):
        news.most = 20
        await stalled.send_all(frame(op="subscribe", **BITCOIN))
        await until(lambda: "BTCUSDT" in news.topics)
        await _ten_others_get_everything(url_of, news, nursery)
        text = b""
        with trio.fail_after(30):
            while b'"type":"missed"' not in text:
                text = text[-200_000:] + await stalled.receive_some(65536)


async def test_one_that_never_reads_is_put_out(url_of, news, hub, monkeypatch):
    monkeypatch.setattr(FrontConfig, "send_timeout", 0.05)
    async with upgraded(url_of, buffer=4096) as (stalled, _):
        await stalled.send_all(frame(op="subscribe", **BITCOIN))
        await until(lambda: news.topics)
        for number in range(500):
            if news.topics:
                news.tell(number, size=5_000)
            await trio.lowlevel.checkpoint()
        await until(lambda: hub.statistics() == {"connections": 0, "topics": 0})


async def _ten_others_get_everything(url_of, news, nursery):
    count, seen = 100, []
    ready, done = trio.open_memory_channel(10), trio.open_memory_channel(10)

    async def reader():
        async with connected(url_of) as client:
            await subscribed(client, news)
            await ready[0].send(None)
            numbers = []
            while not numbers or numbers[-1] < count:
                message = await received(client)
                assert message["type"] == "change"
                numbers.append(message["number"])
                seen.append(message["number"])
            await done[0].send(numbers)

    for _ in range(10):
        nursery.start_soon(reader)
    for _ in range(10):
        await ready[1].receive()
    for number in range(1, count + 1):
        news.tell(number, size=5_000)
        await until(lambda: seen.count(number) == 10)  # noqa: B023  # asked at once
    for _ in range(10):
        assert await done[1].receive() == list(range(1, count + 1))


async def test_an_ordinary_request_is_told_to_upgrade(url_of):
    host, port = url_of.removeprefix("http://").split(":")
    async with await trio.open_tcp_stream(host, int(port)) as stream:
        await stream.send_all(b"GET /ws/v1 HTTP/1.1\r\nHost: localhost\r\n\r\n")
        answer = await stream.receive_some(4096)
        assert answer.startswith(b"HTTP/1.1 426")
        assert b"upgrade_required" in await rest_of(stream, answer)


async def test_two_topics_over_one_connection_do_not_mix(client, news):
    await subscribed(client, news)
    await subscribed(client, news, ETHER)
    news.tell(1, "ETHUSDT")
    news.tell(2)
    told = [await received(client) for _ in range(2)]
    assert [(one["subscription"], one["symbol"], one["number"]) for one in told] == [
        (2, "ETHUSDT", 1), (1, "BTCUSDT", 2),
    ]  # fmt: skip
