"""How long the daemon's loop is held up, and by whom: ``python tests/benchmarks/steps.py [QUESTION …]``.

A fresh daemon (journal, warm store, HTTP and MCP up) is sent Binance's aggregate trades over TLS, ``--rate``
a second one by one, and asked everything there is to ask, one question after the other: each for a phase of
its own. The trades' times are the recorded ones, so that a busy minute passes within a second, and whatever
is done once a minute, or anew in a new one, is done all the time.

A step is what a task does between two awaits, in CPU time of the loop's thread, so that a busy machine does
not count. A collection of garbage falls into the step that set it off; its own times are shown too. What a
question takes (ms), and frame to state, are by the clock. ``--where`` samples what the loop is at in steps
that last longer than 1 ms; sampling costs.
"""

import argparse
import gc
import json
import statistics
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import attrs
import front
import load
import rounds
import trio

import actors.front.front  # noqa: F401  # a second's import, which would fall into the measurement otherwise
from actors import garbage, logs, plan
from actors.background import background
from actors.configuration import load_listing
from actors.daemon import Daemon, open_daemon
from wadm.answers.registry import QUESTIONS
from wadm.latency import Latency
from wadm.sections import AccessSettings, HttpSettings, LogSettings
from wadm.settings import Settings

#: Limits (s) above which steps are counted.
LIMITS = (0.001, 0.003, 0.010)

#: Seconds from the first frame until it counts, and that a daemon may take to come up and go.
WARM_UP, AROUND = 4.0, 10.0

ROOT = str(Path(__file__).parents[2])


# --- the daemon ---


@attrs.define(eq=False)
class Steps(trio.abc.Instrument):
    """The longest steps of each task, by its name, and every collection of garbage, by generation."""

    longest: dict[str, float] = attrs.field(factory=dict)
    over: dict[str, list[int]] = attrs.field(factory=dict)
    taken: Counter[str] = attrs.field(factory=Counter)
    collections: dict[int, list[float]] = attrs.field(factory=dict)
    where: Counter[str] = attrs.field(factory=Counter)
    running_since: float | None = None
    _began: float = 0.0
    _collecting: float = 0.0

    def before_task_step(self, _: trio.lowlevel.Task) -> None:
        """Note when it began."""
        self.running_since = time.perf_counter()
        self._began = time.thread_time()

    def after_task_step(self, task: trio.lowlevel.Task) -> None:
        """Count it."""
        took = time.thread_time() - self._began
        self.running_since = None
        name = task.name
        self.taken[name] += 1
        if took > self.longest.get(name, 0.0):
            self.longest[name] = took
        if took > LIMITS[0]:
            counts = self.over.setdefault(name, [0] * len(LIMITS))
            for place, limit in enumerate(LIMITS):
                counts[place] += took > limit

    def collected(self, phase: str, told: dict[str, int]) -> None:
        """Count a collection (``gc.callbacks``), of the loop's thread alone."""
        if threading.current_thread() is not threading.main_thread():
            return
        if phase == "start":
            self._collecting = time.thread_time()
        else:
            self.collections.setdefault(told["generation"], []).append(time.thread_time() - self._collecting)

    def sample(self) -> None:
        """Look again and again at what a long step is at; runs in a thread."""
        loop = threading.main_thread().ident
        while True:
            time.sleep(0.0005)
            began = self.running_since
            if began is not None and time.perf_counter() - began > LIMITS[0]:
                self.where[_place(sys._current_frames()[loop])] += 1

    def told(self) -> dict[str, Any]:
        """Return everything since the last time."""
        told = {
            "longest": self.longest, "over": self.over, "taken": self.taken,
            "collections": self.collections, "where": dict(self.where.most_common(25)),
        }  # fmt: skip
        self.longest, self.over, self.taken = {}, {}, Counter()
        self.collections, self.where = {}, Counter()
        return told


def _place(frame: Any) -> str:
    """Return the innermost places of a stack, one's own and the library's above."""
    places: list[str] = []
    while frame is not None and len(places) < 5:
        code = frame.f_code
        path = code.co_filename.removeprefix(ROOT).removeprefix("/").partition("site-packages/")
        places.append(f"{path[2] or path[0]}:{code.co_name}")
        frame = frame.f_back
    return " < ".join(places)


