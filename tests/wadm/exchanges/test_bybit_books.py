"""Bybit beside trades: order books of several depths, quotes, candles, tickers, liquidations."""

import json
from decimal import Decimal

import pytest
from codec_kit import KLINE_OF_BYBIT, bench, examples, recorded, steps

from wadm.exchanges.base import Rejected
from wadm.exchanges.registry import find
from wadm.market import (
    BestQuote,
    BookChange,
    BookRun,
    Candle,
    Liquidation,
    PositionSide,
    Ticker,
)

SPOT = recorded("fastmm/bybit_spot_raw_md_stream.jsonl")
DEPTH_50 = [frame for frame in SPOT if b'"orderbook.50.BTCUSDT"' in frame]
DEPTH_1 = [frame for frame in SPOT if b'"orderbook.1.BTCUSDT"' in frame]
OLDER = recorded("gocryptotrader/bybit_orderbook.jsonl")
TICKERS = [frame[frame.index(b"{") :] for frame in recorded("fastmm/bybit_tickers_head.jsonl")]


def packed(frame: dict) -> bytes:
    return json.dumps(frame, separators=(",", ":")).encode()


def with_data(frame: bytes, **fields) -> bytes:
    whole = json.loads(frame)
    data = whole["data"]
    (data[0] if isinstance(data, list) else data).update(fields)
    return packed(whole)


LIQUIDATION = examples("bybit_linear_liquidations.txt")[1]
SPOT_TICKER = examples("bybit_spot_ticker.txt")[1]
CANDLE = KLINE_OF_BYBIT


def of_depth(frame: bytes, depth: int) -> bytes:
    return frame.replace(b'"orderbook.50.', b'"orderbook.%d.' % depth)


def as_text(update, side):
    return [
        (
            format(Decimal(price).scaleb(-update.price_decimals).normalize(), "f"),
            Decimal(quantity).scaleb(-update.quantity_decimals),
        )
        for price, quantity in getattr(update, side)
    ]


def test_a_recorded_book_is_a_snapshot_and_its_changes():
    codec = bench("bybit_spot")
    codec.feed(*DEPTH_50)
    found = steps(codec.events)
    assert [step.change for step in found] == [BookChange.SNAPSHOT] + [BookChange.DIFF] * (len(found) - 1)
    assert [step.last for step in found] == list(range(3734358, 3734358 + len(DEPTH_50)))
    for step, frame in zip(found, map(json.loads, DEPTH_50), strict=True):
        assert (step.first, step.previous, step.at) == (step.last, None, frame["cts"] * 1_000)
        assert len(step.bids) == len(frame["data"]["b"])
        assert len(step.asks) == len(frame["data"]["a"])
        assert dict(as_text(step, "bids")) == {
            format(Decimal(price).normalize(), "f"): Decimal(size) for price, size in frame["data"]["b"]
        }
    assert not codec.ledger.frames_rejected


def test_an_older_recording_and_one_without_the_engines_time():
    codec = bench("bybit_spot")
    frame = json.loads(OLDER[1])
    del frame["cts"]
    codec.feed(OLDER[0], packed(frame))
    assert [step.last for step in steps(codec.events)] == [2876700, 2876701]
    assert steps(codec.events)[1].at == frame["ts"] * 1_000


def test_update_one_replaces_the_book_whatever_it_is_called():
    codec = bench("bybit_spot")
    codec.feed(DEPTH_50[0], with_data(DEPTH_50[1], u=1))
    assert [step.change for step in steps(codec.events)] == [BookChange.SNAPSHOT] * 2


def test_depth_one_is_a_quote_that_counts_apart_from_the_book():
    codec = bench("bybit_spot")
    codec.feed(DEPTH_1[0], with_data(DEPTH_1[0], b=[]))
    assert steps(codec.events) == [
        BestQuote(0, "77140.5", "0.216593", "77140.6", "0.324006"),
        BestQuote(0, "0", "0", "77140.6", "0.324006"),
    ]
    codec.feed(DEPTH_1[0].replace(b'"snapshot"', b'"delta"'))
    assert codec.ledger.frames_rejected == {"unexpected_delta": 1}


@pytest.mark.parametrize("order", [(50, 200, 1_000), (1_000, 200, 50)])
def test_of_several_depths_the_deepest_is_the_book_and_the_others_are_views(order):
    codec = bench("bybit_spot")
    codec.codec.subscribe([f"orderbook.{depth}.BTCUSDT" for depth in (*order, 1)])
    codec.feed(*(of_depth(frame, depth) for frame in DEPTH_50[:2] for depth in order), DEPTH_1[0])
    changes = [step.change for step in steps(codec.events)[:-1]]
    expected = {True: BookChange.SNAPSHOT, False: BookChange.PARTIAL}
    assert changes[:3] == [expected[depth == 1_000] for depth in order]
    expected[True] = BookChange.DIFF
    assert changes[3:] == [expected[depth == 1_000] for depth in order]


