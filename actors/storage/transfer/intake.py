"""What an export wrote, taken into a data directory: into its journal, from where every tier gets it.

Nothing is stored before every file was read to its end and found sound. What is there already is not stored
again, so that an import that was cut short (a full disk, a kill) is simply begun anew.
"""

from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path

import attrs

from actors.memory import Numbering
from actors.messages import BarRecord, Entry, TradeBatch
from actors.storage.errors import StorageError
from actors.storage.journal import Journal
from actors.storage.reader import DataReader
from actors.storage.recount import recounted
from actors.storage.transfer import entries, trades
from actors.storage.transfer.csv_file import FileError
from actors.storage.transfer.entries import EntryError, Fields
from actors.storage.transfer.sheets import LEVELS, TRADES
from actors.storage.transfer.source import Source
from wadm.exchanges.registry import EXCHANGES
from wadm.market import MINUTE, IdKind
from wadm.sections import is_symbol

#: Rows that are gathered before they are stored, and entries in one transaction.
GATHERED = 5_000
RUN = 256

Stream = tuple[str, str]
#: A symbol's kind of ids and a minute: within it an id is looked for.
Place = tuple[str, str, str, int]


@attrs.define
class Imported:
    """What came of one file: how many rows it has, and how many of them were new."""

    path: Path
    what: str
    rows: int = 0
    new: int = 0


@attrs.define(eq=False)
class Intake:
    """Takes files into the journal of a directory that this process holds. Raises FileError, StorageError.

    ``minutes`` are those, by symbol, into which trades were taken.
    """

    journal: Journal
    _incarnation: int = attrs.field(init=False)
    _numbers: dict[Stream, int] = attrs.field(factory=dict, init=False)
    _known: dict[Place, set[str]] = attrs.field(factory=dict, init=False)
    minutes: dict[Stream, set[int]] = attrs.field(factory=dict, init=False)

    def __attrs_post_init__(self) -> None:
        self._incarnation = Numbering(self.journal.next_epoch()).incarnation()

    def take(self, source: Source) -> Imported:
        """Store what a file holds that was checked before."""
        came = Imported(source.path, source.sheet.name)
        try:
            self._take(source, came)
        except StorageError as error:
            if came.new:
                raise StorageError(
                    f"{source.path} was imported as far as its row {came.rows}, then {error}; "
                    "import it again, and the rest is stored"
                ) from error
            raise
        return came

    def _take(self, source: Source, came: Imported) -> None:
        if source.sheet is not TRADES:
            for run in _runs(entries.entry_of(source.sheet, row) for _, row in source.rows()):
                came.new += self._append(run)
                came.rows += len(run)
            return
        for gathered in _gathered(source):
            batches = [one for one in map(self._batch, _by_minute(gathered)) if one is not None]
            self._append(batches)
            came.new += sum(len(batch.trades) for batch in batches)
            came.rows += len(gathered)

    def _append(self, found: Sequence[Entry]) -> int:
        before = self.journal.last_seq()
        return self.journal.append(found) - before

    # --- trades ---

    def _batch(self, minute: tuple[Place, list[Fields]]) -> TradeBatch | None:
        """Return the trades of one minute that are not in the journal yet, None where none is new."""
        (exchange, symbol, id_kind, start), found = minute
        stream = exchange, symbol
        known = self._ids(minute[0])
        fresh = trades.TradeRows(*stream, IdKind(id_kind), EXCHANGES[exchange].ids_count_up)
        for fields in found:
            if fields["trade_id"] not in known:
                known.add(fields["trade_id"])
                fresh.rows.append(fields)
        # Also where none is new: an import that was cut short may have stored them and not made the bar.
        self.minutes.setdefault(stream, set()).add(start)
        if not fresh.rows:
            return None
        self._numbers[stream] = number = self._numbers.get(stream, 0) + 1
        run = fresh.trades()
        return TradeBatch(run, self._incarnation, number, self.journal.clock(), 0.0, max(run.times))

    def _ids(self, place: Place) -> set[str]:
        """Return the ids in the journal of a minute. That of the minute before is let go."""
        if place not in self._known:
            for other in [one for one in self._known if one[:3] == place[:3]]:
                del self._known[other]
            exchange, symbol, id_kind, start = place
            kept = self.journal.trades(exchange, symbol, start, start + MINUTE)
            self._known[place] = {str(one) for run in kept if run.id_kind == id_kind for one in run.ids}
        return self._known[place]

    def make_bars(self, reader: DataReader) -> int:
        """Make the bars of the minutes into which trades were taken; return how many are new or fuller.

        A bar that knows of more trades than are kept stays as it is. The last minute of a symbol, if nothing
        later is known of it, is marked partial: its data ends there.
        """
        made = 0
        for stream, minutes in self.minutes.items():
            extent = reader.extent(*stream)
            end = max(max(minutes) + 1, extent[1] if extent else 0)
            found = (bar for at in sorted(minutes) if (bar := self._bar(reader, stream, at, end)) is not None)
            made += sum(self._append(run) for run in _runs(found))
        return made

    def _bar(self, reader: DataReader, stream: Stream, start: int, end: int) -> BarRecord | None:
        bar = recounted(self.journal, *stream, start)
        stored = next(iter(reader.bars(*stream, start, start + MINUTE)), None)
        if reader.archive is not None:
            for part in reader.archive.unreadable(*stream, start, start + MINUTE):
                raise StorageError(part.reason)
        if stored is not None:
            if stored.buy_trades + stored.sell_trades >= bar.buy_trades + bar.sell_trades:
                return None
            bar.revision = stored.revision + 1
        bar.partial = bar.end > end
        return BarRecord(*stream, bar)