async def serve(what: dict[str, Any]) -> None:
    """Run the daemon; at every line of standard input, tell what happened since the last."""
    logs.configure(LogSettings(level="error"))
    endless = AccessSettings(requests_per_minute=front.ENDLESS, key_requests_per_minute=front.ENDLESS)
    settings = Settings(http=HttpSettings(port=0), access=endless)
    server = what["server"]
    recorded = plan.recorded(
        "binance_usdm", server["url"], server["rest_url"], server["streams"], load_listing()
    )
    steps = Steps()
    with tempfile.TemporaryDirectory(prefix="wadm-steps-") as directory:
        async with open_daemon(settings, recorded, Path(directory)) as daemon, background() as tasks:
            await tasks.start(daemon.run)
            garbage.settle()
            runtime = daemon.runtime
            while runtime.url is None or not runtime.ledger.total().applied:  # noqa: ASYNC110  # or no trade
                await trio.sleep(0.05)
            trio.lowlevel.add_instrument(steps)
            gc.callbacks.append(steps.collected)
            if what["where"]:
                threading.Thread(target=steps.sample, daemon=True).start()
            await _tell(daemon, steps)
            daemon.stop()
            await daemon.ended.wait()


async def _tell(daemon: Daemon, steps: Steps) -> None:
    print(json.dumps({"url": daemon.runtime.url}), flush=True)
    while await trio.to_thread.run_sync(sys.stdin.readline, abandon_on_cancel=True):
        latency = Latency()
        for memory in daemon.runtime.symbols.values():
            latency.merge(memory.latency)
            memory.latency = Latency()
        told = {"trades": latency.total, **latency.percentiles(), **steps.told()}
        print(json.dumps(told), flush=True)


@contextmanager
def running(rate: int, seconds: float, *, where: bool) -> Iterator[front.Daemon]:
    """Run a daemon that is fed for so many seconds, and more."""
    trades = int(rate * (WARM_UP + AROUND + seconds))
    options = ["--exchange", "binance_usdm", "--trades", str(trades), "--rate", str(rate)]
    with ExitStack() as stack:
        server = stack.enter_context(load.serving(*options))
        what = {"server": attrs.asdict(server), "where": where}
        certificate = server.certificate or ""
        yield stack.enter_context(front.serving(__file__, json.dumps(what), SSL_CERT_FILE=certificate))


# --- what is asked ---

_ASKED = "?exchange=binance_usdm&symbol=BTCUSDT"
TOOLS: dict[str, dict[str, Any]] = {
    "get_volume_profile": front.BITCOIN,
    "get_order_flow": front.BITCOIN,
    "stream_trades": front.BITCOIN,
    "get_candles": front.BITCOIN,
    "get_footprint": front.BITCOIN,
    "get_liquidity_zones": front.BITCOIN,
    "get_market_overview": front.BITCOIN,
    "get_session_analysis": front.BITCOIN,
    "compare_exchanges": {"symbol": "BTCUSDT"},
    "list_symbols": {},
    "get_status": {},
}


def asks(daemon: front.Daemon) -> dict[str, Callable[[], object]]:
    """Return every question by its name."""
    found: dict[str, Callable[[], object]] = {
        name: lambda name=name: daemon.call(name, TOOLS[name]) for name in TOOLS
    }
    paths = {
        question.path: f"/api/v1/{question.path}{_ASKED}&timeframe=1h" for question in QUESTIONS.values()
    }
    paths |= {
        "trades": f"/api/v1/trades{_ASKED}&limit=1000",
        "symbols": "/api/v1/symbols",
        "status": "/api/v1/status",
        "health": "/health",
        "metrics": "/metrics",
        "page": "/",
        "openapi": "/openapi.json",
    }
    return found | {f"GET {name}": lambda path=path: daemon.get(path) for name, path in paths.items()}


def measure(rate: int, seconds: float, named: Sequence[str], *, where: bool) -> dict[str, dict[str, Any]]:
    """Return what happened in each phase."""
    told: dict[str, dict[str, Any]] = {}
    with running(rate, 90 * seconds, where=where) as daemon:
        questions = asks(daemon)
        time.sleep(WARM_UP)
        daemon.since()
        time.sleep(2 * seconds)
        told["nobody asks"] = daemon.since()
        with listening(daemon):
            time.sleep(seconds)
            told["a WebSocket listens"] = daemon.since()
        for name, ask in questions.items():
            if named and not any(one in name for one in named):
                continue
            ask()
            daemon.since()
            took = front.paced([ask], seconds, 10)
            told[name] = {**daemon.since(), "took": front.shares(took)}
    return told


