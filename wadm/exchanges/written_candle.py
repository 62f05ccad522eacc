"""A candle as an exchange sends it while it grows, and how it becomes a Candle."""

import re
from typing import Protocol

from wadm.exchanges.amounts import amount, moment, price
from wadm.exchanges.intake import RejectedFrameError
from wadm.exchanges.run import MAX_COUNT
from wadm.market import MILLISECOND, Candle

_INTERVAL = re.compile(r"[0-9]{1,2}[smhdwM]")


class WrittenCandle(Protocol):
    """A candle as an exchange writes it: numbers as texts."""

    @property
    def interval(self) -> str:
        """How long it is: ``1m``."""

    @property
    def start(self) -> int:
        """Its first ms."""

    @property
    def last(self) -> int:
        """Its last ms."""

    @property
    def open(self) -> str:
        """First price."""

    @property
    def high(self) -> str:
        """Highest price."""

    @property
    def low(self) -> str:
        """Lowest price."""

    @property
    def close(self) -> str:
        """Last price."""

    @property
    def volume(self) -> str:
        """In base units."""

    @property
    def turnover(self) -> str:
        """In quote units."""

    @property
    def closed(self) -> bool:
        """Whether it will not change any more."""

    @property
    def buy_volume(self) -> str | None:
        """What takers bought, in base units; None where it is not told."""

    @property
    def count(self) -> int | None:
        """How many trades; None where it is not told."""


def as_candle(exchange: str, symbol: str, start: int, written: WrittenCandle) -> Candle:
    """Return the candle that begins at ``start`` (µs)."""
    if _INTERVAL.fullmatch(written.interval) is None:
        raise RejectedFrameError("unknown_interval")
    if written.last < written.start:
        raise RejectedFrameError("time_out_of_range")
    if written.count is not None and not 0 <= written.count <= MAX_COUNT:
        raise RejectedFrameError("count_out_of_range")
    return Candle(
        exchange=exchange,
        symbol=symbol,
        interval=written.interval,
        start=start,
        end=moment(written.last) + MILLISECOND,
        open=price(written.open),
        high=price(written.high),
        low=price(written.low),
        close=price(written.close),
        volume=amount(written.volume),
        turnover=amount(written.turnover),
        buy_volume=None if written.buy_volume is None else amount(written.buy_volume),
        count=written.count,
        closed=written.closed,
    )
