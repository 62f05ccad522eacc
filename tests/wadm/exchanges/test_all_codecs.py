"""What holds for every codec: nothing raises, nothing is lost at the seams between two calls."""

import json
from itertools import pairwise

import pytest
from codec_kit import bench, changed, recorded, rows, steps
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from wadm.exchanges.base import Acknowledged, Codec, Leaving, Refused
from wadm.exchanges.registry import EXCHANGES, UnknownExchangeError, find
from wadm.market import BookRun, IdKind, Trades

BINANCE = recorded("fastmm/binance_raw_md_stream.jsonl")
USDM = recorded("hftbacktest/usdm_btcusdt_20240718_head.gz")
AGG_TRADE = recorded("fastmm/binance_usdm_agg_trade.json")[0]
BYBIT = recorded("fastmm/bybit_spot_raw_md_stream.jsonl")
BYBIT_TRADES = [frame for frame in BYBIT if b'"publicTrade.' in frame]
USDM_TRADES = [frame for frame in USDM if b"@trade" in frame]

BARE = json.dumps(json.loads(BINANCE[0])["data"]).encode()

#: exchange, a frame, the type of what it makes (None: nothing), and a good frame to follow
CASES = {
    "spot trade": ("binance", BINANCE[0], Trades, changed(BINANCE[0], t=388511)),
    "spot trade, bare": ("binance", BARE, Trades, changed(BINANCE[0], t=388511)),
    "spot bookTicker": ("binance", BINANCE[1], BookRun, BINANCE[0]),
    "spot depth": ("binance", BINANCE[2], BookRun, BINANCE[0]),
    "ack": ("binance", b'{"result":null,"id":12}', Acknowledged, BINANCE[0]),
    "error": ("binance", b'{"error":{"code":4,"msg":"Too many"},"id":null}', Refused, BINANCE[0]),
    "shutdown": ("binance", b'{"e":"serverShutdown","E":1770123456789}', Leaving, BINANCE[0]),
    "futures trade": ("binance_usdm", USDM_TRADES[0], Trades, USDM_TRADES[1]),
    "futures aggTrade": ("binance_usdm", AGG_TRADE, Trades, changed(AGG_TRADE, a=309896911)),
    "futures depth": ("binance_usdm", USDM[0], BookRun, USDM_TRADES[0]),
    "bybit trade": ("bybit_spot", BYBIT_TRADES[0], Trades, BYBIT_TRADES[1]),
    "bybit trades": ("bybit_spot", BYBIT_TRADES[2], Trades, BYBIT_TRADES[3]),
    "bybit ack": ("bybit_spot", BYBIT[0], Acknowledged, BYBIT_TRADES[0]),
    "bybit pong": ("bybit_spot", BYBIT[3], None, BYBIT_TRADES[0]),
    "bybit book": ("bybit_spot", BYBIT[1], BookRun, BYBIT_TRADES[0]),
    "bybit error": ("bybit_spot", recorded("fastmm/bybit_subscribe_error.json")[0], Refused, BYBIT_TRADES[0]),
}
RUNS = {
    "binance_usdm": USDM_TRADES[:60] + USDM[:40] + USDM_TRADES[70:90] + USDM_TRADES[62:66] + USDM_TRADES[:5],
    "binance": [*BINANCE, *BINANCE[:3]],
    "bybit_spot": [*BYBIT, *BYBIT_TRADES[:2]],
}


@pytest.mark.parametrize("case", CASES)
def test_whole(case):
    exchange, frame, made, follower = CASES[case]
    codec = bench(exchange)
    assert [type(event) for event in codec.feed(frame)] == ([made] if made else [])
    codec.feed(follower)
    assert not codec.ledger.frames_rejected
    assert codec.gaps == []
    codec.check_balance()


@pytest.mark.parametrize("case", CASES)
def test_cut_at_every_byte(case):
    exchange, frame, _, follower = CASES[case]
    expected = rows(bench(exchange).feed(follower))
    for end in range(1, len(frame)):
        codec = bench(exchange)
        codec.feed(frame[:end], frame[end:], follower)
        assert codec.ledger.frames_rejected.total() == 2
        assert codec.trades == expected
        assert codec.gaps == []
        codec.check_balance()


@pytest.mark.parametrize("exchange", RUNS)
@given(data=st.data())
@settings(max_examples=40, deadline=None)
def test_any_split_into_calls_gives_the_same_trades(exchange, data):
    frames = RUNS[exchange]
    cuts = sorted(data.draw(st.sets(st.integers(0, len(frames)), max_size=len(frames))))
    whole, parts = bench(exchange), bench(exchange)
    whole.feed(*frames)
    for start, end in pairwise([0, *cuts, len(frames)]):
        parts.feed(*frames[start:end])
    assert parts.trades == whole.trades
    assert parts.gaps == whole.gaps
    assert list(map(str, steps(parts.events))) == list(map(str, steps(whole.events)))
    assert parts.ledger == whole.ledger
    assert parts.codec.heard == whole.codec.heard
    parts.check_balance()


