"""Trading sessions: days that begin at a time of day somewhere in the world.

A session begins at a local time of day in an IANA time zone and lasts until the next one begins: 23 or 25
hours where the clocks change in between. A local time that the clocks skip begins as much later as they
skipped; one that comes twice begins the first time (PEP 495, fold=0).
"""

import re
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import attrs

from wadm.market import DAY, SECOND

_WRITTEN = re.compile(r"([01][0-9]|2[0-3]):([0-5][0-9])@([A-Za-z][A-Za-z0-9_+\-]*(?:/[A-Za-z0-9_+\-]+)*)")
EXPECTED = "a time of day in an IANA time zone, such as 00:00@UTC or 17:00@America/Chicago"


class SessionError(ValueError):
    """Text that names no session; the message says what was expected."""


@attrs.frozen
class Session:
    """A session that begins every day at ``begins`` (whole minutes) in ``zone``."""

    begins: time
    zone: str

    @classmethod
    def parse(cls, text: str) -> "Session":
        """Read ``HH:MM@Zone``. Raises SessionError."""
        found = _WRITTEN.fullmatch(text)
        if found is None:
            raise SessionError(EXPECTED)
        hour, minute, zone = found.groups()
        try:
            ZoneInfo(zone)
        except (LookupError, ValueError, OSError):  # no such zone, or a name that is a directory's
            raise SessionError(EXPECTED) from None
        return cls(time(int(hour), int(minute)), zone)

    def __str__(self) -> str:
        return f"{self.begins:%H:%M}@{self.zone}"

    def window(self, at: int) -> tuple[int, int]:
        """Return ``[start, end)`` (µs) of the session that holds the time ``at`` (µs)."""
        if self == UTC_DAY:
            return at - at % DAY, at - at % DAY + DAY
        day = datetime.fromtimestamp(at // SECOND, UTC).astimezone(ZoneInfo(self.zone)).date()
        while self.begin(day) > at:
            day -= timedelta(days=1)
        while (end := self.begin(day + timedelta(days=1))) <= at:
            day += timedelta(days=1)
        return self.begin(day), end

    def last(self, count: int, at: int) -> list[tuple[int, int]]:
        """Return the last ``count`` sessions up to the one that holds ``at``, ascending."""
        found = [self.window(at)]
        while len(found) < count:
            found.append(self.window(found[-1][0] - 1))
        return found[::-1]

    def begin(self, day: date) -> int:
        """Return when the session of a local date begins (µs)."""
        local = datetime.combine(day, self.begins, ZoneInfo(self.zone))
        since = local.astimezone(UTC) - datetime(1970, 1, 1, tzinfo=UTC)
        return since // timedelta(microseconds=1)


#: The session where none is asked for.
UTC_DAY = Session(time(0), "UTC")
