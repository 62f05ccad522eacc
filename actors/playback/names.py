"""The stream that a recorded frame came on."""

from collections.abc import Mapping
from enum import Enum, auto

import msgspec

_STREAM = b'{"stream":"'
_TOPIC = b'{"topic":"'

#: What Binance's event type is called in the name of a stream, after the symbol.
_BINANCE = {
    "trade": "trade",
    "aggTrade": "aggTrade",
    "depthUpdate": "depth",
    "bookTicker": "bookTicker",
    "kline": "kline",
    "24hrTicker": "ticker",
    "24hrMiniTicker": "miniTicker",
    "1hTicker": "ticker_1h",
    "4hTicker": "ticker_4h",
    "1dTicker": "ticker_1d",
    "avgPrice": "avgPrice",
    "markPriceUpdate": "markPrice",
    "forceOrder": "forceOrder",
    "compositeIndex": "compositeIndex",
    "assetIndexUpdate": "assetIndex",
}
#: Events of no one symbol, and their streams.
_OF_ALL = {"contractInfo": "!contractInfo"}
_SHUTDOWN = "serverShutdown"
#: Keys that only answers to requests have.
_ANSWER = frozenset({"result", "error", "code", "success", "op"})

_fields = msgspec.json.Decoder(dict[str, msgspec.Raw])
_arrays = msgspec.json.Decoder(list[dict[str, msgspec.Raw]])
_text = msgspec.json.Decoder(str)


class Streamless(Enum):
    """What may stand in a capture and comes on no stream."""

    ANSWER = auto()  # to a request
    NOTICE = auto()  # that the connection is about to end
    SNAPSHOT = auto()  # a bare REST depth snapshot, which names no symbol


def stream_of(frame: bytes) -> str | Streamless:
    """Name the stream of a frame as its exchange does ("btcusdt@trade", "publicTrade.BTCUSDT").

    Frames of a combined stream and of Bybit say it themselves; the name of a raw Binance frame is derived
    from its event type and symbol (``depth`` without its speed, which the frame does not tell). Raises
    ValueError where the frame is not an exchange's.
    """
    for prefix in (_STREAM, _TOPIC):
        if frame.startswith(prefix):
            return _named(frame[len(prefix) : frame.index(b'"', len(prefix))].decode())
    if frame.startswith(b"["):
        return _array_stream(frame)
    fields = _fields.decode(frame)
    for key in ("stream", "topic"):
        if key in fields:
            return _named(_text.decode(fields[key]))
    return _unnamed(fields)


def _unnamed(fields: Mapping[str, msgspec.Raw]) -> str | Streamless:
    """Derive the stream of a frame that does not say it."""
    if "lastUpdateId" in fields and "bids" in fields:
        return Streamless.SNAPSHOT
    if "e" in fields:
        return _binance_stream(fields)
    if {"u", "s", "b", "B", "a", "A"} <= fields.keys():  # the spot market's book ticker names no event
        return _text.decode(fields["s"]).lower() + "@bookTicker"
    if _ANSWER & fields.keys():
        return Streamless.ANSWER
    raise ValueError("neither a stream nor an event")


def symbol_of(stream: str) -> str | None:
    """Return the symbol of a stream's name, or None for a stream of no one symbol."""
    if "@" in stream or stream.startswith("!"):
        symbol = stream.partition("@")[0]
        return None if symbol.startswith("!") else symbol.upper()
    return None if stream.startswith("system.") else stream.rpartition(".")[2] or None


def _named(stream: str) -> str | Streamless:
    return Streamless.NOTICE if stream == _SHUTDOWN else stream


def _array_stream(frame: bytes) -> str:
    """Name the stream of all symbols that a raw array came on."""
    events = _arrays.decode(frame)
    name = _BINANCE.get(_text.decode(_get(events[0], "e"))) if events else None
    if name is None:
        raise ValueError("an array of no known stream")
    return f"!{name}@arr"


def _binance_stream(fields: Mapping[str, msgspec.Raw]) -> str | Streamless:
    event = _text.decode(fields["e"])
    if event == _SHUTDOWN:
        return Streamless.NOTICE
    if event in _OF_ALL:
        return _OF_ALL[event]
    name = _BINANCE.get(event)
    if name is None:
        raise ValueError(f"an event {event!r} of no known stream")
    holder = _fields.decode(_get(fields, "o")) if name == "forceOrder" else fields
    if name == "kline":
        name = f"kline_{_text.decode(_get(_fields.decode(_get(fields, 'k')), 'i'))}"
    return f"{_text.decode(_get(holder, 's')).lower()}@{name}"


def _get(fields: Mapping[str, msgspec.Raw], key: str) -> msgspec.Raw:
    if key not in fields:
        raise ValueError(f"an event without {key!r}")
    return fields[key]
