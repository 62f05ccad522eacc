"""What each exchange says of its channels is what its codec reads and its routes carry."""

import json

import pytest
from codec_kit import bench

from wadm.exchanges.base import Channel
from wadm.exchanges.registry import EXCHANGES
from wadm.exchanges.stream_codec import StreamCodec

STREAMS = {
    "binance": {
        Channel.TRADES: "btcusdt@trade",
        Channel.SECOND_TRADES: "btcusdt@aggTrade",
        Channel.BOOK: "btcusdt@depth@100ms",
        Channel.PARTIAL_BOOK: "btcusdt@depth20@100ms",
        Channel.QUOTES: "btcusdt@bookTicker",
        Channel.CANDLES: "btcusdt@kline_1m",
    },
    "binance_usdm": {
        Channel.TRADES: "btcusdt@aggTrade",
        Channel.BOOK: "btcusdt@depth@100ms",
        Channel.PARTIAL_BOOK: "btcusdt@depth20@100ms",
        Channel.QUOTES: "btcusdt@bookTicker",
        Channel.CANDLES: "btcusdt@kline_1m",
        Channel.TICKER: "btcusdt@markPrice@1s",
        Channel.LIQUIDATIONS: "btcusdt@forceOrder",
    },
    "bybit_spot": {
        Channel.TRADES: "publicTrade.BTCUSDT",
        Channel.BOOK: "orderbook.200.BTCUSDT",
        Channel.PARTIAL_BOOK: "orderbook.50.BTCUSDT",
        Channel.QUOTES: "orderbook.1.BTCUSDT",
        Channel.CANDLES: "kline.1.BTCUSDT",
        Channel.TICKER: "tickers.BTCUSDT",
    },
}
STREAMS["bybit"] = STREAMS["bybit_spot"] | {Channel.LIQUIDATIONS: "allLiquidation.BTCUSDT"}
every_exchange = pytest.mark.parametrize("exchange", EXCHANGES.values(), ids=lambda exchange: exchange.name)


@every_exchange
def test_channels(exchange):
    named = {channel: stream_of("BTCUSDT") for channel, stream_of in exchange.channels.items()}
    assert named == STREAMS[exchange.name]
    assert named[Channel.TRADES] == exchange.trade_stream("BTCUSDT")
    assert {exchange.stream_symbol(stream) for stream in named.values()} == {"BTCUSDT"}
    routed = [stream for streams in exchange.routes(list(named.values())).values() for stream in streams]
    assert sorted(routed) == sorted(named.values())


@every_exchange
def test_the_codec_has_a_use_for_every_channel(exchange):
    codec = bench(exchange.name).codec
    assert isinstance(codec, StreamCodec)
    for stream_of in exchange.channels.values():
        take = codec._reader(stream_of("BTCUSDT")).take
        assert take is not None


@every_exchange
def test_only_liquidations_may_be_silent_without_end(exchange):
    for channel, stream_of in exchange.channels.items():
        pace = exchange.pace(stream_of("BTCUSDT"))
        assert (pace is None) is (channel is Channel.LIQUIDATIONS)
        assert pace is None or 10 <= pace <= 90


@every_exchange
def test_limits_of_connecting_and_asking(exchange):
    limits = exchange.limits
    assert (limits.connects_per_five_minutes, limits.weight_per_minute) == {
        "binance": (300, 6_000),
        "binance_usdm": (300, 2_400),
        "bybit": (500, 7_200),
        "bybit_spot": (500, 7_200),
    }[exchange.name]


@every_exchange
def test_what_cannot_be_read_is_not_heard(exchange):
    codec = bench(exchange.name)
    name = exchange.channels[Channel.QUOTES]("BTCUSDT")
    key = "topic" if exchange.name.startswith("bybit") else "stream"
    unread = json.dumps({key: name, "data": 5}).encode()
    codec.feed(unread.replace(b": ", b":"))
    assert not codec.codec.heard
    assert codec.ledger.frames_rejected == {"ill_typed_field": 1}


def test_futures_paths():
    routes = EXCHANGES["binance_usdm"].routes
    public = [
        "a@depth@100ms",
        "a@depth5",
        "a@depth20@500ms",
        "a@bookTicker",
        "!bookTicker",
        "a@rpiDepth@500ms",
    ]
    market = [
        "a@aggTrade",
        "a@kline_1m",
        "a@markPrice",
        "!markPrice@arr@1s",
        "a@forceOrder",
        "!forceOrder@arr",
        "a@ticker",
        "!ticker@arr",
        "a@miniTicker",
        "a_perpetual@continuousKline_1m",
    ]
    assert routes(public) == {"/public/stream": public}
    assert routes(market) == {"/market/stream": market}
