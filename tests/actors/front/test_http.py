import logging

import httpx
import pytest
import trio
from front_door import FakeDoor

from wadm.answers.registry import QUESTIONS
from wadm.questions import Unavailable

PROFILE = "/api/v1/volume-profile"
ASKED = {"exchange": "binance_usdm", "symbol": "BTCUSDT", "timeframe": "1h"}
PATHS = ("/health", "/api/v1/symbols", "/api/v1/status", "/api/v1/actors")


async def test_health_has_its_shape(client: httpx.AsyncClient) -> None:
    answer = await client.get("/health")
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["cache-control"] == "no-store"
    assert answer.json() == {
        "status": "healthy",
        "version": "0.1.0",
        "collectors": {"binance_usdm": "connected", "bybit": "connecting"},
        "storage": {"journal": "ok", "sqlite": "ok", "cold": "ok"},
        "uptime": "72h 15m 32s",
    }


@pytest.mark.parametrize(("state", "code"), [("healthy", 200), ("degraded", 200), ("unhealthy", 503)])
async def test_health_says_by_its_status_whether_to_route_here(
    client: httpx.AsyncClient, door: FakeDoor, state: str, code: int
) -> None:
    door.healthy = state
    answer = await client.get("/health")
    assert (answer.status_code, answer.json()["status"]) == (code, state)


async def test_a_profile_is_answered_with_its_parameters_and_coverage(client: httpx.AsyncClient) -> None:
    answer = (await client.get(PROFILE, params={**ASKED, "row_size": "50", "value_area": "0.5"})).json()
    assert (answer["symbol"], answer["row_size"], answer["value_area"]) == ("BTCUSDT", "50", "0.5")
    assert answer["val"] <= answer["poc"] <= answer["vah"]
    assert sum(row["count"] for row in answer["rows"]) == answer["trades"] == 4000
    assert answer["coverage"]["state"] == "provisional"


async def test_a_long_profile_is_encoded_by_slices_into_the_same_answer(
    client: httpx.AsyncClient, door: FakeDoor
) -> None:
    answer = await client.get(PROFILE, params=ASKED)
    assert len(answer.json()["rows"]) > 2000
    assert answer.json() == await door.ask(QUESTIONS["profile"], ASKED)


async def test_order_flow_is_answered(client: httpx.AsyncClient) -> None:
    answer = (await client.get("/api/v1/order-flow", params=ASKED)).json()
    assert answer["trades"] == 4000
    assert answer["cvd"] == answer["delta"]


@pytest.mark.parametrize("path", PATHS)
async def test_answers_without_parameters(client: httpx.AsyncClient, path: str) -> None:
    answer = await client.get(path)
    assert answer.status_code == 200
    assert answer.json()


@pytest.mark.parametrize("path", [*PATHS, f"{PROFILE}?exchange=bybit&symbol=shib1000usdt&timeframe=1m", "/"])
async def test_head_gives_the_headers_only(client: httpx.AsyncClient, path: str) -> None:
    head, get = await client.head(path), await client.get(path)
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-length"] == get.headers["content-length"] == str(len(get.content))


@pytest.mark.parametrize(
    ("query", "status", "code", "parameter", "says"),
    [
        ("", 400, "missing_parameter", "exchange", "is missing"),
        ("exchange=binance_usdm", 400, "missing_parameter", "symbol", "BTCUSDT, ETHUSDT"),
        ("exchange=binanse&symbol=BTCUSDT", 404, "unknown_exchange", "exchange", "did you mean binance?"),
        ("exchange=bybit&symbol=BTCUSDT&timeframe=1h", 404, "unknown_symbol", "symbol", "SHIB1000USDT"),
        (
            "exchange=bybit&symbol=SHIB1000USDT&timeframe=2h",
            422,
            "bad_value",
            "timeframe",
            "'2h'; expected one of 1m, 5m",
        ),
        (
            "exchange=bybit&symbol=SHIB1000USDT&timeframe=1h&start=2024-08-08T00:00:00Z",
            400,
            "conflicting_parameters",
            "timeframe",
            "not both",
        ),
        (
            "exchange=bybit&symbol=SHIB1000USDT&timeframe=1h&rowsize=1",
            400,
            "unknown_parameter",
            "rowsize",
            "row_size",
        ),
        ("exchange=bybit&exchange=binance", 400, "repeated_parameter", "exchange", "single value"),
        (
            "exchange=bybit&symbol=SHIB1000USDT&timeframe=1h&row_size=1e-6",
            422,
            "bad_value",
            "row_size",
            "multiple of the symbol's tick",
        ),
    ],
)
async def test_a_question_that_cannot_be_answered_says_what_is_wrong(
    client: httpx.AsyncClient, *, query: str, status: int, code: str, parameter: str, says: str
) -> None:
    answer = await client.get(f"{PROFILE}?{query}")
    error = answer.json()
    assert (answer.status_code, error["code"], error["parameter"]) == (status, code, parameter)
    assert says in error["detail"]
    assert set(error) == {"type", "title", "status", "detail", "code", "parameter", "value", "expected"}
    assert answer.headers["cache-control"] == "no-store"


