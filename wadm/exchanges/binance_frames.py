"""The frames Binance sends, as far as they are read: spot and futures write them alike.

https://developers.binance.com/docs/binance-spot-api-docs/web-socket-streams
https://developers.binance.com/docs/derivatives/usds-margined-futures/websocket-market-streams/Aggregate-Trade-Streams
Decoding is strict: a whole number must be written as one, a price as a string.
"""

from typing import Literal

import msgspec
from msgspec import UNSET, Raw, UnsetType

_NAMES = {
    "event": "e",
    "symbol": "s",
    "price": "p",
    "quantity": "q",
    "time": "T",
    "buyer_is_maker": "m",
    "execution": "X",
}


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
    symbol: str
    id: int
    price: str
    quantity: str
    first: int
    last: int
    time: int
    buyer_is_maker: bool
    execution: str = "MARKET"


class TradeFrame(msgspec.Struct, gc=False):
    """A trade in the wrapping of ``/stream``."""

    data: Trade


class AggregateFrame(msgspec.Struct, gc=False):
    """An aggregate trade in the wrapping of ``/stream``."""

    data: Aggregate


class ErrorBody(msgspec.Struct):
    """Why a request was refused."""

    code: int
    msg: str = ""


class AnyFrame(msgspec.Struct, rename={"event": "e", "update": "u", "book": "lastUpdateId"}):
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
    book: Raw | UnsetType = UNSET


class AnyObject(msgspec.Struct, gc=False):
    """Any JSON object, read only to see that it is one."""


decode_trade_frame = msgspec.json.Decoder(TradeFrame).decode
decode_trade = msgspec.json.Decoder(Trade).decode
decode_aggregate_frame = msgspec.json.Decoder(AggregateFrame).decode
decode_aggregate = msgspec.json.Decoder(Aggregate).decode
decode_any = msgspec.json.Decoder(AnyFrame).decode
decode_object = msgspec.json.Decoder(AnyObject).decode
