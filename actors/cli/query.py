"""``wadm query``: read profiles out of a data directory, with or without a daemon running on it."""

import argparse
from pathlib import Path
from typing import Any

import msgspec

from actors.configuration import load_listing
from actors.queries import make_profile
from actors.storage.reader import DataReader
from wadm import views
from wadm.coverage import gap_answer
from wadm.market import Instrument
from wadm.numbers import plain
from wadm.questions import PARAMETERS, Unavailable, Window, read_window
from wadm.timeframes import window as window_of


def add_to(commands: Any) -> None:
    """Declare the command."""
    parser = commands.add_parser("query", help="read what a data directory holds")
    parser.add_argument("what", choices=("profile",))
    parser.add_argument("--data-dir", type=Path, required=True, metavar="DIR")
    parser.add_argument("--exchange", required=True)
    parser.add_argument("--symbol", required=True)
    parser.add_argument("--timeframe", help="the latest window of 1m, 5m, 15m, 1h, 4h or 1d")
    parser.add_argument("--start", help="ISO 8601, a whole minute")
    parser.add_argument("--end", help="ISO 8601, a whole minute")
    parser.add_argument("--row-size", metavar="D", help="default: the tick")
    parser.add_argument("--value-area", metavar="SHARE", help="default: 0.7")
    parser.add_argument("--method", help="pair (default) or single_row")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Answer from the data directory."""
    given = {name: value for name in PARAMETERS if (value := getattr(arguments, name, None)) is not None}
    reader = DataReader.open(arguments.data_dir)
    try:
        answer = _profile(reader, given)
    finally:
        reader.close()
    if arguments.json:
        print(msgspec.json.encode(answer).decode())
    else:
        for name, value in answer.items():
            print(f"{name:16} {value}")
    return 0


def _profile(reader: DataReader, given: dict[str, str]) -> dict[str, object]:
    listing = load_listing()
    instruments = {
        f"{exchange}:{symbol}": listing.get(f"{exchange}:{symbol}") or Instrument(exchange, symbol)
        for exchange, symbol in reader.symbols()
    }
    window = read_window(given, instruments, everything=True)
    start, end = _span(reader, window)
    one = window.instrument
    bar = reader.merged(one.exchange, one.symbol, start, end)
    made = make_profile(window, bar)
    return {
        **views.heading(one, window.timeframe, start, end),
        **views.summary(bar, made),
        "value_area": plain(made.value_area),
        "method": str(made.method),
        "partial": bar.partial,
        "gaps": [
            gap_answer(record.gap, record.state) for record in reader.gaps(one.exchange, one.symbol, start, end)
        ],
    }


def _span(reader: DataReader, window: Window) -> tuple[int, int]:
    """Return the span that is meant: as given, the window that holds the newest trade, or everything."""
    if window.start is not None and window.end is not None:
        return window.start, window.end
    one = window.instrument
    known = reader.span(one.exchange, one.symbol)
    if known is None:
        raise Unavailable(one.key, "no trade of it is stored")
    return known if window.timeframe is None else window_of(window.timeframe, known[1] - 1)
