"""Bybit v5 public trades: ``bybit`` (linear) and ``bybit_spot``.

https://bybit-exchange.github.io/docs/v5/ws/connect
https://bybit-exchange.github.io/docs/v5/websocket/public/trade
Times are in ms. The client pings every 20 s; a connection idle for 10 minutes is cut.
"""

from collections.abc import Mapping, Sequence
from functools import partial

import msgspec
from msgspec import UNSET, Raw, UnsetType

from wadm.exchanges.base import Acknowledged, Codec, Event, Exchange, Heartbeat, Limits, Refused
from wadm.exchanges.contiguity import Positions, RecentIds
from wadm.exchanges.intake import UNREADABLE, Intake, MissingFieldError, reason_of
from wadm.exchanges.subscriptions import Subscriptions
from wadm.ledger import Ledger
from wadm.market import IdKind, Instrument

PING_SECONDS = 20
#: All arguments of one connection together have at most 21,000 characters; spot takes 10 arguments a request.
LINEAR_LIMITS = Limits(characters_per_connection=21_000)
SPOT_LIMITS = Limits(characters_per_connection=21_000, streams_per_request=10)
_TOPIC = b'{"topic":"'
_TRADE_TOPIC = b'{"topic":"publicTrade.'
_BOUGHT = {"Buy": True, "Sell": False}


class Trade(
    msgspec.Struct,
    rename={"id": "i", "symbol": "s", "side": "S", "price": "p", "quantity": "v", "time": "T"},
    gc=False,
):
    """One trade; ``side`` is the taker's, Buy or Sell."""

    symbol: str
    id: str
    price: str
    quantity: str
    time: int
    side: str


class _TradeFrame(msgspec.Struct, gc=False):
    data: list[Trade]


class _RawTradeFrame(msgspec.Struct):
    data: list[Raw]


class _AnyFrame(msgspec.Struct):
    """The fields by which a frame shows what it is."""

    topic: str | UnsetType = UNSET
    op: str | UnsetType = UNSET
    success: bool | UnsetType = UNSET
    ret_msg: str = ""
    req_id: str = ""


class _AnyObject(msgspec.Struct, gc=False):
    """Any JSON object, read only to see that it is one."""


_decode_trade_frame = msgspec.json.Decoder(_TradeFrame).decode
_decode_raw_trade_frame = msgspec.json.Decoder(_RawTradeFrame).decode
_decode_trade = msgspec.json.Decoder(Trade).decode
_decode_any = msgspec.json.Decoder(_AnyFrame).decode
_decode_object = msgspec.json.Decoder(_AnyObject).decode


