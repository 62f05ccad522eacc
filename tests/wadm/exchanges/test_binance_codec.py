import json
from decimal import Decimal

import pytest
from codec_kit import AT, bench, changed, recorded, rows

from wadm.exchanges.base import Acknowledged, Filled, Gap, Leaving, LimitError, Refused, Rejected
from wadm.exchanges.registry import find
from wadm.ledger import Account
from wadm.market import BookRun, IdKind, Trades

SPOT = recorded("fastmm/binance_raw_md_stream.jsonl")
SPOT_TRADE = SPOT[0]
USDM = recorded("hftbacktest/usdm_btcusdt_20240718_head.gz")
USDM_TRADES = [frame for frame in USDM if b"@trade" in frame]
AGG_TRADE = recorded("fastmm/binance_usdm_agg_trade.json")[0]
MEMBERS = ("binance", "binance_usdm")


def bare(frame: bytes) -> bytes:
    return json.dumps(json.loads(frame)["data"], separators=(",", ":")).encode()


def test_a_recorded_spot_trade():
    codec = bench("binance", tick="0.01", step="0.00001")
    (trades,) = codec.feed(SPOT_TRADE)
    assert isinstance(trades, Trades)
    assert (trades.key, trades.id_kind) == ("binance:BTCUSDT", IdKind.TRADE)
    assert (trades.price_decimals, trades.quantity_decimals) == (2, 5)
    assert (list(trades.ids), list(trades.times)) == ([388510], [1789295134225000])
    assert (list(trades.prices), list(trades.signed_quantities), list(trades.counts)) == (
        [7674519],
        [65],
        [1],
    )


def test_a_recorded_aggregate_trade_counts_for_its_fills():
    codec = bench("binance_usdm")
    codec.feed(AGG_TRADE)
    assert codec.trades == [
        (309896910, 1789469121938000, Decimal("76968.3"), Decimal("1046.765").normalize(), 46)
    ]


@pytest.mark.parametrize("exchange", MEMBERS)
@pytest.mark.parametrize("frame", [SPOT_TRADE, AGG_TRADE, USDM_TRADES[0]])
def test_wrapped_reordered_spaced_and_bare_frames_read_alike(exchange, frame):
    whole = json.loads(frame)
    forms = [
        frame,
        bare(frame),
        json.dumps({"data": whole["data"], "stream": whole["stream"]}).encode(),
        json.dumps(whole, indent=2).encode(),
        b"  " + frame + b"\r\n",
    ]
    read = []
    for form in forms:
        codec = bench(exchange)
        codec.feed(form)
        codec.check_balance()
        read.append(codec.trades)
    assert len(read[0]) == 1
    assert all(trades == read[0] for trades in read)


def test_a_maker_buyer_means_that_the_taker_sold():
    codec = bench("binance")
    codec.feed(SPOT_TRADE, changed(SPOT_TRADE, t=388511, m=True))
    assert [quantity > 0 for _, _, _, quantity, _ in codec.trades] == [True, False]


@pytest.mark.parametrize(
    ("name", "exchange", "trades", "others"),
    [
        ("hftbacktest/usdm_btcusdt_20240718_head.gz", "binance_usdm", 223, 2277),
        ("hftbacktest/spot_ethusdt_20240808_head.gz", "binance", 614, 3386),
    ],
)
def test_a_recording_reads_without_gap_or_rejection(name, exchange, trades, others):
    frames, codec = recorded(name), bench(exchange)
    codec.feed(*frames)
    codec.check_balance()
    expected = [json.loads(frame)["data"] for frame in frames if b"@trade" in frame]
    assert codec.trades == [
        (
            trade["t"],
            trade["T"] * 1000,
            Decimal(trade["p"]).normalize(),
            (Decimal(trade["q"]) * (-1 if trade["m"] else 1)).normalize(),
            1,
        )
        for trade in expected
    ]
    assert len(expected) == trades
    assert codec.ledger.frames == trades + others
    assert not codec.ledger.frames_rejected
    assert [type(event) for event in codec.events] == [Trades, BookRun]
    assert len(codec.events[1].steps) == others