def check(source: Source) -> None:
    """Read a file to its end. Raises FileError with the place of the first row that cannot be used."""
    if source.sheet is LEVELS:
        raise FileError(f"{source.path} holds levels, which are made anew from bars: import bars or trades")
    for place, row in source.rows():
        try:
            _check_name(str(row[0]), str(row[1]))
            if source.sheet is TRADES:
                trades.check_trade(row, counted=EXCHANGES[str(row[0])].ids_count_up)
            else:
                entries.entry_of(source.sheet, row)
        except EntryError as error:
            raise FileError(f"{source.path} {place}: {error}") from error


def _check_name(exchange: str, symbol: str) -> None:
    if exchange not in EXCHANGES:
        raise EntryError(f"exchange is {exchange[:40]!r}; expected one of {', '.join(EXCHANGES)}")
    if not is_symbol(symbol):
        raise EntryError(f"symbol is {symbol[:40]!r}; expected a name such as BTCUSDT")


def _gathered(source: Source) -> Iterator[list[Fields]]:
    """Yield trades in runs."""
    gathered: list[Fields] = []
    for _, row in source.rows():
        gathered.append(trades.check_trade(row, counted=EXCHANGES[str(row[0])].ids_count_up))
        if len(gathered) == GATHERED:
            yield gathered
            gathered = []
    if gathered:
        yield gathered


def _by_minute(gathered: Sequence[Fields]) -> list[tuple[Place, list[Fields]]]:
    """Return trades by symbol, kind of ids and minute; within a minute in their order in the file."""

    def place(fields: Fields) -> Place:
        start = fields["time"] - fields["time"] % MINUTE
        return fields["exchange"], fields["symbol"], fields["id_kind"], start

    return [(name, list(found)) for name, found in groupby(sorted(gathered, key=place), key=place)]


def _runs(found: Iterator[Entry]) -> Iterator[list[Entry]]:
    run: list[Entry] = []
    for entry in found:
        run.append(entry)
        if len(run) == RUN:
            yield run
            run = []
    if run:
        yield run
