"""Which connections are made, what each carries, and whose trades come over it."""

from decimal import Decimal

import pytest

from actors import plan
from wadm.exchanges.base import Channel
from wadm.exchanges.registry import EXCHANGES
from wadm.market import IdKind, Instrument
from wadm.sections import ExchangeSettings
from wadm.selected import Selected
from wadm.settings import Settings

TICKED = Instrument("binance_usdm", "BTCUSDT", Decimal("0.1"), Decimal("0.001"))
LISTING = {TICKED.key: TICKED}


def test_each_exchange_of_the_settings_gets_its_connections_and_instruments() -> None:
    settings = Settings(
        exchanges={
            "binance_usdm": ExchangeSettings(
                "wss://futures", ("BTCUSDT", "ETHUSDT"), streams=("trades", "book", "{symbol}@kline_5m")
            ),
            "bybit": ExchangeSettings("wss://linear", ("BTCUSDT",), ("trades",), rest_url="https://linear"),
        }
    )
    made = plan.live(settings, LISTING)
    assert not made.playback
    assert made.instruments == {
        "binance_usdm:BTCUSDT": TICKED,
        "binance_usdm:ETHUSDT": Instrument("binance_usdm", "ETHUSDT"),
        "bybit:BTCUSDT": Instrument("bybit", "BTCUSDT"),
    }
    market, public, linear = made.connections
    assert [one.name for one in made.connections] == [
        "connection:binance_usdm#1", "connection:binance_usdm#2", "connection:bybit#1"
    ]  # fmt: skip
    assert market.url.startswith("wss://futures/market/")
    assert market.streams == (
        "btcusdt@aggTrade", "btcusdt@kline_5m", "ethusdt@aggTrade", "ethusdt@kline_5m"
    )  # fmt: skip
    assert market.keys == ("binance_usdm:BTCUSDT", "binance_usdm:ETHUSDT")
    assert public.url.startswith("wss://futures/public/")
    assert [stream.partition("@")[0] for stream in public.streams] == ["btcusdt", "ethusdt"]
    assert public.keys == ()
    assert linear.url == "wss://linear/v5/public/linear"
    assert linear.streams == ("publicTrade.BTCUSDT",)
    assert made.traded == ["binance_usdm:BTCUSDT", "binance_usdm:ETHUSDT", "bybit:BTCUSDT"]
    assert made.rest == {"binance_usdm": "https://fapi.binance.com", "bybit": "https://linear"}


@pytest.mark.parametrize("name", sorted(EXCHANGES))
def test_the_usual_channels_of_an_exchange_are_followed_unless_others_are_named(name: str) -> None:
    made = plan.live(Settings(exchanges={name: ExchangeSettings("wss://host", ("BTCUSDT",))}), {})
    exchange = EXCHANGES[name]
    usual = ("trades", "book", "candles", "ticker", "liquidations")
    wanted = {exchange.channels[Channel(one)]("BTCUSDT") for one in usual if one in exchange.channels}
    assert {stream for one in made.connections for stream in one.streams} == wanted
    assert len(wanted) >= 3


def test_patterns_wait_for_the_exchanges_list() -> None:
    made = plan.live(Settings(exchanges={"binance": ExchangeSettings("wss://host", ("*USDT", "top:20"))}), {})
    assert (made.connections, made.instruments) == ((), {})


def test_what_was_chosen_by_hand_lies_over_the_settings() -> None:
    settings = Settings(exchanges={"binance": ExchangeSettings("wss://host", ("BTCUSDT", "ETHUSDT"))})
    selected = {
        "binance": Selected(frozenset({"SOLUSDT"}), frozenset({"ETHUSDT"})),
        "bybit": Selected(frozenset({"XRPUSDT"})),
    }
    made = plan.live(settings, {}, selected)
    assert sorted(made.instruments) == ["binance:BTCUSDT", "binance:SOLUSDT", "bybit:XRPUSDT"]
    assert made.connections[-1].url == "wss://stream.bybit.com/v5/public/linear"


