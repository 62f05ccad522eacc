"""Binance's events by name: how each is decoded, and the frames of those that are rare.

https://developers.binance.com/docs/binance-spot-api-docs/web-socket-streams
https://developers.binance.com/docs/derivatives/usds-margined-futures/websocket-market-streams
"""

from collections.abc import Mapping
from typing import Any, Literal

import msgspec

from wadm.exchanges.binance_frames import Aggregate, Depth, Quote, SpotView, Trade, Wrapped


class KlineBody(
    msgspec.Struct,
    rename={
        "interval": "i",
        "start": "t",
        "last": "T",
        "open": "o",
        "high": "h",
        "low": "l",
        "close": "c",
        "volume": "v",
        "turnover": "q",
        "closed": "x",
        "buy_volume": "V",
        "count": "n",
    },
):
    """A candle; ``last`` is its last millisecond."""

    interval: str
    start: int
    last: int
    open: str
    high: str
    low: str
    close: str
    volume: str
    turnover: str
    closed: bool
    buy_volume: str
    count: int


class Kline(msgspec.Struct, rename={"event": "e", "symbol": "s", "candle": "k"}):
    """A candle of a symbol."""

    event: Literal["kline"]
    symbol: str
    candle: KlineBody


class MarkPrice(
    msgspec.Struct,
    rename={
        "event": "e",
        "symbol": "s",
        "sent": "E",
        "mark": "p",
        "index": "i",
        "funding": "r",
        "next_funding": "T",
    },
):
    """Mark price and funding of a contract; one with a day of delivery has no funding ("" and 0)."""

    event: Literal["markPriceUpdate"]
    symbol: str
    sent: int
    mark: str
    index: str = ""
    funding: str = ""
    next_funding: int = 0


class ForcedOrder(
    msgspec.Struct, rename={"symbol": "s", "side": "S", "price": "p", "quantity": "q", "time": "T"}
):
    """The order that closes a position by force."""

    symbol: str
    side: Literal["BUY", "SELL"]
    price: str
    quantity: str
    time: int


class Forced(msgspec.Struct, rename={"event": "e", "order": "o"}):
    """A liquidation."""

    event: Literal["forceOrder"]
    order: ForcedOrder


class Shutdown(msgspec.Struct):
    """The server is about to end the connection."""


_FRAMES: Mapping[str, tuple[Any, Any]] = {
    "trade": (Wrapped[Trade], Trade),
    "aggTrade": (Wrapped[Aggregate], Aggregate),
    "depthUpdate": (Wrapped[Depth], Depth),
    "bookTicker": (Wrapped[Quote], Quote),
    "kline": (Wrapped[Kline], Kline),
    "markPriceUpdate": (Wrapped[MarkPrice], MarkPrice),
    "forceOrder": (Wrapped[Forced], Forced),
    "serverShutdown": (Wrapped[Shutdown], Shutdown),
}
#: decoders of events as ``/stream`` wraps them, and as ``/ws`` sends them
WRAPPED = {event: msgspec.json.Decoder(wrapped).decode for event, (wrapped, _) in _FRAMES.items()}
BARE = {event: msgspec.json.Decoder(bare).decode for event, (_, bare) in _FRAMES.items()}
decode_spot_view = msgspec.json.Decoder(Wrapped[SpotView]).decode
