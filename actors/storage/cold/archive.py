"""The archive: whole days of one-minute bars and their profiles, in a folder or bucket."""

import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator
from decimal import Decimal

import attrs

from actors.storage.cold import layout
from actors.storage.cold.catalogue import Catalogue, Name
from actors.storage.cold.held import Damaged, Day, opened
from actors.storage.cold.objects import Objects
from actors.storage.errors import StorageError
from wadm import bar as bars
from wadm.analytics.profile import Profile, RowSizeError, profile, readable_row_size
from wadm.bar import Bar
from wadm.coverage import Unreadable
from wadm.market import DAY, MINUTE

#: Bytes of packed bars kept of the days read last: a few days of a busy symbol, months of a quiet one.
ROOM = 48 << 20

_Key = tuple[str, str, int]


@attrs.define(eq=False)
class Archive:
    """Keeps days and reads them. Times are µs; any number of threads may use it at once.

    Reading never fails: a day that cannot be read is left out, and ``unreadable`` tells of it. Where it is
    ``shared``, another program moves days here: one that is not known of is looked for again.
    """

    objects: Objects
    shared: bool = False
    catalogue: Catalogue = attrs.field(init=False)
    _read: OrderedDict[_Key, tuple[str, Day]] = attrs.field(factory=OrderedDict, init=False, repr=False)
    _edges: dict[_Key, tuple[str, int, int]] = attrs.field(factory=dict, init=False, repr=False)
    _problems: dict[_Key, str] = attrs.field(factory=dict, init=False, repr=False)
    _turn: threading.Lock = attrs.field(factory=threading.Lock, init=False, repr=False)

    def __attrs_post_init__(self) -> None:
        self.catalogue = Catalogue(self.objects)

    # --- reading ---

    def symbols(self) -> list[Name]:
        """Return every (exchange, symbol) that has days, sorted; none where they cannot be listed."""
        try:
            return self.catalogue.symbols()
        except StorageError:
            return []

    def bars(self, exchange: str, symbol: str, start: int, end: int) -> Iterator[Bar]:
        """Yield the one-minute bars that start in ``[start, end)``, ascending."""
        listed = self.catalogue.of(exchange, symbol)
        if self.shared and len(listed.between(start, end)) < -(-end // DAY) - start // DAY:
            listed = self.catalogue.anew(exchange, symbol)
        for day in listed.between(start, end):
            yield from self._bars((exchange, symbol, day), listed.versions[day], start, end)

    def extent(self, exchange: str, symbol: str) -> tuple[int, int] | None:
        """Return the first start and the last end of the bars, None while there are none."""
        listed = self.catalogue.of(exchange, symbol)
        if not listed.days:
            return None
        first, last = (
            self._edges_of((exchange, symbol, day), listed.versions[day])
            for day in (listed.days[0], listed.days[-1])
        )
        return first[0], last[1]

    def has(self, exchange: str, symbol: str, start: int, end: int) -> bool:
        """Say whether there are days that have minutes in ``[start, end)``."""
        return bool(self.catalogue.of(exchange, symbol).between(start, end))

    def unreadable(self, exchange: str, symbol: str, start: int, end: int) -> list[Unreadable]:
        """Return the parts of ``[start, end)`` that could not be read when they were last wanted."""
        listed = self.catalogue.of(exchange, symbol)
        if listed.problem is not None:
            return [Unreadable(start, end, listed.problem)] if start < end else []
        problems = {day: self._problems.get((exchange, symbol, day)) for day in listed.between(start, end)}
        return [
            Unreadable(max(day, start), min(day + DAY, end), reason)
            for day, reason in problems.items()
            if reason is not None
        ]

    def _bars(self, key: _Key, version: str, start: int, end: int) -> Iterator[Bar]:
        """Yield a day's bars; where one of them is damaged, those before it."""
        try:
            for at, one in sorted(self._day(key, version).items()):
                if start <= at < end:
                    yield opened(at, one, self._where(key))
        except StorageError as error:
            self._problems[key] = str(error)

    def _edges_of(self, key: _Key, version: str) -> tuple[int, int]:
        """Return the first start and last end of a day's bars; of one that cannot be read, its own."""
        known = self._edges.get(key)
        if known is None or known[0] != version:
            try:
                day = self._day(key, version)
            except StorageError as error:
                self._problems[key] = str(error)
                return key[2], key[2] + DAY
            known = self._edges[key] = (version, min(day), max(day) + MINUTE)
        return known[1:]

    def _day(self, key: _Key, version: str) -> Day:
        """Return a day as it lies there, or as it was read before. Raises StorageError."""
        with self._turn:
            known = self._read.get(key)
            if known is not None and known[0] == version:
                self._read.move_to_end(key)
                return known[1]
        found = self._fetch(key)
        if found is None:
            raise StorageError(f"{self._where(key)} is gone: another program has removed it")
        day = found[0]
        with self._turn:
            self._problems.pop(key, None)
            self._read[key] = (version, day)
            self._read.move_to_end(key)
            while len(self._read) > 1 and sum(map(_size, self._read.values())) > ROOM:
                self._read.popitem(last=False)
        return day

    def _fetch(self, key: _Key) -> tuple[Day, str] | None:
        """Return a day and its version, None where there is none. Raises StorageError."""
        from actors.storage.cold import parquet  # noqa: PLC0415  # 50 MB that a start does not need

        path = layout.path(layout.BARS, *key)
        found = self.objects.read(path)
        return None if found is None else (parquet.read_bars(found[0], self._where(key)), found[1])

    def _where(self, key: _Key, kind: str = layout.BARS) -> str:
        return f"{self.objects.address}/{layout.path(kind, *key)}"

    # --- keeping ---

    def keep(self, exchange: str, symbol: str, day: int, fresh: Day, row_size: Decimal | None = None) -> None:
        """Add bars to a day, and make its profile; return once they were read back as they should be.

        Of a bar that is there already, the higher revision stays. ``row_size`` is the profile's; None for
        the finest step of the prices. Raises StorageError, and leaves what cannot be read as it is.
        """
        from actors.storage.cold import parquet  # noqa: PLC0415  # see ``_fetch``

        key, where = (exchange, symbol, day), self._where((exchange, symbol, day))
        known, path = self._fetch(key), layout.path(layout.BARS, *key)
        old_profile = self._old_profile(key)
        whole = dict(known[0]) if known else {}
        for at, one in fresh.items():
            if at not in whole or one.revision > whole[at].revision:
                whole[at] = one
        if known is None or whole != known[0]:
            made = parquet.bars_file(exchange, symbol, day, whole)
            version = self._put(
                path, made, known and known[1], lambda back: parquet.holds(back, where, whole)
            )
            self.catalogue.wrote(exchange, symbol, day, version)
        merged = bars.merge((opened(at, one, where) for at, one in sorted(whole.items())), day, day + DAY)
        made = parquet.profile_file(exchange, symbol, day, _profile(merged, row_size), partial=merged.partial)
        if old_profile is None or old_profile[0] != made:
            path = layout.path(layout.PROFILES, *key)
            self._put(path, made, old_profile and old_profile[1], lambda back: back == made)

    def _old_profile(self, key: _Key) -> tuple[bytes, str] | None:
        """Return the profile of a day that is there already. Raises Damaged where it is none of ours."""
        from actors.storage.cold import parquet  # noqa: PLC0415  # see ``_fetch``

        old = self.objects.read(layout.path(layout.PROFILES, *key))
        if old is not None:
            parquet.check_profile(old[0], self._where(key, layout.PROFILES))
        return old

    def _put(self, path: str, data: bytes, replaced: str | None, is_right: Callable[[bytes], bool]) -> str:
        """Write an object and read it back; undo it where it came back otherwise. Return its version."""
        before = None if replaced is None else self.objects.read(path)
        self.objects.write(path, data, replaced)
        found = self.objects.read(path)
        try:
            if found is not None and found[0] == data and is_right(found[0]):
                return found[1]
        except Damaged:
            pass
        if before is not None:
            self.objects.write(path, before[0], None if found is None else found[1])
        elif found is not None:
            self.objects.remove(path)
        raise Damaged(
            f"{self.objects.address}/{path} came back otherwise than it was written: check its disk; "
            "the warm store keeps these bars"
        )


def _profile(merged: Bar, row_size: Decimal | None) -> Profile:
    """Return a day's profile, in larger rows where those wanted would be too many."""
    decimals = merged.price_decimals
    try:
        return profile(merged, row_size or Decimal(1).scaleb(-decimals))
    except RowSizeError:
        return profile(merged, readable_row_size(merged.low or 0, merged.high or 0, decimals, row_size))


def _size(read: tuple[str, Day]) -> int:
    return sum(len(one.packed) for one in read[1].values())
