"""``wadm replay``: a capture through the whole daemon, over a real socket, and what came of it."""

import argparse
import time
from pathlib import Path
from typing import Any

import msgspec
import structlog
import trio

from actors import logs
from actors.answers.outcome import outcome
from actors.cli.playing import playing, speed
from actors.drill.course import Drill, DrillError
from actors.drill.drill import interruptible
from wadm.exchanges.registry import EXCHANGES
from wadm.sections import LogSettings

log = structlog.get_logger("replay")


def add_to(parser: argparse.ArgumentParser) -> None:
    """Declare the command."""
    parser.add_argument("captures", nargs="+", type=Path, metavar="CAPTURE")
    parser.add_argument("--exchange", required=True, choices=sorted(EXCHANGES), metavar="NAME")
    parser.add_argument("--speed", type=speed, help="'max' (default), or how many times the recorded pace")
    parser.add_argument("--row-size", metavar="D", help="row size of the profiles (default: the tick)")
    parser.add_argument(
        "--data-dir", type=Path, metavar="DIR", help="keep the data in DIR, which must be empty"
    )
    parser.add_argument("--chaos", type=int, metavar="SEED", help="with the faults of a drill of this seed")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Replay and print the result; 130 where it was interrupted."""
    logs.configure(LogSettings(level="warning"))
    play = _replay if arguments.chaos is None else _suffer
    came = trio.run(play, arguments, strict_exception_groups=True)
    if came is None:
        return 130
    if arguments.json:
        print(msgspec.json.encode(came).decode())
    else:
        _print(came)
    return 0 if came["ledger"]["balanced"] else 1


async def _replay(arguments: argparse.Namespace) -> dict[str, Any] | None:
    came = None
    with trio.CancelScope() as starting:
        async with playing(
            arguments.captures,
            arguments.exchange,
            arguments.speed or "max",
            starting,
            data_dir=arguments.data_dir,
        ) as played:
            if await played.complete():
                first = [one.first_frame_clock for one in played.runtime.connections.values()]
                seconds = time.perf_counter() - min(clock for clock in first if clock is not None)
                came = await outcome(played.daemon, arguments.row_size)
                rate = played.runtime.ledger.total().applied / seconds
                came |= {"seconds": round(seconds, 3), "trades_per_second": round(rate, 1)}
                if played.exchange.reframed_from is not None:
                    came["reframed_from"] = played.exchange.reframed_from
                if reconnects := sum(one.reconnects for one in played.runtime.connections.values()):
                    # Trades that were sent meanwhile were asked for over REST; nothing else was.
                    log.warning("connection_was_lost", times=reconnects, lost="frames that were no trades")
                    came["reconnects"] = reconnects
    return came


async def _suffer(arguments: argparse.Namespace) -> dict[str, Any] | None:
    """Replay with faults, paced so that a thousand of them fit."""
    for flag, value in (("--speed", arguments.speed), ("--data-dir", arguments.data_dir)):
        if value is not None:
            raise DrillError(f"{flag} cannot go with --chaos, which paces the playback and keeps no data")
    drill = Drill(arguments.captures, arguments.exchange, arguments.chaos, row_size=arguments.row_size)
    began = time.perf_counter()
    toll = await interruptible(drill)
    if toll is None:
        return None
    return {**toll.result, **toll.account(), "seconds": round(time.perf_counter() - began, 3)}


def _print(came: dict[str, Any]) -> None:
    for key, numbers in came["symbols"].items():
        print(key)
        for name, value in numbers.items():
            print(f"  {name:16} {value}")
    for key, numbers in came["books"].items():
        print(f"{key} order book")
        for name, value in numbers.items():
            print(f"  {name:22} {value}")
    print("ledger")
    for name, value in came["ledger"].items():
        print(f"  {name:16} {value}")
    print(f"gaps               {len(came['gaps'])}")
    print(f"seconds            {came['seconds']}")
    if "trades_per_second" in came:
        print(f"trades per second  {came['trades_per_second']}")
    for name, value in came.get("faults", {}).items():
        print(f"{name:18} {value}")
