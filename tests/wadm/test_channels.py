"""Channels and templates become streams; what an exchange does not have is refused with what it has."""

import pytest

from wadm.channels import problem, streams_of, usual
from wadm.exchanges.base import Channel
from wadm.exchanges.registry import EXCHANGES
from wadm.market import IdKind


@pytest.mark.parametrize("name", sorted(EXCHANGES))
def test_every_channel_an_exchange_has_is_a_stream_of_the_symbol(name: str) -> None:
    exchange = EXCHANGES[name]
    assert Channel.TRADES in usual(exchange)
    for channel in exchange.channels:
        assert problem(exchange, channel) is None
        (stream,) = streams_of(exchange, [channel], "BTCUSDT")
        assert exchange.stream_symbol(stream) == "BTCUSDT"
        kind = exchange.stream_id_kind(stream)
        assert (kind is exchange.id_kind) == (channel is Channel.TRADES)
        assert (kind is None) == (channel not in (Channel.TRADES, Channel.SECOND_TRADES))


@pytest.mark.parametrize(
    ("name", "entry", "stream"),
    [
        ("binance", "{symbol}@depth20@100ms", "btcusdt@depth20@100ms"),
        ("binance_usdm", "{symbol}@kline_5m", "btcusdt@kline_5m"),
        ("bybit", "orderbook.50.{symbol}", "orderbook.50.BTCUSDT"),
    ],
)
def test_a_template_is_filled_as_the_exchange_writes_symbols(name: str, entry: str, stream: str) -> None:
    assert problem(EXCHANGES[name], entry) is None
    assert streams_of(EXCHANGES[name], [entry], "BTCUSDT") == [stream]


@pytest.mark.parametrize(
    ("name", "source", "first", "second"),
    [
        ("binance", None, "btcusdt@trade", "btcusdt@aggTrade"),
        ("binance", IdKind.AGG_TRADE, "btcusdt@aggTrade", "btcusdt@trade"),
        ("binance_usdm", None, "btcusdt@aggTrade", "btcusdt@trade"),
        ("binance_usdm", IdKind.TRADE, "btcusdt@trade", "btcusdt@aggTrade"),
    ],
)
def test_the_second_source_is_the_other_one(
    name: str, source: IdKind | None, first: str, second: str
) -> None:
    assert streams_of(EXCHANGES[name], ["trades", "second_trades"], "BTCUSDT", source) == [first, second]


def test_a_stream_named_twice_is_carried_once() -> None:
    assert streams_of(EXCHANGES["binance"], ["trades", "{symbol}@trade"], "BTCUSDT") == ["btcusdt@trade"]


@pytest.mark.parametrize(
    ("name", "entry", "expected"),
    [
        ("bybit", "second_trades", "one of book"),
        ("bybit_spot", "liquidations", "one of book"),
        ("binance", "trade", "(did you mean trades?)"),
        ("binance", "btcusdt@trade", "a stream's name with {symbol} in it"),
        ("binance", "{symbol}{symbol}", "a stream's name with {symbol} in it once"),
        ("binance", "{symbol} @trade", "a stream's name with {symbol} in it once"),
    ],
)
def test_what_an_exchange_does_not_have_is_refused_with_what_it_has(
    name: str, entry: str, expected: str
) -> None:
    found = problem(EXCHANGES[name], entry)
    assert found is not None
    assert expected in found
