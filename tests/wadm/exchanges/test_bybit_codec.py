import json
from decimal import Decimal

import pytest
from codec_kit import CAPTURES, bench, changed, recorded

from wadm.exchanges.base import Acknowledged, LimitError, Refused, Rejected
from wadm.exchanges.registry import find
from wadm.ledger import Account
from wadm.market import BookRun, Trades

SPOT = recorded("fastmm/bybit_spot_raw_md_stream.jsonl")
SPOT_TRADES = [frame for frame in SPOT if b'"publicTrade.' in frame]
TWO_TRADES = SPOT_TRADES[2]
LINEAR_EXAMPLE = (CAPTURES / "jkorf" / "bybit_linear_trades.txt").read_text()
LINEAR_TRADE = LINEAR_EXAMPLE.partition("= \n")[2].encode()


def test_a_recorded_connection():
    codec = bench("bybit_spot")
    codec.feed(*SPOT)
    codec.check_balance()
    expected = [trade for frame in SPOT_TRADES for trade in json.loads(frame)["data"]]
    assert codec.trades == [
        (
            trade["i"],
            trade["T"] * 1000,
            Decimal(trade["p"]).normalize(),
            (Decimal(trade["v"]) * (1 if trade["S"] == "Buy" else -1)).normalize(),
            1,
        )
        for trade in expected
    ]
    assert len(expected) == 8
    assert [type(event) for event in codec.events] == [Acknowledged, Refused, Trades, BookRun]
    assert codec.ledger.frames == 43
    assert not codec.ledger.frames_rejected


def test_a_linear_trade_is_named_by_a_uuid():
    codec = bench("bybit")
    codec.feed(LINEAR_TRADE)
    assert codec.trades == [
        ("20f43950-d8dd-5b31-9112-a178eb6023af", 1672304486865000, Decimal("16578.5"), Decimal("0.001"), 1)
    ]


def test_unread_topics_are_counted_and_left_alone():
    codec = bench("bybit_spot")
    frame = b'{"topic":"priceLimit.BTCUSDT","data":{"symbol":"BTCUSDT"},"ts":1750059683782}'
    assert codec.feed(frame, frame) == []
    assert codec.codec.heard == {"priceLimit.BTCUSDT": 2}
    assert not codec.ledger.frames_rejected


def test_duplicates_are_dropped_and_gaps_never_claimed():
    codec = bench("bybit_spot")
    codec.feed(SPOT_TRADES[0], SPOT_TRADES[-1])
    codec.feed(SPOT_TRADES[1], SPOT_TRADES[0], SPOT_TRADES[0])
    assert len(codec.trades) == 3
    assert codec.ledger.total().duplicate == 2
    assert codec.gaps == []
    codec.check_balance()


def test_a_frame_may_hold_several_symbols():
    codec = bench("bybit_spot")
    codec.feed(changed(TWO_TRADES, s="ETHUSDT"))
    assert {event.key: list(event.ids) for event in codec.of(Trades)} == {
        "bybit_spot:ETHUSDT": ["2100000000188691533"],
        "bybit_spot:BTCUSDT": ["2100000000188691534"],
    }
    codec.check_balance()


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"v": "0"}, "quantity_not_positive"),
        ({"v": "-1"}, "quantity_not_positive"),
        ({"p": "0"}, "price_not_positive"),
        ({"p": "1e5"}, "not_a_number"),
        ({"T": 0}, "time_out_of_range"),
        ({"i": ""}, "id_out_of_range"),
        ({"i": "x" * 65}, "id_out_of_range"),
        ({"S": "buy"}, "unknown_side"),
        ({"S": ""}, "unknown_side"),
    ],
)
def test_a_bad_trade_is_rejected_and_its_neighbour_kept(fields, reason):
    codec = bench("bybit_spot")
    codec.feed(changed(TWO_TRADES, **fields), TWO_TRADES)
    assert [trade[0] for trade in codec.trades] == ["2100000000188691534", "2100000000188691533"]
    assert codec.ledger.accounts == {
        "bybit_spot:BTCUSDT": Account(received=4, duplicate=1, rejected={reason: 1})
    }
    assert [(event.reason, event.count) for event in codec.of(Rejected)] == [(reason, 1)]
    codec.check_balance()


