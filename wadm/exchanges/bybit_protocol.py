"""What Bybit v5's public streams have in common: frames, requests, answers.

https://bybit-exchange.github.io/docs/v5/ws/connect
https://bybit-exchange.github.io/docs/v5/websocket/public/orderbook
"""

from collections.abc import Mapping, Sequence
from functools import partial

import msgspec
from msgspec import UNSET

from wadm.exchanges.amounts import amount, moment, price, signed
from wadm.exchanges.base import ALREADY_SUBSCRIBED, Acknowledged, Heartbeat, Limits, Refused
from wadm.exchanges.bybit_frames import (
    BookFrame,
    CandleFrame,
    Levels,
    LiquidationFrame,
    RawTradeFrame,
    TickerFrame,
    Trade,
    TradeFrame,
    decode_any,
    decode_book,
    decode_candles,
    decode_liquidations,
    decode_object,
    decode_ticker,
    decode_trade,
    decode_trades,
)
from wadm.exchanges.bybit_topics import topic_depth, topic_kind, topic_symbol
from wadm.exchanges.bybit_view import Sides, View
from wadm.exchanges.contiguity import Positions
from wadm.exchanges.intake import UNREADABLE, MissingFieldError, RejectedFrameError, reason_of
from wadm.exchanges.observed import Book
from wadm.exchanges.stream_codec import Reader, StreamCodec
from wadm.ledger import Ledger
from wadm.market import BookChange, IdKind, Instrument, PositionSide, Ticker

PING_SECONDS = 20
#: ``nextFundingTime`` is written as a text of 13 digits.
_LONGEST_TIME = 15
#: How a request is refused, all of it, for one topic that is subscribed to already.
_ALREADY_SUBSCRIBED = "error:already subscribed"
_BOUGHT = {"Buy": True, "Sell": False}
_CLOSED = {"Buy": PositionSide.LONG, "Sell": PositionSide.SHORT}


