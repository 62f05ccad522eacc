"""Binance's side of a conversation, request by request."""

import json

import pytest

from actors.playback.binance import BINANCE, BINANCE_USDM
from actors.playback.capture import Frame
from actors.playback.dialect import Session

TRADE, DEPTH = "btcusdt@trade", "btcusdt@depth@0ms"
PAYLOAD = b'{"e":"trade","s":"BTCUSDT"}'
WRAPPED = b'{"stream":"btcusdt@trade","data":' + PAYLOAD + b"}"


def _spot(target: str = "/ws") -> Session:
    session = BINANCE.open(target, frozenset())
    assert session is not None
    return session


def _ask(session: Session, **request: object) -> object:
    return json.loads(session.receive(json.dumps(request)))


@pytest.mark.parametrize(
    ("target", "streams", "wraps"),
    [
        ("/ws", [], False),
        ("/ws/btcusdt@trade", [TRADE], False),
        ("/ws/btcusdt@trade/btcusdt@depth@0ms", [TRADE, DEPTH], False),
        ("/ws/btcusdt%40trade?timeUnit=MICROSECOND", [TRADE], False),
        ("/stream", [], True),
        ("/stream?streams=btcusdt@trade/btcusdt@depth@0ms", [TRADE, DEPTH], True),
        ("/stream?streams=btcusdt%40trade&timeUnit=MICROSECOND", [TRADE], True),
    ],
)
def test_spot_paths(target: str, streams: list[str], *, wraps: bool) -> None:
    session = _spot(target)
    assert _ask(session, method="LIST_SUBSCRIPTIONS", id=3) == {"result": streams, "id": 3}
    assert session.receives == set(streams)
    assert session.requests == bool(streams)
    assert session.render(Frame(0, TRADE, PAYLOAD)) == (WRAPPED if wraps else PAYLOAD)
    assert session.render(Frame(0, TRADE, WRAPPED)) == (WRAPPED if wraps else PAYLOAD)


@pytest.mark.parametrize("target", ["/", "/api/v3/depth", "/wss", "/public/ws"])
def test_paths_that_spot_has_not(target: str) -> None:
    assert BINANCE.open(target, frozenset()) is None


@pytest.mark.parametrize(
    ("route", "receives"),
    [
        ("/public", {TRADE, DEPTH, "btcusdt@bookTicker", "!bookTicker", "btcusdt@depth20@100ms"}),
        ("/market", {"btcusdt@aggTrade", "btcusdt@kline_1m", "!forceOrder@arr"}),
        ("/private", None),
        ("", set()),
    ],
)
def test_futures_routes_acknowledge_everything_and_carry_their_own(
    route: str, receives: set[str] | None
) -> None:
    streams = [TRADE, "btcusdt@aggTrade", "btcusdt@kline_1m", "!forceOrder@arr", DEPTH, "btcusdt@bookTicker"]
    streams += ["!bookTicker", "btcusdt@depth20@100ms"]
    session = BINANCE_USDM.open(route + "/stream?streams=" + "/".join(streams), frozenset())
    if receives is None:
        assert session is None
        return
    assert session is not None
    assert session.receives == receives
    session = BINANCE_USDM.open(route + "/ws", frozenset())
    assert session is not None
    assert _ask(session, method="SUBSCRIBE", params=streams, id=1) == {"result": None, "id": 1}
    assert session.receives == receives
    assert _ask(session, method="LIST_SUBSCRIPTIONS", id=2) == {"result": streams, "id": 2}


def test_live_subscriptions() -> None:
    session = _spot()
    assert (
        session.receive('{"method":"SUBSCRIBE","params":["btcusdt@trade","x@y"],"id":1}')
        == '{"result":null,"id":1}'
    )
    assert _ask(session, method="SUBSCRIBE", params=[TRADE], id=2) == {"result": None, "id": 2}
    assert session.receives == {TRADE, "x@y"}
    assert session.requests == 2
    assert _ask(session, method="UNSUBSCRIBE", params=["x@y", "never@had"], id=312) == {
        "result": None,
        "id": 312,
    }
    assert session.receives == {TRADE}


