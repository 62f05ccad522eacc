"""What Binance's spot and futures streams have in common: frames, requests, answers.

https://developers.binance.com/docs/binance-spot-api-docs/web-socket-streams
https://developers.binance.com/docs/derivatives/usds-margined-futures/websocket-market-streams
"""

from collections.abc import Mapping, Sequence
from functools import partial

import msgspec
from msgspec import UNSET

from wadm.exchanges.amounts import moment, price, signed
from wadm.exchanges.base import Acknowledged, Leaving, Limits, Refused
from wadm.exchanges.binance_events import (
    BARE,
    WRAPPED,
    Forced,
    Kline,
    MarkPrice,
    Shutdown,
    decode_spot_view,
)
from wadm.exchanges.binance_frames import (
    Aggregate,
    AnyFrame,
    Depth,
    Quote,
    SpotView,
    Trade,
    Wrapped,
    decode_any,
    decode_object,
)
from wadm.exchanges.binance_streams import is_diff, is_view, stream_event, stream_symbol
from wadm.exchanges.contiguity import Positions
from wadm.exchanges.intake import MissingFieldError, RejectedFrameError
from wadm.exchanges.run import Run
from wadm.exchanges.stream_codec import Reader, StreamCodec, Take, TakeAll
from wadm.ledger import Ledger
from wadm.market import BookChange, IdKind, Instrument, PositionSide, Ticker

_CLOSED = {"SELL": PositionSide.LONG, "BUY": PositionSide.SHORT}


