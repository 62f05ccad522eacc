"""What is stored, written to files: whole or not at all, and never over a file that is there unasked."""

import errno
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from enum import StrEnum
from pathlib import Path
from typing import IO, Any

import attrs

from actors.messages import GapRecord
from actors.storage.errors import DiskFull
from actors.storage.reader import DataReader
from actors.storage.transfer import csv_file, records
from actors.storage.transfer.selection import Selection
from actors.storage.transfer.sheets import BARS, SHEETS, TRADES, Row, Sheet
from wadm.coverage import Unreadable
from wadm.market import MINUTE
from wadm.mistakes import Mistake

#: Stands for the standard output.
STDOUT = "-"


class FileFormat(StrEnum):
    """How a table is written."""

    PARQUET = "parquet"
    CSV = "csv"


class ExportError(Mistake):
    """A destination that cannot be written; one sentence."""


@attrs.define
class Exported:
    """What was written of one symbol; ``first`` and ``last`` (µs) are None where nothing was, or no time is.

    ``kept_from`` (µs) is where the raw trades that are still kept begin, where older ones were asked for.
    ``unreadable`` is what should have been written, and could not be read.
    """

    exchange: str
    symbol: str
    place: str
    rows: int = 0
    first: int | None = None
    last: int | None = None
    gaps: Sequence[GapRecord] = ()
    kept_from: int | None = None
    unreadable: Sequence[Unreadable] = ()


@attrs.frozen
class Destination:
    """Where to: a file, a folder (a file for each symbol is made in it), or the standard output."""

    given: str
    form: FileFormat
    force: bool = False

    @classmethod
    def read(cls, given: str, form: str | None, *, force: bool) -> "Destination":
        """Return a destination; its format is the one named, else that of the ending. Raises ExportError."""
        ending = Path(given).suffix.removeprefix(".")
        folder = given.endswith(os.sep) or Path(given).is_dir()
        usual = ending if ending in list(FileFormat) and not folder else None
        if form is None and given != STDOUT and not folder and usual is None:
            raise ExportError(f"{given} ends neither in .parquet nor in .csv: give --format, or such a name")
        chosen = FileFormat(form or usual or (FileFormat.CSV if given == STDOUT else FileFormat.PARQUET))
        if given == STDOUT and chosen is FileFormat.PARQUET:
            raise ExportError(
                "Parquet cannot be written to the standard output: give a file, or --format csv"
            )
        return cls(given, chosen, force)

    @property
    def is_folder(self) -> bool:
        """Whether each symbol gets a file of its own."""
        return self.given.endswith(os.sep) or Path(self.given).is_dir()

    def path(self, sheet: Sheet, stream: tuple[str, str]) -> Path:
        """Return the file of a symbol."""
        if not self.is_folder:
            return Path(self.given)
        return Path(self.given) / f"{sheet.name}-{stream[0]}-{stream[1]}.{self.form}"


def export(reader: DataReader, what: str, chosen: Selection, to: Destination) -> list[Exported]:
    """Write what is stored; return what was written of each symbol. Raises ExportError or StorageError."""
    sheet, streams = SHEETS[what], chosen.streams(reader)
    done = [Exported(*stream, place=to.given) for stream in streams]
    if to.given == STDOUT:
        csv_file.write(sys.stdout, sheet, _counted(reader, sheet, chosen, done))
        sys.stdout.flush()
    elif to.is_folder:
        for one in done:
            path = to.path(sheet, (one.exchange, one.symbol))
            one.place = str(path)
            _write(path, sheet, to, _counted(reader, sheet, chosen, [one]))
    else:
        _write(to.path(sheet, streams[0]), sheet, to, _counted(reader, sheet, chosen, done))
    for one in done:
        _look_around(reader, sheet, chosen, one)
    return done


def _counted(reader: DataReader, sheet: Sheet, chosen: Selection, done: Sequence[Exported]) -> Iterator[Row]:
    """Yield the rows of some symbols, counting them."""
    time = None if sheet.time is None else sheet.place(sheet.time)
    for one in done:
        for row in records.rows(sheet, reader, (one.exchange, one.symbol), chosen):
            one.rows += 1
            if time is not None:
                at: Any = row[time]
                one.first = at if one.first is None else min(at, one.first)
                one.last = at if one.last is None else max(at, one.last)
            yield row


def _look_around(reader: DataReader, sheet: Sheet, chosen: Selection, one: Exported) -> None:
    """Note the gaps in what was written, and what is no longer kept."""
    if one.rows and sheet.time is not None:
        one.gaps = reader.gaps(one.exchange, one.symbol, chosen.start, chosen.end)
    if sheet is BARS and (known := reader.extent(one.exchange, one.symbol)):
        one.unreadable = reader.unreadable(one.exchange, one.symbol, *chosen.clipped(known))
    if sheet is TRADES:
        extent = reader.extent(one.exchange, one.symbol)
        kept = reader.journal.trades_extent(one.exchange, one.symbol)
        if extent and (kept is None or max(chosen.start, extent[0]) < kept[0] - kept[0] % MINUTE):
            one.kept_from = extent[1] if kept is None else kept[0]


def _write(path: Path, sheet: Sheet, to: Destination, rows: Iterator[Row]) -> None:
    if path.exists() and not to.force:
        raise ExportError(f"{path} is there already: give --force to replace it, or another name")
    if to.form is FileFormat.CSV:
        with _whole(path, "w") as file:
            csv_file.write(file, sheet, rows)
        return
    from actors.storage.transfer import parquet_file  # noqa: PLC0415  # pyarrow costs a second to import

    with _whole(path, "wb") as file:
        parquet_file.write(file, sheet, rows)


@contextmanager
def _whole(path: Path, mode: str) -> Iterator[IO[Any]]:
    """Lend a file that comes to stand at ``path`` when the block is done, or not at all."""
    fresh = path.with_name(f"{path.name}.part")
    text: dict[str, Any] = {} if "b" in mode else {"encoding": "utf-8", "newline": ""}
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with fresh.open(mode, **text) as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(path)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise DiskFull(
                f"no room left to write {path}: nothing was exported; free space on its disk"
            ) from error
        raise ExportError(f"{path} cannot be written ({error.strerror or error})") from error
    finally:
        with suppress(OSError):
            fresh.unlink()