def test_unread_streams_are_counted_and_left_alone():
    codec = bench("binance_usdm")
    array = b'{"stream":"!ticker@arr","data":[{"e":"24hrTicker"}]}'
    prices = b'{"stream":"!markPrice@arr@1s","data":[{"e":"markPriceUpdate"}]}'
    retail = b'{"stream":"btcusdt@rpiDepth@500ms","data":{"e":"depthUpdate"}}'
    frames = [array, array, prices, retail, b'{"e":"newEvent"}']
    assert codec.feed(*frames) == []
    assert codec.ledger.frames == len(frames)
    assert not codec.ledger.frames_rejected


def test_a_cut_stretch_is_a_gap_of_exact_size_and_its_trades_fill_it_late():
    codec, first = bench("binance_usdm"), json.loads(USDM_TRADES[0])["data"]["t"]
    codec.feed(*USDM_TRADES[:50])
    codec.feed(*USDM_TRADES[60:100])
    assert codec.gaps == [(first + 50, first + 59)]
    assert codec.of(Gap)[0].missing == 10
    shown_by = json.loads(USDM_TRADES[60])["data"]
    assert codec.of(Gap)[0].at == shown_by["T"] * 1_000
    events = codec.feed(*USDM_TRADES[52:55], USDM_TRADES[58], USDM_TRADES[10])
    exchange = ("binance_usdm", "BTCUSDT", IdKind.TRADE)
    assert events[1:] == [
        Filled(*exchange, first + 52, first + 54, AT),
        Filled(*exchange, first + 58, first + 58, AT),
    ]
    assert len(rows(events)) == 4
    assert codec.ledger.total().duplicate == 1
    assert list(codec.positions.missing().values()) == [
        ((first + 50, first + 51), (first + 55, first + 57), (first + 59, first + 59))
    ]
    codec.check_balance()


def test_positions_outlive_the_connection():
    first = bench("binance_usdm")
    first.feed(*USDM_TRADES[:20])
    exchange = find("binance_usdm")
    instruments = first.codec._intake._instruments
    second = exchange.codec(instruments, first.positions, first.ledger)
    first.events += second.receive(USDM_TRADES[15:20] + USDM_TRADES[22:30], AT)
    assert first.ledger.total().duplicate == 5
    assert [last - start + 1 for start, last in first.gaps] == [2]
    first.check_balance()


def test_two_overlapping_connections_lose_and_repeat_nothing():
    both = bench("binance_usdm")
    old = both.codec
    new = find("binance_usdm").codec(old._intake._instruments, both.positions, both.ledger)
    for start in range(0, 200, 10):
        both.events += old.receive(USDM_TRADES[start : start + 10], AT)
        both.events += new.receive(USDM_TRADES[start : start + 10], AT)
    assert len(both.trades) == both.ledger.total().duplicate == 200
    assert both.gaps == []
    both.check_balance()


def test_a_trade_off_the_market_takes_its_id_and_is_rejected():
    codec = bench("binance_usdm")
    insurance = changed(USDM_TRADES[1], X="INSURANCE_FUND")
    nothing = changed(USDM_TRADES[2], X="NA", p="0", q="0")
    events = codec.feed(
        USDM_TRADES[0], insurance, nothing, USDM_TRADES[3], insurance, changed(USDM_TRADES[4], X="")
    )
    assert codec.gaps == []
    assert codec.rejected() == {"not_market": 3}
    assert codec.ledger.total().duplicate == 1
    assert len(codec.trades) == 2
    assert events[-1] == Rejected("not_market", 3, insurance[:200])
    codec.check_balance()


