"""Which connections are made, what each carries, and whose trades come over it."""

from decimal import Decimal

import pytest

from actors import plan
from wadm.market import IdKind, Instrument
from wadm.settings import ExchangeSettings, Settings

TICKED = Instrument("binance_usdm", "BTCUSDT", Decimal("0.1"), Decimal("0.001"))
LISTING = {TICKED.key: TICKED}


def test_each_exchange_of_the_settings_gets_its_connections_and_instruments() -> None:
    settings = Settings(
        exchanges={
            "binance_usdm": ExchangeSettings("wss://futures", ("BTCUSDT", "ETHUSDT")),
            "bybit": ExchangeSettings("wss://linear", ("BTCUSDT",)),
        }
    )
    made = plan.live(settings, LISTING)
    assert not made.playback
    assert made.instruments == {
        "binance_usdm:BTCUSDT": TICKED,
        "binance_usdm:ETHUSDT": Instrument("binance_usdm", "ETHUSDT"),
        "bybit:BTCUSDT": Instrument("bybit", "BTCUSDT"),
    }
    futures, linear = made.connections
    assert futures.name == "connection:binance_usdm#1"
    assert futures.url.startswith("wss://futures/market/")
    assert futures.streams == ("btcusdt@aggTrade", "ethusdt@aggTrade")
    assert futures.keys == ("binance_usdm:BTCUSDT", "binance_usdm:ETHUSDT")
    assert linear.url == "wss://linear/v5/public/linear"
    assert linear.streams == ("publicTrade.BTCUSDT",)
    assert made.traded == ["binance_usdm:BTCUSDT", "binance_usdm:ETHUSDT", "bybit:BTCUSDT"]
    assert set(made.rest) == {"binance_usdm", "bybit"}


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
