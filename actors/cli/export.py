"""``wadm export``: what is stored, as Parquet or CSV."""

import argparse
import sys

from actors.cli.part import add_selection, open_reader, selection_of
from actors.cli.where import add_place, storage_of
from actors.storage.transfer.export import Destination, Exported, FileFormat, export
from actors.storage.transfer.sheets import GAPS, SHEETS
from wadm.instants import iso

_TOLD = """
trades      raw trades, as long as they are kept; side is the taker's
bars        one-minute bars with their footprint, from every tier
profiles    volume profiles of every timeframe
order_flow  order flow of every timeframe
gaps        what is known to be missing, and what became of it
levels      liquidity levels as they stand
books       order books, as long as they are kept

Numbers are exact: decimals in Parquet (38 digits, 18 of them decimals), plain text in CSV. Times are
timestamps (µs, UTC) in Parquet, ISO 8601 in CSV. Lists within a CSV cell are JSON.
"""


def add_to(parser: argparse.ArgumentParser) -> None:
    """Declare the command."""
    parser.description = (
        "Write what is stored to Parquet or CSV files, beside a running daemon or without one."
    )
    parser.epilog = _TOLD
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("what", choices=list(SHEETS), metavar="WHAT", help=", ".join(SHEETS))
    parser.add_argument(
        "to", metavar="DEST", help="a file (.parquet, .csv), a folder (a file for each symbol), or - (CSV)"
    )
    add_place(parser)
    add_selection(parser)
    parser.add_argument("--format", choices=list(FileFormat), help="default: by the file's ending; parquet")
    parser.add_argument("--force", action="store_true", help="replace a file that is there already")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Export; 1 where nothing was found, or something of it could not be read."""
    chosen = selection_of(arguments)
    to = Destination.read(arguments.to, arguments.format, force=arguments.force)
    reader = open_reader(storage_of(arguments))
    try:
        done = export(reader, arguments.what, chosen, to)
    finally:
        reader.close()
    for one in done:
        print(told(arguments.what, one), file=sys.stderr)
    if any(one.unreadable for one in done):
        return 1
    # That nothing is missing is no failure.
    return 0 if arguments.what == GAPS.name or any(one.rows for one in done) else 1


def told(what: str, one: Exported) -> str:
    """Return a line on what was written of a symbol, its coverage and its gaps."""
    name = f"{one.exchange}:{one.symbol}"
    if not one.rows:
        said = f"{name}: no {what} in this range"
    else:
        span = "" if one.first is None or one.last is None else f", {iso(one.first)} to {iso(one.last)}"
        said = f"{name}: {one.rows} {what}{span}, to {one.place}"
    if one.kept_from is not None:
        said += f"; single trades before {iso(one.kept_from)} are no longer kept"
    for part in one.unreadable:
        said += f"; {iso(part.start)} to {iso(part.end)} could not be read: {part.reason}"
    missing = [record for record in one.gaps if record.state != "filled"]
    return said + (f"; {len(missing)} gaps in it (wadm export gaps tells them)" if missing else "")
