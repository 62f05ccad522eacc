"""What actors say to one another. Once sent, never changed."""

from collections.abc import Mapping, Sequence

import attrs
import trio

from wadm.analytics.order_flow import OrderFlow
from wadm.analytics.profile import Profile
from wadm.bar import Bar
from wadm.coverage import AnyGap
from wadm.market import BookRun, Trades


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


@attrs.frozen(eq=False)
class BookBatch:
    """A run of one symbol's order book on its way from a connection; ``received_at`` in µs, wall clock."""

    run: BookRun
    received_at: int


@attrs.frozen(eq=False)
class Reached:
    """Sets ``event`` once its receiver has come to it, and so has handled all that was sent before."""

    event: trio.Event = attrs.field(factory=trio.Event)


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
    """Trades are missing, or suspected to be. ``state`` is ``open``, ``filled`` or ``unfillable``.

    ``reason`` says why it is unfillable, or suspected.
    """

    gap: AnyGap
    state: str
    reason: str = ""


#: What the storage writer takes.
Entry = TradeBatch | BarRecord | ProfileRecord | OrderFlowRecord | GapRecord


def key_of(entry: Entry) -> str:
    """Return the symbol (``exchange:SYMBOL``) that an entry is about."""
    match entry:
        case TradeBatch(trades=trades):
            return trades.key
        case GapRecord(gap=gap):
            return f"{gap.exchange}:{gap.symbol}"
        case _:
            return f"{entry.exchange}:{entry.symbol}"


@attrs.frozen
class BarsQuery:
    """Asks an aggregator for the merges of spans ``[start, end)`` (µs, whole minutes), by name.

    ``minutes`` is a span whose one-minute bars are wanted one by one.
    """

    spans: Mapping[str, tuple[int, int]]
    minutes: tuple[int, int] | None = None


@attrs.frozen(eq=False)
class BarsAnswer:
    """An aggregator's answer. Bars in it belong to the asker; ``minutes`` are packed, ascending.

    ``memory_from`` (µs) is where its bars begin, None while there are none; ``closed_until`` is the end of
    the last minute that is closed, by market time.
    """

    bars: Mapping[str, Bar]
    minutes: Sequence[bytes]
    memory_from: int | None
    closed_until: int
    market_time: int
    epoch: int
    warming: bool
