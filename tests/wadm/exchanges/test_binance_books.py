"""Binance beside trades: order books, quotes, candles, mark prices, forced orders."""

import json
from decimal import Decimal

import pytest
from codec_kit import AT, bench, examples, recorded, steps

from wadm.exchanges.base import Rejected
from wadm.market import (
    BestQuote,
    BookChange,
    BookRun,
    BookUpdate,
    Candle,
    Instrument,
    Liquidation,
    PositionSide,
    Ticker,
    Trades,
)

SPOT = recorded("fastmm/binance_raw_md_stream.jsonl")
SPOT_DEPTH = next(frame for frame in SPOT if b"@depth" in frame)
SPOT_QUOTE = next(frame for frame in SPOT if b"@bookTicker" in frame)
USDM = recorded("hftbacktest/usdm_btcusdt_20240718_head.gz")
USDM_DEPTH = next(frame for frame in USDM if b"@depth" in frame)
USDM_QUOTE = next(frame for frame in USDM if b"@bookTicker" in frame)
BURST = recorded("fastmm/binance_usdm_depth_burst.jsonl.gz")
MARKS = recorded("fastmm/binance_usdm_mark_price_stream.jsonl")
KLINES = [
    frame for frame in recorded("cryptofeed/binance_futures_aggtrade_kline.txt") if b"@kline_1m" in frame
]


def packed(frame: dict) -> bytes:
    return json.dumps(frame, separators=(",", ":")).encode()


def with_data(frame: bytes, **fields) -> bytes:
    whole = json.loads(frame)
    whole["data"] |= fields
    return packed(whole)


FORCED = packed(json.loads(examples("binance_usdm_liquidations.txt")[1]))
USDM_VIEW = packed(json.loads(examples("binance_usdm_partial_book.txt")[1]))
SPOT_VIEW = packed(json.loads(examples("binance_partial_book.txt")[1]))


def bare(frame: bytes) -> bytes:
    return packed(json.loads(frame)["data"])


def levels(update: BookUpdate, side: str) -> list[tuple[Decimal, Decimal]]:
    return [
        (
            Decimal(price).scaleb(-update.price_decimals),
            Decimal(quantity).scaleb(-update.quantity_decimals),
        )
        for price, quantity in getattr(update, side)
    ]


def written(rows: list[list[str]]) -> list[tuple[Decimal, Decimal]]:
    return [(Decimal(price), Decimal(quantity)) for price, quantity in rows]


@pytest.mark.parametrize(
    ("exchange", "name"),
    [
        ("binance", "fastmm/binance_raw_md_stream.jsonl"),
        ("binance", "hftbacktest/spot_ethusdt_20240808_head.gz"),
        ("binance_usdm", "hftbacktest/usdm_btcusdt_20240718_head.gz"),
        ("binance_usdm", "fastmm/binance_usdm_depth_burst.jsonl.gz"),
    ],
)
def test_every_recorded_step_of_a_book_comes_out_exactly_and_in_order(exchange, name):
    codec, frames = bench(exchange), recorded(name)
    codec.feed(*frames)
    expected = [whole["data"] for whole in map(json.loads, frames) if "trade" not in whole["stream"]]
    found = steps(codec.events)
    assert len(found) == len(expected) > 0
    for step, data in zip(found, expected, strict=True):
        if isinstance(step, BestQuote):
            assert step == BestQuote(data["u"], data["b"], data["B"], data["a"], data["A"])
            continue
        assert (step.change, step.first, step.last) == (BookChange.DIFF, data["U"], data["u"])
        assert (step.previous, step.at) == (data.get("pu"), data.get("T", data["E"]) * 1_000)
        assert (levels(step, "bids"), levels(step, "asks")) == (written(data["b"]), written(data["a"]))
    assert not codec.ledger.frames_rejected


def test_one_run_for_each_book_behind_the_trades():
    codec = bench("binance_usdm", symbols=("BTCUSDT", "ETHUSDT"))
    other = with_data(USDM_DEPTH, s="ETHUSDT")
    trade = next(frame for frame in USDM if b"@trade" in frame)
    events = codec.feed(USDM_DEPTH, other, trade, USDM_QUOTE, other, b"{}")
    assert [type(event) for event in events] == [Trades, BookRun, BookRun, Rejected]
    assert [(run.key, len(run.steps)) for run in events[1:3]] == [
        ("binance_usdm:BTCUSDT", 2),
        ("binance_usdm:ETHUSDT", 2),
    ]
    assert codec.feed() == []


