"""What is stored, row by row, in bounded memory: a stretch of time at once, symbol by symbol."""

from collections.abc import Callable, Iterator, Sequence

from actors.messages import (
    BarRecord,
    BookRecord,
    Entry,
    GapRecord,
    Kind,
    OrderFlowRecord,
    ProfileRecord,
    TradeBatch,
    key_of,
)
from actors.storage.journal_view import JournalView
from actors.storage.payload import GAP_STATES
from actors.storage.reader import DataReader
from actors.storage.runs import distinct, ordered, within
from actors.storage.store import Store
from actors.storage.transfer import entries, trades
from actors.storage.transfer.selection import FOREVER, Selection
from actors.storage.transfer.sheets import BARS, BOOKS, GAPS, LEVELS, ORDER_FLOW, PROFILES, TRADES, Row, Sheet
from wadm.market import HOUR, MINUTE
from wadm.timeframes import TIMEFRAMES

#: Windows that are read at once.
STRETCH = 360

#: Journal entries that are read at once.
PAGE = 500

Stream = tuple[str, str]
Window = ProfileRecord | OrderFlowRecord
#: Gives the method of a store that returns the windows of a timeframe in a range.
WindowsOf = Callable[[Store], Callable[[str, str, str, int, int], Sequence[Window]]]


def rows(sheet: Sheet, reader: DataReader, stream: Stream, chosen: Selection) -> Iterator[Row]:
    """Yield what is stored of a symbol, ascending in time as far as it was carried into the store."""
    yield from _ROWS[sheet.name](reader, stream, chosen)


def _trades(reader: DataReader, stream: Stream, chosen: Selection) -> Iterator[Row]:
    """Yield the raw trades that are still kept, each once, in their order."""
    extent = reader.journal.trades_extent(*stream)
    if extent is None:
        return
    start, end = chosen.clipped((extent[0], extent[1] + 1))
    for minute in _minutes_with_trades(reader.journal, stream, start, end):
        run = ordered(distinct(reader.journal.trades(*stream, minute, minute + MINUTE)))
        if run is not None:
            yield from trades.rows_of(within(run, start, end))


def _minutes_with_trades(journal: JournalView, stream: Stream, start: int, end: int) -> Iterator[int]:
    """Yield the minutes from ``start`` to ``end`` but for whole hours without a trade."""
    for hour in range(start - start % HOUR, end, HOUR):
        if next(journal.overlapping(*stream, hour, hour + HOUR), None) is not None:
            yield from (at for at in range(hour, hour + HOUR, MINUTE) if start < at + MINUTE and at < end)


def _bars(reader: DataReader, stream: Stream, chosen: Selection) -> Iterator[Row]:
    extent = reader.extent(*stream)
    if extent is None:
        return
    start, end = chosen.clipped(extent)
    for at in range(start, end, STRETCH * MINUTE):
        for bar in reader.bars(*stream, at, min(at + STRETCH * MINUTE, end)):
            yield entries.row_of(BARS, BarRecord(*stream, bar), stream)


def _windows(
    sheet: Sheet, kind: Kind, read: WindowsOf
) -> Callable[[DataReader, Stream, Selection], Iterator[Row]]:
    """Return what yields the windows of a kind."""

    def found(reader: DataReader, stream: Stream, chosen: Selection) -> Iterator[Row]:
        """Yield the store's windows, each in its highest revision, then those only the journal has yet."""
        after = 0 if reader.store is None else reader.store.cursor()
        newest: dict[tuple[str, int], int] = {}
        for one in _tail(reader.journal, kind, stream, chosen, after):
            key = one.timeframe, one.start
            newest[key] = max(one.revision, newest.get(key, 0))
        for one in _stored(reader, stream, chosen, read):
            if one.revision >= newest.get((one.timeframe, one.start), 0):
                newest.pop((one.timeframe, one.start), None)
                yield entries.row_of(sheet, one, stream)
        for one in _tail(reader.journal, kind, stream, chosen, after):
            if one.revision == newest.get((one.timeframe, one.start)):
                yield entries.row_of(sheet, one, stream)

    return found


def _stored(reader: DataReader, stream: Stream, chosen: Selection, read: WindowsOf) -> Iterator[Window]:
    """Yield the windows in the store, timeframe by timeframe."""
    extent = reader.extent(*stream)
    if reader.store is None or extent is None:
        return
    for timeframe, length in TIMEFRAMES.items():
        start, end = chosen.clipped((extent[0] - extent[0] % length, extent[1]))
        for at in range(start, end, STRETCH * length):
            yield from read(reader.store)(*stream, timeframe, at, min(at + STRETCH * length, end))


def _tail(
    journal: JournalView, kind: Kind, stream: Stream, chosen: Selection, after: int
) -> Iterator[Window]:
    """Yield the windows in the journal past ``after``."""
    for entry in _journalled(journal, kind, stream, after):
        if isinstance(entry, ProfileRecord | OrderFlowRecord) and chosen.start <= entry.start < chosen.end:
            yield entry


def _journalled(journal: JournalView, kind: Kind, stream: Stream, after: int) -> Iterator[Entry]:
    """Yield the journal's entries of one kind and symbol past ``after``."""
    name, last = ":".join(stream), journal.last_seq()
    while after < last:
        found, after = journal.read(after, PAGE, {kind})
        yield from (
            entry for _, entry in found if not isinstance(entry, TradeBatch) and key_of(entry) == name
        )


def _gaps(reader: DataReader, stream: Stream, chosen: Selection) -> Iterator[Row]:
    """Yield the gaps as they were recorded, each in its strongest state."""
    after, known = 0, list[GapRecord]()
    if reader.store is not None:
        after = reader.store.cursor()
        known += reader.store.gaps(*stream, 0, FOREVER)
    known += reader.journal.gaps(*stream, after)
    strongest: dict[object, GapRecord] = {}
    for record in known:
        gap = record.gap
        name = gap.id_kind, gap.first, gap.last
        held = strongest.get(name)
        if chosen.start <= gap.at < chosen.end and (held is None or _strength(held) <= _strength(record)):
            strongest[name] = record
    for record in sorted(strongest.values(), key=lambda one: one.gap.at):
        yield entries.row_of(GAPS, record, stream)


def _strength(record: GapRecord) -> int:
    return GAP_STATES.index(record.state)


def _levels(reader: DataReader, stream: Stream, chosen: Selection) -> Iterator[Row]:
    """Yield the levels known last; they belong to no range."""
    if reader.store is not None:
        yield from (entries.row_of(LEVELS, mark, stream) for mark in reader.store.levels(*stream))


def _books(reader: DataReader, stream: Stream, chosen: Selection) -> Iterator[Row]:
    """Yield the order books that the journal still keeps, in the order in which they were stored."""
    for entry in _journalled(reader.journal, Kind.BOOK, stream, 0):
        if isinstance(entry, BookRecord) and chosen.start <= entry.at < chosen.end:
            yield entries.row_of(BOOKS, entry, stream)


_ROWS = {
    TRADES.name: _trades,
    BARS.name: _bars,
    PROFILES.name: _windows(PROFILES, Kind.PROFILE, lambda store: store.profiles),
    ORDER_FLOW.name: _windows(ORDER_FLOW, Kind.ORDER_FLOW, lambda store: store.order_flows),
    GAPS.name: _gaps,
    LEVELS.name: _levels,
    BOOKS.name: _books,
}