@pytest.mark.parametrize(
    ("frame", "reason"),
    [
        (changed(TWO_TRADES, drop="p"), "missing_field"),
        (changed(TWO_TRADES, p=77140.5), "ill_typed_field"),
        (changed(TWO_TRADES, T="1"), "ill_typed_field"),
        (changed(TWO_TRADES, i=5), "ill_typed_field"),
        (changed(TWO_TRADES, s="NONSUCH"), "unknown_symbol"),
    ],
)
def test_an_unreadable_trade_is_held_against_the_exchange_and_its_neighbour_kept(frame, reason):
    codec = bench("bybit_spot")
    codec.feed(frame)
    assert [trade[0] for trade in codec.trades] == ["2100000000188691534"]
    assert codec.ledger.accounts["bybit_spot:?"] == Account(received=1, rejected={reason: 1})
    assert not codec.ledger.frames_rejected
    codec.check_balance()


@pytest.mark.parametrize(
    ("frame", "reason"),
    [
        (b"", "not_json"),
        (b"\xff", "not_json"),
        (b"7", "not_an_object"),
        (b"{}", "missing_field"),
        (b'{"topic":7}', "ill_typed_field"),
        (b'{"topic":"publicTrade.BTCUSDT"}', "missing_field"),
        (b'{"topic":"publicTrade.BTCUSDT","data":{}}', "ill_typed_field"),
        (
            b'{"topic":"publicTrade.BTCUSDT","data":' + b"[" * 50_000 + b"]" * 50_000 + b"}",
            "nested_too_deeply",
        ),
        (b'{"topic":"x","data":' + b"[" * 100_000 + b"]" * 100_000 + b"}", "nested_too_deeply"),
        (SPOT_TRADES[0].replace(b"2100000000188691524", b"\xff"), "not_utf8"),
    ],
)
def test_an_unreadable_frame_is_counted_under_its_reason(frame, reason):
    codec = bench("bybit_spot")
    codec.feed(frame, SPOT_TRADES[0])
    assert codec.ledger.frames_rejected == {reason: 1}
    assert len(codec.trades) == 1
    codec.check_balance()


@pytest.mark.parametrize(
    ("frame", "events"),
    [
        (SPOT[0], [Acknowledged("sub1")]),
        (SPOT[3], []),  # a pong
        (
            recorded("fastmm/bybit_subscribe_error.json")[0],
            [Refused(None, "", "Invalid symbol :[orderbook.50.NOSUCHSYM]")],
        ),
        (
            b'{"success":false,"ret_msg":"args size >10","req_id":"9","op":"subscribe"}',
            [Refused("9", "", "args size >10")],
        ),
        (b'{"op":"pong","args":["1675418560633"]}', []),
        (b'{"success":true,"ret_msg":"","conn_id":"a","req_id":"3","op":"unsubscribe"}', [Acknowledged("3")]),
    ],
)
def test_answers(frame, events):
    codec = bench("bybit")
    assert codec.feed(frame) == events
    assert not codec.ledger.frames_rejected


def test_the_client_pings_every_20_seconds():
    heartbeat = bench("bybit").codec.heartbeat
    assert heartbeat is not None
    assert (heartbeat.frame(), heartbeat.interval) == ('{"op":"ping"}', 20)


def test_spot_takes_ten_arguments_a_request_and_linear_as_many_as_fit():
    topics = [f"publicTrade.S{number}USDT" for number in range(25)]
    spot = [json.loads(frame) for _, frame in bench("bybit_spot").codec.subscribe(topics)]
    assert [len(request["args"]) for request in spot] == [10, 10, 5]
    assert [request["req_id"] for request in spot] == ["1", "2", "3"]
    ((number, frame),) = bench("bybit").codec.subscribe(topics)
    assert json.loads(frame) == {"req_id": number, "op": "subscribe", "args": topics}


def test_a_connection_has_room_for_21000_characters():
    codec, topics = bench("bybit").codec, [f"publicTrade.{number:08d}" for number in range(1_050)]
    codec.subscribe(topics)
    with pytest.raises(LimitError, match="21000"):
        codec.subscribe(["x"])
    codec.unsubscribe(topics[:1])
    assert codec.subscribe(["x"])


def test_streams_and_paths():
    linear, spot = find("bybit"), find("bybit_spot")
    assert linear.trade_stream("BTCUSDT") == "publicTrade.BTCUSDT"
    assert linear.routes(["a", "b"]) == {"/v5/public/linear": ("a", "b")}
    assert spot.routes(["a"]) == {"/v5/public/spot": ("a",)}
    assert linear.stream_symbol("orderbook.50.BTCUSDT") == "BTCUSDT"
    assert linear.stream_symbol("status") is None
    assert linear.stream_id_kind("publicTrade.BTCUSDT") == "trade"
    assert linear.stream_id_kind("kline.1.BTCUSDT") is None
