"""The frames of Bybit v5's public streams, as far as they are read.

https://bybit-exchange.github.io/docs/v5/websocket/public/trade (and the pages beside it)
Decoding is strict: a whole number must be written as one, a price as a string. Times are in ms. Trades have
their fields in the order in which they are sent: so they are read fastest.
"""

from typing import Literal

import msgspec
from msgspec import UNSET, Raw, UnsetType

from wadm.exchanges.levels import Written

_INTERVALS = {
    **{minutes: f"{minutes}m" for minutes in ("1", "3", "5", "15", "30")},
    **{str(60 * hours): f"{hours}h" for hours in (1, 2, 4, 6, 12)},
    **{letter: f"1{letter}" for letter in ("d", "w", "M")},
    "D": "1d",
    "W": "1w",
}


class Trade(
    msgspec.Struct,
    rename={"id": "i", "symbol": "s", "side": "S", "price": "p", "quantity": "v", "time": "T"},
    gc=False,
):
    """One trade; ``side`` is the taker's, Buy or Sell."""

    time: int
    symbol: str
    side: str
    quantity: str
    price: str
    id: str


class TradeFrame(msgspec.Struct, gc=False):
    """Trades of one topic."""

    data: list[Trade]


class RawTradeFrame(msgspec.Struct):
    """Trades of which some cannot be read."""

    data: list[Raw]


class Levels(msgspec.Struct, rename={"symbol": "s", "bids": "b", "asks": "a", "update_id": "u"}, gc=False):
    """Levels of an order book: all that the topic shows, or what changed."""

    symbol: str
    bids: list[Written]
    asks: list[Written]
    update_id: int


class BookFrame(msgspec.Struct, rename={"sent": "ts", "time": "cts"}, gc=False):
    """An update of an order book; ``time`` is the matching engine's."""

    type: Literal["snapshot", "delta"]
    data: Levels
    sent: int
    time: int | None = None


class Candle(msgspec.Struct, rename={"unit": "interval", "last": "end", "closed": "confirm"}):
    """A candle; ``last`` is its last millisecond."""

    unit: str
    start: int
    last: int
    open: str
    high: str
    low: str
    close: str
    volume: str
    turnover: str
    closed: bool

    @property
    def interval(self) -> str:
        """Its interval as others write it: ``1m`` for ``1``, ``1d`` for ``D``."""
        return _INTERVALS.get(self.unit, "")

    @property
    def buy_volume(self) -> None:
        """Not told."""

    @property
    def count(self) -> None:
        """Not told."""


class CandleFrame(msgspec.Struct):
    """Candles of one topic."""

    data: list[Candle]


class TickerData(msgspec.Struct, rename="camel"):
    """What changed of a contract, or all of it; "" is written for what there is not."""

    symbol: str
    last_price: str = ""
    mark_price: str = ""
    index_price: str = ""
    funding_rate: str = ""
    next_funding_time: str = ""
    open_interest: str = ""

    @property
    def tells(self) -> bool:
        """Whether any of it is told: quotes and volumes, which change far more often, are not read."""
        return any(getattr(self, name) for name in _TOLD)


_TOLD = tuple(name for name in TickerData.__struct_fields__ if name != "symbol")


class TickerFrame(msgspec.Struct, rename={"sent": "ts"}):
    """A ticker, as of ``sent``."""

    data: TickerData
    sent: int


class Liquidation(
    msgspec.Struct, rename={"symbol": "s", "side": "S", "price": "p", "quantity": "v", "time": "T"}
):
    """A liquidation: Buy says that a long position was closed."""

    symbol: str
    side: Literal["Buy", "Sell"]
    price: str
    quantity: str
    time: int


class LiquidationFrame(msgspec.Struct):
    """Liquidations of one topic."""

    data: list[Liquidation]


class AnyFrame(msgspec.Struct):
    """The fields by which a frame shows what it is."""

    topic: str | UnsetType = UNSET
    op: str | UnsetType = UNSET
    success: bool | UnsetType = UNSET
    ret_msg: str = ""
    req_id: str = ""


class AnyObject(msgspec.Struct, gc=False):
    """Any JSON object, read only to see that it is one."""


_decode_trade_frame = msgspec.json.Decoder(TradeFrame).decode
_decode_raw_trade_frame = msgspec.json.Decoder(RawTradeFrame).decode
decode_trade = msgspec.json.Decoder(Trade).decode
decode_book = msgspec.json.Decoder(BookFrame).decode
decode_candles = msgspec.json.Decoder(CandleFrame).decode
decode_ticker = msgspec.json.Decoder(TickerFrame).decode
decode_liquidations = msgspec.json.Decoder(LiquidationFrame).decode
decode_any = msgspec.json.Decoder(AnyFrame).decode
decode_object = msgspec.json.Decoder(AnyObject).decode


def decode_trades(frame: bytes) -> TradeFrame | RawTradeFrame:
    """Return the trades of a frame, undecoded where some of them cannot be read."""
    try:
        return _decode_trade_frame(frame)
    except msgspec.ValidationError:
        return _decode_raw_trade_frame(frame)
