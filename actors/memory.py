"""What outlives a crash: the state beside the mailboxes that a restarted actor finds as it was left.

An actor may be killed at any await. Whatever it must not lose or do twice is kept here and changed without
an await in between.
"""

from collections import deque
from collections.abc import Iterator, Mapping
from itertools import count

import attrs
import trio

from actors.messages import Entry, GapRecord, TradeBatch
from wadm.coverage import Gaps
from wadm.exchanges.base import Filled, Gap
from wadm.exchanges.contiguity import Missing
from wadm.latency import Latency
from wadm.market import IdKind, Instrument, Trades
from wadm.numbers import plain_scaled
from wadm.series import ClosedBars
from wadm.timeframes import DueWindows

#: Lives of senders remembered for each symbol: more than can have batches in a bar that is still open.
LIVES = 256

_LIVES_IN_EPOCH = 1_000_000


@attrs.frozen(eq=False)
class Checkpoint:
    """The open bars, packed, as they were when ``applied`` was so far: a rebuild begins here."""

    applied: Mapping[int, int]
    bars: tuple[bytes, ...]


@attrs.define(eq=False)
class SymbolMemory:
    """One symbol's closed bars, and how far its aggregator has come.

    ``source`` is the kind of trades that is folded; those of another kind are the same trades once more.
    ``applied`` is the number of the last batch folded, by incarnation of its sender, the one that moved last
    behind all others. ``uncommitted`` batches were folded, but may not be in the journal yet. ``records``
    wait to be journalled. ``left`` are batches that were left to the journal because the mailbox was full:
    (incarnation, number) -> how many trades. ``poisoned`` are batches to be skipped,
    ``unwritten`` the dead letters of those the writer did not survive. ``covered_from`` (µs) is
    the earliest trade received or kept, ``open_from`` where the earliest bar starts that is not closed yet.
    """

    instrument: Instrument
    closed: ClosedBars
    source: IdKind
    applied: dict[int, int] = attrs.field(factory=dict)
    checkpoint: Checkpoint | None = None
    uncommitted: deque[TradeBatch] = attrs.field(factory=deque)
    records: deque[Entry] = attrs.field(factory=deque)
    left: dict[tuple[int, int], int] = attrs.field(factory=dict)
    poisoned: set[tuple[int, int]] = attrs.field(factory=set)
    unwritten: set[int] = attrs.field(factory=set)
    due: DueWindows = attrs.field(factory=DueWindows)
    gaps: Gaps = attrs.field(factory=Gaps)
    latency: Latency = attrs.field(factory=Latency)
    market_time: int = 0
    covered_from: int | None = None
    last_price: str | None = None
    last_trade_at: int | None = None
    warming: bool = True
    open_from: int | None = None
    ended: trio.Event = attrs.field(factory=trio.Event)

    def came_to(self, incarnation: int, number: int) -> None:
        """Note the last batch folded of a sender's life; lives that ended long ago are forgotten."""
        self.applied.pop(incarnation, None)
        self.applied[incarnation] = number
        if len(self.applied) > LIVES:
            del self.applied[next(iter(self.applied))]

    def note_gap(self, gap: Gap) -> None:
        """Note a gap that was just found, and that it is to be journalled."""
        if gap.id_kind is self.source:
            self.gaps.opened(gap)
            self.records.append(GapRecord(gap, "open"))

    def note_filled(self, filled: Filled) -> None:
        """Note that ids which were missing have come."""
        self.records.extend(GapRecord(gap, "filled") for gap in self.gaps.filled(filled))

    def note_given_up(self, id_kind: IdKind, ids: Missing, reason: str) -> None:
        """Note that missing ids will not come."""
        self.records.extend(
            GapRecord(gap, "unfillable", reason) for gap in self.gaps.given_up(id_kind, ids, reason)
        )

    def seen(self, trades: Trades) -> None:
        """Note how far these trades reach, and the last price."""
        first, last = min(trades.times), max(trades.times)
        self.covered_from = first if self.covered_from is None else min(self.covered_from, first)
        if last >= (self.last_trade_at or 0):
            self.last_trade_at = last
            self.last_price = plain_scaled(trades.prices[-1], trades.price_decimals)


@attrs.define(eq=False)
class ConnectionMemory:
    """One connection's state and counters.

    ``first_frame_clock`` is on ``time.perf_counter``, ``last_frame_at`` and ``market_time_at`` (when market
    time last moved) on trio's clock, all in seconds.
    """

    name: str
    exchange: str
    streams: tuple[str, ...]
    state: str = "connecting"
    reason: str = ""
    frames: int = 0
    trades: int = 0
    bytes: int = 0
    connects: int = 0
    refused: dict[str, str] = attrs.field(factory=dict)
    first_frame_clock: float | None = None
    last_frame_at: float | None = None
    market_time: int = 0
    market_time_at: float = 0.0
    ended: trio.Event = attrs.field(factory=trio.Event)

    def move_time(self, exchange_time: int) -> None:
        """Note an exchange time seen (µs)."""
        self.market_time = max(self.market_time, exchange_time)
        self.market_time_at = trio.current_time()

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
        return self.epoch * _LIVES_IN_EPOCH + next(self._lives)


def epoch_of(incarnation: int) -> int:
    """Return the start of the daemon that an incarnation belongs to."""
    return incarnation // _LIVES_IN_EPOCH
