"""``wadm replay``: a capture through the whole daemon, over a real socket, and what came of it."""

import argparse
import time
from pathlib import Path
from typing import Any

import msgspec
import trio

from actors import logs
from actors.cli.playing import Playing, playing
from actors.playback.player import parse_speed
from wadm.exchanges.registry import EXCHANGES
from wadm.settings import LogSettings


def add_to(commands: Any) -> None:
    """Declare the command."""
    parser = commands.add_parser("replay", help="drive the whole daemon with a recorded capture, then exit")
    parser.add_argument("captures", nargs="+", type=Path, metavar="CAPTURE")
    parser.add_argument("--exchange", required=True, choices=sorted(EXCHANGES), metavar="NAME")
    parser.add_argument("--speed", default="max", help="'max' (default), or how many times the recorded pace")
    parser.add_argument("--row-size", metavar="D", help="row size of the profiles (default: the tick)")
    parser.add_argument("--data-dir", type=Path, metavar="DIR", help="keep the data in DIR, which must be empty")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Replay and print the result; 130 where it was interrupted."""
    logs.configure(LogSettings(level="warning"))
    parse_speed(arguments.speed)
    result = trio.run(_replay, arguments, strict_exception_groups=True)
    if result is None:
        return 130
    if arguments.json:
        print(msgspec.json.encode(result).decode())
    else:
        _print(result)
    return 0 if result["ledger"]["balanced"] else 1


async def _replay(arguments: argparse.Namespace) -> dict[str, Any] | None:
    async with playing(
        arguments.captures, arguments.exchange, arguments.speed, data_dir=arguments.data_dir
    ) as played:
        if not await played.complete():
            return None
        first = [one.first_frame_clock for one in played.runtime.connections.values()]
        seconds = time.perf_counter() - min(clock for clock in first if clock is not None)
        return await _result(played, arguments.row_size, seconds)


async def _result(played: Playing, row_size: str | None, seconds: float) -> dict[str, Any]:
    queries, runtime = played.daemon.queries, played.runtime
    asked = {} if row_size is None else {"row_size": row_size}
    symbols = {
        key: await queries.summary({"exchange": one.exchange, "symbol": one.symbol, **asked})
        for key, one in sorted(queries.instruments.items())
    }
    ledger = runtime.statement()
    return {
        "symbols": symbols,
        "ledger": ledger,
        "gaps": queries.gaps(),
        "seconds": round(seconds, 3),
        "trades_per_second": round(runtime.ledger.total().applied / seconds, 1),
    }


def _print(result: dict[str, Any]) -> None:
    for key, numbers in result["symbols"].items():
        print(key)
        for name, value in numbers.items():
            print(f"  {name:16} {value}")
    print("ledger")
    for name, value in result["ledger"].items():
        print(f"  {name:16} {value}")
    print(f"gaps               {len(result['gaps'])}")
    print(f"seconds            {result['seconds']}")
    print(f"trades per second  {result['trades_per_second']}")
