"""What a data directory knows of the market: the bars of store and archive, and what only the journal has.

For the daemon itself, and for reading a directory with no daemon running (or beside one).
"""

from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Self

import attrs

from actors.messages import BookRecord, GapRecord
from actors.storage import engines
from actors.storage.cold.archive import Archive
from actors.storage.errors import NotKept, StorageError
from actors.storage.journal_view import JournalView
from actors.storage.opening import open_archive, open_store
from actors.storage.payload import GAP_STATES
from actors.storage.reach import Reach
from actors.storage.runs import distinct, within
from actors.storage.store import Store, named
from actors.storage.tier_log import Loss
from wadm import bar as bars
from wadm.bar import Bar, Digest
from wadm.coverage import AnyGap, SuspectedGap, Unreadable
from wadm.instants import iso
from wadm.market import MINUTE, SECOND, Trades
from wadm.sections import StorageSettings
from wadm.series import BarSeries

#: A bar is committed so long (µs) after its start, where it is not late.
LATE = 2 * MINUTE

_FOREVER = 1 << 62


@attrs.define(eq=False)
class DataReader:
    """Reads journal, store and archive as one. Times are µs; every method may raise StorageError.

    ``store`` is None where there is none yet: the journal then serves alone. What of the archive cannot be
    read is left out, and ``unreadable`` tells of it. A store that ``reach`` knows to be down is not asked.
    """

    journal: JournalView
    store: Store | None
    archive: Archive | None = None
    reach: Reach = attrs.field(factory=Reach)

    @classmethod
    def open(cls, directory: Path, storage: StorageSettings | None = None) -> Self:
        """Open a data directory for reading only; ``storage`` where its tiers are not the embedded ones.

        Raises StorageError if nothing was ever stored in the directory.
        """
        journal = JournalView.of_run(directory)
        try:
            follows, storage = journal.identity(), storage or StorageSettings()
            archive, store = open_archive(storage, directory, shared=True), None
            if storage.mongodb_url or storage.db_url or (directory / engines.EMBEDDED).is_file():
                store = open_store(storage, directory, follows, read_only=True)
        except StorageError:
            journal.close()
            raise
        return cls(journal, store, archive)

    @property
    def recent(self) -> Self:
        """The same without the archive: for who needs only the newest bars and may not wait."""
        return attrs.evolve(self, archive=None)

    @property
    def alone(self) -> Self:
        """The journal only, for when nothing else can be reached."""
        return attrs.evolve(self, store=None, archive=None, reach=Reach())

    def close(self) -> None:
        """Close journal and store."""
        self.journal.close()
        if self.store is not None:
            self.store.close()

    def symbols(self) -> list[tuple[str, str]]:
        """Return every (exchange, symbol) of which there is data, sorted."""
        self.reach.check()
        stored = [] if self.store is None else self.store.symbols()
        archived = [] if self.archive is None else self.archive.symbols()
        return sorted({*stored, *archived, *self.journal.symbols()})

    def bars(self, exchange: str, symbol: str, start: int, end: int) -> list[Bar]:
        """Return the closed one-minute bars that start in ``[start, end)``, the highest revision of each."""
        self.reach.check()
        found: dict[int, Bar] = {}
        stored, after = list[Bar](), 0
        if self.store is not None:
            # The cursor first: what is carried over in between is then found twice, and not missed.
            after = self.store.cursor()
            stored = self.store.bars(exchange, symbol, start, end)
        # The archive after the store: what is moved there in between is then found twice, and not missed.
        archived = () if self.archive is None else self.archive.bars(exchange, symbol, start, end)
        # Of two of one revision the archive's is the one that stays.
        for bar in chain(archived, stored, self.journal.bars(exchange, symbol, start, end, after)):
            if bar.start not in found or bar.revision > found[bar.start].revision:
                found[bar.start] = bar
        return [found[at] for at in sorted(found)]

    def packed_bars(self, exchange: str, symbol: str, start: int, end: int) -> list[tuple[Digest, bytes]]:
        """Return ``bars`` as store and journal keep them packed: without those in the archive."""
        self.reach.check()
        stored, after = list[tuple[Digest, bytes]](), 0
        if self.store is not None:
            after = self.store.cursor()  # first: see ``bars``
            stored = self.store.packed_bars(exchange, symbol, start, end)
        found: dict[int, tuple[Digest, bytes]] = {}
        for one in chain(stored, self.journal.packed_bars(exchange, symbol, start, end, after)):
            known = found.get(one[0].start)
            if known is None or one[0].revision > known[0].revision:
                found[one[0].start] = one
        return [found[at] for at in sorted(found)]

    def reaches_archive(self, exchange: str, symbol: str, start: int, end: int) -> bool:
        """Say whether the archive has days that have minutes in ``[start, end)``."""
        return self.archive is not None and self.archive.has(exchange, symbol, start, end)

    def unreadable(self, exchange: str, symbol: str, start: int, end: int) -> list[Unreadable]:
        """Return the parts of ``[start, end)`` that could not be read when they were last wanted.

        What the store never got is among them: the journal had to let it go first.
        """
        found = [] if self.archive is None else self.archive.unreadable(exchange, symbol, start, end)
        if self.store is not None:
            losses = self.journal.losses(named(self.store.name, self.store.address))
            found += [part for loss in losses if (part := _lost(loss, start, end)) is not None]
        return found

    def extent(self, exchange: str, symbol: str) -> tuple[int, int] | None:
        """Return the first start and the last end of the closed bars, None while there are none."""
        self.reach.check()
        tiers = (
            None if self.store is None else self.store.extent(exchange, symbol),
            None if self.archive is None else self.archive.extent(exchange, symbol),
            self.journal.bar_extent(exchange, symbol),
        )
        known = [extent for extent in tiers if extent is not None]
        return (min(start for start, _ in known), max(end for _, end in known)) if known else None

    def unclosed(self, exchange: str, symbol: str, end: int = _FOREVER) -> list[Bar]:
        """Return the minutes after the last closed bar and before ``end``, from raw trades, as partial."""
        return self._unclosed(exchange, symbol, self.extent(exchange, symbol), end)

    def _unclosed(self, exchange: str, symbol: str, extent: tuple[int, int] | None, end: int) -> list[Bar]:
        start = extent[1] if extent else 0
        series = BarSeries()
        for trades in distinct(self.journal.trades(exchange, symbol, start, end)) if start < end else ():
            series.fold(trades)
        for bar in series.open.values():
            bar.partial = True
        return [series.open[at] for at in sorted(series.open)]

    def span(self, exchange: str, symbol: str) -> tuple[int, int] | None:
        """Return ``[start, end)`` of everything known of a symbol, unclosed minutes included."""
        extent = self.extent(exchange, symbol)
        tail = self._unclosed(exchange, symbol, extent, _FOREVER)
        starts = [*(extent[:1] if extent else ()), *(bar.start for bar in tail[:1])]
        ends = [*(extent[1:] if extent else ()), *(bar.end for bar in tail[-1:])]
        return (min(starts), max(ends)) if starts else None

    def merged(self, exchange: str, symbol: str, start: int, end: int) -> Bar:
        """Return everything traded in ``[start, end)``, to the microsecond.

        Whole minutes come from bars, the rest of the range from raw trades. Raises NotKept where those are
        no longer kept.
        """
        first, last = -(-start // MINUTE) * MINUTE, end // MINUTE * MINUTE
        if first > last:  # both ends within one minute
            return bars.merge(self._part(exchange, symbol, start, end), start, end)
        closed = self.bars(exchange, symbol, first, last)
        is_closed = closed and closed[-1].end >= last
        unclosed = [] if is_closed else self.unclosed(exchange, symbol, last)
        tail = [bar for bar in unclosed if first <= bar.start]
        head = self._part(exchange, symbol, start, first)
        return bars.merge([*head, *closed, *tail, *self._part(exchange, symbol, last, end)], start, end)

    def _part(self, exchange: str, symbol: str, start: int, end: int) -> list[Bar]:
        """Return a part of one minute as a bar, from raw trades; no bar for an empty part."""
        if start >= end:
            return []
        minute = start - start % MINUTE
        whole, part = Bar(minute, minute + MINUTE), Bar(minute, minute + MINUTE)
        for trades in distinct(self.journal.trades(exchange, symbol, minute, minute + MINUTE)):
            whole.fold(trades)
            part.fold(within(trades, start, end))
        for closed in self.bars(exchange, symbol, minute, minute + MINUTE):
            if closed.buy_trades + closed.sell_trades > whole.buy_trades + whole.sell_trades:
                raise NotKept(
                    f"the single trades of {exchange}:{symbol} in the minute of {iso(minute)} are no longer "
                    "kept: ask for whole minutes"
                )
        return [part]

    def trades(self, exchange: str, symbol: str, start: int, end: int) -> Iterator[Trades]:
        """Yield the raw trades of ``[start, end)`` that are still kept; one may come twice."""
        return self.journal.trades(exchange, symbol, start, end)

    def books(self, exchange: str, symbol: str, start: int, end: int) -> list[BookRecord]:
        """Return the order books that were taken down in ``[start, end)``, ascending by time."""
        self.reach.check()
        stored = [] if self.store is None else self.store.books(exchange, symbol, start, end)
        found = {book.at: book for book in [*stored, *self.journal.books(exchange, symbol, start, end)]}
        return [found[at] for at in sorted(found)]

    def gaps(self, exchange: str, symbol: str, start: int, end: int) -> list[GapRecord]:
        """Return what is still missing of the gaps noticed in ``[start, end)``, or suspected there.

        What was filled is taken out of the gap it lay in; what cannot be filled says so.
        """
        self.reach.check()
        stored, after = [], 0
        if self.store is not None:
            after = self.store.cursor()
            stored = self.store.gaps(exchange, symbol, 0, _FOREVER)
        # A part of a gap may be noticed at another time than the whole: what is left of all is looked at.
        left = missing([*stored, *self.journal.gaps(exchange, symbol, after)])
        return [one for one in left if touches(one.gap, start, end)]


def _lost(loss: Loss, start: int, end: int) -> Unreadable | None:
    """Return the part of ``[start, end)`` of which a store lost records, None where that is not known."""
    if loss.records == 0 or loss.first_at is None or loss.last_at is None:
        return None
    # A bar is committed soon after its end, and the time of commits is known to the second.
    first, last = max(start, loss.first_at - LATE), min(end, loss.last_at + SECOND)
    why = f"{loss.target} lost what was received then: it was down longer than storage.quota_mb has room for"
    return Unreadable(first, last, why) if first < last else None


def touches(gap: AnyGap, start: int, end: int) -> bool:
    """Say whether a gap was noticed in ``[start, end)``, or lies there."""
    since = gap.first if isinstance(gap, SuspectedGap) else gap.at
    return start <= gap.at and since < end


def missing(records: list[GapRecord]) -> list[GapRecord]:
    """Return the parts of gaps that no stronger record covers, ascending by id."""
    left: list[GapRecord] = []
    for record in sorted(records, key=lambda one: GAP_STATES.index(one.state)):
        left = [part for weaker in left for part in _without(weaker, record.gap)]
        if record.state != "filled":
            left.append(record)
    return sorted(left, key=lambda one: (one.gap.id_kind or "", one.gap.first))


def _without(record: GapRecord, covered: AnyGap) -> list[GapRecord]:
    """Return what remains of a gap when the ids of another are taken out."""
    gap = record.gap
    if gap.id_kind != covered.id_kind or gap.last < covered.first or covered.last < gap.first:
        return [record]
    parts = []
    if gap.first < covered.first:
        parts.append(attrs.evolve(record, gap=attrs.evolve(gap, last=covered.first - 1)))
    if covered.last < gap.last:
        parts.append(attrs.evolve(record, gap=attrs.evolve(gap, first=covered.last + 1)))
    return parts
