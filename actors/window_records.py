"""What is recorded of windows that have ended: their profile, their order flow, and every hour the levels.

All of it is made from closed bars as they are packed in memory. A short window of a calm symbol is made on
the spot; any other in a thread, one at a time in the whole daemon, so that the fold of trades goes on beside
it.
"""

from collections.abc import Iterable, Sequence
from decimal import Decimal

import attrs
import structlog
import trio

from actors.memory import SymbolMemory
from actors.messages import Entry, LevelMark, LevelsRecord, OrderFlowRecord, ProfileRecord
from actors.storage.errors import StorageError
from actors.storage.reader import DataReader
from wadm import bar as bars
from wadm.answers import large_trades, levels, records
from wadm.bar import Bar
from wadm.market import DAY, HOUR, MINUTE, Instrument
from wadm.numbers import to_decimal
from wadm.sessions import UTC_DAY
from wadm.tallies import Tally
from wadm.timeframes import Window

log = structlog.get_logger("windows")

#: Windows up to this length (µs) need no bar that is not in memory.
SHORT = 5 * MINUTE

#: A short window is made on the spot where its bars, packed, have so many bytes at most: half a millisecond.
LIGHT = 6_000

#: While so many records wait for the writer no more are made: what is due stays due.
BACKLOG = 500

#: Windows that are due at most, beyond which the oldest are given up: more than end while bars are in memory.
MOST_DUE = 3_000


@attrs.frozen(eq=False)
class _Making:
    """The records of one window in the making, from what does not change any more.

    ``minutes`` are the window's bars, packed. ``day`` is the day up to its end, for the levels, or None:
    pieces that merge to it, and its minutes. What lies before ``memory_from`` (µs) the stores have.
    """

    instrument: Instrument
    window: Window
    market_time: int
    reader: DataReader
    memory_from: int
    minutes: Sequence[bytes]
    session: Tally
    prior: Tally | None
    day: tuple[Sequence[bytes], Sequence[bytes]] | None

    def records(self) -> tuple[list[Entry], Bar]:
        """Return the records, and the window's bar."""
        timeframe, start, end = self.window
        older = self._older(start) if end - start > SHORT else []
        cut = records.cut([*older, *map(bars.decode, self.minutes)], end - start)
        # A short window is one such bar itself.
        bar = cut[0] if cut and end - start <= records.STEP else bars.merge(cut, start, end)
        name = (self.instrument.exchange, self.instrument.symbol)
        partial = bar.partial or end > self.market_time
        key = (*name, timeframe, start, end, bar.revision, partial)
        flow = records.order_flow_of(bar, UTC_DAY.window(start)[0], self.session)
        large = None if self.prior is None else large_trades.count(bar.orders, self.prior.orders)
        made: list[Entry] = [
            OrderFlowRecord(*key, flow, large, records.absorptions(self.instrument, cut)),
            ProfileRecord(*key, records.profile_of(self.instrument, bar)),
        ]
        if self.day is not None:
            made.append(self._levels(*self.day))
        return made, bar

    def _levels(self, pieces: Iterable[bytes], minutes: Iterable[bytes]) -> LevelsRecord:
        start, end = self.window[2] - DAY, self.window[2]
        older = self._older(start)
        bar = bars.merge([*older, *map(bars.decode, pieces)], start, end)
        found = levels.find(self.instrument, bar, [*older, *map(bars.outline, minutes)], levels.DEFAULTS)
        marks = (
            LevelMark(
                one.kind, Decimal(found.made.price(one.row)), one.strength,
                to_decimal(one.volume, found.made.quantity_decimals), one.touches.count,
                None if one.touches.last is None else found.bars[one.touches.last].start,
            )
            for one in found.levels
        )  # fmt: skip
        name = (self.instrument.exchange, self.instrument.symbol)
        return LevelsRecord(*name, start, end, bar.revision, tuple(marks))

    def _older(self, start: int) -> list[Bar]:
        """Return the bars from ``start`` on that are in memory no longer; none where the stores are away."""
        name = (self.instrument.exchange, self.instrument.symbol)
        try:
            return self.reader.recent.bars(*name, start, self.memory_from) if start < self.memory_from else []
        except StorageError as error:
            log.warning("window_without_stored_bars", symbol=self.instrument.key, reason=str(error))
            return []


