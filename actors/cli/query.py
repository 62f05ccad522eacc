"""``wadm query``: read profiles out of a data directory, with or without a daemon running on it."""

import argparse
from pathlib import Path
from typing import Any

import msgspec

from actors import stored
from actors.storage.reader import DataReader
from wadm import views
from wadm.coverage import KnownGap
from wadm.numbers import plain
from wadm.questions import PARAMETERS


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
    found = stored.profile(reader, given)
    one = found.window.instrument
    return {
        **views.heading(one, found.window.timeframe, found.start, found.end),
        **views.summary(found.bar, found.profile),
        "value_area": plain(found.profile.value_area),
        "method": str(found.profile.method),
        "partial": found.bar.partial,
        "gaps": [
            KnownGap(record.gap, record.state, record.reason).answer()
            for record in reader.gaps(one.exchange, one.symbol, found.start, found.end)
        ],
    }
