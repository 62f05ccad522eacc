"""Bars and trades from the stores, with whole past days kept merged: a month is then some thirty merges."""

from collections import OrderedDict
from collections.abc import Iterable, Iterator, Sequence
from typing import Protocol

import attrs

from actors.messages import GapRecord
from actors.storage.runs import distinct, within
from wadm import bar as bars
from wadm.bar import Bar
from wadm.coverage import Unreadable
from wadm.market import DAY, MINUTE, Instrument, Trades

#: Merged days remembered, packed: a month of twenty symbols.
DAYS = 600

#: A day this long past its end (µs) is not revised any more: no exchange gives missed trades for longer.
SETTLED = 2 * DAY


class Reader(Protocol):
    """What a shelf is filled from: a data directory's ``DataReader``, or a store alone."""

    def symbols(self) -> list[tuple[str, str]]:
        """Return every (exchange, symbol) of which there is data, sorted."""
        ...

    def bars(self, exchange: str, symbol: str, start: int, end: int) -> list[Bar]:
        """Return the closed one-minute bars of a range, ascending."""
        ...

    def unclosed(self, exchange: str, symbol: str, end: int) -> list[Bar]:
        """Return the minutes after the last closed bar and before ``end``, as far as known, partial."""
        ...

    def span(self, exchange: str, symbol: str) -> tuple[int, int] | None:
        """Return ``[start, end)`` of all that is known of a symbol."""
        ...

    def extent(self, exchange: str, symbol: str) -> tuple[int, int] | None:
        """Return the first start and the last end of the closed bars."""
        ...

    def merged(self, exchange: str, symbol: str, start: int, end: int) -> Bar:
        """Return everything traded in a range. Raises NotKept where that is too fine."""
        ...

    def trades(self, exchange: str, symbol: str, start: int, end: int) -> Iterable[Trades]:
        """Return the raw trades of a range that are still kept; one may come twice."""
        ...

    def gaps(self, exchange: str, symbol: str, start: int, end: int) -> list[GapRecord]:
        """Return what is still missing of the gaps noticed in a range, or suspected there."""
        ...

    def reaches_archive(self, exchange: str, symbol: str, start: int, end: int) -> bool:
        """Say whether the archive has days of a range."""
        ...

    def unreadable(self, exchange: str, symbol: str, start: int, end: int) -> list[Unreadable]:
        """Return the parts of a range that are stored and could not be read."""
        ...


@attrs.frozen(eq=False)
class Remade:
    """A one-minute bar, and whether it was folded anew from its raw trades."""

    bar: Bar
    from_trades: bool


@attrs.define(eq=False)
class Shelf:
    """What a data directory holds. Times in µs. Every method blocks, and may raise StorageError."""

    reader: Reader
    _days: OrderedDict[tuple[str, int], bytes] = attrs.field(factory=OrderedDict, init=False)

    def minutes(self, instrument: Instrument, start: int, end: int) -> list[Bar]:
        """Return the one-minute bars that start in ``[start, end)``, ascending; unclosed ones are partial."""
        closed = self.reader.bars(instrument.exchange, instrument.symbol, start, end)
        if closed and closed[-1].end >= end:
            return closed
        known = {bar.start for bar in closed}
        unclosed = self.reader.unclosed(instrument.exchange, instrument.symbol, outward(start, end)[1])
        return [*closed, *(bar for bar in unclosed if start <= bar.start < end and bar.start not in known)]

    def merged(self, instrument: Instrument, start: int, end: int, now: int) -> Bar:
        """Return everything traded in ``[start, end)``, to the microsecond; ``now`` is market time.

        Raises StorageError where an end lies within a minute whose single trades are no longer kept.
        """
        return bars.merge(self._parts(instrument, start, end, now), start, end)

    def _parts(self, instrument: Instrument, start: int, end: int, now: int) -> Iterator[Bar]:
        at = start
        while at < end:
            next_day = at - at % DAY + DAY
            if at % DAY == 0 and next_day <= min(end, now - SETTLED):
                yield self._day(instrument, at)
            else:
                until = self._until(at, end, now)
                yield self.reader.merged(instrument.exchange, instrument.symbol, at, until)
                next_day = until
            at = next_day

    @staticmethod
    def _until(at: int, end: int, now: int) -> int:
        """Return where the part that begins at ``at`` ends: at a day that may be kept, or at the end."""
        next_day = at - at % DAY + DAY
        return next_day if next_day + DAY <= min(end, now - SETTLED) else end

    def _day(self, instrument: Instrument, start: int) -> Bar:
        name = instrument.key, start
        packed = self._days.get(name)
        if packed is None:
            day = self.reader.merged(instrument.exchange, instrument.symbol, start, start + DAY)
            packed = bars.encode(day)
            if self.reader.unreadable(instrument.exchange, instrument.symbol, start, start + DAY):
                return day  # what is missing may be read the next time
            self._days[name] = packed
            while len(self._days) > DAYS:
                self._days.popitem(last=False)
        return bars.decode(packed)

    def remade(self, instrument: Instrument, start: int, end: int) -> list[Remade]:
        """Return the bars of ``[start, end)`` folded anew where all their trades are kept, else as stored."""
        by_minute: dict[int, list[Trades]] = {}
        for run in self.trades(instrument, start, end):
            for minute in dict.fromkeys(time - time % MINUTE for time in run.times):
                by_minute.setdefault(minute, []).append(within(run, minute, minute + MINUTE))
        return [_remade(bar, by_minute.get(bar.start, [])) for bar in self.minutes(instrument, start, end)]

    def trades(self, instrument: Instrument, start: int, end: int) -> list[Trades]:
        """Return the raw trades of ``[start, end)`` that are still kept, each once."""
        return list(distinct(self.reader.trades(instrument.exchange, instrument.symbol, start, end)))


def outward(start: int, end: int) -> tuple[int, int]:
    """Return the whole minutes that hold ``[start, end)``."""
    return start - start % MINUTE, -(-end // MINUTE) * MINUTE


def _remade(stored: Bar, runs: Sequence[Trades]) -> Remade:
    """Fold a bar's trades in the order of their time, where as many are kept as the bar counts."""
    count = stored.buy_trades + stored.sell_trades
    if not stored.exact_path or sum(sum(run.counts) for run in runs) != count:
        return Remade(stored, from_trades=False)
    bar = Bar(stored.start, stored.end, partial=stored.partial)
    for run in runs:
        bar.fold(run)
    bar.settle()
    return Remade(bar, from_trades=True)
