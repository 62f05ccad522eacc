"""Tables as Parquet: zstd, exact decimals (38 digits, 18 of them decimals), times as timestamps in UTC."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import IO, Any

import pyarrow as pa
import pyarrow.parquet as pq

from actors.storage.transfer.cells import CellError
from actors.storage.transfer.csv_file import FileError
from actors.storage.transfer.sheets import Cell, Column, Form, Row, Sheet
from wadm.numbers import MAX_DECIMALS

#: Rows that are held in memory at once, and make one row group.
GROUP = 8_192

_TYPES = {
    Form.TEXT: pa.string(),
    Form.WHOLE: pa.int64(),
    Form.EXACT: pa.decimal128(38, MAX_DECIMALS),
    Form.MOMENT: pa.timestamp("us", tz="UTC"),
    Form.SWITCH: pa.bool_(),
    Form.BYTES: pa.binary(),
}


def _type(column: Column) -> Any:
    if column.form is Form.LIST:
        return pa.list_(pa.struct([_field(item) for item in column.items]))
    return _TYPES[column.form]


def _field(column: Column) -> Any:
    return pa.field(column.name, _type(column), nullable=column.optional)


def _schema(sheet: Sheet) -> Any:
    return pa.schema([_field(column) for column in sheet.columns], metadata={"wadm": sheet.name})


def write(file: IO[bytes], sheet: Sheet, rows: Iterable[Row]) -> None:
    """Write a table. Raises FileError for a number of too many digits."""
    schema = _schema(sheet)
    with pq.ParquetWriter(file, schema, compression="zstd") as writer:
        rest = iter(rows)
        while group := list(islice(rest, GROUP)):
            columns = zip(sheet.columns, zip(*group, strict=True), strict=True)
            writer.write_batch(
                pa.record_batch([_packed(column, cells) for column, cells in columns], schema=schema)
            )


def _packed(column: Column, cells: Sequence[Cell]) -> Any:
    try:
        if column.form is Form.LIST:
            names = [item.name for item in column.items]
            cells = [[dict(zip(names, row, strict=True)) for row in cell] for cell in cells]  # type: ignore
        return pa.array(cells, _type(column))
    except pa.ArrowInvalid as error:
        raise FileError(
            f"{column.name} has a number that Parquet cannot hold ({error}): export CSV"
        ) from error


def header(path: Path) -> list[str]:
    """Return the column names of a file. Raises FileError."""
    with _opened(path) as file:
        return list(file.schema_arrow.names)


def read(path: Path, sheet: Sheet) -> Iterator[tuple[str, Row]]:
    """Yield each row with its place in the file. Raises FileError at the first that is not one."""
    with _opened(path) as file:
        found = file.schema_arrow
        for column in sheet.columns:
            _check(path, column, found.field(column.name).type)
        number = 0
        try:
            for batch in file.iter_batches(GROUP, columns=list(sheet.names)):
                columns = [_unpacked(batch.column(column.name), column) for column in sheet.columns]
                for row in zip(*columns, strict=True):
                    number += 1
                    _check_present(path, number, row, sheet)
                    yield f"row {number}", row
        except (pa.ArrowException, OSError) as error:
            raise FileError(f"{path} is damaged after row {number} ({_first_line(error)})") from error


def _check_present(path: Path, number: int, row: Row, sheet: Sheet) -> None:
    for cell, column in zip(row, sheet.columns, strict=True):
        if cell is None and not column.optional:
            raise FileError(f"{path} row {number}: {CellError(column, None)}")


def _opened(path: Path) -> Any:
    try:
        return pq.ParquetFile(path)
    except (pa.ArrowException, OSError) as error:
        raise FileError(
            f"{path} is not a whole Parquet file ({_first_line(error)}): it was cut off or damaged; "
            "export it again"
        ) from error


def _first_line(error: BaseException) -> str:
    return str(error).partition("\n")[0]


def _check(path: Path, column: Column, found: Any) -> None:
    if not _fits(column, found):
        raise FileError(f"{path}: column {column.name} is of type {found}; expected {_type(column)}")


def _fits(column: Column, found: Any) -> bool:
    """Say whether a type can hold the column exactly: a decimal of any size will do."""
    match column.form:
        case Form.EXACT:
            return bool(pa.types.is_decimal(found) and 0 <= found.scale <= MAX_DECIMALS)
        case Form.TEXT:
            return bool(pa.types.is_string(found) or pa.types.is_large_string(found))
        case Form.LIST:
            if not (pa.types.is_list(found) or pa.types.is_large_list(found)):
                return False
            inner = found.value_type
            return bool(
                pa.types.is_struct(inner)
                and [field.name for field in inner] == [item.name for item in column.items]
                and all(_fits(item, field.type) for item, field in zip(column.items, inner, strict=True))
            )
        case _:
            return bool(found == _type(column))


def _unpacked(array: Any, column: Column) -> list[Cell]:
    if column.form is Form.MOMENT:
        return list(array.cast(pa.int64()).to_pylist())
    cells = array.to_pylist()
    if column.form is Form.LIST:
        return [None if cell is None else [tuple(item.values()) for item in cell] for cell in cells]
    return list(cells)
