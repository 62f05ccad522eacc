"""A recording played with a hundred cut connections and a rollover as after 24 hours: what was lost of it?

    python tests/benchmarks/reconnects.py --exchange binance_usdm CAPTURE...

Prints what the daemon received, what came twice, which ids are missing, and whether its numbers are those of
an undisturbed replay.
"""

import argparse
import sys
import tempfile
import time
from pathlib import Path

import attrs
import trio

from actors import logs, plan
from actors.answers.outcome import outcome
from actors.background import background
from actors.configuration import load_listing
from actors.crews import Reconnecting
from actors.daemon import open_daemon
from actors.playback.capture import read_capture
from actors.playback.faults import DISCONNECT, Fault
from actors.playback.process import local_exchange
from supervision import Backoff, BreakerPolicy
from wadm.sections import HttpSettings, LogSettings
from wadm.settings import Settings

QUICK = Reconnecting(
    Backoff(minimum=0.01, maximum=0.05, reset_after=0.2),
    BreakerPolicy(window=500, minimum_calls=500, failure_rate=1.0, open_seconds=0.1),
    quiet_after=None,
    lifetime=None,
)


@attrs.frozen
class Came:
    symbols: object
    statement: dict[str, object]
    gaps: int
    reconnects: int
    rollovers: int
    seconds: float


async def played(
    captures: list[Path], exchange: str, speed: float, faults: list[Fault], kept: Reconnecting
) -> Came:
    settings = Settings(http=HttpSettings(port=0))
    began = time.perf_counter()
    with tempfile.TemporaryDirectory() as directory:
        async with local_exchange(captures, exchange=exchange, speed=speed, faults=faults) as server:
            what = plan.recorded(exchange, server.url, server.rest_url, server.streams, load_listing())
            async with (
                open_daemon(settings, what, Path(directory), reconnecting=kept) as daemon,
                background() as tasks,
            ):
                await tasks.start(daemon.run)
                await daemon.runtime.complete()
                numbers = await outcome(daemon, None)
                connections = daemon.runtime.connections.values()
                came = Came(
                    numbers["symbols"],
                    numbers["ledger"],
                    len(numbers["gaps"]),
                    sum(one.reconnects for one in connections),
                    sum(one.rollovers for one in connections),
                    time.perf_counter() - began,
                )
                daemon.stop()
                await daemon.ended.wait()
    return came


async def compare(arguments: argparse.Namespace) -> int:
    frames = len(read_capture(arguments.captures).frames)
    step = frames // (arguments.cuts + 1)
    faults = [Fault(step * number, DISCONNECT) for number in range(1, arguments.cuts + 1)]
    once = attrs.evolve(QUICK, lifetime=arguments.lifetime)
    clean = await played(arguments.captures, arguments.exchange, float("inf"), [], QUICK)
    # A rollover wants a connection that lives long enough for it: it gets a playback of its own.
    rolled = await played(arguments.captures, arguments.exchange, arguments.speed, [], once)
    cut = await played(arguments.captures, arguments.exchange, arguments.speed, faults, QUICK)
    lost = False
    for name, came in (("undisturbed", clean), ("rollover", rolled), ("cut", cut)):
        same = came.symbols == clean.symbols
        lost = lost or not same or came.gaps > 0
        ledger = came.statement
        print(
            f"{name:12} received {ledger['received']}, applied {ledger['applied']}, "
            f"twice {ledger['duplicate']}, gaps left {came.gaps}, reconnects {came.reconnects}, "
            f"rollovers {came.rollovers}, same numbers: {same}, {came.seconds:.1f} s"
        )
    return int(lost)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("captures", nargs="+", type=Path)
    parser.add_argument("--exchange", required=True)
    parser.add_argument("--cuts", type=int, default=110)
    parser.add_argument("--speed", type=float, default=15.0)
    parser.add_argument(
        "--lifetime", type=float, default=8.0, help="seconds until the connection is replaced"
    )
    logs.configure(LogSettings(level="error"))
    return trio.run(compare, parser.parse_args())


if __name__ == "__main__":
    sys.exit(main())