def test_a_late_trade_off_the_market_fills_its_place():
    codec = bench("binance_usdm")
    codec.feed(USDM_TRADES[0], USDM_TRADES[2])
    codec.feed(changed(USDM_TRADES[1], X="ADL"))
    assert [(event.first, event.last) for event in codec.of(Filled)] == codec.gaps
    assert not codec.positions.missing()


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"q": "0.000"}, "quantity_not_positive"),
        ({"q": "-1"}, "quantity_not_positive"),
        ({"p": "0"}, "price_not_positive"),
        ({"p": "-0.1"}, "price_not_positive"),
        ({"p": "NaN"}, "not_a_number"),
        ({"q": "1e5"}, "not_a_number"),
        ({"q": ""}, "not_a_number"),
        ({"p": "1000000000000000000"}, "number_out_of_range"),
        ({"q": "0.0000000000000000001"}, "number_out_of_range"),
        ({"T": 0}, "time_out_of_range"),
        ({"T": -1}, "time_out_of_range"),
        ({"T": 1_789_295_134_225_000}, "time_out_of_range"),  # microseconds
        ({"T": 10**30}, "time_out_of_range"),
        ({"t": -1}, "id_out_of_range"),
        ({"t": 2**63}, "id_out_of_range"),
        ({"t": 10**40}, "id_out_of_range"),
    ],
)
def test_a_bad_trade_is_rejected_and_disturbs_nothing(fields, reason):
    codec = bench("binance")
    before, after = changed(SPOT_TRADE, t=388509), changed(SPOT_TRADE, t=388511)
    bad = changed(SPOT_TRADE, **fields)
    codec.feed(before, bad, bad, SPOT_TRADE, after)
    assert [trade[0] for trade in codec.trades] == [388509, 388510, 388511]
    assert codec.gaps == []
    assert codec.ledger.accounts["binance:BTCUSDT"] == Account(received=5, rejected={reason: 2})
    assert codec.of(Rejected) == [Rejected(reason, 2, bad[:200])]
    codec.check_balance()


DAY_MS = 86_400_000