def test_the_choice_holds_for_all_connections_and_outlives_a_renewal():
    exchange = find("bybit_spot")
    first = bench("bybit_spot")
    second = exchange.codec(first.codec._intake._instruments, first.positions, first.ledger)
    first.codec.subscribe(["orderbook.50.BTCUSDT"])
    second.subscribe(["orderbook.200.BTCUSDT"])
    second.unsubscribe(["orderbook.200.BTCUSDT"])
    first.feed(DEPTH_50[0])
    assert [step.change for step in steps(first.events)] == [BookChange.PARTIAL]


def test_a_view_shows_what_a_book_of_its_depth_would():
    codec, plain = bench("bybit_spot"), bench("bybit_spot")
    codec.codec.subscribe(["orderbook.50.BTCUSDT", "orderbook.200.BTCUSDT"])
    codec.feed(*DEPTH_50)
    plain.feed(*DEPTH_50)
    bids: dict[str, Decimal] = {}
    for view, change in zip(steps(codec.events), steps(plain.events), strict=True):
        bids = {price: size for price, size in {**bids, **dict(as_text(change, "bids"))}.items() if size}
        bids = dict(sorted(bids.items(), key=lambda level: -Decimal(level[0]))[:50])
        assert view.change is BookChange.PARTIAL
        assert as_text(view, "bids") == list(bids.items())
        assert view.last == change.last


def test_a_view_that_missed_a_change_shows_nothing_until_its_next_snapshot():
    codec = bench("bybit_spot")
    codec.codec.subscribe(["orderbook.50.BTCUSDT", "orderbook.200.BTCUSDT"])
    codec.feed(DEPTH_50[0], DEPTH_50[2], DEPTH_50[3])
    assert [step.last for step in steps(codec.events)] == [3734358]
    codec.feed(DEPTH_50[0], DEPTH_50[1])
    assert [step.last for step in steps(codec.events)] == [3734358, 3734358, 3734359]
    assert not codec.ledger.frames_rejected


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"b": [["0", "1"]]}, "price_not_positive"),
        ({"b": [["1", "x"]]}, "not_a_number"),
        ({"a": [["1", "1" * 30]]}, "number_out_of_range"),
        ({"a": [[]]}, "ill_typed_field"),
        ({"u": -1}, "id_out_of_range"),
        ({"u": 2**63}, "id_out_of_range"),
        ({"u": "1"}, "ill_typed_field"),
        ({"s": "NONSUCH"}, "unknown_symbol"),
    ],
)
def test_an_update_with_anything_bad_in_it_is_rejected_whole(fields, reason):
    codec = bench("bybit_spot")
    bad = with_data(DEPTH_50[1], **fields)
    events = codec.feed(DEPTH_50[0], bad, DEPTH_50[1])
    assert len(steps(events)) == 2
    assert codec.ledger.frames_rejected == {reason: 1}
    assert events[-1] == Rejected(reason, 1, bad[:200])


def test_a_book_in_another_order_of_fields_reads_alike():
    codec = bench("bybit_spot")
    whole = json.loads(DEPTH_50[0])
    codec.feed(packed(dict(reversed(whole.items()))), DEPTH_50[1])
    assert [step.change for step in steps(codec.events)] == [BookChange.SNAPSHOT, BookChange.DIFF]
    assert codec.codec.heard == {"orderbook.50.BTCUSDT": 2}


def test_frames_are_counted_by_topic():
    codec = bench("bybit_spot")
    codec.feed(*SPOT)
    topics = [json.loads(frame).get("topic") for frame in SPOT]
    assert codec.codec.heard == {topic: topics.count(topic) for topic in set(topics) if topic}


# --- candles, tickers, liquidations ---


def test_a_candle():
    codec = bench("bybit")
    codec.feed(CANDLE)
    assert codec.of(Candle) == [
        Candle(
            exchange="bybit",
            symbol="BTCUSDT",
            interval="5m",
            start=1_672_324_800_000_000,
            end=1_672_325_100_000_000,
            open=Decimal("16649.5"),
            high=Decimal(16677),
            low=Decimal(16608),
            close=Decimal(16677),
            volume=Decimal("2.081"),
            turnover=Decimal("34666.4005"),
            buy_volume=None,
            count=None,
            closed=False,
        )
    ]


