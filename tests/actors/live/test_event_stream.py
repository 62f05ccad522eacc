"""Server-sent events over real connections."""

import json
from contextlib import asynccontextmanager, suppress
from urllib.parse import urlencode

import h11
import httpx
import pytest
import trio
from scripted_channel import BITCOIN

from actors.front import events


@asynccontextmanager
async def streamed(url, headers=(), **parameters):
    """Open a stream; yield a function that returns the next event by the names of its fields."""
    host, port = url.removeprefix("http://").split(":")
    target = f"/api/v1/stream?{urlencode(parameters, doseq=True)}"
    connection = h11.Connection(h11.CLIENT)
    async with await trio.open_tcp_stream(host, int(port)) as stream:
        request = h11.Request(method="GET", target=target, headers=[("Host", "localhost"), *headers])
        await stream.send_all(connection.send(request))

        async def next_part():
            with trio.fail_after(30):
                while (part := connection.next_event()) is h11.NEED_DATA:
                    connection.receive_data(await stream.receive_some(65536))
            return part

        response = await next_part()
        assert response.status_code == 200
        assert dict(response.headers)[b"content-type"] == b"text/event-stream; charset=utf-8"
        text = ""

        async def next_event():
            nonlocal text
            while "\n\n" not in text:
                part = await next_part()
                if isinstance(part, h11.EndOfMessage):
                    return {}
                text += part.data.decode()
            event, _, text = text.partition("\n\n")
            return dict(line.split(": ", 1) for line in event.split("\n"))

        assert await next_event() == {"retry": "2000"}
        yield next_event


async def until(holds):
    with trio.fail_after(30):
        while not holds():  # noqa: ASYNC110
            await trio.sleep(0.001)


async def test_changes_come_as_events_with_their_cursor(url_of, news, hub):
    async with streamed(url_of, **BITCOIN) as next_event:
        await until(lambda: news.topics)
        news.tell(7)
        event = await next_event()
        data = json.loads(event["data"])
        assert (event["id"], data["type"], data["number"], data["seq"]) == ("7", "change", 7, 1)
        assert data["symbol"] == "BTCUSDT"
    await until(lambda: not news.topics)
    assert hub.statistics()["connections"] == 0


async def test_several_channels_come_over_one_stream(url_of, news, hub):
    parameters = {**BITCOIN, "channel": ["news", "more"], "depth": "5"}
    async with streamed(url_of, **parameters) as next_event:
        more = hub.channels["more"]
        await until(lambda: news.topics and more.topics)
        news.tell(1, "BTCUSDT5")
        more.tell(2)
        told = [json.loads((await next_event())["data"]) for _ in range(2)]
        assert [(one["channel"], one["number"]) for one in told] == [("news", 1), ("more", 2)]


async def test_a_comment_comes_where_nothing_else_does(url_of, news, monkeypatch):
    monkeypatch.setattr(events, "HEARTBEAT", 0.01)
    async with streamed(url_of, **BITCOIN) as next_event:
        assert await next_event() == {"": "here"}
        news.tell(1)
        while "data" not in (event := await next_event()):
            pass
        assert json.loads(event["data"])["number"] == 1


async def test_the_stream_ends_when_the_daemon_stops(url_of, hub):
    async with streamed(url_of, **BITCOIN) as next_event:
        hub.stopping.set()
        assert await next_event() == {"": "the end"}
        assert await next_event() == {}


@pytest.mark.parametrize(
    ("query", "status", "code"),
    [
        ("", 400, "missing_parameter"),
        ("channel=new&exchange=binance&symbol=BTCUSDT", 422, "bad_value"),
        ("channel=news", 400, "missing_parameter"),
        ("channel=news&exchange=binance&symbol=BTC", 404, "unknown_symbol"),
        ("channel=news&exchange=binance&exchange=binance&symbol=BTCUSDT", 400, "repeated_parameter"),
        ("channel=news&exchange=binance&symbol=BTCUSDT&nonsense=1", 400, "unknown_parameter"),
        ("channel=more&exchange=binance&symbol=BTCUSDT&depth=1", 400, "unknown_parameter"),
        ("&".join("a=1" for _ in range(100)), 400, "bad_query"),
        ("channel=%ff%fe", 422, "bad_value"),
    ],
)
async def test_a_mistake_is_answered_before_anything_streams(url_of, hub, query, status, code):
    async with httpx.AsyncClient(base_url=url_of, timeout=5) as client:
        answer = await client.get(f"/api/v1/stream?{query}")
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert answer.headers["content-type"] == "application/problem+json"
    await until(lambda: hub.statistics() == {"connections": 0, "topics": 0})


async def test_another_method_is_refused(url_of):
    async with httpx.AsyncClient(base_url=url_of, timeout=5) as client:
        answer = await client.post("/api/v1/stream?channel=news")
    assert (answer.status_code, answer.headers["allow"]) == (405, "GET")


@pytest.mark.parametrize("cut", [0, 200])
async def test_who_is_gone_takes_his_subscriptions_along(url_of, news, hub, cut):
    host, port = url_of.removeprefix("http://").split(":")
    stream = await trio.open_tcp_stream(host, int(port))
    query = "&".join(f"{name}={value}" for name, value in BITCOIN.items())
    await stream.send_all(f"GET /api/v1/stream?{query} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
    await until(lambda: news.topics)
    with suppress(KeyError):
        for number in range(cut):
            news.tell(number, size=1_000)
    stream.socket.close()
    await until(lambda: not news.topics)
    assert hub.statistics()["connections"] == 0


async def test_the_id_of_the_last_event_takes_the_place_of_the_cursor(url_of, news, monkeypatch):
    seen = []
    read = news.read
    monkeypatch.setattr(type(news), "read", lambda _, given: seen.append(dict(given)) or read({
        name: value for name, value in given.items() if name != "cursor"
    }))  # fmt: skip
    news.parameters = ("cursor", "start")
    async with streamed(url_of, [("Last-Event-ID", "late")], **BITCOIN, cursor="early"):
        pass
    assert [given["cursor"] for given in seen] == ["late"]
