"""What actors say to one another. Once sent, never changed."""

import attrs

from wadm.analytics.order_flow import OrderFlow
from wadm.analytics.profile import Profile
from wadm.bar import Bar
from wadm.exchanges.base import Gap
from wadm.market import Trades


@attrs.frozen(eq=False)
class TradeBatch:
    """A run of one symbol's trades on its way from a connection to writer and aggregator.

    ``incarnation`` names one life of one connection and is never used again in the same data directory;
    ``number`` counts its batches of this symbol from 1. ``received_at`` (µs, wall clock) and ``clock``
    (seconds, ``time.perf_counter``) are when the oldest frame in it was received; ``market_time`` (µs) is
    the highest exchange time seen on the connection.
    """

    trades: Trades
    incarnation: int
    number: int
    received_at: int
    clock: float
    market_time: int


@attrs.frozen
class MarketTime:
    """Market time (µs) has come this far on a connection, whether or not this symbol traded."""

    market_time: int


@attrs.frozen
class EndOfCapture:
    """Playback has ended: nothing more will come on this connection."""

    market_time: int


@attrs.frozen(eq=False)
class BarRecord:
    """A one-minute bar was closed, or closed again with a higher revision."""

    exchange: str
    symbol: str
    bar: Bar


@attrs.frozen(eq=False)
class ProfileRecord:
    """The volume profile of one window of a timeframe that has ended (or ended again, revised)."""

    exchange: str
    symbol: str
    timeframe: str
    start: int
    end: int
    revision: int
    partial: bool
    profile: Profile


@attrs.frozen(eq=False)
class OrderFlowRecord:
    """The order flow of one window of a timeframe that has ended (or ended again, revised)."""

    exchange: str
    symbol: str
    timeframe: str
    start: int
    end: int
    revision: int
    partial: bool
    order_flow: OrderFlow


@attrs.frozen
class GapRecord:
    """Ids are missing. ``state`` is ``open``, ``filled`` or ``unfillable``; ``reason`` says why the last."""

    gap: Gap
    state: str
    reason: str = ""


#: What the storage writer takes.
Entry = TradeBatch | BarRecord | ProfileRecord | OrderFlowRecord | GapRecord


@attrs.frozen
class WindowQuery:
    """Asks an aggregator for the merge of ``[start, end)`` (µs, whole minutes), or of a current window.

    With ``timeframe`` the window is the one that holds market time. ``session`` asks for the bar from the
    session's start to the window's end as well.
    """

    timeframe: str | None = None
    start: int | None = None
    end: int | None = None
    session: bool = False


@attrs.frozen(eq=False)
class WindowAnswer:
    """An aggregator's answer. Bars in it belong to the asker.

    ``memory_from`` (µs) is where its bars begin, None while there are none; ``final`` says that the window
    has ended and its bars are closed.
    """

    bar: Bar
    session: Bar | None
    start: int
    end: int
    market_time: int
    memory_from: int | None
    final: bool
    epoch: int
    warming: bool
