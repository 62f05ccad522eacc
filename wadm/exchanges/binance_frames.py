"""The frames Binance sends, as far as they are read: spot and futures write them alike.

https://developers.binance.com/docs/binance-spot-api-docs/web-socket-streams
https://developers.binance.com/docs/derivatives/usds-margined-futures/websocket-market-streams
Decoding is strict: a whole number must be written as one, a price as a string. Times are in ms. Trades have
their fields in the order in which they are sent: so they are read fastest.
"""

from typing import Generic, Literal, TypeVar

import msgspec
from msgspec import UNSET, Raw, UnsetType

from wadm.exchanges.levels import Written

_NAMES = {
    "event": "e",
    "symbol": "s",
    "price": "p",
    "quantity": "q",
    "time": "T",
    "buyer_is_maker": "m",
    "execution": "X",
}

T = TypeVar("T")


class Wrapped(msgspec.Struct, Generic[T], gc=False):
    """What ``/stream`` wraps a stream's data in, beside the stream's name."""

    data: T


class Trade(msgspec.Struct, rename={"id": "t", **_NAMES}, gc=False):
    """One trade. ``execution`` is sent by the futures: MARKET, or INSURANCE_FUND, ADL, NA."""

    event: Literal["trade"]
    symbol: str
    id: int
    price: str
    quantity: str
    time: int
    buyer_is_maker: bool
    execution: str = "MARKET"


class Aggregate(msgspec.Struct, rename={"id": "a", "first": "f", "last": "l", **_NAMES}, gc=False):
    """One taker's fills at one price, trades ``first``..``last``."""

    event: Literal["aggTrade"]
    id: int
    symbol: str
    price: str
    quantity: str
    first: int
    last: int
    time: int
    buyer_is_maker: bool
    execution: str = "MARKET"


class Depth(
    msgspec.Struct,
    rename={
        "event": "e",
        "symbol": "s",
        "first": "U",
        "last": "u",
        "bids": "b",
        "asks": "a",
        "sent": "E",
        "previous": "pu",
        "time": "T",
    },
    gc=False,
):
    """Levels that changed, or (futures) the best ones; see ``LevelReader.read_raw``.

    The futures send ``previous`` and ``time`` as well.
    """

    event: Literal["depthUpdate"]
    symbol: str
    first: int
    last: int
    bids: Raw
    asks: Raw
    sent: int
    previous: int | None = None
    time: int | None = None


class SpotView(msgspec.Struct, rename={"update_id": "lastUpdateId"}, gc=False):
    """The best levels as spot writes them: neither of which symbol nor of when."""

    update_id: int
    bids: list[Written]
    asks: list[Written]


class Quote(
    msgspec.Struct,
    rename={
        "update_id": "u",
        "symbol": "s",
        "bid": "b",
        "bid_quantity": "B",
        "ask": "a",
        "ask_quantity": "A",
    },
    gc=False,
):
    """The best bid and ask, written by spot without an event's name."""

    update_id: int
    symbol: str
    bid: str
    bid_quantity: str
    ask: str
    ask_quantity: str


class ErrorBody(msgspec.Struct):
    """Why a request was refused."""

    code: int
    msg: str = ""


class AnyFrame(msgspec.Struct, rename={"event": "e", "update": "u", "view": "lastUpdateId"}):
    """The fields by which a frame shows what it is."""

    stream: str | UnsetType = UNSET
    data: Raw | UnsetType = UNSET
    event: str | UnsetType = UNSET
    id: int | str | UnsetType | None = UNSET
    result: Raw | UnsetType = UNSET
    error: ErrorBody | UnsetType = UNSET
    code: int | UnsetType = UNSET
    msg: str = ""
    update: Raw | UnsetType = UNSET
    view: Raw | UnsetType = UNSET


class AnyObject(msgspec.Struct, gc=False):
    """Any JSON object, read only to see that it is one."""


decode_any = msgspec.json.Decoder(AnyFrame).decode
decode_object = msgspec.json.Decoder(AnyObject).decode