def test_a_frame_of_two_thousand_levels():
    codec = bench("binance_usdm")
    codec.feed(*BURST)
    largest = max(steps(codec.events), key=lambda step: len(step.bids) + len(step.asks))
    assert (len(largest.bids), len(largest.asks)) == (1_035, 1_224)


def test_the_futures_best_levels_are_told_from_diffs_by_the_name_of_their_stream():
    codec = bench("binance_usdm")
    diff = USDM_VIEW.replace(b"@depth5@100ms", b"@depth@100ms")
    codec.feed(USDM_VIEW, diff)
    assert [step.change for step in steps(codec.events)] == [BookChange.PARTIAL, BookChange.DIFF]
    first = steps(codec.events)[0]
    assert (first.first, first.last, first.previous) == (390497796, 390497878, 390497794)
    assert levels(first, "bids")[0] == (Decimal("7403.89"), Decimal("0.002"))


@pytest.mark.parametrize("kind", ["depth5", "depth10", "depth20", "depth20@100ms"])
def test_the_spot_best_levels_take_their_symbol_from_the_name_of_their_stream(kind):
    codec = bench("binance")
    codec.feed(SPOT_VIEW.replace(b"depth5@100ms", kind.encode()))
    ((run,), (step,)) = codec.of(BookRun), steps(codec.events)
    assert (run.key, step.change) == ("binance:BTCUSDT", BookChange.PARTIAL)
    assert (step.first, step.last, step.previous, step.at) == (160, 160, None, 0)
    assert levels(step, "asks") == [(Decimal("0.0026"), Decimal(100))]


@pytest.mark.parametrize(
    ("exchange", "frame", "kind"),
    [
        ("binance", SPOT_QUOTE, BestQuote),
        ("binance", SPOT_DEPTH, BookUpdate),
        ("binance_usdm", USDM_QUOTE, BestQuote),
        ("binance_usdm", USDM_DEPTH, BookUpdate),
    ],
)
def test_bare_frames_and_other_orders_read_as_wrapped_ones(exchange, frame, kind):
    whole = json.loads(frame)
    forms = [
        frame,
        bare(frame),
        packed({"data": whole["data"], "stream": whole["stream"]}),
        json.dumps({"stream": whole["stream"], "data": dict(reversed(whole["data"].items()))}).encode(),
    ]
    seen = []
    for form in forms:
        codec = bench(exchange)
        codec.feed(form)
        (step,) = steps(codec.events)
        assert isinstance(step, kind)
        seen.append((step.asks, step.bids, step.last) if kind is BookUpdate else step)
    assert all(one == seen[0] for one in seen)


def test_a_bare_view_of_spot_names_no_symbol():
    codec = bench("binance")
    codec.feed(bare(SPOT_VIEW))
    assert codec.ledger.frames_rejected == {"no_symbol": 1}


def test_a_bare_diff_that_might_be_a_view_is_not_folded():
    codec = bench("binance_usdm")
    codec.codec.subscribe(["btcusdt@depth20@100ms", "ethusdt@depth@100ms"])
    codec.feed(bare(USDM_DEPTH), packed(json.loads(bare(USDM_DEPTH)) | {"s": "ETHUSDT"}))
    assert [run.symbol for run in codec.of(BookRun)] == ["ETHUSDT"]
    assert codec.ledger.frames_rejected == {"ambiguous_stream": 1}


def test_of_two_diff_streams_of_a_book_the_first_subscribed_is_folded():
    codec = bench("binance")
    codec.codec.subscribe(["btcusdt@depth@100ms", "btcusdt@depth"])
    codec.feed(SPOT_DEPTH.replace(b"@depth@100ms", b"@depth"), SPOT_DEPTH)
    assert len(steps(codec.events)) == 1
    assert codec.codec.heard == {"btcusdt@depth": 1, "btcusdt@depth@100ms": 1}