class BybitCodec(StreamCodec):
    """One Bybit v5 public connection.

    ``orderbook.1`` is the best quote. Of the deeper topics of a symbol one is the book's (see
    ``BookStreams``), the others are views: PARTIAL steps, kept from their snapshot on.
    """

    _prefix = b'{"topic":"'

    def __init__(
        self,
        exchange: str,
        limits: Limits,
        instruments: Mapping[str, Instrument],
        positions: Positions,
        ledger: Ledger,
    ) -> None:
        super().__init__(exchange, limits, instruments, positions, ledger)
        self.heartbeat = Heartbeat(lambda: '{"op":"ping"}', PING_SECONDS)
        self._exchange = exchange
        self._trades = self._intake.active[IdKind.TRADE]
        self._views: dict[str, View] = {}
        self._readers_by_kind: dict[str, Reader] = {
            "publicTrade": Reader(decode_trades, self._take_trades, self._take_all),
            "tickers": Reader(decode_ticker, self._take_ticker),
            "allLiquidation": Reader(decode_liquidations, self._take_liquidations),
        }

    def _request(self, number: int, streams: Sequence[str], *, subscribe: bool) -> str:
        operation = "subscribe" if subscribe else "unsubscribe"
        request = {"req_id": str(number), "op": operation, "args": list(streams)}
        return msgspec.json.encode(request).decode()

    def _subscribed(self, stream: str) -> None:
        symbol, depth = topic_symbol(stream), topic_depth(stream)
        if symbol is not None and depth > 1:
            self._book_streams.subscribed(symbol, stream, depth)

    def _reader(self, stream: str) -> Reader:
        symbol, depth = topic_symbol(stream) or "", topic_depth(stream)
        kind = topic_kind(stream)
        if kind == "orderbook" and depth:
            take = self._take_quote if depth == 1 else partial(self._take_book, stream, depth)
            return Reader(decode_book, take)
        if kind == "kline":
            return Reader(decode_candles, partial(self._take_candles, symbol))
        return self._readers_by_kind.get(kind, Reader(decode_object))

    def _read_any(self, frame: bytes) -> None:
        head = decode_any(frame)
        if head.topic is not UNSET:
            self._read_stream(head.topic, frame)
        elif head.success is UNSET and head.op is UNSET:
            raise MissingFieldError("neither a topic nor an answer")
        elif head.success is False:
            code = ALREADY_SUBSCRIBED if head.ret_msg.startswith(_ALREADY_SUBSCRIBED) else ""
            self._events.append(Refused(head.req_id or None, code, head.ret_msg))
        elif head.op in ("subscribe", "unsubscribe"):
            self._events.append(Acknowledged(head.req_id))

    # --- trades ---

    def _take_trades(self, frame: TradeFrame | RawTradeFrame, raw: bytes) -> None:
        if isinstance(frame, RawTradeFrame):
            self._take_sound_trades(frame)
            return
        for trade in frame.data:
            self._take(trade, raw)

    def _take_sound_trades(self, frame: RawTradeFrame) -> None:
        """Take the trades of a frame of which some cannot be read: those are rejected, the others kept."""
        for raw in frame.data:
            try:
                trade = decode_trade(raw)
            except UNREADABLE as error:
                self._intake.reject_stranger(reason_of(error), bytes(raw))
            else:
                self._take(trade, bytes(raw))

    def _take(self, trade: Trade, raw: bytes) -> None:
        run = self._trades.get(trade.symbol) or self._intake.run(trade.symbol, IdKind.TRADE)
        bought = _BOUGHT.get(trade.side)
        if run is None:
            self._intake.reject_stranger("unknown_symbol", raw)
        elif bought is None:
            run.reject("unknown_side", raw)
        else:
            run.offer(trade, raw, bought)

    def _take_all(self, frames: Sequence[TradeFrame | RawTradeFrame], raw: Sequence[bytes]) -> bool:
        trades: list[Trade] = []
        raw_of: list[bytes] = []
        for frame, its_bytes in zip(frames, raw, strict=True):
            if isinstance(frame, RawTradeFrame):
                return False
            trades += frame.data
            raw_of += [its_bytes] * len(frame.data)
        symbols = {trade.symbol for trade in trades}
        run = self._intake.run(symbols.pop(), IdKind.TRADE) if len(symbols) == 1 else None
        try:
            bought = [_BOUGHT[trade.side] for trade in trades]
        except KeyError:
            return False
        if run is not None:
            run.offer_all(trades, raw_of, bought, [1] * len(trades))
        return run is not None

    # --- order books ---

    def _take_book(self, topic: str, depth: int, frame: BookFrame, raw: bytes) -> None:
        data = frame.data
        book = self._books.get(data.symbol) or self._observed.book(data.symbol)
        at = self._observed.time(frame.sent if frame.time is None else frame.time)
        if self._book_streams.is_book(data.symbol, topic, depth):
            # Update 1 is the first one after the exchange restarted: whatever its type, it is all there is.
            whole = frame.type == "snapshot" or data.update_id == 1
            change = BookChange.SNAPSHOT if whole else BookChange.DIFF
            self._update(book, change, data, at, (data.bids, data.asks))
            return
        view = self._views.setdefault(topic, View(depth))
        best = view.apply(frame, book.reader)
        if best is not None:
            self._update(book, BookChange.PARTIAL, data, at, best)

    @staticmethod
    def _update(book: Book, change: BookChange, data: Levels, at: int, sides: Sides) -> None:
        update_id = data.update_id
        book.update(change, first=update_id, last=update_id, at=at, levels=book.reader.read(*sides))

    def _take_quote(self, frame: BookFrame, raw: bytes) -> None:
        data = frame.data
        book = self._books.get(data.symbol) or self._observed.book(data.symbol)
        if frame.type != "snapshot":
            raise RejectedFrameError("unexpected_delta")
        nobody = [("0", "0")]
        # This topic counts its updates apart from the book's.
        book.quote(0, (data.bids or nobody)[0], (data.asks or nobody)[0])

    # --- the rest ---

    def _take_candles(self, symbol: str, frame: CandleFrame, raw: bytes) -> None:
        self._observed.candles(symbol, frame.data)

    def _take_ticker(self, frame: TickerFrame, raw: bytes) -> None:
        data = frame.data
        if not data.tells:
            return
        ticker = Ticker(
            self._exchange,
            data.symbol,
            self._observed.time(frame.sent),
            last_price=price(data.last_price) if data.last_price else None,
            mark_price=price(data.mark_price) if data.mark_price else None,
            index_price=price(data.index_price) if data.index_price else None,
            funding_rate=signed(data.funding_rate) if data.funding_rate else None,
            next_funding_at=_planned(data.next_funding_time),
            open_interest=amount(data.open_interest) if data.open_interest else None,
        )
        self._observed.ticker(ticker)

    def _take_liquidations(self, frame: LiquidationFrame, raw: bytes) -> None:
        rows = [(one.symbol, one.time, _CLOSED[one.side], one.price, one.quantity) for one in frame.data]
        self._observed.liquidations(rows)


def _planned(text: str) -> int | None:
    """Return a time to come in µs; "" and 0 are written where there is none."""
    if not text.strip("0"):
        return None
    if len(text) > _LONGEST_TIME or not (text.isascii() and text.isdigit()):
        raise RejectedFrameError("time_out_of_range")
    return moment(int(text))