def test_the_combined_property() -> None:
    session = _spot()
    frame = Frame(0, TRADE, WRAPPED)
    assert _ask(session, method="GET_PROPERTY", params=["combined"], id=1) == {"result": False, "id": 1}
    assert _ask(session, method="SET_PROPERTY", params=["combined", True], id=2) == {"result": None, "id": 2}
    assert session.render(frame) == WRAPPED
    assert _ask(session, method="SET_PROPERTY", params=["combined", 1], id=3) == {
        "code": 1,
        "msg": "Invalid value type: expected Boolean",
        "id": 3,
    }
    assert _ask(session, method="SET_PROPERTY", params=["other", True], id=4) == {
        "code": 0,
        "msg": "Unknown property",
        "id": 4,
    }


def test_a_frame_recorded_in_another_order_is_unwrapped_too() -> None:
    body = b'{"stream": "btcusdt@trade", "data": ' + PAYLOAD + b"}"
    assert _spot("/ws/x").render(Frame(0, TRADE, body)) == PAYLOAD
    body = b'{"stream":"btcusdt@trade","extra":1,"data":' + PAYLOAD + b"}"
    assert _spot("/ws/x").render(Frame(0, TRADE, body)) == PAYLOAD


@pytest.mark.parametrize(
    ("request_", "code", "message", "request_id"),
    [
        ("hello", 3, "Invalid JSON: expected value at line 1 column 1", None),
        ("", 3, "Invalid JSON", None),
        ("[1]", 2, "Invalid request: expected an object", None),
        ('{"id":1}', 2, "Invalid request: missing field `method`", 1),
        ('{"method":"subscribe","id":1}', 2, "Invalid request: unknown variant `subscribe`, expected", 1),
        ('{"method":7,"id":1}', 2, "Invalid request: unknown variant `7`", 1),
        ('{"method":"SUBSCRIBE","params":["a"],"id":-1}', 2, "Invalid request: request ID must be", None),
        ('{"method":"SUBSCRIBE","params":["a"],"id":true}', 2, "Invalid request: request ID must be", None),
        ('{"method":"SUBSCRIBE","params":"a","id":1}', 2, "Invalid request: params must be an array", 1),
        ('{"method":"SUBSCRIBE","params":[1],"id":1}', 2, "Invalid request: stream names must be strings", 1),
    ],
)  # fmt: skip
def test_requests_that_are_refused(request_: str, code: int, message: str, request_id: int | None) -> None:
    session = _spot()
    answer = json.loads(session.receive(request_))
    assert answer["code"] == code
    assert answer["msg"].startswith(message)
    assert answer.get("id") == request_id
    assert not session.receives


def test_ids_that_spot_takes_and_futures_refuse() -> None:
    futures = BINANCE_USDM.open("/market/ws", frozenset())
    assert futures is not None
    for request in ({"id": "abc"}, {"id": None}, {}):
        assert _ask(_spot(), method="LIST_SUBSCRIPTIONS", **request) == {
            "result": [],
            "id": request.get("id"),
        }
        refused = _ask(futures, method="LIST_SUBSCRIPTIONS", **request)
        assert refused == {"code": 2, "msg": "Invalid request: request ID must be an unsigned integer"}


def test_more_streams_than_a_connection_may_have() -> None:
    session = _spot()
    most = [f"s{number}@trade" for number in range(1024)]
    assert _ask(session, method="SUBSCRIBE", params=most, id=1) == {"result": None, "id": 1}
    assert _ask(session, method="SUBSCRIBE", params=["one@more"], id=2) == {
        "code": 2,
        "msg": "Invalid request: too many parameters",
        "id": 2,
    }
    assert len(session.receives) == 1024
    assert _ask(session, method="SUBSCRIBE", params=most[:5], id=3) == {"result": None, "id": 3}
