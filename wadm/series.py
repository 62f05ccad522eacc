"""The one-minute bars of one symbol: open ones being folded, closed ones packed."""

from bisect import bisect_left, insort
from collections.abc import Iterable, Iterator

import attrs

from wadm import bar as bars
from wadm.bar import Bar
from wadm.market import DAY, HOUR, MINUTE, SECOND, Trades


@attrs.define
class ClosedBars:
    """Closed one-minute bars, packed, by start. Outlives its aggregator's crash, and is bounded by ``keep``.

    Merged hours are cached packed as well, so that a day costs 24 merges, not 1,440.
    """

    keep: int = DAY + HOUR
    starts: list[int] = attrs.field(factory=list)
    packed: dict[int, bytes] = attrs.field(factory=dict)
    hours: dict[int, bytes] = attrs.field(factory=dict)

    def put(self, bar: Bar) -> None:
        """Keep a bar, in place of an earlier revision of it, and let the oldest go."""
        if bar.start not in self.packed:
            insort(self.starts, bar.start)
        self.packed[bar.start] = bars.encode(bar)
        self.hours.pop(bar.start - bar.start % HOUR, None)
        self._forget(before=self.starts[-1] - self.keep)

    def _forget(self, before: int) -> None:
        oldest = bisect_left(self.starts, before)
        for start in self.starts[:oldest]:
            del self.packed[start]
            self.hours.pop(start - start % HOUR, None)
        del self.starts[:oldest]

    def get(self, start: int) -> Bar | None:
        """Return the bar that starts at ``start``."""
        packed = self.packed.get(start)
        return None if packed is None else bars.decode(packed)

    def between(self, start: int, end: int) -> Iterator[Bar]:
        """Yield bars that merge to ``[start, end)``, ascending: hours where they fit, else minutes."""
        if not self.starts:
            return
        at = max(start, self.starts[0] - self.starts[0] % HOUR)
        end = min(end, self.last_end())
        while at < end:
            if at % HOUR == 0 and at + HOUR <= end:
                hour = self._hour(at)
                if hour is not None:
                    yield hour
                at += HOUR
            else:
                until = min(end, at - at % HOUR + HOUR)
                yield from self._minutes(at, until)
                at = until

    def last_end(self) -> int:
        """Return where the newest closed bar ends, 0 while there is none."""
        return self.starts[-1] + MINUTE if self.starts else 0

    def starts_between(self, start: int, end: int) -> list[int]:
        """Return the starts of the bars in ``[start, end)``, ascending."""
        return self.starts[bisect_left(self.starts, start) : bisect_left(self.starts, end)]

    def _minutes(self, start: int, end: int) -> Iterator[Bar]:
        for at in self.starts_between(start, end):
            yield bars.decode(self.packed[at])

    def _hour(self, start: int) -> Bar | None:
        if start not in self.hours:
            minutes = list(self._minutes(start, start + HOUR))
            if not minutes:
                return None
            self.hours[start] = bars.encode(bars.merge(minutes, start, start + HOUR))
        return bars.decode(self.hours[start])


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
        elif self.closed.starts and start < self.closed.last_end() - self.closed.keep:
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
            self.closed.put(bar)
        return closing

    def merged(self, start: int, end: int) -> Bar:
        """Return the merge of the bars in ``[start, end)``; both are whole minutes (µs)."""
        reopened = {at: bar for at, bar in self.open.items() if start <= at < end}
        if all(at >= self.closed.last_end() for at in reopened):
            tail = (reopened[at] for at in sorted(reopened))
            return bars.merge((*self.closed.between(start, end), *tail), start, end)
        # A late bar stands among the closed ones or in place of one: go through the minutes one by one.
        closed = self.closed.starts_between(start, end)
        found = (reopened.get(at) or self.closed.get(at) for at in sorted({*closed, *reopened}))
        return bars.merge((bar for bar in found if bar is not None), start, end)

    def extent(self) -> tuple[int, int] | None:
        """Return ``[start, end)`` of the bars kept here, None while there are none."""
        starts = [*self.closed.starts[:1], *self.closed.starts[-1:], *self.open]
        return (min(starts), max(starts) + MINUTE) if starts else None


def _minutes_of(times: Iterable[int]) -> Iterator[tuple[int, int, int]]:
    """Yield ``(minute's start, first index, index after the last)`` for each run of times in one minute."""
    first, start, end = 0, 0, 0
    index = -1
    for index, time in enumerate(times):
        if not start <= time < end:
            if index > first:
                yield start, first, index
            start = time - time % MINUTE
            first, end = index, start + MINUTE
    if index >= first:
        yield start, first, index + 1