class BinanceCodec(StreamCodec):
    """One Binance connection, spot or futures, wrapped frames (``/stream``) or bare ones (``/ws``).

    Of several diff streams of a symbol one is the book's (see ``BookStreams``), the others are only checked
    to be JSON, and so is a stream this codec has no use for. An event more is a line more in
    ``binance_events`` and in ``_takes``.
    """

    _prefix = b'{"stream":"'

    def __init__(
        self,
        exchange: str,
        limits: Limits,
        instruments: Mapping[str, Instrument],
        positions: Positions,
        ledger: Ledger,
        *,
        spot: bool,
    ) -> None:
        super().__init__(exchange, limits, instruments, positions, ledger)
        self._exchange = exchange
        self._spot = spot
        self._trades = self._intake.active[IdKind.TRADE]
        self._aggregates = self._intake.active[IdKind.AGG_TRADE]
        self._viewed: set[str] = set()
        self._takes: dict[str, Take] = {
            "trade": self._take_trade,
            "aggTrade": self._take_aggregate,
            "depthUpdate": partial(self._take_depth, BookChange.DIFF),
            "bookTicker": self._take_quote,
            "kline": self._take_kline,
            "markPriceUpdate": self._take_mark_price,
            "forceOrder": self._take_forced,
            "serverShutdown": self._take_shutdown,
        }
        self._takes_all: dict[str, TakeAll] = {
            "trade": self._take_trades,
            "aggTrade": self._take_aggregates,
        }

    def _request(self, number: int, streams: Sequence[str], *, subscribe: bool) -> str:
        method = "SUBSCRIBE" if subscribe else "UNSUBSCRIBE"
        return msgspec.json.encode({"method": method, "params": list(streams), "id": number}).decode()

    def _subscribed(self, stream: str) -> None:
        symbol = stream_symbol(stream)
        if symbol is not None and is_diff(stream):
            self._book_streams.subscribed(symbol, stream)
        elif symbol is not None and is_view(stream):
            self._viewed.add(symbol)

    # --- which frame is what ---

    def _reader(self, stream: str) -> Reader:
        symbol, event = stream_symbol(stream), stream_event(stream)
        if symbol is not None and is_view(stream):
            if self._spot:
                return Reader(decode_spot_view, partial(self._take_spot_view, symbol))
            return Reader(WRAPPED["depthUpdate"], partial(self._take_depth, BookChange.PARTIAL))
        if event == "depthUpdate" and not self._is_book(symbol, stream):
            return Reader(decode_object)
        if event in WRAPPED:
            return Reader(WRAPPED[event], self._takes[event], self._takes_all.get(event))
        return Reader(decode_object)

    def _is_book(self, symbol: str | None, stream: str) -> bool:
        """Return whether diffs of a stream are folded; those of an unknown symbol are read to be rejected."""
        known = symbol is not None and self._observed.knows(symbol)
        return not known or self._book_streams.is_book(str(symbol), stream)

    def _read_any(self, frame: bytes) -> None:
        """Read a frame of whatever form: wrapped in another order, bare, or an answer to a request."""
        head = decode_any(frame)
        if head.data is not UNSET and head.stream is not UNSET:
            self._read_stream(head.stream, frame)
        elif head.event is not UNSET:
            self._read_bare(head.event, frame)
        elif self._read_answer(head):
            return
        elif head.update is not UNSET:
            self._read_bare("bookTicker", frame)
        elif head.view is not UNSET:
            raise RejectedFrameError("no_symbol")
        else:
            raise MissingFieldError("neither a stream's event nor an answer")

    def _read_bare(self, event: str, frame: bytes) -> None:
        if event not in BARE:
            return
        data = BARE[event](frame)
        if event == "depthUpdate" and data.symbol in self._viewed:
            raise RejectedFrameError("ambiguous_stream")  # the best levels and a diff look alike
        self._takes[event](Wrapped(data), frame)

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

    # --- trades ---

    def _take_trade(self, frame: Wrapped[Trade], raw: bytes) -> None:
        trade = frame.data
        run = self._trades.get(trade.symbol) or self._intake.run(trade.symbol, IdKind.TRADE)
        if run is not None and trade.execution == "MARKET":
            run.offer(trade, raw, not trade.buyer_is_maker)
        else:
            self._settle_other(run, trade, raw)

    def _take_aggregate(self, frame: Wrapped[Aggregate], raw: bytes) -> None:
        trade = frame.data
        run = self._aggregates.get(trade.symbol) or self._intake.run(trade.symbol, IdKind.AGG_TRADE)
        if run is not None and trade.execution == "MARKET":
            run.offer(trade, raw, not trade.buyer_is_maker, trade.last - trade.first + 1)
        else:
            self._settle_other(run, trade, raw)

    def _settle_other(self, run: Run | None, trade: Trade | Aggregate, raw: bytes) -> None:
        """Settle a trade of no known symbol, or one that is none of the market."""
        if run is None:
            self._intake.reject_stranger("unknown_symbol", raw)
        else:
            run.exclude(trade.id, trade.time, "not_market", raw)

    def _take_trades(self, frames: Sequence[Wrapped[Trade]], raw: Sequence[bytes]) -> bool:
        trades = [frame.data for frame in frames]
        run = self._common_run(IdKind.TRADE, trades)
        if run is not None:
            run.offer_all(trades, raw, [not trade.buyer_is_maker for trade in trades], [1] * len(trades))
        return run is not None

    def _take_aggregates(self, frames: Sequence[Wrapped[Aggregate]], raw: Sequence[bytes]) -> bool:
        trades = [frame.data for frame in frames]
        run = self._common_run(IdKind.AGG_TRADE, trades)
        if run is not None:
            bought = [not trade.buyer_is_maker for trade in trades]
            run.offer_all(trades, raw, bought, [trade.last - trade.first + 1 for trade in trades])
        return run is not None

    def _common_run(self, id_kind: IdKind, trades: Sequence[Trade | Aggregate]) -> Run | None:
        """Return the run of trades that are all of one known symbol and of the market; None for others."""
        symbol = trades[0].symbol
        for trade in trades:
            if trade.symbol != symbol or trade.execution != "MARKET":
                return None
        return self._intake.run(symbol, id_kind)

    # --- the rest ---

    def _take_depth(self, change: BookChange, frame: Wrapped[Depth], raw: bytes) -> None:
        depth = frame.data
        book = self._books.get(depth.symbol) or self._observed.book(depth.symbol)
        at = self._observed.time(depth.sent if depth.time is None else depth.time)
        book.update(
            change,
            first=depth.first,
            last=depth.last,
            previous=depth.previous,
            at=at,
            levels=book.reader.read_raw(depth.bids, depth.asks),
        )

    def _take_spot_view(self, symbol: str, frame: Wrapped[SpotView], raw: bytes) -> None:
        view = frame.data
        update_id = view.update_id
        book = self._observed.book(symbol)
        levels = book.reader.read(view.bids, view.asks)
        book.update(BookChange.PARTIAL, first=update_id, last=update_id, at=0, levels=levels)

    def _take_quote(self, frame: Wrapped[Quote], raw: bytes) -> None:
        quote = frame.data
        book = self._books.get(quote.symbol) or self._observed.book(quote.symbol)
        book.quote(quote.update_id, (quote.bid, quote.bid_quantity), (quote.ask, quote.ask_quantity))

    def _take_kline(self, frame: Wrapped[Kline], raw: bytes) -> None:
        self._observed.candles(frame.data.symbol, [frame.data.candle])

    def _take_mark_price(self, frame: Wrapped[MarkPrice], raw: bytes) -> None:
        mark = frame.data
        self._observed.ticker(
            Ticker(
                self._exchange,
                mark.symbol,
                self._observed.time(mark.sent),
                mark_price=price(mark.mark),
                index_price=price(mark.index) if mark.index else None,
                funding_rate=signed(mark.funding) if mark.funding else None,
                next_funding_at=moment(mark.next_funding) if mark.next_funding else None,
            )
        )

    def _take_forced(self, frame: Wrapped[Forced], raw: bytes) -> None:
        order = frame.data.order
        position = _CLOSED[order.side]
        self._observed.liquidations([(order.symbol, order.time, position, order.price, order.quantity)])

    def _take_shutdown(self, frame: Wrapped[Shutdown], raw: bytes) -> None:
        self._events.append(Leaving("serverShutdown"))