@contextmanager
def listening(daemon: front.Daemon) -> Iterator[None]:
    """Subscribe to the trades over a WebSocket, and read all that comes."""
    ended = threading.Event()
    subscribe = json.dumps({"op": "subscribe", "id": 1, "channel": "trades", **front.BITCOIN}).encode()
    with front.websocket(daemon) as client:
        client.sendall(b"\x81" + bytes([0x80 | len(subscribe)]) + bytes(4) + subscribe)
        client.settimeout(0.2)

        def read() -> None:
            while not ended.is_set():
                with suppress(TimeoutError):
                    client.recv(1 << 16)

        reader = threading.Thread(target=read)
        reader.start()
        try:
            yield
        finally:
            ended.set()
            reader.join()


# --- what is printed ---


def show(told: dict[str, dict[str, Any]], top: int) -> None:
    """Print the phases, the longest steps of all by task, and the collections of garbage."""
    limits = f"{'longest step':>14}{'>1':>5}{'>3':>5}{'>10 ms':>7}"
    print(f"  {'phase':34}{'p50':>8}{'p99':>8}{limits}{'to state, p99':>15}")
    for name, phase in told.items():
        took, over = phase.get("took"), _added(phase["over"].values())
        times = f"{took['p50']:8.1f}{took['p99']:8.1f}" if took else " " * 16
        longest = 1e3 * max(phase["longest"].values(), default=0.0)
        print(f"  {name:34}{times}{longest:14.2f}{_counts(over)}{(phase['p99'] or 0) / 1e3:15.2f}")
    tasks = {task for phase in told.values() for task in phase["longest"]}
    longest = {task: max(phase["longest"].get(task, 0.0) for phase in told.values()) for task in tasks}
    print(f"\n  {'task':72}{limits}")
    for task in sorted(longest, key=lambda one: -longest[one])[:top]:
        over = _added(phase["over"][task] for phase in told.values() if task in phase["over"])
        print(f"  {task[-70:]:72}{1e3 * longest[task]:14.2f}{_counts(over)}")
    for generation in ("0", "1", "2"):
        pauses = [1e3 * one for phase in told.values() for one in phase["collections"].get(generation, ())]
        if pauses:
            print(
                f"  garbage of generation {generation}: {len(pauses)} times, median"
                f" {statistics.median(pauses):.2f} ms, longest {max(pauses):.2f} ms, all {sum(pauses):.0f} ms"
            )
    where: Counter[str] = Counter()
    for phase in told.values():
        where.update(phase["where"])
    for place, count in where.most_common(40):
        print(f"  {count:5} {place}")


def _added(counts: Iterable[Sequence[int]]) -> list[int]:
    return [sum(column) for column in zip([0] * len(LIMITS), *counts, strict=True)]


def _counts(over: Sequence[int]) -> str:
    return f"{over[0]:5}{over[1]:5}{over[2]:7}"


def main() -> int:
    """Measure, or be the daemon."""
    arguments = _parser().parse_args()
    if arguments.serve:
        trio.run(serve, json.loads(arguments.serve))
        return 0
    print(rounds.machine())
    show(measure(arguments.rate, arguments.seconds, arguments.named, where=arguments.where), arguments.top)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="steps", description="Measure how long the loop is held up.")
    parser.add_argument("named", nargs="*", help="only questions whose names contain this (default: all)")
    parser.add_argument("--rate", type=rounds.count, default=5_000, metavar="N", help="trades a second")
    parser.add_argument("--seconds", type=float, default=1.5, help="of each phase (default: 1.5)")
    parser.add_argument("--top", type=rounds.count, default=15, metavar="N", help="tasks shown (default: 15)")
    parser.add_argument("--where", action="store_true", help="sample what long steps are at")
    parser.add_argument("--serve", metavar="JSON", help=argparse.SUPPRESS)
    return parser


if __name__ == "__main__":
    sys.exit(main())
