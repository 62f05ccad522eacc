"""What minutes add to running sums: their delta, and their taker orders by size.

Kept for longer than bars are, and far smaller: a session's CVD and a day's orders by size are then sums of a
few numbers instead of merges of bars.
"""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

import attrs

from wadm import columns
from wadm.bar import Bar
from wadm.market import HOUR

#: Minutes are told apart for so long (µs): an hour's window, a day before it, and one hour more.
MINUTES = 26 * HOUR

#: After that hours are, for so long: a day's window and a day before it.
HOURS = 50 * HOUR


@attrs.define
class Tally:
    """Sums over a span of time. ``orders``: size number -> taker orders, see ``wadm.orders``."""

    quantity_decimals: int = 0
    delta: int = 0
    orders: dict[int, int] = attrs.field(factory=dict)

    def add(self, decimals: int, delta: int, orders: Iterable[tuple[int, int]]) -> None:
        """Add a delta, scaled by ``10**decimals``, and numbers of orders."""
        finest = max(decimals, self.quantity_decimals)
        self.delta = self.delta * 10 ** (finest - self.quantity_decimals) + delta * 10 ** (finest - decimals)
        self.quantity_decimals = finest
        for size, count in orders:
            self.orders[size] = self.orders.get(size, 0) + count


class _Packed(NamedTuple):
    quantity_decimals: int
    delta: int
    sizes: bytes
    counts: bytes

    @classmethod
    def of(cls, tally: Tally) -> "_Packed":
        counts = columns.pack(list(tally.orders.values()))
        return cls(tally.quantity_decimals, tally.delta, columns.pack(list(tally.orders)), counts)

    @classmethod
    def of_bar(cls, bar: Bar) -> "_Packed":
        sizes = bar.orders.sizes
        counts = columns.pack([size[2] + size[3] for size in sizes.values()])
        return cls(bar.quantity_decimals, bar.delta, columns.pack(list(sizes)), counts)

    def add_to(self, tally: Tally, sign: int = 1) -> None:
        counted = zip(columns.unpack(self.sizes), columns.unpack(self.counts), strict=True)
        tally.add(
            self.quantity_decimals, sign * self.delta, ((size, sign * count) for size, count in counted)
        )


@attrs.define
class Tallies:
    """The tallies of one symbol's closed bars. ``known_from`` (µs) is the earliest minute that is in them."""

    known_from: int | None = None
    _minutes: dict[int, dict[int, _Packed]] = attrs.field(factory=dict)
    _hours: dict[int, _Packed] = attrs.field(factory=dict)

    def put(self, bar: Bar) -> None:
        """Count a closed bar, in place of an earlier revision of it. What is too old is left as it is."""
        hour = bar.start - bar.start % HOUR
        if hour <= max(self._hours, default=hour) - MINUTES:
            return
        self._count(bar)
        if self.known_from is None or bar.start < self.known_from:
            self.known_from = bar.start

    def put_earlier(self, start: int, bars: Iterable[Bar]) -> None:
        """Count all the bars there are from ``start`` (µs, a whole hour) to ``known_from``."""
        for bar in bars:
            if self.known_from is None or bar.start < self.known_from:
                self._count(bar)
        self.known_from = start if self.known_from is None else min(start, self.known_from)

    def is_told_apart(self, at: int) -> bool:
        """Say whether a span may begin or end at ``at`` (µs): between hours, or minutes still known."""
        hour = at - at % HOUR
        return at == hour or hour in self._minutes or hour not in self._hours

    def between(self, start: int, end: int) -> Tally:
        """Return the sums over ``[start, end)`` (µs), which begin and end where it is told apart."""
        total = Tally()
        for one in self._between(start, end):
            one.add_to(total)
        return total

    def _between(self, start: int, end: int) -> Iterator[_Packed]:
        for hour in range(start - start % HOUR, end, HOUR):
            if start <= hour and hour + HOUR <= end:
                if hour in self._hours:
                    yield self._hours[hour]
            else:
                minutes = self._minutes.get(hour, {})
                yield from (one for minute, one in minutes.items() if start <= minute < end)

    def _count(self, bar: Bar) -> None:
        hour = bar.start - bar.start % HOUR
        if hour not in self._hours:
            self._hours[hour] = _Packed.of(Tally())
            self._forget(max(self._hours))
        minutes = self._minutes.setdefault(hour, {})
        total = Tally()
        self._hours[hour].add_to(total)
        if bar.start in minutes:
            minutes[bar.start].add_to(total, -1)
        minutes[bar.start] = _Packed.of_bar(bar)
        minutes[bar.start].add_to(total)
        self._hours[hour] = _Packed.of(total)

    def _forget(self, newest: int) -> None:
        for hour in [hour for hour in self._minutes if hour <= newest - MINUTES]:
            del self._minutes[hour]
        for hour in [hour for hour in self._hours if hour <= newest - HOURS]:
            del self._hours[hour]
