"""What actors say to one another. Once sent, never changed."""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from enum import StrEnum

import attrs
import trio

from wadm import bar as bars
from wadm.analytics.levels import LiquidityType
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
    """A one-minute bar was closed, or closed again with a higher revision.

    ``packed`` is the bar as ``wadm.bar`` encodes it: it is written once, for memory, journal and stores.
    """

    exchange: str
    symbol: str
    bar: Bar
    packed: bytes = attrs.field(default=attrs.Factory(lambda self: bars.encode(self.bar), takes_self=True))


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
    #: taker orders of the window at or above its threshold, and absorptions; None: stored before these were
    large_trades: int | None = None
    absorption_events: int | None = None


@attrs.frozen
class GapRecord:
    """Trades are missing, or suspected to be. ``state`` is ``open``, ``filled`` or ``unfillable``.

    ``reason`` says why it is unfillable, or suspected.
    """

    gap: AnyGap
    state: str
    reason: str = ""


@attrs.frozen
class LevelMark:
    """A price level: ``kind`` is poc, vah, val, support or resistance, ``strength`` 0 to 100.

    ``price`` is its row's lower edge; ``volume`` was traded in that row. ``last_touch`` in µs.
    """

    kind: LiquidityType
    price: Decimal
    strength: Decimal
    volume: Decimal
    touches: int
    last_touch: int | None


@attrs.frozen
class LevelsRecord:
    """The liquidity levels of ``[start, end)`` (µs) as they stood at its end."""

    exchange: str
    symbol: str
    start: int
    end: int
    revision: int
    levels: tuple[LevelMark, ...]


@attrs.frozen(eq=False)
class BookRecord:
    """The top of an order book in step, at most one a second.

    ``at`` is the exchange time (µs) of its last update, ``sequence`` that update's number. Levels are
    (price, quantity), whole numbers at the given decimals, best first, at most 50 a side.
    """

    exchange: str
    symbol: str
    at: int
    sequence: int
    price_decimals: int
    quantity_decimals: int
    bids: Sequence[tuple[int, int]]
    asks: Sequence[tuple[int, int]]


#: What the storage writer takes.
Entry = TradeBatch | BookRecord | BarRecord | ProfileRecord | OrderFlowRecord | LevelsRecord | GapRecord


class Kind(StrEnum):
    """The kinds of entries, for who wants only some of them."""

    TRADES = "trades"
    BOOK = "book"
    BAR = "bar"
    PROFILE = "profile"
    ORDER_FLOW = "order_flow"
    LEVELS = "levels"
    GAP = "gap"


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

    ``memory_from`` (µs) is where its bars begin, None while there are none. From ``held_from`` (µs) on the
    stores have no bar and no gap that memory has not, None where that is not known. ``closed_until`` is the
    end of the last minute that is closed, by market time.
    """

    bars: Mapping[str, Bar]
    minutes: Sequence[bytes]
    memory_from: int | None
    held_from: int | None
    closed_until: int
    market_time: int
    epoch: int
    warming: bool
