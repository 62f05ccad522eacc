"""Bybit's side of a conversation, request by request, and its topics' snapshots."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from playback_recordings import NS

from actors.playback.bybit import BYBIT, BYBIT_SPOT
from actors.playback.bybit_topics import Topics
from actors.playback.capture import Capture, Frame, read_capture
from actors.playback.dialect import Session
from actors.playback.faults import RESTART, Fault, FaultsError, Script
from actors.playback.restart import restarted

RECORDED = Path(__file__).parents[2] / "captures" / "fastmm"
SPOT = RECORDED / "bybit_spot_btcusdt_20260913.gz"
TICKERS = RECORDED / "bybit_tickers_20260930.gz"
SYMBOLS = frozenset({"BTCUSDT", "ETHUSDT"})
TRADES, BOOK = "publicTrade.BTCUSDT", "orderbook.50.BTCUSDT"


def session_of(category: str, symbols: frozenset[str] = SYMBOLS) -> Session:
    session = (BYBIT if category == "linear" else BYBIT_SPOT).open(f"/v5/public/{category}", symbols)
    assert session is not None
    return session


def ask(session: Session, **request: object) -> dict[str, Any]:
    answer = json.loads(session.receive(json.dumps(request)))
    assert answer.pop("conn_id")
    return dict(answer)


@pytest.mark.parametrize("target", ["/", "/ws", "/v5/public/option", "/v5/public/linear/", "/v5/private"])
def test_paths_that_bybit_has_not(target: str) -> None:
    assert BYBIT.open(target, SYMBOLS) is None


def test_each_category_has_its_path() -> None:
    assert BYBIT.open("/v5/public/spot", SYMBOLS) is None
    assert BYBIT_SPOT.open("/v5/public/linear", SYMBOLS) is None


@pytest.mark.parametrize(("category", "says"), [("linear", ["", ""]), ("spot", ["subscribe", "unsubscribe"])])
def test_subscriptions_are_acknowledged(category: str, says: list[str]) -> None:
    session = session_of(category)
    told = ask(session, req_id="7", op="subscribe", args=[TRADES, BOOK])
    assert told == {"success": True, "ret_msg": says[0], "req_id": "7", "op": "subscribe"}
    assert (session.receives, session.requests) == ({TRADES, BOOK}, 1)
    told = ask(session, req_id="8", op="unsubscribe", args=[TRADES, "publicTrade.NEVER"])
    assert told == {"success": True, "ret_msg": says[1], "req_id": "8", "op": "unsubscribe"}
    assert session.receives == {BOOK}


@pytest.mark.parametrize("category", ["linear", "spot"])
def test_pings_are_answered_as_recorded(category: str) -> None:
    session = session_of(category)
    assert ask(session, req_id="p1", op="ping") == {
        "success": True,
        "ret_msg": "pong",
        "req_id": "p1",
        "op": "ping",
    }
    assert ask(session, op="ping")["req_id"] == ""


@pytest.mark.parametrize(
    ("category", "topic", "sentence"),
    [
        ("spot", "orderbook.50.NOSUCHSYM", "Invalid symbol :[orderbook.50.NOSUCHSYM]"),
        ("spot", "allLiquidation.BTCUSDT", "Invalid symbol :[allLiquidation.BTCUSDT]"),
        ("linear", "publicTrade.NONE", "error:handler not found,topic:publicTrade.NONE"),
        ("linear", "orderbook.500.BTCUSDT", "error:handler not found,topic:orderbook.500.BTCUSDT"),
        ("linear", "liquidation.BTCUSDT", "error:handler not found,topic:liquidation.BTCUSDT"),
        ("linear", "kline.2.BTCUSDT", "error:handler not found,topic:kline.2.BTCUSDT"),
        ("linear", "BTCUSDT", "error:handler not found,topic:BTCUSDT"),
        ("linear", "orderbook.BTCUSDT", "error:handler not found,topic:orderbook.BTCUSDT"),
    ],
)
def test_one_unknown_topic_refuses_the_request(category: str, topic: str, sentence: str) -> None:
    session = session_of(category)
    told = ask(session, req_id="1", op="subscribe", args=[TRADES, topic])
    assert told == {"success": False, "ret_msg": sentence, "req_id": "1", "op": "subscribe"}
    assert (session.receives, session.requests) == (set(), 0)


def test_every_kind_of_topic() -> None:
    kinds = ["publicTrade", "tickers", "kline.1", "kline.D", "allLiquidation"]
    topics = [f"{kind}.BTCUSDT" for kind in [*kinds, *(f"orderbook.{depth}" for depth in (1, 50, 200, 1000))]]
    session = session_of("linear")
    assert ask(session, op="subscribe", args=topics)["success"]
    assert session.receives == set(topics)


def test_a_topic_that_is_subscribed_to_refuses_the_request() -> None:
    session = session_of("linear")
    ask(session, op="subscribe", args=[TRADES])
    told = ask(session, op="subscribe", args=[BOOK, TRADES])
    assert (told["success"], told["ret_msg"]) == (False, f"error:already subscribed,topic:{TRADES}")
    assert session.receives == {TRADES}


def test_spot_takes_ten_topics_a_request() -> None:
    symbols = [f"S{number}" for number in range(11)]
    for category, success in (("spot", False), ("linear", True)):
        session = session_of(category, frozenset(symbols))
        told = ask(session, op="subscribe", args=[f"publicTrade.{symbol}" for symbol in symbols])
        assert told["success"] is success
        assert told["ret_msg"] == ("" if success else "args size >10")
        assert ask(session, op="subscribe", args=["tickers.S0"])["success"]


def test_topics_have_so_many_characters() -> None:
    symbols = [f"S{number:08}" for number in range(1000)]  # publicTrade.S00000001: 21 characters
    session = session_of("linear", frozenset(symbols))
    assert ask(session, op="subscribe", args=[f"publicTrade.{symbol}" for symbol in symbols])["success"]
    told = ask(session, op="subscribe", args=[f"tickers.{symbols[0]}"])
    assert (told["success"], told["ret_msg"]) == (False, "args size >21000")
    ask(session, op="unsubscribe", args=[f"publicTrade.{symbols[0]}"])
    assert ask(session, op="subscribe", args=[f"tickers.{symbols[0]}"])["success"]


@pytest.mark.parametrize(
    ("request_", "sentence"),
    [
        ("hello", "error:invalid json"),
        ("[1]", "error:invalid json"),
        ("{}", "error:request op not support,op:None"),
        ('{"op":7}', "error:request op not support,op:7"),
        ('{"op":"SUBSCRIBE"}', "error:request op not support,op:SUBSCRIBE"),
        ('{"op":"subscribe"}', "error:args must be a list of topics"),
        ('{"op":"subscribe","args":[]}', "error:args must be a list of topics"),
        ('{"op":"subscribe","args":[1]}', "error:args must be a list of topics"),
    ],
)
def test_requests_that_are_refused(request_: str, sentence: str) -> None:
    answer = json.loads(session_of("linear").receive(request_))
    assert (answer["success"], answer["ret_msg"]) == (False, sentence)


# --- topics ---


def apply(frames: Sequence[bytes]) -> tuple[dict[str, str], dict[str, str], int]:
    """What a client makes of the frames of a book, which must follow one another."""
    bids: dict[str, str] = {}
    asks: dict[str, str] = {}
    last = 0
    for body in frames:
        told = json.loads(body)
        data = told["data"]
        if told["type"] == "snapshot":
            bids, asks = {}, {}
        else:
            assert data["u"] == last + 1
        last = data["u"]
        for side, levels in ((bids, data["b"]), (asks, data["a"])):
            for price, size in levels:
                side.pop(price, None)
                if size != "0":
                    side[price] = size
    return bids, asks, last


@pytest.mark.parametrize("topic", [BOOK, "orderbook.1.BTCUSDT"])
def test_a_book_is_what_it_would_be_had_one_subscribed_before(topic: str) -> None:
    capture, topics = read_capture([SPOT]), Topics()
    of_topic = [frame for frame in capture.frames if frame.stream == topic]
    assert topics.present(topic) is None
    for at, frame in enumerate(of_topic):
        topics.read([frame])
        present = topics.present(topic)
        assert present is not None
        assert json.loads(present)["type"] == "snapshot"
        assert apply([present]) == apply([one.body for one in of_topic[: at + 1]])
        rest = [one.body for one in of_topic[at + 1 :]]
        assert apply([present, *rest]) == apply([one.body for one in of_topic])


def test_a_book_with_a_gap_is_unknown_until_the_next_snapshot() -> None:
    capture, topics = read_capture([SPOT]), Topics()
    of_topic = [frame for frame in capture.frames if frame.stream == BOOK]
    topics.read([*of_topic[:3], of_topic[4]])
    assert topics.present(BOOK) is None
    topics.read(of_topic[5:])
    assert topics.present(BOOK) is None
    topics.read(of_topic[:1])
    assert topics.present(BOOK) is not None


def test_a_ticker_has_every_field_last_told() -> None:
    capture, topics = read_capture([TICKERS]), Topics()
    topics.read(capture.frames)
    for topic in capture.streams:
        told = [json.loads(frame.body) for frame in capture.frames if frame.stream == topic]
        expected = {key: value for one in told for key, value in one["data"].items()}
        present = json.loads(topics.present(topic) or b"")
        assert (present["type"], present["data"], present["ts"]) == ("snapshot", expected, told[-1]["ts"])


@pytest.mark.parametrize(
    "body",
    [
        b"{}",
        b'{"topic":"orderbook.50.BTCUSDT","ts":1,"type":"delta","data":{"s":"B","b":[["x","1"]],"a":[],"u":2}}',
        b"\xff",
        b'{"topic":"orderbook.50.BTCUSDT","data":' + b"[" * 100_000,
    ],
)
def test_a_frame_recorded_broken_is_passed_over(body: bytes) -> None:
    topics, snapshot = Topics(), next(frame for frame in read_capture([SPOT]).frames if frame.stream == BOOK)
    topics.read([snapshot, Frame(NS, BOOK, body), Frame(NS, "tickers.BTCUSDT", body)])
    assert apply([topics.present(BOOK) or b""]) == apply([snapshot.body])


# --- restarts ---


def test_a_restart_counts_from_one_and_changes_nothing_else() -> None:
    capture = read_capture([SPOT])
    places = [at for at, frame in enumerate(capture.frames) if frame.stream == BOOK]
    found = restarted(capture, Script((Fault(places[4], RESTART), Fault(places[9], RESTART))))
    told = [json.loads(found.frames[at].body) for at in places]
    first = json.loads(capture.frames[places[0]].body)["data"]["u"]
    assert [one["data"]["u"] for one in told] == [
        *range(first, first + 4),
        *range(1, 6),
        *range(1, len(places) - 8),
    ]
    assert [at for at, one in enumerate(told) if one["type"] == "snapshot"] == [0, 4, 9]
    for at in (4, 8, 9, len(places) - 1):
        before, after = (
            apply([frames[place].body for place in places[: at + 1]])[:2]
            for frames in (capture.frames, found.frames)
        )
        assert before == after
    others = set(range(len(capture.frames))) - set(places)
    assert all(found.frames[at] == capture.frames[at] for at in others)


@pytest.mark.parametrize("stream", [TRADES, "none"])
def test_a_restart_is_of_a_known_book(stream: str) -> None:
    frames = list(read_capture([SPOT]).frames)
    place = next((at for at, frame in enumerate(frames) if frame.stream == stream), None)
    if place is None:  # a change of a book that was never told
        frames, place = [next(frame for frame in frames if b'"delta"' in frame.body)], 0
    with pytest.raises(FaultsError, match=f"^the restart at {place}: expected a frame of a known order book"):
        restarted(Capture(frames, [], ()), Script((Fault(place, RESTART),)))
