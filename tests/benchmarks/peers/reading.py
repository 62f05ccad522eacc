"""What the readers have in common, ours and the peers': what they are told, and what they report.

A reader is a process of its own: ``read_NAME.py --exchange E --url wss://… --trades N`` connects, handles
the first N trades and prints one JSON line: ``trades``, ``volume`` (text, exact), and the ``seconds`` and
``cpu`` seconds from the first one received to the last one handled. This module needs nothing but Python,
since it runs in the peers' environments.
"""

import argparse
import json
import os
import sys
import time
from decimal import Decimal
from typing import NoReturn

STREAM = "btcusdt@aggTrade"

_parser = argparse.ArgumentParser(description="Read a benchmark's trades.")
_parser.add_argument("--exchange", choices=("binance_usdm", "bybit"), required=True)
_parser.add_argument("--url", required=True)
_parser.add_argument("--trades", type=int, required=True)
_parser.add_argument("--fold", action="store_true", help="aggregate what is read as well")
_parser.add_argument("--core", type=int)


def told() -> argparse.Namespace:
    """Return what this reader was told, and keep to its core."""
    arguments = _parser.parse_args()
    if arguments.core is not None:
        os.sched_setaffinity(0, {arguments.core})
    return arguments


class Stopwatch:
    """Runs from the first trade received to the last one handled."""

    def __init__(self) -> None:
        self._began = self._cpu = 0.0

    def start(self) -> None:
        """Note that the first trade has come."""
        self._began, self._cpu = time.perf_counter(), time.process_time()

    def stop(self, trades: int, volume: Decimal) -> NoReturn:
        """Report, and end the process at once: whatever the peer still does is not measured."""
        ended, cpu = time.perf_counter(), time.process_time()
        report = {
            "trades": trades,
            "volume": f"{volume.normalize():f}",
            "seconds": ended - self._began,
            "cpu": cpu - self._cpu,
        }
        print(json.dumps(report))
        sys.stdout.flush()
        os._exit(0)