class BybitCodec:
    """One Bybit v5 public connection."""

    def __init__(
        self,
        exchange: str,
        limits: Limits,
        instruments: Mapping[str, Instrument],
        positions: Positions,
        ledger: Ledger,
    ) -> None:
        self.heartbeat: Heartbeat | None = Heartbeat(lambda: '{"op":"ping"}', PING_SECONDS)
        self._ledger = ledger
        self._subscriptions = Subscriptions(exchange, limits)
        self._intake = Intake(exchange, instruments, positions, ledger)
        self._trades = self._intake.active[IdKind.TRADE]
        self._events: list[Event] = []

    def subscribe(self, streams: Sequence[str]) -> list[tuple[str, str]]:
        """Return subscribe requests; raises LimitError."""
        return [_request("subscribe", number, part) for number, part in self._subscriptions.add(streams)]

    def unsubscribe(self, streams: Sequence[str]) -> list[tuple[str, str]]:
        """Return unsubscribe requests."""
        return [
            _request("unsubscribe", number, part) for number, part in self._subscriptions.discard(streams)
        ]

    def receive(self, frames: Sequence[bytes], at: int) -> list[Event]:
        """Read a run of frames received at ``at`` (µs); see ``Codec.receive``."""
        self._ledger.frames += len(frames)
        for frame in frames:
            try:
                self._read(frame)
            except UNREADABLE as error:
                self._intake.reject_frame(reason_of(error), frame)
        events, self._events = self._events, []
        events.extend(self._intake.events(at))
        return events

    def _read(self, frame: bytes) -> None:
        if frame.startswith(_TRADE_TOPIC):
            self._read_trades(frame)
        elif frame.startswith(_TOPIC):
            _decode_object(frame)
        else:
            self._read_any(frame)

    def _read_any(self, frame: bytes) -> None:
        head = _decode_any(frame)
        if head.topic is not UNSET:
            if head.topic.startswith("publicTrade."):
                self._read_trades(frame)
        elif head.success is UNSET and head.op is UNSET:
            raise MissingFieldError("neither a topic nor an answer")
        elif head.success is False:
            self._events.append(Refused(head.req_id or None, "", head.ret_msg))
        elif head.op in ("subscribe", "unsubscribe"):
            self._events.append(Acknowledged(head.req_id))

    def _read_trades(self, frame: bytes) -> None:
        try:
            trades = _decode_trade_frame(frame).data
        except msgspec.ValidationError:
            self._read_sound_trades(frame)
            return
        for trade in trades:
            self._take(trade, frame)

    def _read_sound_trades(self, frame: bytes) -> None:
        """Read the trades of a frame of which some cannot be read: those are rejected, the others kept."""
        for raw in _decode_raw_trade_frame(frame).data:
            try:
                trade = _decode_trade(raw)
            except UNREADABLE as error:
                self._intake.reject_stranger(reason_of(error), bytes(raw))
            else:
                self._take(trade, bytes(raw))

    def _take(self, trade: Trade, frame: bytes) -> None:
        run = self._trades.get(trade.symbol) or self._intake.run(trade.symbol, IdKind.TRADE)
        if run is None:
            self._intake.reject_stranger("unknown_symbol", frame)
            return
        bought = _BOUGHT.get(trade.side)
        if bought is None:
            reason: str | None = run.reject("unknown_side")
        else:
            reason = run.offer(trade, bought)
        if reason is not None:
            self._intake.note(reason, frame)


def stream_symbol(stream: str) -> str | None:
    """Return the symbol of ``publicTrade.BTCUSDT``, None for a topic without one."""
    return stream.rpartition(".")[2] if "." in stream else None


def stream_id_kind(stream: str) -> IdKind | None:
    """Return TRADE for ``publicTrade.…``, None for a topic without trades."""
    return IdKind.TRADE if stream.startswith("publicTrade.") else None


def trade_stream(symbol: str) -> str:
    """Return the topic of a symbol's trades."""
    return f"publicTrade.{symbol}"


def _codec(
    name: str, limits: Limits, instruments: Mapping[str, Instrument], positions: Positions, ledger: Ledger
) -> Codec:
    return BybitCodec(name, limits, instruments, positions, ledger)


def _routes(path: str, streams: Sequence[str]) -> Mapping[str, Sequence[str]]:
    return {path: tuple(streams)} if streams else {}


def _request(operation: str, number: int, topics: Sequence[str]) -> tuple[str, str]:
    request = {"req_id": str(number), "op": operation, "args": list(topics)}
    return str(number), msgspec.json.encode(request).decode()


def _exchange(name: str, category: str, limits: Limits) -> Exchange:
    return Exchange(
        name=name,
        id_kind=IdKind.TRADE,
        ids_count_up=False,
        limits=limits,
        websocket_url="wss://stream.bybit.com",
        rest_url="https://api.bybit.com",
        routes=partial(_routes, f"/v5/public/{category}"),
        trade_stream=trade_stream,
        trade_streams={IdKind.TRADE: trade_stream},
        stream_symbol=stream_symbol,
        stream_id_kind=stream_id_kind,
        positions=lambda: Positions(RecentIds),
        codec=partial(_codec, name, limits),
    )


LINEAR = _exchange("bybit", "linear", LINEAR_LIMITS)
SPOT = _exchange("bybit_spot", "spot", SPOT_LIMITS)
