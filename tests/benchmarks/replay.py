"""How fast the daemon is on recorded traffic: ``python tests/benchmarks/replay.py [EXCHANGE=CAPTURE …]``.

A round plays one capture through the local exchange (a process of its own), over a real WebSocket on
loopback, into a fresh daemon: codec, journal, aggregator, warm store. Its clock runs from the first frame
received until every trade is applied, journalled and in the warm store. A latency is a trade's, from its
frame's arrival to its bar; at ``--speed max`` trades queue, so that most of it is waiting. Rounds of several
captures take turns.
"""

import argparse
import json
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import rounds
import trio

from actors import logs
from actors.cli.playing import playing, speed
from actors.playback.captures import bundled
from wadm.latency import Latency
from wadm.sections import LogSettings

#: Name and unit of a figure -> how a round's result gives it.
FIGURES: dict[str, Callable[[dict[str, Any]], float]] = {
    "trades/s": lambda result: result["trades"] / result["seconds"],
    "frames/s": lambda result: result["frames"] / result["seconds"],
    "CPU µs/trade": lambda result: 1e6 * result["cpu"] / result["trades"],
    "p50 µs": lambda result: result["p50"],
    "p95 µs": lambda result: result["p95"],
    "p99 µs": lambda result: result["p99"],
}


def main() -> int:
    """Measure, or play one round for the process that measures."""
    arguments = _parser().parse_args()
    captures = rounds.captures(arguments.captures, bundled())
    if arguments.round:
        print(json.dumps(trio.run(_round, *captures[0], arguments.speed)))
        return 0
    print(rounds.machine())
    results: dict[str, list[dict[str, Any]]] = {f"{name}={path}": [] for name, path in captures}
    for _ in range(arguments.rounds):
        for capture, played in results.items():
            played.append(rounds.in_child(__file__, "--speed", arguments.speed, capture))
    for capture, played in results.items():
        _report(capture, played)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="replay", description="Measure the whole daemon on recorded traffic."
    )
    parser.add_argument("captures", nargs="*", metavar="EXCHANGE=CAPTURE", help="default: the bundled one")
    parser.add_argument(
        "--rounds", type=rounds.count, default=7, metavar="N", help="rounds of each capture (default: 7)"
    )
    parser.add_argument(
        "--speed", default="max", type=speed, help="'max' (default), or times the recorded pace"
    )
    parser.add_argument("--round", action="store_true", help=argparse.SUPPRESS)
    return parser


async def _round(exchange: str, capture: Path, pace: str) -> dict[str, Any]:
    logs.configure(LogSettings(level="warning"))
    with trio.CancelScope() as starting:
        async with playing([capture], exchange, pace, starting) as played:
            runtime, cpu = played.runtime, time.process_time()
            complete = await played.complete()
            ended, cpu = time.perf_counter(), time.process_time() - cpu
            connections = runtime.connections.values()
            began = min(one.first_frame_clock for one in connections if one.first_frame_clock is not None)
            latency = Latency()
            for memory in runtime.symbols.values():
                latency.merge(memory.latency)
            return {
                "trades": runtime.ledger.total().applied,
                "frames": sum(one.frames for one in connections),
                "seconds": ended - began,
                "cpu": cpu,
                "whole": complete and runtime.statement()["balanced"],
                **latency.percentiles(),
            }
    raise SystemExit("bench: interrupted before it began")


def _report(capture: str, played: Sequence[dict[str, Any]]) -> None:
    first = played[0]
    content = f"{first['trades']} trades in {first['frames']} frames"
    print(f"\n{Path(capture).name}: {content}, {len(played)} rounds")
    print(rounds.heading())
    for name, figure in FIGURES.items():
        print(rounds.line(name, [figure(result) for result in played]))


if __name__ == "__main__":
    sys.exit(main())
