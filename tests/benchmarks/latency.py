"""From a frame received to its trades' bar: ``python tests/benchmarks/latency.py [--seconds N] [PHASE …]``.

Each phase starts a fresh daemon (journal, warm store, HTTP and MCP up), pinned to one core, and sends it
Binance's aggregate trades over TLS from another core, where everything else runs as well: 5,000 frames a
second one by one, 20,000, bursts of 500 every half second, and 5,000 while a MongoDB stores them and an agent
calls 5 tools a second. The trades' times go on as fast as they are sent.

A latency is a trade's, measured by the daemon itself: from the socket read that completed the first frame of
its run to when it is in its bar. It is kept in µs, below 32 µs exactly, above to 6 %; the table is in ms.
*waited* is how much of the time the loop waited for its core: what others took from it is in the latencies.
"""

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import attrs
import front
import load
import pytest
import rounds
import trio

import actors.front.front  # noqa: F401  # a second's import, which would fall into the measurement otherwise
from actors import garbage, logs, plan
from actors.background import background
from actors.configuration import load_listing
from actors.daemon import Daemon, open_daemon
from wadm.latency import Latency
from wadm.sections import AccessSettings, HttpSettings, LogSettings, StorageSettings
from wadm.settings import Settings

sys.path.insert(0, str(Path(__file__).parents[1]))

from server_mongod import mongod_in

#: Seconds from the first frame until it counts, and that a daemon may take to come up and go.
WARM_UP, AROUND = 2.0, 8.0

TOOLS = ("get_volume_profile", "get_order_flow")

#: With fewer of the trades that were to come, the sender did not keep its pace.
LEAST = 0.9

SHARES = {"p50": 0.5, "p95": 0.95, "p99": 0.99, "max": 1.0}


@attrs.frozen
class Phase:
    """What is sent, and what is aimed at (ms). ``busy``: a MongoDB and an agent keep the daemon busy."""

    name: str
    rate: int
    burst: int
    aims: dict[str, float]
    busy: bool = False


PHASES = {
    "5000": Phase("5,000/s singly", 5_000, 1, {"p50": 0.1, "p99": 0.5}),
    "20000": Phase("20,000/s singly", 20_000, 1, {"p99": 2.0}),
    "burst": Phase("500 every half second", 1_000, 500, {"p99": 4.0}),
    "busy": Phase("5,000/s, MongoDB, 5 tools/s", 5_000, 1, {"p99": 3.0}, busy=True),
}


# --- the daemon ---


async def serve(what: dict[str, Any]) -> None:
    """Run the daemon; at every line of standard input, tell what happened since the last."""
    logs.configure(LogSettings(level="error"))
    endless = AccessSettings(requests_per_minute=front.ENDLESS, key_requests_per_minute=front.ENDLESS)
    storage = StorageSettings(mongodb_url=what["mongodb_url"])
    settings = Settings(http=HttpSettings(port=0), access=endless, storage=storage)
    server = what["server"]
    recorded = plan.recorded(
        "binance_usdm", server["url"], server["rest_url"], server["streams"], load_listing()
    )
    with tempfile.TemporaryDirectory(prefix="wadm-latency-") as directory:
        async with open_daemon(settings, recorded, Path(directory)) as daemon, background() as tasks:
            await tasks.start(daemon.run)
            while daemon.runtime.url is None or not daemon.runtime.ledger.total().applied:  # noqa: ASYNC110
                await trio.sleep(0.05)  # nothing else tells of it
            garbage.settle()
            await _tell(daemon)
            daemon.stop()
            await daemon.ended.wait()


async def _tell(daemon: Daemon) -> None:
    print(json.dumps({"url": daemon.runtime.url}), flush=True)
    while await trio.to_thread.run_sync(sys.stdin.readline, abandon_on_cancel=True):
        latency = Latency()
        for memory in daemon.runtime.symbols.values():
            latency.merge(memory.latency)
            memory.latency = Latency()
        told = {name: latency.percentile(share) for name, share in SHARES.items()}
        told |= {"trades": latency.total, "at": time.perf_counter()}
        told |= {"cpu": time.process_time(), "waited": _waited()}
        print(json.dumps(told | {"balanced": daemon.runtime.statement()["balanced"]}), flush=True)


def _waited() -> float:
    """Return how long (s) the process's first thread, the loop's, has waited for a core."""
    return int(Path("/proc/self/schedstat").read_text().split()[1]) / 1e9


