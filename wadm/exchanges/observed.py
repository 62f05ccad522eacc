"""What one call of a codec's ``receive`` takes in beside trades: order books, candles, tickers, liquidations.

What is wrong with a message refuses its whole frame.
"""

import re
from collections.abc import Mapping, Sequence
from decimal import Decimal

from wadm.exchanges.amounts import amount, moment, price
from wadm.exchanges.base import Event
from wadm.exchanges.contiguity import MAX_ID
from wadm.exchanges.intake import RejectedFrameError
from wadm.exchanges.levels import Levels, Written
from wadm.exchanges.run import AHEAD, LATEST_MS
from wadm.exchanges.scale import LevelReader
from wadm.exchanges.written_candle import WrittenCandle, as_candle
from wadm.market import (
    MILLISECOND,
    BestQuote,
    BookChange,
    BookRun,
    BookUpdate,
    Instrument,
    Liquidation,
    PositionSide,
    Ticker,
)
from wadm.numbers import from_decimal

#: Four numbers, each with a space behind it: bids and asks that are 0 say that there are none.
_FOUR_NUMBERS = re.compile(r"(?:[0-9]{1,18}(?:\.[0-9]{1,18})? ){4}")


class Book:
    """Collects the steps of one symbol's order book."""

    __slots__ = ("instrument", "reader", "steps")

    def __init__(self, instrument: Instrument) -> None:
        self.instrument = instrument
        self.reader = LevelReader(_decimals(instrument.tick), _decimals(instrument.step))
        self.steps: list[BookUpdate | BestQuote] = []

    def update(
        self,
        change: BookChange,
        *,
        first: int,
        last: int,
        at: int,
        levels: Levels,
        previous: int | None = None,
    ) -> None:
        """Collect an update; ``at`` in µs."""
        if not 0 <= first <= last <= MAX_ID or not (previous is None or 0 <= previous <= MAX_ID):
            raise RejectedFrameError("id_out_of_range")
        self.steps.append(
            BookUpdate(
                change,
                first,
                last,
                previous,
                at,
                levels.price_decimals,
                levels.quantity_decimals,
                levels.bids,
                levels.asks,
            )
        )

    def quote(self, update_id: int, bid: Written, ask: Written) -> None:
        """Collect the best bid and ask as written."""
        if not 0 <= update_id <= MAX_ID:
            raise RejectedFrameError("id_out_of_range")
        if _FOUR_NUMBERS.fullmatch(f"{bid[0]} {bid[1]} {ask[0]} {ask[1]} ") is None:
            raise RejectedFrameError("not_a_number")
        self.steps.append(BestQuote(update_id, *bid, *ask))


class Observed:
    """Collects what one connection tells of known symbols between two calls of ``events``."""

    def __init__(self, exchange: str, instruments: Mapping[str, Instrument]) -> None:
        self._exchange = exchange
        self._instruments = instruments
        self._books: dict[str, Book] = {}
        #: the books touched since the last ``events``, by symbol
        self.active: dict[str, Book] = {}
        self._others: list[Event] = []
        #: when the messages that are read now were received (µs): what they tell of is not much later
        self.at = LATEST_MS * MILLISECOND

    def time(self, ms: int) -> int:
        """Return an exchange's time of what has happened, in µs."""
        if ms * MILLISECOND > self.at + AHEAD:
            raise RejectedFrameError("time_in_future")
        return moment(ms)

    def knows(self, symbol: str) -> bool:
        """Return whether a symbol is known."""
        return symbol in self._instruments

    def book(self, symbol: str) -> Book:
        """Return where the steps of a known symbol's book are collected. Look in ``active`` first."""
        instrument = self._known(symbol)
        book = self._books.get(symbol)
        if book is None or book.instrument is not instrument:
            book = self._books[symbol] = Book(instrument)
        self.active[symbol] = book
        return book

    def candles(self, symbol: str, candles: Sequence[WrittenCandle]) -> None:
        """Collect candles."""
        self._known(symbol)
        self._others += [
            as_candle(self._exchange, symbol, self.time(candle.start), candle) for candle in candles
        ]

    def ticker(self, ticker: Ticker) -> None:
        """Collect what an exchange tells of a contract."""
        self._known(ticker.symbol)
        self._others.append(ticker)

    def liquidations(self, rows: Sequence[tuple[str, int, PositionSide, str, str]]) -> None:
        """Collect liquidations: symbol, time in ms, the side that was closed, price and quantity."""
        found = [
            Liquidation(self._exchange, symbol, self.time(ms), position, price(price_text), amount(quantity))
            for symbol, ms, position, price_text, quantity in rows
        ]
        for liquidation in found:
            self._known(liquidation.symbol)
        self._others += found

    def events(self) -> Sequence[Event]:
        """Give up what was collected."""
        others, self._others = self._others, []
        if not self.active:
            return others
        runs: list[Event] = []
        for symbol, book in self.active.items():
            if book.steps:
                runs.append(BookRun(self._exchange, symbol, book.steps))
                book.steps = []
        self.active.clear()
        return runs + others

    def _known(self, symbol: str) -> Instrument:
        instrument = self._instruments.get(symbol)
        if instrument is None:
            raise RejectedFrameError("unknown_symbol")
        return instrument


def _decimals(step: Decimal | None) -> int:
    return 0 if step is None else from_decimal(step)[1]
