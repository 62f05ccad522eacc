"""The one-minute bars of one symbol: open ones being folded, closed ones packed."""

from bisect import bisect_left, insort
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise

import attrs

from wadm import bar as bars
from wadm.bar import Bar, Digest
from wadm.market import DAY, HOUR, MINUTE, SECOND, Trades
from wadm.stretches import Merges, Stretches
from wadm.tallies import Tallies

#: Stretches within an hour begin and end on multiples of this, so that they are asked for again.
BLOCK = 5 * MINUTE


@attrs.define
class ClosedBars:
    """Closed one-minute bars, packed, by start. Outlives its aggregator's crash, and is bounded by ``keep``.

    Merged hours are kept packed as well, so that a day costs 24 merges, not 1,440; and the stretches asked
    for last, so that a window asked for again costs one, and one that has grown a few. The merges that are
    asked for all the time are at hand unpacked. Not ``whole``, bars
    older than the oldest one here may exist elsewhere, out of reach. ``since`` (µs) is from where on all bars
    there are anywhere are here; None where that is known only of those from the oldest one here on.
    """

    keep: int = DAY + HOUR
    starts: list[int] = attrs.field(factory=list)
    packed: dict[int, bytes] = attrs.field(factory=dict)
    hours: dict[int, bytes] = attrs.field(factory=dict)
    stretches: Stretches = attrs.field(factory=Stretches)
    merges: Merges = attrs.field(factory=Merges)
    tallies: Tallies = attrs.field(factory=Tallies)
    whole: bool = True
    since: int | None = 0

    def put(self, bar: Bar) -> None:
        """Keep a bar, in place of an earlier revision of it, and let the oldest go."""
        if bar.start not in self.packed:
            insort(self.starts, bar.start)
        self.packed[bar.start] = bars.encode(bar)
        self.tallies.put(bar)
        self.merges.grow_old()
        self._changed(bar.start)
        self._forget(before=self.starts[-1] - self.keep)

    def put_packed(self, found: Sequence[tuple[Digest, bytes]]) -> None:
        """Keep bars, ascending, that are packed already, as ``put`` does each."""
        for digest, packed in found:
            if digest.start not in self.packed:
                insort(self.starts, digest.start)
            self.packed[digest.start] = packed
            self._changed(digest.start)
        self.tallies.put_all(digest for digest, _ in found)
        if found:
            self._forget(before=self.starts[-1] - self.keep)

    def _forget(self, before: int) -> None:
        oldest = bisect_left(self.starts, before)
        for start in self.starts[:oldest]:
            del self.packed[start]
            self._changed(start)
            self.since = max(self.since or 0, before)
        del self.starts[:oldest]

    def _changed(self, start: int) -> None:
        self.hours.pop(start - start % HOUR, None)
        self.stretches.drop(start)
        self.merges.drop(start)

    def pieces(self, start: int, end: int) -> list[bytes]:
        """Return packed bars that merge to ``[start, end)`` (whole hours), ascending: hours where known."""
        found: list[bytes] = []
        for hour in range(start, end, HOUR):
            if hour in self.hours:
                found.append(self.hours[hour])
            else:
                found += self.minutes(hour, hour + HOUR)
        return found

    def keep_hour(self, merged: Bar) -> None:
        """Remember the merge of all closed bars of an hour, which somebody has made."""
        self.hours[merged.start] = bars.encode(merged)

    def minutes(self, start: int, end: int) -> list[bytes]:
        """Return the bars that start in ``[start, end)``, packed, ascending."""
        return [self.packed[at] for at in self.starts_between(start, end)]

    def get(self, start: int) -> Bar | None:
        """Return the bar that starts at ``start``."""
        packed = self.packed.get(start)
        return None if packed is None else bars.decode(packed)

    def merged(self, start: int, end: int) -> Bar:
        """Return the merge of the bars in ``[start, end)``; both are whole minutes (µs)."""
        until = min(end, self.last_end())  # what is after it is not here yet
        at, merged = self.merges.longest(start, until) or (start, Bar(start, start))
        if at < until:
            for one in self.between(at, until):
                merged.absorb(one)
            self.merges.keep(start, until, merged)
        merged.start, merged.end = start, end
        return merged

    def between(self, start: int, end: int) -> Iterator[Bar]:
        """Yield bars that merge to ``[start, end)``, ascending: stretches where they fit, else minutes."""
        return map(bars.decode, self.packed_between(start, end))

    def packed_between(self, start: int, end: int) -> Iterator[bytes]:
        """Yield what ``between`` does, packed."""
        if not self.starts:
            return
        start, end = self._clamped(start, end)
        first, last = _hours_within(start, end)
        if first > last:  # both ends within one hour
            yield from self._within_hour(start, end)
            return
        yield from self._within_hour(start, first)
        if first < last:
            yield self._stretch(first, last)
        yield from self._within_hour(last, end)

    def whole_hours(self, start: int, end: int) -> tuple[int, int]:
        """Return the whole hours of ``[start, end)`` that there are bars of: their start and end."""
        if not self.starts:
            return start, start
        return _hours_within(*self._clamped(start, end))

    def _clamped(self, start: int, end: int) -> tuple[int, int]:
        """Return as much of a span as there are bars of, from a whole hour on."""
        return max(start, self.starts[0] - self.starts[0] % HOUR), min(end, self.last_end())

    def missing(self, start: int, end: int) -> list[tuple[int, int]]:
        """Return the stretches within hours that ``merged`` would have to make: of their ``parts``."""
        if not self.starts or self.merges.has(start, min(end, self.last_end())):
            return []
        start, end = self._clamped(start, end)
        first, last = _hours_within(start, end)
        edges = [(start, end)] if first > last else [(start, first), (last, end)]
        stretches = filter(None, (_blocks_within(*edge) for edge in edges))
        return [one for one in stretches if not self.stretches.has(*one)]

    def parts(self, start: int, end: int) -> list[bytes]:
        """Return packed bars that merge to a stretch within an hour: what is known of it, and minutes."""
        at, found = self._known(start, end)
        return [*found, *self.minutes(at, end)]

    def _within_hour(self, start: int, end: int) -> Iterator[bytes]:
        blocks = _blocks_within(start, end)
        if blocks is None:
            yield from self.minutes(start, end)
            return
        first, last = blocks
        yield from self.minutes(start, first)
        yield self._stretch(first, last)
        yield from self.minutes(last, end)

    def last_end(self) -> int:
        """Return where the newest closed bar ends, 0 while there is none."""
        return self.starts[-1] + MINUTE if self.starts else 0

    def is_before(self, start: int) -> bool:
        """Say whether a minute lies before all that is kept, or known, here."""
        if not self.starts:
            return False
        return start < self.last_end() - self.keep or (not self.whole and start < self.starts[0])

    def knows(self, start: int) -> bool:
        """Say whether the bars from ``start`` (µs) on are here, as far as there were any."""
        return self.whole or (bool(self.starts) and self.starts[0] <= start)

    def before(self, start: int) -> int:
        """Return the start of the last bar before ``start``, or ``start`` where there is none."""
        place = bisect_left(self.starts, start)
        return self.starts[place - 1] if place else start

    def starts_between(self, start: int, end: int) -> list[int]:
        """Return the starts of the bars in ``[start, end)``, ascending."""
        return self.starts[bisect_left(self.starts, start) : bisect_left(self.starts, end)]

    def _stretch(self, start: int, end: int) -> bytes:
        """Return the merge of ``[start, end)``: whole hours, or blocks within one."""
        at, found = self._known(start, end)
        if at == end and found:
            return found[0]
        hour = -(-at // HOUR) * HOUR if end % HOUR == 0 else end
        found += self.minutes(at, hour)
        found += self._hours(hour, end)
        packed = bars.encode(bars.merge(map(bars.decode, found), start, end))
        self.stretches.keep(start, end, packed)
        return packed

    def _known(self, start: int, end: int) -> tuple[int, list[bytes]]:
        """Return what is remembered from ``start`` on and by ``end``, and where that ends."""
        known = self.stretches.longest(start, end)
        return (start, []) if known is None else (known[0], [known[1]])

    def _hours(self, start: int, end: int) -> Iterator[bytes]:
        for at in range(start, end, HOUR):
            if at not in self.hours:
                known, found = self._known(at, at + HOUR)
                found += self.minutes(known, at + HOUR)
                if not found:
                    continue
                self.hours[at] = bars.encode(bars.merge(map(bars.decode, found), at, at + HOUR))
            yield self.hours[at]


def _hours_within(start: int, end: int) -> tuple[int, int]:
    return -(-start // HOUR) * HOUR, end - end % HOUR


def _blocks_within(start: int, end: int) -> tuple[int, int] | None:
    """Return the blocks of a span within an hour; None where they are too few to be remembered."""
    first, last = -(-start // BLOCK) * BLOCK, end - end % BLOCK
    return (first, last) if last - first >= 2 * BLOCK else None


@attrs.define
class BarSeries:
    """Folds trades into one-minute bars, closes them by market time, and answers for any span of minutes.

    A bar closes when market time passes its end plus ``grace`` (µs). A later trade reopens it: the bar is
    closed again at the next ``advance`` with ``revision + 1``.
    """

    closed: ClosedBars = attrs.field(factory=ClosedBars)
    grace: int = 2 * SECOND
    open: dict[int, Bar] = attrs.field(factory=dict)

    def fold(self, trades: Trades) -> int:
        """Fold a run of trades; return how many were too old to be folded (older than the bars kept here)."""
        too_old = 0
        for start, first, last in _minutes_of(trades.times):
            bar = self.open.get(start)
            if bar is None:
                bar = self._reopen(start)
            if bar is None:
                too_old += last - first
            else:
                bar.fold(trades, first, last)
        return too_old

    def _reopen(self, start: int) -> Bar | None:
        closed = self.closed.get(start)
        if closed is not None:
            closed.revision += 1
            closed.partial = False
            self.open[start] = closed
        elif self.closed.is_before(start):
            return None
        else:
            self.open[start] = Bar(start, start + MINUTE)
        return self.open[start]

    def advance(self, market_time: int) -> list[Bar]:
        """Close the bars that market time (µs) has left behind; return them, ascending."""
        if not self.open or min(self.open) + MINUTE + self.grace > market_time:
            return []
        return self._close(start for start in self.open if start + MINUTE + self.grace <= market_time)

    def finish(self, market_time: int) -> list[Bar]:
        """Close every bar because the data has ended; one whose end lies ahead is marked partial."""
        for start, bar in self.open.items():
            bar.partial = start + MINUTE > market_time
        return self._close(self.open)

    def _close(self, starts: Iterable[int]) -> list[Bar]:
        closing = [self.open.pop(start) for start in sorted(starts)]
        for bar in closing:
            bar.settle()
            self.closed.put(bar)
        return closing

    def merged(self, start: int, end: int) -> Bar:
        """Return the merge of the bars in ``[start, end)``; both are whole minutes (µs)."""
        reopened = {at: bar for at, bar in self.open.items() if start <= at < end}
        if all(at >= self.closed.last_end() for at in reopened):
            merged = self.closed.merged(start, end)
            for at in sorted(reopened):
                merged.absorb(reopened[at])
            merged.start, merged.end = start, end
            return merged
        # A late bar stands among the closed ones or in place of one: go through the minutes one by one.
        closed = self.closed.starts_between(start, end)
        found = (reopened.get(at) or self.closed.get(at) for at in sorted({*closed, *reopened}))
        return bars.merge((bar for bar in found if bar is not None), start, end)

    def packed(self, start: int, end: int) -> list[bytes]:
        """Return the one-minute bars that start in ``[start, end)``, packed, ascending."""
        reopened = {at: bar for at, bar in self.open.items() if start <= at < end}
        return [
            bars.encode(reopened[at]) if at in reopened else self.closed.packed[at]
            for at in sorted({*self.closed.starts_between(start, end), *reopened})
        ]

    def extent(self) -> tuple[int, int] | None:
        """Return ``[start, end)`` of the bars kept here, None while there are none."""
        starts = [*self.closed.starts[:1], *self.closed.starts[-1:], *self.open]
        return (min(starts), max(starts) + MINUTE) if starts else None


def _minutes_of(times: Sequence[int]) -> Iterable[tuple[int, int, int]]:
    """Return ``(minute's start, first index, index after the last)`` for each run of times in one minute."""
    if not times:
        return ()
    start = times[0] - times[0] % MINUTE
    ascending = sorted(times)  # of what is in order nearly, that costs less than ``min`` and ``max``
    if start <= ascending[0] and ascending[-1] < start + MINUTE:  # as nearly always
        return ((start, 0, len(times)),)
    minutes = [time - time % MINUTE for time in times]
    cuts = [at for at in range(1, len(minutes)) if minutes[at] != minutes[at - 1]]
    return [(minutes[first], first, last) for first, last in pairwise([0, *cuts, len(minutes)])]
