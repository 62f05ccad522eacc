"""The names of Binance's streams: ``btcusdt@depth@100ms`` is a symbol and what is told of it.

https://developers.binance.com/docs/binance-spot-api-docs/web-socket-streams
https://developers.binance.com/docs/derivatives/usds-margined-futures/websocket-market-streams
"""

import re
from collections.abc import Callable, Sequence

from wadm.market import IdKind

_ID_KINDS = {"trade": IdKind.TRADE, "aggTrade": IdKind.AGG_TRADE}
#: Seconds of suspicious silence by how a stream's kind begins; 60 for all others.
_PACES: Sequence[tuple[str, float | None]] = (
    ("forceOrder", None),
    ("markPrice", 10.0),
    ("depth", 30.0),
    ("bookTicker", 30.0),
    ("kline", 90.0),
)
_DEPTH = re.compile(r"depth([0-9]*)(@[0-9]+ms)?")
#: The events of kinds that have another name than they.
_EVENTS = {
    "markPrice": "markPriceUpdate",
    "markPrice@1s": "markPriceUpdate",
    "forceOrder@arr": "forceOrder",
}


def stream_symbol(stream: str) -> str | None:
    """Return the symbol of ``btcusdt@trade``; None for a stream of all symbols such as ``!ticker@arr``."""
    symbol, at, _ = stream.partition("@")
    return symbol.upper() if at and not stream.startswith("!") else None


def stream_kind(stream: str) -> str:
    """Return ``depth@100ms`` of ``btcusdt@depth@100ms``, and ``forceOrder@arr`` of ``!forceOrder@arr``."""
    return stream[1:] if stream.startswith("!") else stream.partition("@")[2] or stream


def stream_event(stream: str) -> str:
    """Return the name of the event that a stream carries: ``kline`` of ``btcusdt@kline_1m``."""
    kind = stream_kind(stream)
    if is_diff(stream):
        return "depthUpdate"
    return "kline" if kind.startswith("kline_") else _EVENTS.get(kind, kind)


def stream_id_kind(stream: str) -> IdKind | None:
    """Return what the ids of ``btcusdt@trade`` count; None for a stream without trades."""
    return _ID_KINDS.get(stream_kind(stream))


def is_diff(stream: str) -> bool:
    """Return whether a stream carries what changed in an order book (``@depth``, ``@depth@100ms``)."""
    found = _DEPTH.fullmatch(stream_kind(stream))
    return found is not None and not found[1]


def is_view(stream: str) -> bool:
    """Return whether a stream carries the best levels of an order book (``@depth20@100ms``)."""
    found = _DEPTH.fullmatch(stream_kind(stream))
    return found is not None and bool(found[1])


def stream_of(kind: str) -> Callable[[str], str]:
    """Return what names a symbol's stream of one kind: ``btcusdt@kline_1m``."""
    return lambda symbol: f"{symbol.lower()}@{kind}"


trade_stream = stream_of("trade")
aggregate_stream = stream_of("aggTrade")


def pace(stream: str) -> float | None:
    """Return the seconds after which a stream's silence is suspicious while its siblings move.

    The mark price comes every 1 or 3 s. Books, quotes, candles and trades come as they change (a candle at
    the end of its minute anyway); forced orders when there are any.
    """
    kind = stream_kind(stream)
    return next((seconds for start, seconds in _PACES if kind.startswith(start)), 60.0)
