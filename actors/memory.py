"""What outlives a crash: the state beside the mailboxes that a restarted actor finds as it was left.

An actor may be killed at any await. Whatever it must not lose or do twice is kept here and changed without
an await in between.
"""

from collections import Counter, deque
from collections.abc import Iterator, Mapping
from itertools import count

import attrs
import trio

from actors.live.inbox import Inbox
from actors.messages import BarRecord, Entry, GapRecord, TradeBatch
from actors.notice import Notice
from wadm.bar import Bar
from wadm.coverage import AnyGap, Gaps, KnownGap, SuspectedGap
from wadm.crosscheck import EVERYTHING, VOLUME, Check, SecondSource, candle_figures
from wadm.exchanges import registry
from wadm.exchanges.base import Filled, Gap
from wadm.exchanges.contiguity import Missing
from wadm.latency import Latency
from wadm.market import HOUR, MINUTE, Candle, IdKind, Instrument, Liquidation, Ticker, Trades
from wadm.numbers import plain_scaled
from wadm.series import ClosedBars
from wadm.timeframes import DueWindows

#: Lives of senders remembered for each symbol: more than can have batches in a bar that is still open.
LIVES = 256

#: Minutes to be checked of each symbol.
DOUBTED = 300

#: Liquidations remembered of each symbol.
LIQUIDATIONS = 1_000

_LIVES_IN_EPOCH = 1_000_000


@attrs.frozen(eq=False)
class Checkpoint:
    """The open bars as they were when ``applied`` was so far: a rebuild begins with copies of them."""

    applied: Mapping[int, int]
    bars: tuple[Bar, ...]


@attrs.frozen
class TakenOver:
    """The trades that a symbol's journal got from the hot tier at the start, as there was none of it here.

    ``duplicate`` came twice. ``first`` and ``last`` (µs) are the exchange times between which they lie.
    """

    trades: int
    duplicate: int
    first: int
    last: int