def test_unsubscribed_diff_streams_leave_the_book_to_the_first_heard():
    codec = bench("binance")
    codec.feed(SPOT_DEPTH.replace(b"@depth@100ms", b"@depth@0ms"), SPOT_DEPTH)
    assert len(steps(codec.events)) == 1


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"b": [["0", "1"]]}, "price_not_positive"),
        ({"b": [["1", "1"], ["-1", "1"]]}, "not_a_number"),
        ({"a": [["1", "-1"]]}, "not_a_number"),
        ({"a": [["1", "1e3"]]}, "not_a_number"),
        ({"a": [["9" * 19, "1"]]}, "number_out_of_range"),
        ({"a": [["1"]]}, "ill_typed_field"),
        ({"a": [["1", "1", "1"]]}, "ill_typed_field"),
        ({"a": [[1, 1]]}, "ill_typed_field"),
        ({"a": None}, "ill_typed_field"),
        ({"u": -1}, "id_out_of_range"),
        ({"U": 10**30}, "id_out_of_range"),
        ({"U": 2**62, "u": 2**62 + 1}, "id_out_of_range"),
        ({"u": 1}, "id_out_of_range"),
        ({"pu": -5}, "id_out_of_range"),
        ({"u": "1"}, "ill_typed_field"),
        ({"T": 0}, "time_out_of_range"),
        ({"T": 10**30}, "time_in_future"),
        ({"T": AT // 1_000 + 86_400_001}, "time_in_future"),
        ({"s": "NONSUCH"}, "unknown_symbol"),
        ({"s": 7}, "ill_typed_field"),
        ({"e": "trade"}, "ill_typed_field"),
    ],
)
def test_a_diff_with_anything_bad_in_it_is_rejected_whole(fields, reason):
    codec = bench("binance_usdm")
    bad = with_data(USDM_DEPTH, **fields)
    events = codec.feed(USDM_DEPTH, bad, bad, USDM_DEPTH)
    assert len(steps(events)) == 2
    assert codec.ledger.frames_rejected == {reason: 2}
    assert events[-1] == Rejected(reason, 2, bad[:200])
    assert not codec.ledger.accounts


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"b": "x"}, "not_a_number"),
        ({"B": "-1"}, "not_a_number"),
        ({"a": "1" * 19}, "not_a_number"),
        ({"A": "1 1"}, "not_a_number"),
        ({"u": -1}, "id_out_of_range"),
        ({"s": "NONSUCH"}, "unknown_symbol"),
        ({"a": 1}, "ill_typed_field"),
    ],
)
def test_a_bad_quote_is_rejected(fields, reason):
    codec = bench("binance")
    codec.feed(with_data(SPOT_QUOTE, **fields))
    assert codec.ledger.frames_rejected == {reason: 1}
    assert codec.of(BookRun) == []


def test_an_empty_side_is_a_quote_of_zero():
    codec = bench("binance")
    codec.feed(with_data(SPOT_QUOTE, b="0.00000000", B="0.00000000"))
    assert steps(codec.events)[0].bid == "0.00000000"


def test_every_truncation_of_a_diff_is_rejected():
    for end in range(0, len(USDM_DEPTH), 7):
        codec = bench("binance_usdm")
        codec.feed(USDM_DEPTH, USDM_DEPTH[:end])
        assert codec.ledger.frames_rejected.total() == 1
        assert len(steps(codec.events)) == 1


def test_a_symbol_that_is_followed_no_longer_is_unknown_and_one_that_is_anew_is_known():
    codec = bench("binance")
    instruments = codec.codec._intake._instruments
    codec.feed(SPOT[0], SPOT_DEPTH)
    btc = instruments.pop("BTCUSDT")
    assert [type(event) for event in codec.feed(SPOT[0], SPOT_DEPTH)] == [Rejected]
    assert codec.rejected() == {"unknown_symbol": 1}
    assert codec.ledger.frames_rejected == {"unknown_symbol": 1}
    instruments["BTCUSDT"] = Instrument(btc.exchange, btc.symbol, tick=Decimal("0.000001"))
    (run,) = codec.feed(SPOT_DEPTH)
    assert run.steps[0].price_decimals == 6
    codec.check_balance()


# --- candles, mark prices, forced orders ---


def test_recorded_candles():
    codec = bench("binance_usdm")
    codec.feed(*KLINES)
    candles = codec.of(Candle)
    assert len(candles) == len(KLINES) == 67
    kline = json.loads(KLINES[0])["data"]["k"]
    assert candles[0] == Candle(
        exchange="binance_usdm",
        symbol="CTKUSDT",
        interval="1m",
        start=1_626_992_700_000_000,
        end=1_626_992_760_000_000,
        open=Decimal("1.01"),
        high=Decimal("1.011"),
        low=Decimal("1.01"),
        close=Decimal("1.011"),
        volume=Decimal(3917),
        turnover=Decimal("3957.899"),
        buy_volume=Decimal(kline["V"]),
        count=48,
        closed=False,
    )
    assert [one.closed for one in candles] == [json.loads(frame)["data"]["k"]["x"] for frame in KLINES]


