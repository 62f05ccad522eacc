"""Timeframes: the fixed, UTC-aligned windows of the market."""

from heapq import heappop, heappush

import attrs

from wadm.market import DAY, HOUR, MINUTE

#: Name -> length in µs.
TIMEFRAMES = {
    "1m": MINUTE,
    "5m": 5 * MINUTE,
    "15m": 15 * MINUTE,
    "1h": HOUR,
    "4h": 4 * HOUR,
    "1d": DAY,
}


#: (timeframe, start, end) of a window; times in µs.
Window = tuple[str, int, int]


def window(timeframe: str, at: int) -> tuple[int, int]:
    """Return ``[start, end)`` of the window of ``timeframe`` that holds time ``at`` (µs)."""
    length = TIMEFRAMES[timeframe]
    start = at - at % length
    return start, start + length


@attrs.define
class DueWindows:
    """The windows that are still to be recorded: a bar in them was closed.

    Those ``aside`` cannot be recorded before more is known of them.
    """

    aside: set[Window] = attrs.field(factory=set, init=False)
    _due: set[Window] = attrs.field(factory=set, init=False)
    _by_end: list[tuple[int, int, Window]] = attrs.field(factory=list, init=False)

    def __len__(self) -> int:
        return len(self._due)

    def __contains__(self, one: Window) -> bool:
        return one in self._due

    def noted(self, bar_start: int) -> None:
        """Note that a bar which starts at ``bar_start`` (µs) was closed, or closed again."""
        for timeframe in TIMEFRAMES:
            self.put((timeframe, *window(timeframe, bar_start)))

    def put(self, one: Window) -> None:
        """Have a window recorded."""
        if one not in self._due:
            self._due.add(one)
            heappush(self._by_end, (one[2], -one[1], one))

    def take_up(self) -> None:
        """Have those recorded that were put aside."""
        for one in self.aside:
            self.put(one)
        self.aside.clear()

    def next(self, ended_by: int | None) -> Window | None:
        """Return the window that ended first, of equals the shortest; None where there is none.

        It has ended by ``ended_by`` (µs), unless that is None.
        """
        one = self._by_end[0][2] if self._by_end else None
        return one if one is None or ended_by is None or one[2] <= ended_by else None

    def take(self) -> Window:
        """Return and forget the window that ended first."""
        one = heappop(self._by_end)[2]
        self._due.discard(one)
        return one
