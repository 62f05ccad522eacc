"""What a process of its own for the warm store's sink does for the loop.

``python tests/benchmarks/processes.py --store mongodb --rate 5000``: every round starts a fresh daemon on the
load of ``load.py``; rounds with the sink in the daemon and with the sink in a process of its own
(``storage.processes``) take turns. Nothing is pinned: on two cores the sender, the server of the store, the
daemon and the process share them, as they do on a small machine. ``--one-core`` pins the daemon and its
process to one core together. How late the loop is leaves out the time in which it waited for a core: what is
left is the time for which the daemon's own threads held it up.
"""

import argparse
import contextlib
import json
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, TextIO

import load
import rounds
import trio

sys.path.insert(0, str(Path(__file__).parent.parent))

from server_mongod import mongod_in

import actors.front.front  # noqa: F401  # a second's import, which would fall into the measurement otherwise
from actors import garbage, logs, plan
from actors.background import background
from actors.configuration import load_listing
from actors.daemon import open_daemon
from wadm.latency import Latency
from wadm.sections import HttpSettings, LogSettings, StorageSettings
from wadm.settings import Settings

STORES = ("sqlite", "mongodb")
WAYS = ("none", "all")

#: Seconds after which a round at a given rate begins to count: all has started by then.
START = 3.0

#: How long the loop's thread has run and waited for a core (ns).
SCHEDULE = Path("/proc/thread-self/schedstat")

#: How often (s) it is looked how late the loop is.
TICK = 0.001

FIGURES = {
    "trades/s": lambda result: result["trades"] / result["seconds"],
    "CPU s of the daemon": lambda result: result["cpu"],
    "CPU s of the process": lambda result: result["apart"],
    "MB of the process": lambda result: result["megabytes"],
    "frame to bar p50 µs": lambda result: result["p50"],
    "frame to bar p99 µs": lambda result: result["p99"],
    "loop late p99 µs": lambda result: result["late_p99"],
    "loop late p99.9 µs": lambda result: result["late_p999"],
    "loop late most µs": lambda result: result["late_most"],
}


def main() -> int:
    """Measure, or play one round for the process that measures."""
    arguments = _parser().parse_args()
    if arguments.round:
        what = json.loads(arguments.round)
        if what["one_core"]:
            os.sched_setaffinity(0, {0})
        with SCHEDULE.open() as schedule:
            print(json.dumps(trio.run(_round, what, schedule)))
        return 0
    print(rounds.machine())
    options = ["--exchange", "binance_usdm", "--trades", str(arguments.trades), "--plain"]
    if arguments.rate is not None:
        options += ["--rate", str(arguments.rate)]
    with contextlib.ExitStack() as opened:
        server = opened.enter_context(load.serving(*options))
        folder = Path(opened.enter_context(tempfile.TemporaryDirectory()))
        url = opened.enter_context(mongod_in(folder).running()).url if arguments.store == "mongodb" else None
        played: dict[str, list[dict[str, Any]]] = {way: [] for way in WAYS}
        for number in range(arguments.rounds):
            for way in WAYS:
                storage = {"mongodb_url": url and f"{url}/{way}_{number}", "processes": way}
                what = {"url": server.url, "rest_url": server.rest_url, "streams": server.streams}
                what |= {"storage": storage, "one_core": arguments.one_core, "rate": arguments.rate}
                played[way].append(rounds.in_child(__file__, json.dumps(what)))
    for way in WAYS:
        print(f"{arguments.store}, {arguments.rate or 'as many as it takes'} frames/s, processes: {way}")
        print(rounds.heading())
        for name, figure in FIGURES.items():
            places = 1 if name.startswith(("CPU", "MB")) else 0
            print(rounds.line(name, [figure(result) for result in played[way]], places=places))
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="processes", description="Compare sinks in the daemon and apart.")
    parser.add_argument("--store", choices=STORES, default="sqlite")
    parser.add_argument("--trades", type=rounds.count, default=100_000, metavar="N")
    parser.add_argument("--rounds", type=rounds.count, default=3, metavar="N")
    parser.add_argument("--rate", type=float, metavar="N", help="frames a second (default: no limit)")
    parser.add_argument("--one-core", action="store_true", help="the daemon and its process share one core")
    parser.add_argument("--round", metavar="JSON", help=argparse.SUPPRESS)
    return parser


async def _round(what: dict[str, Any], schedule: TextIO) -> dict[str, Any]:
    logs.configure(LogSettings(level="warning"))
    garbage.settle()
    recorded = plan.recorded("binance_usdm", what["url"], what["rest_url"], what["streams"], load_listing())
    settings = Settings(http=HttpSettings(port=0), storage=StorageSettings(**what["storage"]))
    with tempfile.TemporaryDirectory(prefix="wadm-") as directory:
        async with open_daemon(settings, recorded, Path(directory)) as daemon, background() as tasks:
            runtime, cpu, late = daemon.runtime, time.process_time(), []
            await tasks.start(daemon.run)
            if what["rate"]:
                await trio.sleep(START)
                for memory in runtime.symbols.values():
                    memory.latency = Latency()
            tasks.start_soon(_look, schedule, late)
            await runtime.complete()
            ended = time.perf_counter()
            cpu = time.process_time() - cpu
            apart, megabytes = _process(runtime.warm.worker.pid)
            connections = list(runtime.connections.values())
            began = min(one.first_frame_clock for one in connections if one.first_frame_clock is not None)
            latency = Latency()
            for memory in runtime.symbols.values():
                latency.merge(memory.latency)
            late = sorted(late)
            daemon.stop()
            await daemon.ended.wait()
            tasks.cancel_scope.cancel()
            return {
                "trades": runtime.ledger.total().applied,
                "seconds": ended - began,
                "cpu": cpu,
                "apart": apart,
                "megabytes": megabytes,
                "late_p99": 1e6 * late[int(len(late) * 0.99)],
                "late_p999": 1e6 * late[int(len(late) * 0.999)],
                "late_most": 1e6 * late[-1],
                "whole": runtime.statement()["balanced"],
                **latency.percentiles(),
            }


async def _look(schedule: TextIO, late: list[float]) -> None:
    """Note how late the loop is (s), but for the time in which its thread waited for a core."""
    waited = _waited(schedule)
    while True:
        due = trio.current_time() + TICK
        await trio.sleep_until(due)
        now, before = trio.current_time(), waited
        waited = _waited(schedule)
        late.append(max(0.0, now - due - (waited - before)))


def _waited(schedule: TextIO) -> float:
    schedule.seek(0)
    return int(schedule.read().split()[1]) / 1e9


def _process(pid: int | None) -> tuple[float, float]:
    """Return the CPU (s) and the memory (MB) that a process has taken, shared pages by their share."""
    if pid is None:
        return 0.0, 0.0
    ticks = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:13]
    rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
    (pss,) = (line.split()[1] for line in rollup.splitlines() if line.startswith("Pss:"))
    return sum(map(int, ticks)) / os.sysconf("SC_CLK_TCK"), int(pss) / 1024


if __name__ == "__main__":
    sys.exit(main())
