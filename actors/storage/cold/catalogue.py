"""The catalogue: which days of which symbols are in the cold tier, listed now and then."""

import threading
import time
from bisect import bisect_left

import attrs

from actors.storage.cold import layout
from actors.storage.cold.objects import Objects
from actors.storage.errors import StorageError
from wadm.market import DAY

#: Seconds for which a list is good: another program may have written meanwhile.
FRESH = 60.0

Name = tuple[str, str]


@attrs.frozen
class Listed:
    """The days (starts in µs, ascending) of one symbol, and the version of each day's object.

    ``problem`` says why they could not be listed, even once.
    """

    at: float
    days: list[int]
    versions: dict[int, str]
    problem: str | None = None

    def between(self, start: int, end: int) -> list[int]:
        """Return the days that have minutes in ``[start, end)``."""
        return self.days[bisect_left(self.days, start - DAY + 1) : bisect_left(self.days, end)]


@attrs.define(eq=False)
class Catalogue:
    """Lists symbols and their days: one request a symbol, when somebody asks for it. Threads may share it."""

    objects: Objects
    _listed: dict[Name, Listed] = attrs.field(factory=dict, init=False)
    _written: dict[Name, int] = attrs.field(factory=dict, init=False)
    _turn: threading.Lock = attrs.field(factory=threading.Lock, init=False, repr=False)

    def symbols(self) -> list[Name]:
        """Return every (exchange, symbol) that has days. Raises StorageError."""
        found: set[Name] = set()
        for folder in self.objects.folders(layout.BARS):
            exchange = layout.name_of(folder)
            if exchange is not None:
                names = map(layout.name_of, self.objects.folders(layout.folder(layout.BARS, exchange)))
                found |= {(exchange, symbol) for symbol in names if symbol is not None}
        return sorted(found)

    def of(self, exchange: str, symbol: str) -> Listed:
        """Return the days of a symbol; those listed last where they cannot be listed now."""
        name = exchange, symbol
        known = self._listed.get(name)
        if known is not None and known.problem is None and time.monotonic() - known.at < FRESH:
            return known
        return self.anew(exchange, symbol)

    def anew(self, exchange: str, symbol: str) -> Listed:
        """Return the days of a symbol as they are now; those listed last where they cannot be listed now."""
        name = exchange, symbol
        while True:
            written = self._written.get(name, 0)
            try:
                versions = self._list(exchange, symbol)
            except StorageError as error:
                known = self._listed.get(name)
                if known is not None and known.problem is None:
                    return known
                return Listed(0.0, [], {}, str(error))
            listed = Listed(time.monotonic(), sorted(versions), versions)
            with self._turn:
                # A day may have been written behind the list's back.
                if written == self._written.get(name, 0):
                    self._listed[name] = listed
                    return listed

    def wrote(self, exchange: str, symbol: str, day: int, version: str) -> None:
        """Take a day in that was written."""
        name = exchange, symbol
        with self._turn:
            self._written[name] = self._written.get(name, 0) + 1
            known = self._listed.get(name)
            if known is not None and known.problem is None:
                versions = {**known.versions, day: version}
                self._listed[name] = Listed(known.at, sorted(versions), versions)

    def _list(self, exchange: str, symbol: str) -> dict[int, str]:
        listed = self.objects.listed(layout.folder(layout.BARS, exchange, symbol))
        days = {layout.day_of(path, layout.BARS): version for path, version in listed.items()}
        return {day: version for day, version in days.items() if day is not None}