@pytest.mark.parametrize("interval", ["1s", "3m", "2h", "3d", "1w", "1M"])
def test_candles_of_every_interval(interval):
    codec = bench("binance")
    frame = KLINES[0].replace(b'"i":"1m"', b'"i":"%b"' % interval.encode())
    codec.feed(frame.replace(b"@kline_1m", b"@kline_" + interval.encode()))
    assert [candle.interval for candle in codec.of(Candle)] == [interval]


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"o": "0"}, "price_not_positive"),
        ({"h": "1e9"}, "not_a_number"),
        ({"v": "-1"}, "negative_amount"),
        ({"V": "9" * 30}, "number_out_of_range"),
        ({"t": -1}, "time_out_of_range"),
        ({"T": 1}, "time_out_of_range"),
        ({"T": 10**20}, "time_out_of_range"),
        ({"t": 9_000_000_000_000, "T": 9_000_000_060_000}, "time_in_future"),
        ({"n": -1}, "count_out_of_range"),
        ({"i": "forever"}, "unknown_interval"),
        ({"x": 1}, "ill_typed_field"),
    ],
)
def test_a_bad_candle_is_rejected(fields, reason):
    codec, frame = bench("binance_usdm"), json.loads(KLINES[0])
    frame["data"]["k"] |= fields
    codec.feed(packed(frame))
    assert codec.ledger.frames_rejected == {reason: 1}
    assert codec.of(Candle) == []


def test_recorded_mark_prices():
    codec = bench("binance_usdm")
    codec.feed(*MARKS)
    tickers = codec.of(Ticker)
    assert len(tickers) == len(MARKS)
    assert tickers[0] == Ticker(
        "binance_usdm",
        "BTCUSDT",
        1_790_757_176_000_000,
        mark_price=Decimal("83003.1"),
        index_price=Decimal("83045.69043478"),
        funding_rate=Decimal("-0.00001012"),
        next_funding_at=1_790_784_000_000_000,
    )


def test_a_contract_with_a_day_of_delivery_has_no_funding():
    codec = bench("binance_usdm")
    codec.feed(with_data(MARKS[0], r="", T=0))
    assert [(one.funding_rate, one.next_funding_at) for one in codec.of(Ticker)] == [(None, None)]


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"p": "0"}, "price_not_positive"),
        ({"r": "x"}, "not_a_number"),
        ({"T": 5}, "time_out_of_range"),
        ({"E": 10**14}, "time_in_future"),
        ({"s": "NONSUCH"}, "unknown_symbol"),
    ],
)
def test_a_bad_mark_price_is_rejected(fields, reason):
    codec = bench("binance_usdm")
    codec.feed(with_data(MARKS[0], **fields))
    assert codec.ledger.frames_rejected == {reason: 1}
    assert codec.events == [Rejected(reason, 1, with_data(MARKS[0], **fields)[:200])]


@pytest.mark.parametrize("stream", [b"btcusdt@forceOrder", b"!forceOrder@arr"])
@pytest.mark.parametrize(("side", "position"), [("SELL", PositionSide.LONG), ("BUY", PositionSide.SHORT)])
def test_who_was_sold_out_held_a_long_position(stream, side, position):
    codec = bench("binance_usdm")
    frame = FORCED.replace(b'"S":"SELL"', b'"S":"%b"' % side.encode())
    codec.feed(frame.replace(b"btcusdt@forceOrder", stream))
    assert codec.of(Liquidation) == [
        Liquidation(
            "binance_usdm", "BTCUSDT", 1_568_014_460_893_000, position, Decimal(9910), Decimal("0.014")
        )
    ]


def test_a_symbol_followed_anew_may_take_another_stream_for_its_book():
    codec = bench("binance")
    other = SPOT_DEPTH.replace(b"@depth@100ms", b"@depth")
    codec.codec.subscribe(["btcusdt@depth@100ms"])
    codec.feed(SPOT_DEPTH, other)
    codec.positions.forget("BTCUSDT")
    codec.codec.subscribe(["btcusdt@depth"])
    assert len(steps(codec.feed(SPOT_DEPTH))) == 0
    assert len(steps(codec.feed(other))) == 1