def test_the_long_run_has_its_gap_its_late_trades_and_its_duplicates():
    codec = bench("binance_usdm")
    codec.feed(*RUNS["binance_usdm"])
    total = codec.ledger.total()
    assert [last - first + 1 for first, last in codec.gaps] == [10]
    assert (len(codec.trades), total.duplicate) == (84, total.received - 84)


SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8)
VALUES = st.recursive(
    SCALARS | st.sampled_from(["1", "0.5", "MARKET"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)
LETTERS = st.sampled_from("estapqflTmXEuiSv")
KEYS = LETTERS | st.sampled_from(["id", "code", "msg", "error", "result", "data", "topic", "op", "success"])
NAMES = st.sampled_from(["trade", "aggTrade", "btcusdt@trade", "publicTrade.BTCUSDT", "BTCUSDT", "Buy"])
OBJECTS = st.dictionaries(KEYS, VALUES | NAMES, max_size=10)
FRAMES = st.one_of(
    st.binary(max_size=60),
    OBJECTS.map(lambda made: json.dumps(made).encode()),
    OBJECTS.map(lambda made: b'{"stream":"btcusdt@trade","data":%b}' % json.dumps(made).encode()),
    OBJECTS.map(lambda made: b'{"topic":"publicTrade.BTCUSDT","data":[%b]}' % json.dumps(made).encode()),
)


@pytest.mark.parametrize("exchange", EXCHANGES)
@given(frames=st.lists(FRAMES, max_size=6))
@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_no_bytes_raise(exchange, frames):
    codec = bench(exchange)
    codec.feed(*frames)
    codec.check_balance()
    assert codec.ledger.frames == len(frames)
    assert codec.ledger.frames_rejected.total() <= len(frames)


TRADES = {
    "binance": (BINANCE[0], ("e", "s", "t", "p", "q", "T", "m", "X")),
    "binance_usdm": (AGG_TRADE, ("e", "s", "a", "p", "q", "f", "l", "T", "m", "X")),
    "bybit": (BYBIT_TRADES[2], ("s", "i", "S", "p", "v", "T")),
}


@pytest.mark.parametrize("exchange", TRADES)
@given(data=st.data())
@settings(max_examples=80, deadline=None)
def test_a_recorded_trade_with_any_fields_replaced_is_settled(exchange, data):
    frame, names = TRADES[exchange]
    numbers = st.decimals(allow_nan=True, allow_infinity=True).map(str) | st.integers().map(str)
    fields = data.draw(st.dictionaries(st.sampled_from(names), VALUES | numbers, min_size=1, max_size=3))
    alone, codec = bench(exchange), bench(exchange)
    alone.feed(frame)
    codec.feed(frame, changed(frame, **fields), frame)
    codec.check_balance()
    assert codec.trades[: len(alone.trades)] == alone.trades


@pytest.mark.parametrize("exchange", EXCHANGES.values(), ids=lambda exchange: exchange.name)
def test_every_exchange_describes_itself(exchange):
    stream = exchange.trade_stream("BTCUSDT")
    assert exchange.stream_symbol(stream) == "BTCUSDT"
    assert exchange.stream_id_kind(stream) is exchange.id_kind
    assert list(exchange.routes([stream]).values()) in ([[stream]], [(stream,)])
    assert exchange.trade_streams[exchange.id_kind]("BTCUSDT") == stream
    for id_kind, named in exchange.trade_streams.items():
        assert exchange.stream_id_kind(named("BTCUSDT")) is id_kind
    codec: Codec = bench(exchange.name).codec
    ((number, request),) = codec.subscribe([stream])
    assert json.loads(request)
    assert number == "1"


def test_an_unknown_exchange_is_named_with_the_known_ones():
    with pytest.raises(
        UnknownExchangeError, match="'kraken': the known ones are binance, binance_usdm, bybit, bybit_spot"
    ):
        find("kraken")


def test_binance_streams_name_symbols_and_ids():
    binance = find("binance")
    assert binance.stream_symbol("btcusdt@depth@0ms") == "BTCUSDT"
    assert binance.stream_symbol("!ticker@arr") is None
    assert binance.stream_symbol("nonsense") is None
    assert binance.stream_id_kind("btcusdt@aggTrade") is IdKind.AGG_TRADE
    assert binance.stream_id_kind("btcusdt@depth@0ms") is None
