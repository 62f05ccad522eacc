"""The oracle's windows: of the clock and of sessions anywhere, found by looking at every minute of a day.

As the oracle does, it imports nothing of what it checks.
"""

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from functools import cache
from zoneinfo import ZoneInfo

from oracle import Trade, within

MINUTE_MS = 60_000
LENGTHS_MS = {
    "1m": MINUTE_MS,
    "5m": 5 * MINUTE_MS,
    "15m": 15 * MINUTE_MS,
    "1h": 60 * MINUTE_MS,
    "4h": 240 * MINUTE_MS,
    "1d": 1440 * MINUTE_MS,
}
ONE_MINUTE = timedelta(minutes=1)


def window(timeframe: str, at_ms: int) -> tuple[int, int]:
    """The window of a timeframe that holds a time, aligned to 1970-01-01T00:00Z."""
    length = LENGTHS_MS[timeframe]
    return at_ms // length * length, at_ms // length * length + length


@cache
def begin(session: str, day: date) -> int:
    """When the session of a local date begins: the first minute at which the clock on the wall shows it.

    Where the clocks jump over that time it begins as much later as they jump.
    """
    text, _, zone = session.partition("@")
    hour, minute = map(int, text.split(":"))
    shown = datetime(day.year, day.month, day.day, hour, minute)  # what the wall shows
    at = datetime(day.year, day.month, day.day, tzinfo=UTC) - timedelta(hours=15)
    before = at.astimezone(ZoneInfo(zone)).replace(tzinfo=None)
    for _ in range(60 * 56):
        at += ONE_MINUTE
        wall = at.astimezone(ZoneInfo(zone)).replace(tzinfo=None)
        if wall == shown:
            return int(at.timestamp()) * 1000
        if before < shown < wall:
            shown += wall - before - ONE_MINUTE
            if wall == shown:
                return int(at.timestamp()) * 1000
        before = wall
    raise AssertionError("no such time in two days")


def session_window(session: str, at_ms: int) -> tuple[int, int]:
    """The session that holds a time: from the last beginning up to it to the next one."""
    around = datetime.fromtimestamp(at_ms // 1000, UTC).date()
    begins = [begin(session, around + timedelta(days=days)) for days in range(-3, 4)]
    return max(one for one in begins if one <= at_ms), min(one for one in begins if one > at_ms)


def last_sessions(session: str, count: int, at_ms: int) -> list[tuple[int, int]]:
    """The last sessions up to the one that holds a time, oldest first."""
    found = [session_window(session, at_ms)]
    while len(found) < count:
        found.insert(0, session_window(session, found[0][0] - 1))
    return found


def sessions_of(trades: Sequence[Trade], session: str) -> dict[tuple[int, int], list[Trade]]:
    """The trades by the session they lie in."""
    first, last = min(trade.at_ms for trade in trades), max(trade.at_ms for trade in trades)
    found, at = {}, first
    while at <= last:
        span = session_window(session, at)
        found[span] = within(trades, *span)
        at = span[1]
    return found
