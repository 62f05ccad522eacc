"""What Binance's spot and futures streams have in common: frames, trades, requests, answers.

https://developers.binance.com/docs/binance-spot-api-docs/web-socket-streams
https://developers.binance.com/docs/derivatives/usds-margined-futures/websocket-market-streams
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec
from msgspec import UNSET

from wadm.exchanges.base import Acknowledged, Event, Heartbeat, Leaving, Limits, Refused
from wadm.exchanges.binance_frames import (
    Aggregate,
    AnyFrame,
    Trade,
    decode_aggregate,
    decode_aggregate_frame,
    decode_any,
    decode_object,
    decode_trade,
    decode_trade_frame,
)
from wadm.exchanges.contiguity import Positions
from wadm.exchanges.intake import UNREADABLE, Intake, MissingFieldError, reason_of
from wadm.exchanges.subscriptions import Subscriptions
from wadm.ledger import Ledger
from wadm.market import IdKind, Instrument

#: How a frame of ``/stream`` begins; the stream's name follows.
_WRAPPED = b'{"stream":"'
_ID_KINDS = {"trade": IdKind.TRADE, "aggTrade": IdKind.AGG_TRADE}
#: Stream names remembered with their readers; on more (hostile) names the memory starts over.
_REMEMBERED = 4_096
_LONGEST_NAME = 100


Reader = Callable[[bytes], None]
#: How a wrapped frame is decoded, and what takes its data (None: nobody).
Wrapped = tuple[Callable[[bytes], Any], Callable[[Any, bytes], None] | None]


class BinanceCodec:
    """One Binance connection, spot or futures, wrapped frames (``/stream``) or bare ones (``/ws``).

    A wrapped frame begins with its stream's name, which selects a reader without reading the frame: a
    stream this codec has no use for is only checked to be JSON. A stream more is a line more in
    ``_wrapped`` and ``_bare``.
    """

    heartbeat: Heartbeat | None = None  # the server pings; the WebSocket library answers

    def __init__(
        self,
        exchange: str,
        limits: Limits,
        instruments: Mapping[str, Instrument],
        positions: Positions,
        ledger: Ledger,
    ) -> None:
        self._ledger = ledger
        self._subscriptions = Subscriptions(exchange, limits)
        self._intake = Intake(exchange, instruments, positions, ledger)
        self._trades = self._intake.active[IdKind.TRADE]
        self._aggregates = self._intake.active[IdKind.AGG_TRADE]
        self._events: list[Event] = []
        self._wrapped: dict[str, Wrapped] = {
            "trade": (decode_trade_frame, self._take_trade),
            "aggTrade": (decode_aggregate_frame, self._take_aggregate),
        }
        self._bare: dict[str, Reader] = {
            "trade": self._read_trade,
            "aggTrade": self._read_aggregate,
            "serverShutdown": self._read_shutdown,
        }
        self._streams: dict[bytes, Wrapped] = {}

    def subscribe(self, streams: Sequence[str]) -> list[tuple[str, str]]:
        """Return SUBSCRIBE requests; raises LimitError."""
        return [_request("SUBSCRIBE", number, part) for number, part in self._subscriptions.add(streams)]

    def unsubscribe(self, streams: Sequence[str]) -> list[tuple[str, str]]:
        """Return UNSUBSCRIBE requests."""
        return [
            _request("UNSUBSCRIBE", number, part) for number, part in self._subscriptions.discard(streams)
        ]

    def receive(self, frames: Sequence[bytes], at: int) -> list[Event]:
        """Read a run of frames received at ``at`` (µs); see ``Codec.receive``."""
        self._ledger.frames += len(frames)
        streams = self._streams
        for frame in frames:
            try:
                stream = streams.get(frame[11 : frame.find(b'"', 11)])
                if stream is None:
                    self._read_unknown(frame)
                    continue
                decode, take = stream
                decoded = decode(frame)
                if take is not None:
                    take(decoded.data, frame)
            except UNREADABLE as error:
                self._intake.reject_frame(reason_of(error), frame)
        events, self._events = self._events, []
        events.extend(self._intake.events(at))
        return events

    def _read_unknown(self, frame: bytes) -> None:
        """Read a frame that is not wrapped, or whose stream is new: then remember how to read it."""
        self._read_any(frame)
        if frame.startswith(_WRAPPED):
            self._remember(frame[11 : frame.find(b'"', 11)])

    def _remember(self, stream: bytes) -> None:
        kind = stream_kind(stream.decode())
        if len(stream) > _LONGEST_NAME or kind == "serverShutdown":
            return
        if len(self._streams) >= _REMEMBERED:
            self._streams.clear()
        self._streams[stream] = self._wrapped.get(kind, (decode_object, None))

    def _read_any(self, frame: bytes) -> None:
        """Read a frame of whatever form: wrapped in another order, bare, or an answer to a request."""
        head = decode_any(frame)
        if head.data is not UNSET and head.stream is not UNSET:
            self._read_payload(stream_kind(head.stream), bytes(head.data))
        elif head.event is not UNSET:
            self._read_payload(head.event, frame)
        elif not self._read_answer(head) and head.update is UNSET and head.book is UNSET:
            raise MissingFieldError("neither a stream's event nor an answer")

    def _read_payload(self, kind: str, payload: bytes) -> None:
        if kind in self._bare:
            self._bare[kind](payload)

    def _read_answer(self, head: AnyFrame) -> bool:
        request_id = str(head.id) if head.id is not UNSET and head.id is not None else None
        if head.error is not UNSET:
            self._events.append(Refused(request_id, str(head.error.code), head.error.msg))
        elif head.code is not UNSET:
            self._events.append(Refused(request_id, str(head.code), head.msg))
        elif head.result is not UNSET and request_id is not None:
            self._events.append(Acknowledged(request_id))
        else:
            return False
        return True

    def _read_shutdown(self, payload: bytes) -> None:
        self._events.append(Leaving("serverShutdown"))

    def _read_trade(self, payload: bytes) -> None:
        self._take_trade(decode_trade(payload), payload)

    def _read_aggregate(self, payload: bytes) -> None:
        self._take_aggregate(decode_aggregate(payload), payload)

    def _take_trade(self, trade: Trade, frame: bytes) -> None:
        run = self._trades.get(trade.symbol) or self._intake.run(trade.symbol, IdKind.TRADE)
        if run is None:
            self._intake.reject_stranger("unknown_symbol", frame)
            return
        if trade.execution == "MARKET":
            reason = run.offer(trade, not trade.buyer_is_maker)
        else:
            reason = run.exclude(trade.id, trade.time, "not_market")
        if reason is not None:
            self._intake.note(reason, frame)

    def _take_aggregate(self, trade: Aggregate, frame: bytes) -> None:
        run = self._aggregates.get(trade.symbol) or self._intake.run(trade.symbol, IdKind.AGG_TRADE)
        if run is None:
            self._intake.reject_stranger("unknown_symbol", frame)
            return
        if trade.execution == "MARKET":
            reason = run.offer(trade, not trade.buyer_is_maker, trade.last - trade.first + 1)
        else:
            reason = run.exclude(trade.id, trade.time, "not_market")
        if reason is not None:
            self._intake.note(reason, frame)


def stream_symbol(stream: str) -> str | None:
    """Return the symbol of ``btcusdt@trade``; None for a stream of all symbols such as ``!ticker@arr``."""
    symbol, at, _ = stream.partition("@")
    return symbol.upper() if at and not stream.startswith("!") else None


def stream_id_kind(stream: str) -> IdKind | None:
    """Return what the ids of ``btcusdt@trade`` count; None for a stream without trades."""
    return _ID_KINDS.get(stream_kind(stream))


def trade_stream(symbol: str) -> str:
    """Return the stream of a symbol's single trades."""
    return f"{symbol.lower()}@trade"


def aggregate_stream(symbol: str) -> str:
    """Return the stream of a symbol's aggregate trades."""
    return f"{symbol.lower()}@aggTrade"


def stream_kind(stream: str) -> str:
    """Return ``depth@100ms`` of ``btcusdt@depth@100ms``, and ``bookTicker`` of ``!bookTicker``."""
    return stream.partition("@")[2] or stream.lstrip("!")


def _request(method: str, number: int, streams: Sequence[str]) -> tuple[str, str]:
    request = {"method": method, "params": list(streams), "id": number}
    return str(number), msgspec.json.encode(request).decode()
