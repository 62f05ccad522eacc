"""Bybit's trades out of its frames, in the order they were played.

https://bybit-exchange.github.io/docs/v5/websocket/public/trade
"""

from collections.abc import Iterable, Sequence
from decimal import Decimal

import msgspec

from actors.playback.candles import Deal
from actors.playback.capture import Frame
from actors.playback.payload import BROKEN
from wadm.numbers import NumberError, parse

_TOPIC = "publicTrade."


class BybitTrade(msgspec.Struct, gc=False):
    """A trade as the stream writes it; ``S`` is the taker's side."""

    T: int
    s: str
    S: str
    v: str
    p: str
    i: str
    BT: bool = False
    RPI: bool = False
    seq: int = 0


class TradeFrame(msgspec.Struct):
    """A frame of trades."""

    topic: str
    type: str
    ts: int
    data: list[BybitTrade]


class BybitTrades:
    """The trades of the frames read so far, by symbol."""

    def __init__(self) -> None:
        self._trades: dict[str, list[BybitTrade]] = {}

    def read(self, frames: Iterable[Frame]) -> None:
        """Take the trades out of further frames. A frame that cannot be read has none."""
        for frame in frames:
            if frame.stream.startswith(_TOPIC):
                for trade in _read(frame.body):
                    self._trades.setdefault(trade.s, []).append(trade)

    def newest(self, symbol: str, count: int) -> list[BybitTrade]:
        """Return the last so many trades, the newest first."""
        return self._trades.get(symbol, [])[: -count - 1 : -1]

    def deals(self, symbol: str) -> Sequence[Deal]:
        """Return all trades of a symbol."""
        return [
            Deal(trade.T, Decimal(trade.p), Decimal(trade.v), trade.S == "Buy")
            for trade in self._trades.get(symbol, [])
        ]


_decode = msgspec.json.Decoder(TradeFrame).decode


def _read(body: bytes) -> list[BybitTrade]:
    try:
        trades = _decode(body).data
        for trade in trades:
            parse(trade.p)
            parse(trade.v)
    except (*BROKEN, NumberError):
        return []
    return trades
