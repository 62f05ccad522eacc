"""How fast the whole daemon is on one core, the exchange on another: ``python tests/benchmarks/whole.py``.

A round starts a fresh daemon (journal, embedded warm store, HTTP and MCP up), pinned to one core, on the load
of ``load.py`` over TLS, sent from another core. Its clock runs from the first frame received until every
trade is applied, journalled and in the warm store. A latency is a trade's, from the socket read that brought
it to its bar; at most speed it is mostly waiting: ``--rate`` says how many frames come in a second, one by
one or ``--burst`` at a time.
"""

import argparse
import json
import os
import sys
import tempfile
import time
from decimal import Decimal
from pathlib import Path
from typing import Any

import attrs
import load
import rounds
import trio

import actors.front.front  # noqa: F401  # a second's import, which would fall into the measurement otherwise
from actors import garbage, logs, plan
from actors.background import background
from actors.configuration import load_listing
from actors.daemon import open_daemon
from actors.memory import SymbolMemory
from wadm.latency import Latency
from wadm.numbers import to_decimal
from wadm.sections import HttpSettings, LogSettings
from wadm.settings import Settings

#: Name and unit of a figure -> how a round's result gives it.
FIGURES = {
    "trades/s": lambda result: result["trades"] / result["seconds"],
    "CPU µs/trade": lambda result: 1e6 * result["cpu"] / result["trades"],
    "  of the loop": lambda result: 1e6 * result["loop"] / result["trades"],
    "batches": lambda result: result["batches"],
    "p50 µs": lambda result: result["p50"],
    "p95 µs": lambda result: result["p95"],
    "p99 µs": lambda result: result["p99"],
}


def main() -> int:
    """Measure, or play one round for the process that measures."""
    arguments = _parser().parse_args()
    if arguments.round:
        os.sched_setaffinity(0, {0})
        print(json.dumps(trio.run(_round, json.loads(arguments.round))))
        return 0
    print(rounds.machine())
    options = ["--exchange", arguments.exchange, "--trades", str(arguments.trades), "--core", "1"]
    if arguments.rate is not None:
        options += ["--rate", str(arguments.rate), "--burst", str(arguments.burst)]
    with load.serving(*options, *(["--plain"] if arguments.plain else [])) as server:
        os.environ["SSL_CERT_FILE"] = server.certificate or ""
        what = {"exchange": arguments.exchange, **attrs.asdict(server)}
        played = [rounds.in_child(__file__, json.dumps(what)) for _ in range(arguments.rounds)]
    print(f"{arguments.exchange}: {server.trades} trades in {server.frames} frames, {len(played)} rounds")
    print(rounds.heading())
    for name, figure in FIGURES.items():
        print(rounds.line(name, [figure(result) for result in played], places=1 if "CPU" in name else 0))
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="whole", description="Measure the whole daemon on one core.")
    parser.add_argument("--exchange", choices=load.EXCHANGES, default="binance_usdm")
    parser.add_argument("--trades", type=rounds.count, default=1_000_000, metavar="N")
    parser.add_argument("--rounds", type=rounds.count, default=3, metavar="N")
    parser.add_argument("--rate", type=float, metavar="N", help="frames a second (default: no limit)")
    parser.add_argument("--burst", type=rounds.count, default=1, metavar="N", help="frames at a time")
    parser.add_argument("--plain", action="store_true", help="without TLS")
    parser.add_argument("--round", metavar="JSON", help=argparse.SUPPRESS)
    return parser


async def _round(what: dict[str, Any]) -> dict[str, Any]:
    logs.configure(LogSettings(level="warning"))
    garbage.settle()
    recorded = plan.recorded(what["exchange"], what["url"], what["rest_url"], what["streams"], load_listing())
    with tempfile.TemporaryDirectory(prefix="wadm-") as directory:
        async with (
            open_daemon(Settings(http=HttpSettings(port=0)), recorded, Path(directory)) as daemon,
            background() as tasks,
        ):
            runtime, cpu, loop = daemon.runtime, time.process_time(), time.thread_time()
            await tasks.start(daemon.run)
            await runtime.complete()
            ended = time.perf_counter()
            cpu, loop = time.process_time() - cpu, time.thread_time() - loop
            connections = list(runtime.connections.values())
            began = min(one.first_frame_clock for one in connections if one.first_frame_clock is not None)
            latency, batches = Latency(), 0
            for memory in runtime.symbols.values():
                latency.merge(memory.latency)
                batches += sum(memory.applied.values())
            daemon.stop()
            await daemon.ended.wait()
            return {
                "trades": runtime.ledger.total().applied,
                "volume": str(sum(map(_volume, runtime.symbols.values()))),
                "seconds": ended - began,
                "cpu": cpu,
                "loop": loop,
                "batches": batches,
                "commits": runtime.writer.commits,
                "whole": runtime.statement()["balanced"],
                **latency.percentiles(),
            }


def _volume(memory: SymbolMemory) -> Decimal:
    """Return what all bars in memory hold; all are closed."""
    closed = memory.closed
    bar = closed.merged(closed.starts[0], closed.last_end())
    return to_decimal(bar.buy_volume + bar.sell_volume, bar.quantity_decimals)


if __name__ == "__main__":
    sys.exit(main())