@pytest.mark.parametrize("ahead", [0, DAY_MS])
def test_a_clock_may_be_a_day_ahead(ahead):
    codec = bench("binance")
    codec.feed(changed(SPOT_TRADE, T=AT // 1_000 + ahead))
    assert [trade[1] for trade in codec.trades] == [AT + ahead * 1_000]


def test_a_trade_of_the_day_after_tomorrow_is_rejected_and_its_neighbours_kept():
    codec = bench("binance")
    late, soon = AT // 1_000 + DAY_MS + 1, AT // 1_000 + DAY_MS
    codec.feed(
        changed(SPOT_TRADE, t=1),
        changed(SPOT_TRADE, t=2, T=late),
        changed(SPOT_TRADE, t=3, T=soon),
        changed(SPOT_TRADE, t=4, T=late),
    )
    assert [trade[0] for trade in codec.trades] == [1, 3]
    assert codec.rejected() == {"time_in_future": 2}
    # Sound copies of them still count.
    assert codec.gaps == [(2, 2)]
    codec.feed(changed(SPOT_TRADE, t=2), changed(SPOT_TRADE, t=4), changed(SPOT_TRADE, t=5))
    assert [trade[0] for trade in codec.trades] == [1, 3, 2, 4, 5]
    assert [(event.first, event.last) for event in codec.of(Filled)] == [(2, 2)]
    codec.check_balance()


def test_an_id_of_the_future_does_not_hide_the_gaps_behind_it():
    codec, far = bench("binance"), AT // 1_000 + 2 * DAY_MS
    codec.feed(
        changed(SPOT_TRADE, t=1),
        changed(SPOT_TRADE, t=10**10, T=far),
        changed(SPOT_TRADE, t=2),
        changed(SPOT_TRADE, t=10**12, T=far),
        changed(SPOT_TRADE, t=5),
    )
    assert [trade[0] for trade in codec.trades] == [1, 2, 5]
    assert codec.gaps == [(2, 5)]
    assert [(event.first, event.last) for event in codec.of(Filled)] == [(2, 2), (5, 5)]
    codec.feed(changed(SPOT_TRADE, t=9))
    assert codec.gaps == [(2, 5), (6, 8)]
    codec.check_balance()


def test_where_every_trade_is_of_the_future_none_is_left():
    codec = bench("binance")
    codec.feed(*(changed(SPOT_TRADE, t=number, T=AT // 1_000 + 2 * DAY_MS) for number in range(1, 4)))
    assert codec.trades == []
    assert codec.rejected() == {"time_in_future": 3}
    assert codec.gaps == []
    codec.feed(changed(SPOT_TRADE, t=7))
    assert codec.gaps == []
    codec.check_balance()


def test_a_bad_trade_that_never_comes_well_leaves_a_known_gap():
    codec = bench("binance")
    codec.feed(changed(SPOT_TRADE, t=1), changed(SPOT_TRADE, t=2, q="0"), changed(SPOT_TRADE, t=3))
    assert codec.gaps == [(2, 2)]


@pytest.mark.parametrize(("first", "last"), [(5, 4), (0, 10**9), (10**40, 0)])
def test_an_aggregate_of_no_or_absurdly_many_trades_is_rejected(first, last):
    codec = bench("binance_usdm")
    codec.feed(changed(AGG_TRADE, f=first, l=last))
    assert codec.rejected() == {"count_out_of_range": 1}
    codec.check_balance()


def test_unknown_symbols_share_one_account():
    codec = bench("binance")
    codec.feed(*(changed(SPOT_TRADE, s=f"SYMBOL{number}") for number in range(50)))
    assert codec.ledger.accounts == {"binance:?": Account(received=50, rejected={"unknown_symbol": 50})}
    assert [event.count for event in codec.of(Rejected)] == [50]
    assert not codec.positions.missing()


def test_a_symbol_added_while_running_is_known_from_then_on():
    codec = bench("binance", symbols=())
    codec.feed(SPOT_TRADE)
    codec.codec._intake._instruments.update(bench("binance").codec._intake._instruments)
    codec.feed(SPOT_TRADE)
    assert len(codec.trades) == 1


@pytest.mark.parametrize(
    ("frame", "reason"),
    [
        (b"", "not_json"),
        (b"hello", "not_json"),
        (SPOT_TRADE + b"x", "not_json"),
        (b"[1,2]", "not_an_object"),
        (b"null", "not_an_object"),
        (b"{}", "missing_field"),
        (b'{"foo":1}', "missing_field"),
        (b'{"stream":"btcusdt@trade"}', "missing_field"),
        (changed(SPOT_TRADE, drop="p"), "missing_field"),
        (changed(SPOT_TRADE, drop="e"), "missing_field"),
        (changed(SPOT_TRADE, p=1.5), "ill_typed_field"),
        (changed(SPOT_TRADE, p=None), "ill_typed_field"),
        (changed(SPOT_TRADE, t=1.5), "ill_typed_field"),
        (changed(SPOT_TRADE, t="1"), "ill_typed_field"),
        (changed(SPOT_TRADE, m=0), "ill_typed_field"),
        (changed(SPOT_TRADE, e="aggTrade"), "ill_typed_field"),
        (changed(SPOT_TRADE, X=3), "ill_typed_field"),
        (b'{"stream":"btcusdt@trade","data":[]}', "ill_typed_field"),
        (SPOT_TRADE.replace(b"388510", b"1" * 5000), "ill_typed_field"),
        (SPOT_TRADE.replace(b"76745.19", b"\xff\xfe"), "not_utf8"),
        (b'{"stream":"btcusdt@ticker","data":' + b"[" * 100_000 + b"]" * 100_000 + b"}", "nested_too_deeply"),
        (b"[" * 100_000, "not_an_object"),
    ],
)
def test_an_unreadable_frame_is_counted_under_its_reason(frame, reason):
    codec = bench("binance")
    codec.feed(SPOT_TRADE)
    events = codec.feed(frame, changed(SPOT_TRADE, t=388511), frame)
    assert codec.ledger.frames_rejected == {reason: 2}
    assert [trade[0] for trade in codec.trades] == [388510, 388511]
    assert events[-1] == Rejected(reason, 2, frame[:200])
    codec.check_balance()


def test_a_huge_frame_is_survived():
    codec = bench("binance")
    codec.feed(b'{"stream":"' + b"x" * 3_000_000 + b'","data":{}}', b" " * 3_000_000, SPOT_TRADE)
    assert len(codec.trades) == 1
    assert not any(len(name) > 100 for name in codec.codec._readers)


def test_hostile_stream_names_cost_no_memory():
    codec = bench("binance")
    codec.feed(*(b'{"stream":"s%d@ticker","data":{}}' % number for number in range(10_000)))
    assert len(codec.codec._readers) <= 4_096
    assert len(codec.codec.heard) <= 4_097
    assert sum(codec.codec.heard.values()) == 10_000
    assert not codec.ledger.frames_rejected


def test_a_price_too_fine_to_share_a_scale_makes_a_run_of_its_own():
    codec = bench("binance", tick="0.01")
    finest = changed(SPOT_TRADE, t=388511, p="0.000000000000000001")
    events = codec.feed(SPOT_TRADE, finest, changed(SPOT_TRADE, t=388512))
    assert [(event.price_decimals, list(event.ids)) for event in events] == [
        (2, [388510]),
        (18, [388511]),
        (2, [388512]),
    ]
    codec.check_balance()


@pytest.mark.parametrize(
    ("frame", "event"),
    [
        (b'{"result":null,"id":1}', Acknowledged("1")),
        (b'{"result":["btcusdt@trade"],"id":"x"}', Acknowledged("x")),
        (b'{"code":2,"msg":"Invalid request","id":7}', Refused("7", "2", "Invalid request")),
        (b'{"code":3,"msg":"Invalid JSON"}', Refused(None, "3", "Invalid JSON")),
        (b'{"error":{"code":4,"msg":"Too many streams"},"id":null}', Refused(None, "4", "Too many streams")),
        (b'{"e":"serverShutdown","E":1770123456789}', Leaving("serverShutdown")),
        (b'{"stream":"!serverShutdown","data":{"e":"serverShutdown","E":1}}', Leaving("serverShutdown")),
    ],
)
def test_answers(frame, event):
    codec = bench("binance")
    assert codec.feed(frame) == [event]
    assert codec.feed(frame) == [event]
    assert not codec.ledger.frames_rejected


@pytest.mark.parametrize("exchange", MEMBERS)
def test_requests_are_numbered_cut_and_bounded(exchange):
    codec = bench(exchange).codec
    assert codec.heartbeat is None
    streams = [f"s{number}@trade" for number in range(1_024)]
    requests = codec.subscribe(streams)
    assert [number for number, _ in requests] == ["1", "2", "3", "4", "5", "6"]
    decoded = [json.loads(frame) for _, frame in requests]
    assert [stream for request in decoded for stream in request["params"]] == streams
    assert {request["method"] for request in decoded} == {"SUBSCRIBE"}
    assert [request["id"] for request in decoded] == [1, 2, 3, 4, 5, 6]
    with pytest.raises(LimitError, match=r"1025 streams.*1024"):
        codec.subscribe(["one@trade"])
    ((number, frame),) = codec.unsubscribe(streams[:2])
    assert (number, json.loads(frame)) == ("7", {"method": "UNSUBSCRIBE", "params": streams[:2], "id": 7})
    assert len(codec.subscribe(["one@trade"])) == 1
    assert codec.subscribe([]) == []


def test_futures_streams_go_to_the_route_that_carries_them():
    streams = [
        "btcusdt@aggTrade",
        "btcusdt@depth@0ms",
        "btcusdt@depth20@100ms",
        "btcusdt@bookTicker",
        "!bookTicker",
        "btcusdt@trade",
        "btcusdt@kline_1m",
        "btcusdt@markPrice@1s",
        "!forceOrder@arr",
    ]
    assert find("binance_usdm").routes(streams) == {
        "/public/stream": [streams[place] for place in (1, 2, 3, 4, 5)],
        "/market/stream": [streams[place] for place in (0, 6, 7, 8)],
    }
    assert find("binance").routes(streams) == {"/stream": tuple(streams)}
    assert find("binance").routes([]) == {}
