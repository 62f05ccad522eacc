"""Merged stretches of closed bars, remembered: a window that grows is not merged from its start again."""

from collections import OrderedDict

import attrs

from wadm.bar import Bar


@attrs.define
class Stretches:
    """The last ``most`` stretches ``[start, end)`` (µs) that were asked for, packed."""

    most: int = 16
    _packed: OrderedDict[tuple[int, int], bytes] = attrs.field(factory=OrderedDict, init=False)

    def longest(self, start: int, end: int) -> tuple[int, bytes] | None:
        """Return the longest one that begins at ``start`` and ends by ``end``: its end, and itself."""
        found = max((until for since, until in self._packed if since == start and until <= end), default=None)
        if found is None:
            return None
        self._packed.move_to_end((start, found))
        return found, self._packed[start, found]

    def has(self, start: int, end: int) -> bool:
        """Say whether exactly this one is remembered."""
        return (start, end) in self._packed

    def keep(self, start: int, end: int, packed: bytes) -> None:
        """Remember one, and forget the one that was not asked for the longest."""
        self._packed[start, end] = packed
        if len(self._packed) > self.most:
            self._packed.popitem(last=False)

    def drop(self, at: int) -> None:
        """Forget those that hold the time ``at``: a bar in them has changed or is gone."""
        for span in [span for span in self._packed if span[0] <= at < span[1]]:
            del self._packed[span]

    def __len__(self) -> int:
        return len(self._packed)

    @property
    def size(self) -> int:
        """How many bytes are remembered."""
        return sum(map(len, self._packed.values()))


@attrs.define
class Merges:
    """The last merges ``[start, end)`` (µs) that were asked for, as bars of ``most_rows`` prices in all.

    A question asked again within its minute then costs a copy, and in the next minute one bar more. They take
    ten times the room of packed ones: what is not asked for from one ``grow_old`` to the next is let go.
    """

    most_rows: int = 20_000
    _bars: dict[tuple[int, int], Bar] = attrs.field(factory=dict, init=False)
    _asked: set[tuple[int, int]] = attrs.field(factory=set, init=False)

    def longest(self, start: int, end: int) -> tuple[int, Bar] | None:
        """Return the longest one that begins at ``start`` and ends by ``end``: its end, and a copy of it."""
        found = max((until for since, until in self._bars if since == start and until <= end), default=None)
        if found is None:
            return None
        self._asked.add((start, found))
        return found, self._bars[start, found].copy()

    def has(self, start: int, end: int) -> bool:
        """Say whether one begins at ``start`` and ends by ``end``."""
        return any(since == start and until <= end for since, until in self._bars)

    def keep(self, start: int, end: int, merged: Bar) -> None:
        """Remember a copy of one, in place of what it has grown from; forget the oldest where it is much."""
        for span in [span for span in self._bars if span[0] == start and span[1] < end]:
            self._forget(span)
        self._bars[start, end] = merged.copy()
        self._asked.add((start, end))
        while sum(len(bar.rows) for bar in self._bars.values()) > self.most_rows:
            self._forget(next(iter(self._bars)))

    def drop(self, at: int) -> None:
        """Forget those that hold the time ``at``: a bar in them has changed or is gone."""
        for span in [span for span in self._bars if span[0] <= at < span[1]]:
            self._forget(span)

    def grow_old(self) -> None:
        """Forget what was not asked for since the last time."""
        for span in self._bars.keys() - self._asked:
            self._forget(span)
        self._asked.clear()

    def _forget(self, span: tuple[int, int]) -> None:
        del self._bars[span]
        self._asked.discard(span)

    def __len__(self) -> int:
        return len(self._bars)
