"""What outlives a crash: the state beside the mailboxes that a restarted actor finds as it was left.

An actor may be killed at any await. Whatever it must not lose or do twice is kept here and changed without
an await in between.
"""

from collections import Counter, deque
from collections.abc import Iterable, Iterator
from itertools import count

import attrs
import trio

from actors.messages import Entry, TradeBatch
from wadm.coverage import Gaps
from wadm.latency import Latency
from wadm.market import Instrument, Trades
from wadm.numbers import plain_scaled
from wadm.series import ClosedBars
from wadm.timeframes import DueWindows


@attrs.define(eq=False)
class SymbolMemory:
    """One symbol's closed bars, and how far its aggregator has come.

    ``applied`` is the number of the last batch folded, by incarnation of the connection. ``records`` wait
    to be journalled. ``left`` are batches that were left to the journal because the mailbox was full:
    (incarnation, number) -> how many trades. ``covered_from`` (µs) is the earliest trade received or kept.
    """

    instrument: Instrument
    closed: ClosedBars
    applied: dict[int, int] = attrs.field(factory=dict)
    records: deque[Entry] = attrs.field(factory=deque)
    left: dict[tuple[int, int], int] = attrs.field(factory=dict)
    due: DueWindows = attrs.field(factory=DueWindows)
    gaps: Gaps = attrs.field(factory=Gaps)
    latency: Latency = attrs.field(factory=Latency)
    market_time: int = 0
    covered_from: int | None = None
    last_price: str | None = None
    last_trade_at: int | None = None
    warming: bool = True
    ended: trio.Event = attrs.field(factory=trio.Event)

    def seen(self, trades: Trades) -> None:
        """Note how far these trades reach, and the last price."""
        first, last = min(trades.times), max(trades.times)
        self.covered_from = first if self.covered_from is None else min(self.covered_from, first)
        if last >= (self.last_trade_at or 0):
            self.last_trade_at = last
            self.last_price = plain_scaled(trades.prices[-1], trades.price_decimals)


@attrs.define(eq=False)
class Posting:
    """A batch on its way out of a connection: first to the writer, then to its aggregator."""

    batch: TradeBatch
    written: bool = False


@attrs.define(eq=False)
class ConnectionMemory:
    """One connection's counters, and the batches it has decoded but not handed over yet.

    ``first_frame_clock`` is on ``time.perf_counter``, ``last_frame_at`` on trio's clock, both in seconds.
    """

    name: str
    exchange: str
    streams: tuple[str, ...]
    outbox: deque[Posting] = attrs.field(factory=deque)
    state: str = "connecting"
    reason: str = ""
    frames: int = 0
    trades: int = 0
    bytes: int = 0
    connects: int = 0
    refused: dict[str, str] = attrs.field(factory=dict)
    first_frame_clock: float | None = None
    last_frame_at: float | None = None
    ended: trio.Event = attrs.field(factory=trio.Event)

    @property
    def reconnects(self) -> int:
        """How often the connection was made again."""
        return max(0, self.connects - 1)


@attrs.define(eq=False)
class Numbering:
    """Names every life of every connection of a data directory, and numbers its batches by symbol."""

    epoch: int
    _lives: Iterator[int] = attrs.field(factory=lambda: count(1))

    def incarnation(self) -> int:
        """Return a number no connection life in this data directory had before: epoch, then life."""
        return self.epoch * 1_000_000 + next(self._lives)


def in_flight(
    mailboxes: Iterable[Iterable[object]],
    connections: Iterable[ConnectionMemory],
    symbols: Iterable[SymbolMemory],
) -> Counter[str]:
    """Return how many trades wait, by symbol key, counted where they wait."""
    waiting: Counter[str] = Counter()
    for pending in mailboxes:
        for message in pending:
            if isinstance(message, TradeBatch):
                waiting[message.trades.key] += len(message.trades)
    for connection in connections:
        for posting in connection.outbox:
            waiting[posting.batch.trades.key] += len(posting.batch.trades)
    for symbol in symbols:
        waiting[symbol.instrument.key] += sum(symbol.left.values())
    return waiting
