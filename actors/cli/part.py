"""What commands on stored data have in common: the part of it that is meant, and its reader."""

import argparse
from pathlib import Path

from actors.cli.where import RangeError
from actors.storage.reader import DataReader
from actors.storage.transfer.selection import FOREVER, Selection
from wadm.instants import parse_instant
from wadm.sections import StorageSettings


def add_selection(parser: argparse.ArgumentParser) -> None:
    """Declare the flags that choose a part of the data."""
    parser.add_argument("--exchange", metavar="NAME", help="only this exchange, such as binance")
    parser.add_argument("--symbol", help="only this symbol, such as BTCUSDT")
    parser.add_argument("--start", metavar="TIME", help="from when, ISO 8601, such as 2024-08-08T23:55:00Z")
    parser.add_argument("--end", metavar="TIME", help="until when, not included, ISO 8601")


def open_reader(storage: StorageSettings) -> DataReader:
    """Open the data for reading only. Raises StorageError."""
    return DataReader.open(Path(storage.data_dir), storage)


def selection_of(arguments: argparse.Namespace) -> Selection:
    """Return the part of the data that is meant. Raises RangeError."""
    start, end = _instant("--start", arguments.start, 0), _instant("--end", arguments.end, FOREVER)
    if start >= end:
        raise RangeError(f"--end is {arguments.end!r}; expected a time after --start ({arguments.start})")
    return Selection(arguments.exchange, arguments.symbol, start, end)


def _instant(flag: str, text: str | None, otherwise: int) -> int:
    if text is None:
        return otherwise
    try:
        return parse_instant(text)
    except ValueError as error:
        raise RangeError(
            f"{flag} is {text!r}; expected an ISO 8601 time, such as 2024-08-08T23:55:00Z"
        ) from error