@attrs.define(eq=False)
class WindowRecords:
    """Makes the records of one symbol's windows, and leaves them among those that wait for the writer.

    ``turns`` lets one window at a time be made in a thread.
    """

    memory: SymbolMemory
    reader: DataReader
    grace: int
    turns: trio.CapacityLimiter

    @property
    def wanted(self) -> bool:
        """Whether a window is to be recorded now: not while the writer is behind."""
        memory, due = self.memory, self.memory.due
        if due.aside and memory.closed.whole:
            due.take_up()
        return len(memory.records) < BACKLOG and due.next(memory.market_time - self.grace) is not None

    async def record(self) -> None:
        """Record what is due. Where this is cut off, the window in hand stays due."""
        while len(self.memory.due) > MOST_DUE:
            self.memory.due.take()
            self.memory.unrecorded += 1
        while self.wanted:
            await trio.lowlevel.checkpoint()
            await self._record(self.memory.due.take())

    async def record_all(self) -> None:
        """Record every window whose bars were closed since it was recorded: the data has ended."""
        while self.memory.due:
            await self._record(self.memory.due.take())

    async def _record(self, window: Window) -> None:
        if not self.memory.closed.knows(window[1]):
            self.memory.due.aside.add(window)
            return
        try:
            made = await self._make(window)
        except Exception:  # whatever is in a window, the others are to be recorded
            log.exception("window_not_recorded", symbol=self.memory.instrument.key, window=window)
            self.memory.unrecorded += 1
        except BaseException:
            self.memory.due.put(window)
            raise
        else:
            self.memory.records.extend(made)

    async def _make(self, window: Window) -> list[Entry]:
        timeframe, start, end = window
        since, until = large_trades.prior_to(start)
        await self._reach_back(min(since, UTC_DAY.window(start)[0]))
        making = self._making(window, self._prior(since, until))
        if end - start <= SHORT and sum(map(len, making.minutes)) <= LIGHT:
            return making.records()[0]
        made, bar = await trio.to_thread.run_sync(making.records, limiter=self.turns)
        if timeframe == "1h" and start >= making.memory_from and window not in self.memory.due:
            self.memory.closed.keep_hour(bar)
        return made

    def _making(self, window: Window, prior: Tally | None) -> _Making:
        memory, closed = self.memory, self.memory.closed
        timeframe, start, end = window
        # Levels are those of now: an hour revised later has none of its own.
        latest = timeframe == "1h" and end + HOUR > memory.market_time and closed.knows(end - DAY)
        day = (closed.pieces(end - DAY, end), closed.minutes(end - DAY, end)) if latest else None
        return _Making(
            memory.instrument, window, memory.market_time, self.reader,
            memory_from=closed.starts[0] if closed.starts else end,
            minutes=closed.minutes(start, end),
            session=closed.tallies.between(UTC_DAY.window(start)[0], end),
            prior=prior,
            day=day,
        )  # fmt: skip

    def _prior(self, since: int, until: int) -> Tally | None:
        """Return the sums of a span, None where not all of it is known."""
        tallies = self.memory.closed.tallies
        known = tallies.known_from is not None and tallies.known_from <= since
        apart = tallies.is_told_apart(since) and tallies.is_told_apart(until)
        return tallies.between(since, until) if known and apart else None

    async def _reach_back(self, start: int) -> None:
        """Count the bars from ``start`` on that only the stores have, once: the sums stay in memory."""
        tallies, name = self.memory.closed.tallies, self.memory.instrument
        first, known = start - start % HOUR, tallies.known_from
        if known is None or known <= first:
            return
        try:
            found = await trio.to_thread.run_sync(
                self.reader.packed_bars, name.exchange, name.symbol, first, known
            )
        except StorageError as error:
            log.warning("prior_orders_unknown", symbol=name.key, reason=str(error))
        else:
            tallies.put_earlier(first, (digest for digest, _ in found))
