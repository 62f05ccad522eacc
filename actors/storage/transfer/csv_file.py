"""Tables as CSV (RFC 4180, UTF-8): a line of column names, plain numbers, ISO 8601 times, JSON lists."""

import csv
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO

from actors.storage.transfer import cells
from actors.storage.transfer.sheets import Row, Sheet
from wadm.mistakes import Mistake

#: The longest cell (characters): the footprint of a wild minute.
LONGEST = 1 << 26


class FileError(Mistake):
    """A file that cannot be read as one of ours; the message names it, and the place in it."""


def write(file: IO[str], sheet: Sheet, rows: Iterable[Row]) -> None:
    """Write a table."""
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(sheet.names)
    writer.writerows(cells.write(row, sheet.columns) for row in rows)


def header(path: Path) -> list[str]:
    """Return the column names of a file. Raises FileError."""
    with path.open(encoding="utf-8", newline="") as file:
        try:
            return next(csv.reader(file), [])
        except (csv.Error, UnicodeDecodeError) as error:
            raise FileError(f"{path} is neither Parquet nor CSV in UTF-8 ({error})") from error


def read(path: Path, sheet: Sheet) -> Iterator[tuple[str, Row]]:
    """Yield each row with its place in the file. Raises FileError at the first that is not one."""
    csv.field_size_limit(LONGEST)
    if not _ends_well(path):
        raise FileError(f"{path} ends in the middle of a line: it was cut off; export it again")
    with path.open(encoding="utf-8", newline="") as file:
        reader = csv.reader(file, strict=True)
        try:
            next(reader)
            for texts in reader:
                place = f"line {reader.line_num}"
                if len(texts) != len(sheet.columns):
                    raise FileError(
                        f"{path} {place} has {len(texts)} cells; expected {len(sheet.columns)} "
                        f"({', '.join(sheet.names)})"
                    )
                yield place, tuple(map(cells.read, texts, sheet.columns))
        except cells.CellError as error:
            raise FileError(f"{path} line {reader.line_num}: {error}") from error
        except (csv.Error, UnicodeDecodeError) as error:
            raise FileError(f"{path} line {reader.line_num + 1} is not CSV in UTF-8 ({error})") from error


def _ends_well(path: Path) -> bool:
    with path.open("rb") as file:
        file.seek(0, 2)
        if file.tell() == 0:
            return True
        file.seek(-1, 2)
        return file.read(1) == b"\n"