@pytest.mark.parametrize(
    ("unit", "interval"), [("1", "1m"), ("60", "1h"), ("720", "12h"), ("D", "1d"), ("M", "1M")]
)
def test_intervals_are_named_as_everywhere(unit, interval):
    codec = bench("bybit")
    codec.feed(with_data(CANDLE, interval=unit))
    assert [candle.interval for candle in codec.of(Candle)] == [interval]


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"interval": "7"}, "unknown_interval"),
        ({"open": "-1"}, "price_not_positive"),
        ({"volume": "-1"}, "negative_amount"),
        ({"start": 0}, "time_out_of_range"),
        ({"end": 0}, "time_out_of_range"),
        ({"confirm": "true"}, "ill_typed_field"),
    ],
)
def test_a_bad_candle_is_rejected(fields, reason):
    codec = bench("bybit")
    codec.feed(with_data(CANDLE, **fields))
    assert codec.ledger.frames_rejected == {reason: 1}
    assert codec.of(Candle) == []


def test_recorded_tickers_tell_only_what_changed():
    codec = bench("bybit")
    codec.feed(*TICKERS)
    tickers = codec.of(Ticker)
    assert tickers[0] == Ticker(
        "bybit",
        "BTCUSDT",
        1_790_757_082_283_000,
        last_price=Decimal("83024.6"),
        mark_price=Decimal("83024.7"),
        index_price=Decimal("83074.01"),
        funding_rate=Decimal("-0.00007774"),
        next_funding_at=1_790_784_000_000_000,
        open_interest=Decimal("57118.511"),
    )
    told = {"lastPrice", "markPrice", "indexPrice", "openInterest", "nextFundingTime", "fundingRate"}
    assert len(tickers) == sum(bool(told & json.loads(frame)["data"].keys()) for frame in TICKERS) < 5
    assert not codec.ledger.frames_rejected


def test_a_spot_ticker():
    codec = bench("bybit_spot")
    codec.feed(SPOT_TICKER)
    assert codec.of(Ticker) == [
        Ticker("bybit_spot", "BTCUSDT", 1_673_853_746_003_000, last_price=Decimal("21109.77"))
    ]


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"lastPrice": "x"}, "not_a_number"),
        ({"markPrice": "0"}, "price_not_positive"),
        ({"openInterest": "-1"}, "negative_amount"),
        ({"nextFundingTime": "9" * 5_000}, "time_out_of_range"),
        ({"nextFundingTime": "-1"}, "time_out_of_range"),
        ({"nextFundingTime": "12"}, "time_out_of_range"),
        ({"symbol": "NONSUCH"}, "unknown_symbol"),
        ({"fundingRate": 1}, "ill_typed_field"),
    ],
)
def test_a_bad_ticker_is_rejected(fields, reason):
    codec = bench("bybit")
    codec.feed(with_data(TICKERS[0], **fields))
    assert codec.ledger.frames_rejected == {reason: 1}
    assert codec.of(Ticker) == []


def test_a_contract_without_funding():
    codec = bench("bybit")
    codec.feed(with_data(TICKERS[0], fundingRate="", nextFundingTime="0"))
    assert [(one.funding_rate, one.next_funding_at) for one in codec.of(Ticker)] == [(None, None)]


@pytest.mark.parametrize(("side", "position"), [("Buy", PositionSide.LONG), ("Sell", PositionSide.SHORT)])
def test_buy_means_that_a_long_position_was_closed(side, position):
    codec = bench("bybit")
    codec.feed(with_data(LIQUIDATION, S=side))
    assert codec.of(Liquidation) == [
        Liquidation("bybit", "ETHUSDT", 1_739_502_302_929_000, position, Decimal("0.04499"), Decimal(20000))
    ]


def test_a_frame_of_liquidations_with_a_bad_one_is_rejected_whole():
    codec = bench("bybit")
    whole = json.loads(LIQUIDATION)
    whole["data"].append(whole["data"][0] | {"v": "-1"})
    codec.feed(packed(whole))
    assert codec.ledger.frames_rejected == {"negative_amount": 1}
    assert codec.of(Liquidation) == codec.of(BookRun) == []


def test_a_view_forgets_what_falls_out_of_its_depth():
    codec = bench("bybit_spot")
    codec.codec.subscribe(["orderbook.2.BTCUSDT", "orderbook.200.BTCUSDT"])
    whole = of_depth(with_data(DEPTH_50[0], b=[["9", "1"], ["8.0", "1"]], a=[["10", "1"], ["11", "1"]]), 2)
    change = of_depth(with_data(DEPTH_50[1], b=[["9.5", "2"], ["8", "3"]], a=[["10.0", "0"]]), 2)
    gone = of_depth(with_data(DEPTH_50[1], u=3734360, b=[["9.5", "0"]], a=[]), 2)
    codec.feed(whole, change, gone)
    assert [[price for price, _ in as_text(step, "bids")] for step in steps(codec.events)] == [
        ["9", "8"],
        ["9.5", "9"],
        ["9"],
    ]
    assert [[price for price, _ in as_text(step, "asks")] for step in steps(codec.events)] == [
        ["10", "11"],
        ["11"],
        ["11"],
    ]
