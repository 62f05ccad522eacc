"""Timeframes: the fixed, UTC-aligned windows of the market."""

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


def window(timeframe: str, at: int) -> tuple[int, int]:
    """Return ``[start, end)`` of the window of ``timeframe`` that holds time ``at`` (µs)."""
    length = TIMEFRAMES[timeframe]
    start = at - at % length
    return start, start + length


@attrs.define
class DueWindows:
    """The windows whose profile and order flow are still to be recorded: a bar in them was closed."""

    due: set[tuple[str, int]] = attrs.field(factory=set)

    def noted(self, bar_start: int) -> None:
        """Note that a bar which starts at ``bar_start`` (µs) was closed, or closed again."""
        self.due.update((timeframe, window(timeframe, bar_start)[0]) for timeframe in TIMEFRAMES)

    def take_ended(self, market_time: int, grace: int) -> list[tuple[str, int, int]]:
        """Return and forget each ``(timeframe, start, end)`` that ended ``grace`` µs before market time."""
        ended = {(name, start) for name, start in self.due if start + TIMEFRAMES[name] + grace <= market_time}
        self.due -= ended
        return _in_order(ended)

    def take_all(self) -> list[tuple[str, int, int]]:
        """Return and forget every window: the data has ended."""
        ended, self.due = self.due, set()
        return _in_order(ended)


def _in_order(windows: set[tuple[str, int]]) -> list[tuple[str, int, int]]:
    return sorted(
        ((name, start, start + TIMEFRAMES[name]) for name, start in windows), key=lambda one: (one[2], one[1])
    )