def test_no_exchange_means_no_connection() -> None:
    made = plan.live(Settings(), {})
    assert (made.connections, made.instruments, made.traded) == ((), {}, [])


def test_an_exchange_without_symbols_gets_no_connection() -> None:
    made = plan.live(Settings(exchanges={"binance": ExchangeSettings("wss://spot", ())}), {})
    assert made.connections == ()


def test_a_recording_is_followed_on_every_stream_it_holds_over_their_routes() -> None:
    streams = ["btcusdt@trade", "btcusdt@depth@0ms", "ethusdt@aggTrade", "ethusdt@bookTicker"]
    made = plan.recorded("binance_usdm", "ws://local", "http://local", streams, LISTING)
    assert made.playback
    assert sorted(made.instruments) == ["binance_usdm:BTCUSDT", "binance_usdm:ETHUSDT"]
    carried = sorted(stream for connection in made.connections for stream in connection.streams)
    assert carried == sorted(streams)
    assert len({connection.name for connection in made.connections}) == len(made.connections) == 2
    by_key = {key: connection.url for connection in made.connections for key in connection.keys}
    assert by_key["binance_usdm:BTCUSDT"].startswith("ws://local/public/")
    assert by_key["binance_usdm:ETHUSDT"].startswith("ws://local/market/")
    assert made.rest == {"binance_usdm": "http://local"}


def test_streams_without_trades_bring_no_traded_symbol() -> None:
    made = plan.recorded("binance", "ws://local", "http://local", ["btcusdt@bookTicker", "!ticker@arr"], {})
    assert made.traded == []
    assert list(made.instruments) == ["binance:BTCUSDT"]


# --- which of several sources of the same trades is folded ---


@pytest.mark.parametrize(
    ("exchange", "streams", "source"),
    [
        ("binance", ["btcusdt@trade"], IdKind.TRADE),
        ("binance", ["btcusdt@aggTrade"], IdKind.AGG_TRADE),
        ("binance", ["btcusdt@aggTrade", "btcusdt@trade"], IdKind.TRADE),
        ("binance", ["btcusdt@aggTrade", "ethusdt@trade"], IdKind.AGG_TRADE),
        ("binance", ["btcusdt@bookTicker"], IdKind.TRADE),
        ("binance_usdm", ["btcusdt@trade"], IdKind.TRADE),
        ("binance_usdm", ["btcusdt@trade", "btcusdt@depth@0ms"], IdKind.TRADE),
        ("binance_usdm", ["btcusdt@trade", "btcusdt@aggTrade"], IdKind.AGG_TRADE),
        ("bybit", ["publicTrade.BTCUSDT"], IdKind.TRADE),
    ],
)
def test_a_recording_is_folded_from_what_it_holds_and_from_the_usual_source_where_it_holds_both(
    exchange: str, streams: list[str], source: IdKind
) -> None:
    made = plan.recorded(exchange, "ws://local", "http://local", streams, {})
    assert made.sources[f"{exchange}:BTCUSDT"] is source
    assert made.sources.keys() == made.instruments.keys()


def test_live_it_is_the_source_that_is_subscribed_to() -> None:
    settings = Settings(
        exchanges={
            name: ExchangeSettings("wss://host", ("BTCUSDT",))
            for name in ("binance", "binance_usdm", "bybit")
        }
    )
    assert plan.live(settings, {}).sources == {
        "binance:BTCUSDT": IdKind.TRADE,
        "binance_usdm:BTCUSDT": IdKind.AGG_TRADE,
        "bybit:BTCUSDT": IdKind.TRADE,
    }


def test_live_the_other_source_may_be_chosen() -> None:
    told = ExchangeSettings("wss://host", ("BTCUSDT",), ("trades", "second_trades"), trade_source="agg_trade")
    made = plan.live(Settings(exchanges={"binance": told}), {})
    assert made.sources == {"binance:BTCUSDT": IdKind.AGG_TRADE}
    assert made.connections[0].streams == ("btcusdt@aggTrade", "btcusdt@trade")
