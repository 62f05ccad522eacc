"""A page of one-minute candles: what is asked, and how its rows become candles."""

from collections.abc import Iterable, Sequence
from decimal import Decimal

import attrs

from wadm.exchanges.base import PageError
from wadm.exchanges.page import number
from wadm.market import MILLISECOND, MINUTE, Candle

#: More in one page than one of the exchanges gives.
MOST = 1_000


@attrs.frozen
class Row:
    """A candle as an exchange writes it: ``start`` in ms, numbers as texts."""

    start: int
    open: str
    high: str
    low: str
    close: str
    volume: str
    turnover: str
    buy_volume: str | None = None
    count: int | None = None


@attrs.frozen
class CandlePage:
    """The candles of ``symbol`` that begin in ``[start, end)`` (µs), but no more than a page holds."""

    exchange: str
    symbol: str
    start: int
    end: int

    @property
    def first(self) -> int:
        """The start of the first candle in ms."""
        return -(-self.start // MINUTE) * MINUTE // MILLISECOND

    @property
    def last(self) -> int:
        """The start of the last candle in ms; before ``first`` where the range holds none."""
        end = -(-self.end // MINUTE) * MINUTE // MILLISECOND
        return min(end, self.first + MOST * MINUTE // MILLISECOND) - MINUTE // MILLISECOND

    @property
    def limit(self) -> int:
        """How many candles can be in it, at least 1."""
        return max(1, (self.last - self.first) * MILLISECOND // MINUTE + 1)

    def candles(self, rows: Iterable[Row]) -> Sequence[Candle]:
        """Return the candles asked for, ascending. Raises PageError for a row that is no candle.

        An exchange does not say which of its candles are still open: those that end by ``end`` are taken for
        closed. So only ask for minutes that have ended.
        """
        found = {row.start: self._candle(row) for row in rows if self.first <= row.start <= self.last}
        return [found[start] for start in sorted(found)]

    def _candle(self, row: Row) -> Candle:
        start = row.start * MILLISECOND
        if start % MINUTE:
            raise PageError(f"{self._what} cannot be read: one begins at {row.start} ms, within a minute")
        candle = Candle(
            exchange=self.exchange,
            symbol=self.symbol,
            interval="1m",
            start=start,
            end=start + MINUTE,
            open=self._number(row.open),
            high=self._number(row.high),
            low=self._number(row.low),
            close=self._number(row.close),
            volume=self._number(row.volume),
            turnover=self._number(row.turnover),
            buy_volume=None if row.buy_volume is None else self._number(row.buy_volume),
            count=row.count,
            closed=start + MINUTE <= self.end,
        )
        if not candle.low <= min(candle.open, candle.close) <= max(candle.open, candle.close) <= candle.high:
            raise PageError(f"{self._what} cannot be read: its low and high at {row.start} ms are none")
        return candle

    def _number(self, text: str) -> Decimal:
        return number(text, self._what)

    @property
    def _what(self) -> str:
        return f"{self.exchange}'s candles of {self.symbol}"