@pytest.mark.parametrize("path", PATHS[1:])
async def test_a_parameter_where_there_is_none_is_refused(client: httpx.AsyncClient, path: str) -> None:
    answer = await client.get(path, params={"limit": "3"})
    assert answer.status_code == 400
    assert answer.json()["code"] == "unknown_parameter"


async def test_what_is_not_available_now_may_be_asked_again(
    client: httpx.AsyncClient, door: FakeDoor
) -> None:
    door.failure = Unavailable("binance:BTCUSDT", "it did not answer within 5 s")
    answer = await client.get(PROFILE, params=ASKED)
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
    assert answer.json()["code"] == "unavailable"


async def test_a_bug_is_logged_once_and_not_shown(
    client: httpx.AsyncClient, door: FakeDoor, caplog: pytest.LogCaptureFixture
) -> None:
    door.failure = ZeroDivisionError("the secret of the house")
    with caplog.at_level(logging.INFO):
        answer = await client.get(PROFILE, params=ASKED)
    assert (answer.status_code, answer.json()["code"]) == (500, "internal_error")
    assert "secret" not in answer.text
    assert "Traceback" not in answer.text
    (record,) = [record for record in caplog.records if record.levelno >= logging.WARNING]
    assert record.exc_info is not None


async def test_an_unknown_path_lists_the_known_ones(client: httpx.AsyncClient) -> None:
    answer = await client.get("/api/v2/nothing")
    error = answer.json()
    assert (answer.status_code, error["code"], error["value"]) == (404, "not_found", "/api/v2/nothing")
    for path in ("/health", PROFILE, "/api/v1/symbols", "/mcp"):
        assert path in error["detail"]


@pytest.mark.parametrize("path", ["/health", PROFILE, "/"])
@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH"])
async def test_only_reading_is_allowed(client: httpx.AsyncClient, method: str, path: str) -> None:
    answer = await client.request(method, path, content=b"x" * 100)
    assert (answer.status_code, answer.json()["code"]) == (405, "method_not_allowed")
    assert "GET" in answer.headers["allow"]


async def test_a_long_query_is_answered_in_few_words(client: httpx.AsyncClient) -> None:
    long = await client.get(PROFILE, params={"exchange": "x" * 8_000})
    assert (long.status_code, long.json()["code"]) == (404, "unknown_exchange")
    assert len(long.text) < 1_000


async def test_an_endless_query_is_refused(url: str) -> None:
    assert (await answer_to(url, b"GET /health?x=" + b"x" * 60_000)).startswith(b"HTTP/1.1 431 ")


async def test_a_body_too_large_is_refused_before_it_is_read(url: str) -> None:
    head = b"POST /mcp HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1048577\r\n\r\n"
    answer = await answer_to(url, head)
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert b'"body_too_large"' in answer


async def answer_to(url: str, sent: bytes) -> bytes:
    """Return all that is answered to bytes on a raw connection until the server hangs up."""
    host, port = url.removeprefix("http://").split(":")
    with trio.fail_after(30):
        async with await trio.open_tcp_stream(host, int(port)) as stream:
            await stream.send_all(sent)
            return b"".join([part async for part in stream])


async def test_the_server_does_not_say_what_it_is_made_of(client: httpx.AsyncClient) -> None:
    answer = await client.get("/health")
    assert "server" not in answer.headers
    assert answer.headers["x-content-type-options"] == "nosniff"