@attrs.define(eq=False)
class SymbolMemory:
    """One symbol's closed bars, and how far its aggregator has come.

    ``source`` is the kind of trades that is folded; those of another kind are the same trades once more.
    ``applied`` is the number of the last batch folded, by incarnation of its sender, the one that moved last
    behind all others. ``folded`` are the batches folded since the checkpoint, (incarnation, number), in that
    order: in another one, a path could look inexact that is exact. ``crooked`` are the starts of closed bars
    in which a trade came out of order.
    ``uncommitted`` batches were folded, but may not be in the journal yet. ``records`` wait to be journalled;
    ``unrecorded`` counts those that were given up, as too many waited.
    ``left`` are batches that were left to the journal because the mailbox was full: (incarnation, number) ->
    how many trades. ``poisoned`` are batches to be skipped, ``unwritten`` the dead letters of those the
    writer did not survive. ``covered_from`` (µs) is the earliest trade received or kept, ``open_from`` where
    the earliest bar starts that is not closed yet. ``counted`` says that the exchange's ids count up by one,
    so that a gap shows by itself. Where they do not, ``received_to`` (µs) is the newest trade received, and
    ``broken`` why some may be missing behind it. Gaps are let go that ended ``gaps_keep`` (µs) ago: bars are
    kept for an hour less, as an answer in the making may have some that were let go since. ``candles`` and
    ``second`` check the bars; ``doubted`` are minutes with gaps, of which the exchange is still to be asked
    for its candle. ``gap_noticed`` tells of a gap to be filled; ``gaps_noted`` counts what was noted of
    gaps, by the state they came to. ``bar_listeners`` are told of every bar that is closed. ``taken_over``
    is what this start of the daemon got from the hot tier.
    """

    instrument: Instrument
    closed: ClosedBars
    source: IdKind
    applied: dict[int, int] = attrs.field(factory=dict)
    checkpoint: Checkpoint | None = None
    folded: list[tuple[int, int]] = attrs.field(factory=list)
    uncommitted: deque[TradeBatch] = attrs.field(factory=deque)
    records: deque[Entry] = attrs.field(factory=deque)
    unrecorded: int = 0
    left: dict[tuple[int, int], int] = attrs.field(factory=dict)
    crooked: set[int] = attrs.field(factory=set)
    poisoned: set[tuple[int, int]] = attrs.field(factory=set)
    unwritten: set[int] = attrs.field(factory=set)
    due: DueWindows = attrs.field(factory=DueWindows)
    gaps: Gaps = attrs.field(factory=Gaps)
    gaps_keep: int = attrs.Factory(lambda self: self.closed.keep + HOUR, takes_self=True)
    gaps_noted: Counter[str] = attrs.field(factory=Counter)
    counted: bool = attrs.Factory(lambda self: _counted(self.instrument), takes_self=True)
    received_to: int | None = None
    broken: str = ""
    candles: Check = attrs.Factory(
        lambda self: Check(EVERYTHING if self.counted else VOLUME), takes_self=True
    )
    second: SecondSource = attrs.field(factory=SecondSource)
    doubted: set[int] = attrs.field(factory=set)
    gap_noticed: Notice = attrs.field(factory=Notice)
    taken_over: TakenOver | None = None
    latency: Latency = attrs.field(factory=Latency)
    market_time: int = 0
    covered_from: int | None = None
    last_price: str | None = None
    last_trade_at: int | None = None
    warming: bool = True
    open_from: int | None = None
    ticker: Ticker | None = None
    liquidations: deque[Liquidation] = attrs.field(factory=lambda: deque(maxlen=LIQUIDATIONS))
    bar_listeners: list[Inbox[Bar]] = attrs.field(factory=list)
    ended: trio.Event = attrs.field(factory=trio.Event)

    def came_to(self, incarnation: int, number: int) -> None:
        """Note the last batch folded of a sender's life; lives that ended long ago are forgotten."""
        self.applied.pop(incarnation, None)
        self.applied[incarnation] = number
        if len(self.applied) > LIVES:
            del self.applied[next(iter(self.applied))]

    @property
    def held_from(self) -> int | None:
        """From where (µs) on the stores have no bar and no gap that is not here, None where unknown."""
        since = self.closed.since if self.closed.whole else None
        return max(since, self.gaps.since) if since is not None and self.gaps.gone else since

    def bound_records(self, most: int) -> None:
        """Give up records beyond ``most``: of bars, which are in memory, before those of gaps; the oldest."""
        excess = len(self.records) - most
        if excess <= 0:
            return
        by_worth = sorted(self.records, key=lambda one: not isinstance(one, BarRecord))
        gone = set(map(id, by_worth[:excess]))
        left = [one for one in self.records if id(one) not in gone]
        self.records.clear()
        self.records.extend(left)
        self.unrecorded += len(gone)

    # --- gaps ---

    def note_gap(self, gap: Gap) -> None:
        """Note a gap that was just found, and that it is to be journalled."""
        if gap.id_kind is not self.source:
            self.second.missed(gap.at)
            return
        self.gaps.opened(gap)
        self._gaps_changed([GapRecord(gap, "open")])

    def note_filled(self, filled: Filled) -> None:
        """Note that ids which were missing have come."""
        self._gaps_changed([GapRecord(gap, "filled") for gap in self.gaps.filled(filled)])

    def note_given_up(self, id_kind: IdKind, ids: Missing, reason: str, at: int | None = None) -> None:
        """Note that missing ids will not come; ``at`` (µs) is the time of the trade behind them, if known."""
        lost = self.gaps.given_up(id_kind, ids, reason, at)
        self._gaps_changed([GapRecord(gap, "unfillable", reason) for gap in lost])

    def note_break(self, reason: str) -> None:
        """Note that trades may be missed from now on, until the next one is received.

        To be called when a connection ended that carried this symbol's trades, or their stream is to be
        subscribed to anew, and no other connection carries them already. Ids that count up show by
        themselves what was missed: then nothing is noted.
        """
        if not self.counted and self.received_to is not None:
            self.broken = self.broken or reason

    def note_received(self, trades: Trades) -> None:
        """Note how far the trades received reach; the first behind a break ends what is suspected."""
        if self.broken and self.received_to is not None:
            behind = [time for time in trades.times if time >= self.received_to]
            if behind:
                self.suspect(self.received_to, min(behind), self.broken)
                self.broken = ""
        self.received_to = max(self.received_to or 0, *trades.times)

    def suspect(self, first: int, last: int, reason: str) -> None:
        """Note that trades between two times (µs) may be missing, unless that is suspected already."""
        if any(one.gap.first <= first and last <= one.gap.last for one in self.gaps.suspected):
            return
        gap = SuspectedGap(self.instrument.exchange, self.instrument.symbol, first, last)
        self.gaps.opened(gap, reason)
        self._gaps_changed([GapRecord(gap, "open", reason)])

    def note_covered(self, first: int, last: int, why: str = "") -> None:
        """Note that nothing is missing any more between two times (µs)."""
        self._gaps_changed([GapRecord(gap, "filled", why) for gap in self.gaps.covered(first, last)])

    def note_not_covered(self, first: int, last: int, reason: str) -> None:
        """Note that what may be missing between two times (µs) will not come."""
        lost = self.gaps.not_covered(first, last, reason)
        self._gaps_changed([GapRecord(one.gap, one.state, one.reason) for one in lost])

    def let_gaps_go(self) -> None:
        """Let the gaps go that ended before all that is kept, once the stores are there to ask for them."""
        if not (self.closed.whole and self.closed.starts):
            return
        given_up = self.gaps.let_go(self.closed.starts[-1] - self.gaps_keep)
        self.records.extend(GapRecord(one.gap, one.state, one.reason) for one in given_up)
        self.gaps_noted.update(one.state for one in given_up)

    def _gaps_changed(self, records: list[GapRecord]) -> None:
        if records:
            self.records.extend(records)
            self.gaps_noted.update(record.state for record in records)
            self.candles.again_where_unsettled()
            self.second.check.again_where_unsettled()
            for record in records:
                self._doubt(record.gap)
            self.gap_noticed.notify()

    def _doubt(self, gap: AnyGap) -> None:
        """Have the exchange asked for its candles of a gap's minutes, of the last ones in a long gap."""
        last = gap.at - gap.at % MINUTE
        suspected = isinstance(gap, SuspectedGap)
        first = gap.first - gap.first % MINUTE if suspected else self.closed.before(last)
        if len(self.doubted) < DOUBTED:
            self.doubted.update(range(max(first, last - DOUBTED * MINUTE), last + 1, MINUTE))

    def gaps_between(self, start: int, end: int) -> list[KnownGap]:
        """Return the gaps that reach into ``[start, end)`` (µs, whole minutes)."""
        return [one for one in self.gaps.known if self._reaches(one.gap, start, end)]

    def _reaches(self, gap: AnyGap, start: int, end: int) -> bool:
        """Say whether a gap reaches into ``[start, end)``: back to the trade before it, which a bar has."""
        if isinstance(gap, SuspectedGap):
            return gap.first < end and start <= gap.last
        if gap.at < end:
            return start <= gap.at
        minute = gap.at - gap.at % MINUTE
        if self.closed.starts and end < self.closed.starts[0]:
            return False  # which trade is the one before it, only the stores know
        if self.closed.starts_between(end, minute):
            return False
        bar = self.closed.get(minute)
        return bar is None or bar.open is None or bar.open[0] >= gap.at

    # --- what is told of the symbol ---

    def seen(self, trades: Trades) -> None:
        """Note how far these trades reach, and the last price."""
        first, last = min(trades.times), max(trades.times)
        self.covered_from = first if self.covered_from is None else min(self.covered_from, first)
        if last >= (self.last_trade_at or 0):
            self.last_trade_at = last
            self.last_price = plain_scaled(trades.prices[-1], trades.price_decimals)

    def note_ticker(self, ticker: Ticker) -> None:
        """Note what an exchange tells of a contract; what a message leaves out stays as it was."""
        if self.ticker is None:
            self.ticker = ticker
            return
        told = {name: value for name, value in attrs.asdict(ticker).items() if value is not None}
        self.ticker = attrs.evolve(self.ticker, **told)

    def note_candle(self, candle: Candle) -> None:
        """Note a candle as the exchange counts it; it is compared with our bar once both are closed."""
        if candle.closed and candle.interval == "1m":
            self.candles.tell(candle.start, candle_figures(candle))


def _counted(instrument: Instrument) -> bool:
    return registry.find(instrument.exchange).ids_count_up


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
