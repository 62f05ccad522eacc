"""A file that may hold a table of ours: which one, and its rows."""

import errno
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import attrs

from actors.storage.transfer import csv_file
from actors.storage.transfer.csv_file import FileError
from actors.storage.transfer.sheets import SHEETS, Row, Sheet

#: How a Parquet file begins.
_PARQUET = b"PAR1"


@attrs.frozen
class Source:
    """A file and the table in it."""

    path: Path
    sheet: Sheet
    parquet: bool

    @classmethod
    def open(cls, path: Path) -> "Source":
        """Return what a file holds by its content, whatever its name. Raises FileError for a foreign one."""
        try:
            with path.open("rb") as file:
                parquet = file.read(len(_PARQUET)) == _PARQUET
        except OSError as error:
            what = "is a folder: name the files in it" if error.errno == errno.EISDIR else error.strerror
            raise FileError(f"{path} cannot be read: {what}") from error
        names = (_parquet() if parquet else csv_file).header(path)
        return cls(path, _sheet(path, names), parquet)

    def rows(self) -> Iterator[tuple[str, Row]]:
        """Yield each row with its place in the file. Raises FileError."""
        return (
            _parquet().read(self.path, self.sheet) if self.parquet else csv_file.read(self.path, self.sheet)
        )


def _parquet() -> ModuleType:
    from actors.storage.transfer import parquet_file  # noqa: PLC0415  # pyarrow costs a second to import

    return parquet_file


def _sheet(path: Path, names: list[str]) -> Sheet:
    """Return the table with these columns. Raises FileError that names what is missing or too much."""
    for sheet in SHEETS.values():
        if tuple(names) == sheet.names:
            return sheet
    near = max(SHEETS.values(), key=lambda sheet: len({*names} & {*sheet.names}))
    if len({*names} & {*near.names}) < len(near.names) // 2:
        raise FileError(
            f"{path} holds no table of `wadm export`: its columns are {', '.join(names[:12])[:200] or 'none'}"
        )
    missing = [name for name in near.names if name not in names]
    extra = [name for name in names if name not in near.names]
    said = [f"has no column {', '.join(missing)}"] * bool(missing) + [f"has {', '.join(extra)}"] * bool(extra)
    why = " and ".join(said) or "has its columns in another order"
    raise FileError(f"{path} looks like {near.name} but {why}; expected {', '.join(near.names)}")
