"""``wadm drill``: a recording with faults and the same clean, compared to the last trade."""

import argparse
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import trio

from actors import logs
from actors.answers.outcome import outcome
from actors.cli.playing import playing
from actors.drill import windows
from actors.drill.course import Drill
from actors.drill.drill import interruptible
from actors.drill.schedule import KINDS, KindError, read_kinds
from actors.drill.toll import Toll
from actors.playback.captures import bundled
from wadm.exchanges.registry import EXCHANGES
from wadm.sections import LogSettings

#: The exchange of the bundled recording.
EXCHANGE = "binance"


def kinds(text: str) -> tuple[str, ...]:
    """Check ``--faults`` for argparse."""
    try:
        return read_kinds(text)
    except KindError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def positive(text: str) -> float:
    """Check a number above 0 for argparse."""
    try:
        number = float(text)
    except ValueError:
        number = 0.0
    if not 0 < number < 1e6:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number above 0")
    return number


def whole(text: str) -> int:
    """Check a whole number above 0 for argparse."""
    if not (text.isascii() and text.isdigit() and 0 < int(text) < 1e6):
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number above 0")
    return int(text)


def add_to(parser: argparse.ArgumentParser) -> None:
    """Declare the command."""
    parser.add_argument("captures", nargs="*", type=Path, metavar="CAPTURE", help="default: the bundled one")
    parser.add_argument("--exchange", choices=sorted(EXCHANGES), metavar="NAME")
    parser.add_argument("--seed", type=int, required=True, metavar="N", help="draws the faults")
    parser.add_argument("--faults", type=kinds, default=KINDS, metavar="KINDS", help=f"of {','.join(KINDS)}")
    parser.add_argument("--count", type=whole, default=1_000, metavar="N", help="faults (default: 1000)")
    parser.add_argument(
        "--rate", type=positive, default=10.0, metavar="R", help="faults a second (default: 10)"
    )
    parser.add_argument("--row-size", metavar="D", help="row size of the profiles (default: the tick)")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Drill; 0 only if the daemon that suffered knows exactly what the undisturbed one knows."""
    logs.configure(LogSettings(level="error"))
    captures = arguments.captures or [bundled()]
    drill = Drill(
        captures, exchange_of(arguments), arguments.seed, arguments.faults, arguments.count, arguments.rate,
        arguments.row_size,
    )  # fmt: skip
    report = trio.run(_drill, drill, strict_exception_groups=True)
    if report is None:
        return 130
    if arguments.json:
        print(msgspec.json.encode(report).decode())
    else:
        _print(report)
    return 0 if report["match"] else 1


def exchange_of(arguments: argparse.Namespace) -> str:
    """Return the exchange that the captures are of."""
    if arguments.captures and arguments.exchange is None:
        raise KindError("--exchange is missing; name the exchange that the captures were recorded from")
    return arguments.exchange or EXCHANGE


async def _drill(drill: Drill) -> dict[str, Any] | None:
    began = time.perf_counter()
    toll = await interruptible(drill)
    if toll is None:
        return None
    clean = None
    with trio.CancelScope() as starting:
        async with playing(drill.captures, drill.exchange, "max", starting) as played:
            if await played.complete():
                clean = await outcome(played.daemon, drill.row_size)
                clean["recorded"] = await trio.to_thread.run_sync(
                    windows.digests, played.daemon.runtime.store
                )
    return None if clean is None else report(drill, toll, clean, time.perf_counter() - began)


def report(drill: Drill, toll: Toll, clean: Mapping[str, Any], seconds: float) -> dict[str, Any]:
    """Compare what the daemon under test ended with, in memory and on disk, with the clean run."""
    differing = sorted(
        key
        for key in clean["symbols"]
        if not clean["symbols"][key] == toll.result["symbols"].get(key) == toll.on_disk.get(key)
    )
    recorded = [key for key in clean["symbols"] if clean["recorded"].get(key) != toll.recorded.get(key)]
    balanced = toll.result["ledger"]["balanced"] and clean["ledger"]["balanced"]
    return {
        "match": not differing and not recorded and balanced and not toll.result["gaps"],
        "seed": drill.seed,
        **toll.account(),
        "ledger": toll.result["ledger"],
        "gaps": toll.result["gaps"],
        "symbols": toll.result["symbols"],
        "differing": {
            key: {
                "clean": clean["symbols"][key],
                "memory": toll.result["symbols"].get(key),
                "disk": toll.on_disk.get(key),
            }
            for key in differing
        },
        "differing_records": {
            key: {"clean": clean["recorded"].get(key), "disk": toll.recorded.get(key)} for key in recorded
        },
        "seconds": round(seconds, 1),
    }


def _print(report: Mapping[str, Any]) -> None:
    print("match" if report["match"] else "NO MATCH", f"(seed {report['seed']}, {report['seconds']} s)")
    for title in ("faults", "restarts_by_kind", "recovery_ms", "ledger", "differing", "differing_records"):
        print(title.replace("_", " "))
        for name, value in report[title].items():
            print(f"  {name:16} {value}")
    print(f"gaps left          {len(report['gaps'])}")
