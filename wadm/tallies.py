"""What minutes add to running sums: their delta, and their taker orders by size.

Kept for longer than bars are, and far smaller: a session's CVD and a day's orders by size are then sums of a
few numbers instead of merges of bars.
"""

from collections.abc import Iterable, Iterator, Mapping
from itertools import groupby

import attrs
import msgspec

from wadm.bar import Bar, Digest
from wadm.market import HOUR

#: Minutes are told apart for so long (µs): an hour's window, a day before it, and one hour more.
MINUTES = 26 * HOUR

#: After that hours are, for so long: a day's window and a day before it.
HOURS = 50 * HOUR

#: Sums that are remembered: one from the session's start on, and one of the day before a window.
SUMS = 2


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

    def copy(self) -> "Tally":
        """Return a copy that goes its own way, without the sizes that no order has."""
        orders = {size: count for size, count in self.orders.items() if count}
        return Tally(self.quantity_decimals, self.delta, orders)


class _Packed(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """A tally as bytes: one object a minute, and small. ``delta`` is text, as integers end at 64 bits."""

    quantity_decimals: int
    delta: str
    sizes: list[int]
    counts: list[int]


_encoder, _decoder = msgspec.msgpack.Encoder(), msgspec.msgpack.Decoder(_Packed)


def _pack(quantity_decimals: int, delta: int, orders: Mapping[int, int]) -> bytes:
    exact = bytearray()  # what ``encode`` returns keeps the room it was given
    _encoder.encode_into(_Packed(quantity_decimals, str(delta), [*orders], [*orders.values()]), exact)
    return bytes(exact)


def _add(packed: bytes, tally: Tally, sign: int = 1) -> None:
    one = _decoder.decode(packed)
    counts = one.counts if sign > 0 else [-count for count in one.counts]
    tally.add(one.quantity_decimals, sign * int(one.delta), zip(one.sizes, counts, strict=True))


@attrs.define
class Tallies:
    """The tallies of one symbol's closed bars. ``known_from`` (µs) is the earliest minute that is in them."""

    known_from: int | None = None
    _minutes: dict[int, dict[int, bytes]] = attrs.field(factory=dict)
    _hours: dict[int, bytes] = attrs.field(factory=dict)
    #: the sums asked for last, by their span: the next window's differ in a few minutes
    _sums: dict[tuple[int, int], Tally] = attrs.field(factory=dict, eq=False)

    def put(self, bar: Bar) -> None:
        """Count a closed bar, in place of an earlier revision of it. What is too old is left as it is."""
        self.put_all([Digest.of(bar)])

    def put_all(self, bars: Iterable[Digest]) -> None:
        """Count closed bars, ascending, as ``put`` does each: an hour is counted once."""
        for hour, minutes in groupby(bars, _hour):
            if hour <= max(self._hours, default=hour) - MINUTES:
                continue
            first = self._count(hour, minutes)
            self.known_from = first if self.known_from is None else min(first, self.known_from)

    def put_earlier(self, start: int, bars: Iterable[Digest]) -> None:
        """Count all the bars there are from ``start`` (µs, a whole hour) to ``known_from``."""
        earlier = [bar for bar in bars if self.known_from is None or bar.start < self.known_from]
        for hour, minutes in groupby(earlier, _hour):
            self._count(hour, minutes)
        self.known_from = start if self.known_from is None else min(start, self.known_from)

    def is_told_apart(self, at: int) -> bool:
        """Say whether a span may begin or end at ``at`` (µs): between hours, or minutes still known."""
        hour = at - at % HOUR
        return at == hour or hour in self._minutes or hour not in self._hours

    def between(self, start: int, end: int) -> Tally:
        """Return the sums over ``[start, end)`` (µs), which begin and end where it is told apart."""
        total = self._moved(start, end)
        if total is None:
            total = Tally()
            for one in self._between(start, end):
                _add(one, total)
        self._sums[start, end] = total
        while len(self._sums) > SUMS:
            del self._sums[next(iter(self._sums))]
        return total.copy()

    def _moved(self, start: int, end: int) -> Tally | None:
        """Return the sums over a span from those of one that is an hour away at most, None without any."""
        near = ((abs(span[0] - start) + abs(span[1] - end), span) for span in self._sums)
        away, (first, last) = min(near, default=(HOUR + 1, (start, end)))
        if away > HOUR or not (self.is_told_apart(first) and self.is_told_apart(last)):
            return None
        total = self._sums.pop((first, last))
        for earlier, later, sign in (start, first, 1), (first, start, -1), (last, end, 1), (end, last, -1):
            for one in self._between(earlier, later) if earlier < later else ():
                _add(one, total, sign)
        return total

    def _between(self, start: int, end: int) -> Iterator[bytes]:
        for hour in range(start - start % HOUR, end, HOUR):
            if start <= hour and hour + HOUR <= end:
                if hour in self._hours:
                    yield self._hours[hour]
            else:
                minutes = self._minutes.get(hour, {})
                yield from (one for minute, one in minutes.items() if start <= minute < end)

    def _count(self, hour: int, bars: Iterable[Digest]) -> int:
        """Count the bars of an hour, at least one; return where the earliest starts."""
        if hour not in self._hours:
            self._hours[hour] = _pack(0, 0, {})
            self._forget(max(self._hours))
        minutes = self._minutes.setdefault(hour, {})
        total, starts = Tally(), list[int]()
        _add(self._hours[hour], total)
        for bar in bars:
            if bar.start in minutes:
                _add(minutes[bar.start], total, -1)
            minutes[bar.start] = _pack(bar.quantity_decimals, bar.delta, bar.orders)
            total.add(bar.quantity_decimals, bar.delta, bar.orders.items())
            starts.append(bar.start)
        self._hours[hour] = _pack(total.quantity_decimals, total.delta, total.orders)
        for span in [one for one in self._sums if any(one[0] <= start < one[1] for start in starts)]:
            del self._sums[span]
        return min(starts)

    def _forget(self, newest: int) -> None:
        for hour in [hour for hour in self._minutes if hour <= newest - MINUTES]:
            del self._minutes[hour]
        for hour in [hour for hour in self._hours if hour <= newest - HOURS]:
            del self._hours[hour]


def _hour(bar: Digest) -> int:
    return bar.start - bar.start % HOUR