@contextmanager
def running(phase: Phase, seconds: float, core: int) -> Iterator[front.Daemon]:
    """Run a daemon on a core that is fed for ``seconds`` and more; the rest runs where this process does."""
    trades = int(phase.rate * (WARM_UP + AROUND + seconds))
    options = ["--rate", str(phase.rate), "--burst", str(phase.burst), "--spaced"]
    with ExitStack() as stack:
        server = stack.enter_context(load.serving("--trades", str(trades), *options))
        mongodb_url = None
        if phase.busy:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            mongodb_url = f"{stack.enter_context(mongod_in(folder).running()).url}/wadm"
        what = {"server": attrs.asdict(server), "mongodb_url": mongodb_url, "core": core}
        certificate = server.certificate or ""
        yield stack.enter_context(front.serving(__file__, json.dumps(what), SSL_CERT_FILE=certificate))


# --- measuring ---

#: Phase -> figure -> its value in every round: latencies in ms, what was had of the core and waited for in %.
Figures = dict[str, dict[str, list[float]]]


def measure(times: int = 1, seconds: float = 10.0, phases: Sequence[str] = tuple(PHASES)) -> Figures:
    """Return the figures of phases, which take turns; the busy one is left out where there is no mongod."""
    told: Figures = {PHASES[name].name: {} for name in phases}
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {max(cores)})
    try:
        for _ in range(times):
            for name in phases:
                for figure, value in _once(PHASES[name], seconds, min(cores)).items():
                    told[PHASES[name].name].setdefault(figure, []).append(value)
    finally:
        os.sched_setaffinity(0, cores)
    return {name: figures for name, figures in told.items() if figures}


def _once(phase: Phase, seconds: float, core: int) -> dict[str, float]:
    try:
        with running(phase, seconds, core) as daemon:
            _pass(daemon, phase, WARM_UP)
            before = daemon.since()
            _pass(daemon, phase, seconds)
            told = daemon.since()
    except pytest.skip.Exception as missing:
        print(f"latency: {phase.name} is left out: {missing}", file=sys.stderr)
        return {}
    if not told["balanced"] or told["trades"] < LEAST * phase.rate * seconds:
        print(
            f"WARNING: {phase.name}: {told['trades']} trades in {seconds} s, the ledger "
            f"{'balances' if told['balanced'] else 'does not balance'}",
            file=sys.stderr,
        )
    figures = {figure: told[figure] / 1e3 for figure in SHARES}
    for figure, spent in (("of a core, %", "cpu"), ("waited for it, %", "waited")):
        figures[figure] = 100 * (told[spent] - before[spent]) / (told["at"] - before["at"])
    return figures


def _pass(daemon: front.Daemon, phase: Phase, seconds: float) -> None:
    """Let time go by, and ask meanwhile where the phase has somebody who asks."""
    if phase.busy:
        asks = [lambda tool=tool: daemon.call(tool, front.TOOLS[tool]) for tool in TOOLS]
        front.paced(asks, seconds, front.PACE)
    else:
        time.sleep(seconds)


def lines(told: Figures) -> list[str]:
    """Return the table: medians of the rounds, and beside a figure that was aimed at whether it is met."""
    heads = "".join(f"{figure:>9}" for figure in SHARES)
    found = [f"  {'ms':34}{heads}{'of a core':>11}{'waited':>8}  aims"]
    for phase in PHASES.values():
        if phase.name in told:
            middle = {figure: statistics.median(values) for figure, values in told[phase.name].items()}
            shown = "".join(f"{middle[figure]:9.3f}" for figure in SHARES)
            aims = (
                f"{figure} {most} {'met' if middle[figure] <= most else 'MISSED'}"
                for figure, most in phase.aims.items()
            )
            shown += f"{middle['of a core, %']:10.0f}%{middle['waited for it, %']:7.1f}%"
            found.append(f"  {phase.name:34}{shown}  {', '.join(aims)}")
    return found


def main() -> int:
    """Measure, or be the daemon."""
    arguments = _parser().parse_args()
    if arguments.serve:
        what = json.loads(arguments.serve)
        os.sched_setaffinity(0, {what["core"]})
        trio.run(serve, what)
        return 0
    unknown = set(arguments.phases) - set(PHASES)
    if unknown:
        sys.exit(f"latency: {', '.join(sorted(unknown))} is no phase; there are {', '.join(PHASES)}")
    machine = rounds.machine()
    told = measure(arguments.rounds, arguments.seconds, arguments.phases or tuple(PHASES))
    if arguments.json:
        print(json.dumps({"machine": machine, "latency": told}))
    else:
        print(machine, "", *lines(told), sep="\n")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="latency", description="Measure from a frame to its bar.")
    parser.add_argument("phases", nargs="*", metavar="PHASE", help=f"{', '.join(PHASES)} (default: all)")
    parser.add_argument("--seconds", type=float, default=10.0, help="of each phase (default: 10)")
    parser.add_argument("--rounds", type=rounds.count, default=1, metavar="N", help="default: 1")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--serve", help=argparse.SUPPRESS)
    return parser


if __name__ == "__main__":
    sys.exit(main())
