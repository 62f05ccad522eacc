"""What a data directory knows of the market: the store's bars overlaid with what only the journal has yet.

For the daemon itself, and for reading a directory with no daemon running (or beside one).
"""

from pathlib import Path
from typing import Self

import attrs

from actors.messages import GapRecord
from actors.storage import engines
from actors.storage.errors import NotKept, StorageError
from actors.storage.journal_view import FILE_NAME, JournalView
from actors.storage.payload import GAP_STATES
from actors.storage.runs import distinct, within
from actors.storage.sql import SqlStore
from actors.storage.store import Store
from wadm import bar as bars
from wadm.bar import Bar
from wadm.coverage import AnyGap, SuspectedGap
from wadm.instants import iso
from wadm.market import MINUTE
from wadm.series import BarSeries

_FOREVER = 1 << 62


@attrs.define(eq=False)
class DataReader:
    """Reads journal and store as one. Times are µs; every method may raise StorageError.

    ``store`` is None where there is none yet: the journal then serves alone.
    """

    journal: JournalView
    store: Store | None

    @classmethod
    def open(cls, directory: Path, store_url: str | None = None) -> Self:
        """Open a data directory for reading only; ``store_url`` where its store is not the embedded one.

        Raises StorageError if nothing was ever stored in the directory.
        """
        if not (directory / FILE_NAME).is_file():
            raise StorageError(
                f"{directory} holds no data of wadm (no {FILE_NAME}): give the data directory of a run"
            )
        journal = JournalView(directory)
        try:
            follows = journal.identity()
            store = None
            if store_url is not None or (directory / engines.EMBEDDED).is_file():
                store = SqlStore(store_url or engines.embedded_url(directory), follows, read_only=True)
        except StorageError:
            journal.close()
            raise
        return cls(journal, store)

    def close(self) -> None:
        """Close journal and store."""
        self.journal.close()
        if self.store is not None:
            self.store.close()

    def symbols(self) -> list[tuple[str, str]]:
        """Return every (exchange, symbol) of which there is data, sorted."""
        stored = [] if self.store is None else self.store.symbols()
        return sorted({*stored, *self.journal.symbols()})

    def bars(self, exchange: str, symbol: str, start: int, end: int) -> list[Bar]:
        """Return the closed one-minute bars that start in ``[start, end)``, the highest revision of each."""
        found: dict[int, Bar] = {}
        after = 0
        if self.store is not None:
            # The cursor first: what is carried over in between is then found twice, and not missed.
            after = self.store.cursor()
            found = {bar.start: bar for bar in self.store.bars(exchange, symbol, start, end)}
        for bar in self.journal.bars(exchange, symbol, start, end, after):
            if bar.start not in found or bar.revision > found[bar.start].revision:
                found[bar.start] = bar
        return [found[at] for at in sorted(found)]

    def extent(self, exchange: str, symbol: str) -> tuple[int, int] | None:
        """Return the first start and the last end of the closed bars, None while there are none."""
        stored = None if self.store is None else self.store.extent(exchange, symbol)
        both = [extent for extent in (stored, self.journal.bar_extent(exchange, symbol)) if extent]
        return (min(start for start, _ in both), max(end for _, end in both)) if both else None

    def unclosed(self, exchange: str, symbol: str) -> list[Bar]:
        """Return the minutes after the last closed bar, made from raw trades and marked partial."""
        extent = self.extent(exchange, symbol)
        series = BarSeries()
        for trades in distinct(self.journal.trades(exchange, symbol, extent[1] if extent else 0, _FOREVER)):
            series.fold(trades)
        for bar in series.open.values():
            bar.partial = True
        return [series.open[at] for at in sorted(series.open)]

    def span(self, exchange: str, symbol: str) -> tuple[int, int] | None:
        """Return ``[start, end)`` of everything known of a symbol, unclosed minutes included."""
        extent, tail = self.extent(exchange, symbol), self.unclosed(exchange, symbol)
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
        tail = [bar for bar in self.unclosed(exchange, symbol) if first <= bar.start < last]
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

    def gaps(self, exchange: str, symbol: str, start: int, end: int) -> list[GapRecord]:
        """Return what is still missing of the gaps noticed in ``[start, end)``, or suspected there.

        What was filled is taken out of the gap it lay in; what cannot be filled says so.
        """
        stored, after = [], 0
        if self.store is not None:
            after = self.store.cursor()
            stored = self.store.gaps(exchange, symbol, 0, _FOREVER)
        # A part of a gap may be noticed at another time than the whole: what is left of all is looked at.
        left = missing([*stored, *self.journal.gaps(exchange, symbol, after)])
        return [one for one in left if _touches(one.gap, start, end)]


def _touches(gap: AnyGap, start: int, end: int) -> bool:
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
