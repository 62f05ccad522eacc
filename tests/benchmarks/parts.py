"""The parts of ``bench.py``. Each takes a number of rounds and returns its figures, name -> ``Figure``."""

import json
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

import attrs
import pytest
import rounds

HERE = Path(__file__).parent


@attrs.frozen
class Figure:
    """What was measured: a value per round. ``lower`` values are better, or higher ones."""

    unit: str
    values: Sequence[float]
    lower: bool = True


Figures = dict[str, Figure]


def receive(times: int) -> Figures:
    """From the socket to a list of messages."""
    from receive import measure  # noqa: PLC0415  # each part imports what it needs, in a process of its own

    return _all("CPU µs/message", measure(times))


def decode(times: int) -> Figures:
    """From messages to runs of trades."""
    from decode import measure  # noqa: PLC0415

    return _all("CPU µs/trade", measure(times))


def fold(times: int) -> Figures:
    """From runs of trades to bars."""
    from fold import PER_TRADE, measure  # noqa: PLC0415

    return {
        name: Figure("CPU µs/trade" if name in PER_TRADE else "CPU ms", values)
        for name, values in measure(times=times).items()
    }


def books(times: int) -> Figures:
    """Diffs of order books: read, and folded into the book."""
    from books import measure  # noqa: PLC0415

    return _all("CPU µs/diff", measure(times))


def _all(unit: str, found: dict[str, list[float]]) -> Figures:
    return {name: Figure(unit, values) for name, values in found.items()}


# --- journal ---

#: Commits of a round: what is given is their median.
COMMITS = 60
#: How a commit is made up: batches, and trades in each.
BATCHES = ((1, 1), (5, 20), (5, 300))


def journal(times: int) -> Figures:
    """Trades as bytes, and commits of them to the disk."""
    from storage import SYMBOLS, Feed  # noqa: PLC0415

    from actors.storage.journal import Journal  # noqa: PLC0415
    from actors.storage.payload import encode_batch  # noqa: PLC0415
    from supervision import Mailbox  # noqa: PLC0415

    feed, found = Feed(Mailbox("", 1), 0), _Collected()
    with tempfile.TemporaryDirectory(prefix="wadm-bench-") as directory:
        written = Journal(Path(directory))
        for _ in range(times):
            for many, size in BATCHES:
                commits = [[feed.batch(SYMBOLS[one], size) for one in range(many)] for _ in range(COMMITS)]
                encoding = _cpu(lambda commits=commits: [encode_batch(one) for of in commits for one in of])
                found.add(
                    f"encode, batches of {size}", "CPU µs/trade", encoding / (COMMITS * many * size) * 1e6
                )
                took = sorted(_clock(lambda of=of: written.append(of)) for of in commits)
                found.add(f"commit, {many} x {size} trades", "ms", took[COMMITS // 2] * 1e3)
        written.close()
    return found.figures


# --- sinks ---

#: Minutes of bars that are stored in a round, and trades in each; raw trades, and at once.
MINUTES, EACH = 300, 200
RAW, AT_ONCE = 40_000, 20_000


def sinks(times: int) -> Figures:
    """Records into the embedded store, and raw trades into a MongoDB where there is one."""
    found = _Collected()
    _embedded(times, found)
    try:
        _mongodb(times, found)
    except pytest.skip.Exception as missing:
        print(f"bench: MongoDB is left out: {missing}", file=sys.stderr)
    return found.figures


def _embedded(times: int, found: "_Collected") -> None:
    from actors.storage.engines import embedded_url  # noqa: PLC0415
    from actors.storage.sql import SqlStore  # noqa: PLC0415

    records = [*_records()]
    for _ in range(times):
        with tempfile.TemporaryDirectory(prefix="wadm-bench-") as directory:
            store = SqlStore(embedded_url(Path(directory)), "bench")
            store.initialise()
            took = _clock(lambda store=store: store.apply(records, 1))
            store.close()
        found.add("embedded: bar, profile and order flow of a minute", "µs/minute", took / MINUTES * 1e6)


def _records() -> Iterator[object]:
    """Yield what the daemon keeps of one-minute windows."""
    from fold import cut, joined  # noqa: PLC0415
    from memory import RECORDED, read  # noqa: PLC0415
    from msgspec.structs import replace  # noqa: PLC0415

    from actors.messages import BarRecord, OrderFlowRecord, ProfileRecord  # noqa: PLC0415
    from wadm.analytics.order_flow import order_flow  # noqa: PLC0415
    from wadm.analytics.profile import profile  # noqa: PLC0415
    from wadm.market import MINUTE  # noqa: PLC0415
    from wadm.series import BarSeries  # noqa: PLC0415

    runs = cut(joined(read(RECORDED)), EACH)
    series = BarSeries()
    for minute in range(MINUTES):
        run = runs[minute % (len(runs) - 1)]
        series.fold(replace(run, times=[minute * MINUTE + place for place in range(len(run))]))
        start, end = minute * MINUTE, (minute + 1) * MINUTE
        window = (run.exchange, run.symbol, "1m", start, end, 0, False)
        for bar in series.finish(end):
            yield BarRecord(run.exchange, run.symbol, bar)
            yield OrderFlowRecord(*window, order_flow(bar, bar))
            yield ProfileRecord(*window, profile(bar, Decimal(1)))


def _mongodb(times: int, found: "_Collected") -> None:
    sys.path.insert(0, str(HERE.parent))
    from mongo_insert import BATCH, batches  # noqa: PLC0415
    from server_mongod import mongod_in  # noqa: PLC0415

    from actors.storage.mongo.store import MongoStore  # noqa: PLC0415

    with tempfile.TemporaryDirectory() as directory, mongod_in(Path(directory)).running() as server:
        store, source = MongoStore(f"{server.url}/bench", "bench"), batches(0)
        store.initialise()
        for number in range(times):
            some = [[next(source) for _ in range(AT_ONCE // BATCH)] for _ in range(RAW // AT_ONCE)]
            took = _clock(lambda some=some, number=number: [store.apply(one, number + 1) for one in some])
            found.add("MongoDB: raw trades", "trades/s", RAW / took, lower=False)
        store.close()


# --- query ---

#: Of the recording's runs every so manieth is folded, to make a day in a second or two.
THINNED = 12
#: Questions of a round: what is given is their median.
QUESTIONS = 50
#: Trades a second that come in while a daemon is asked, and for how long (s) before the first question.
RATE, BEFORE = 5_000, 4.0


def query(times: int) -> Figures:
    """Answers from a day in memory, and those of a running daemon to programs and agents."""
    found = _Collected()
    _from_memory(times, found)
    _over_the_doors(times, found)
    return found.figures


def _from_memory(times: int, found: "_Collected") -> None:
    from memory import MIDNIGHT, RECORDED, cycled, read  # noqa: PLC0415

    from actors import garbage  # noqa: PLC0415
    from wadm.analytics.order_flow import order_flow  # noqa: PLC0415
    from wadm.analytics.profile import profile  # noqa: PLC0415
    from wadm.market import DAY, HOUR, MINUTE  # noqa: PLC0415
    from wadm.series import BarSeries  # noqa: PLC0415
    from wadm.stretches import Merges, Stretches  # noqa: PLC0415

    series = BarSeries()
    for run in list(cycled(read(RECORDED)[::THINNED], 400)):
        series.fold(run)
        series.advance(run.times[-1])
    series.advance(MIDNIGHT + DAY + MINUTE)
    garbage.settle()
    windows = {
        "a day": (MIDNIGHT, MIDNIGHT + DAY),
        "24 h begun within an hour": (MIDNIGHT + 17 * MINUTE, MIDNIGHT + DAY),
        "an hour": (MIDNIGHT + 9 * HOUR, MIDNIGHT + 10 * HOUR),
    }
    for window in windows.values():
        series.merged(*window)  # keeps the merges of whole hours
    for _ in range(times):
        for name, window in windows.items():
            series.closed.stretches, series.closed.merges = Stretches(), Merges()
            found.add(
                f"{name}: first merge", "ms", _clock(lambda window=window: series.merged(*window)) * 1e3
            )
            asks: dict[str, Callable[[], object]] = {
                "profile": lambda window=window: profile(series.merged(*window), Decimal(10)),
                "order flow": lambda window=window: order_flow(bar := series.merged(*window), bar),
            }
            for kind, ask in asks.items():
                took = sorted(_clock(ask) for _ in range(QUESTIONS))
                found.add(f"{name}: {kind}", "ms", took[QUESTIONS // 2] * 1e3)


def _over_the_doors(times: int, found: "_Collected") -> None:
    import front  # noqa: PLC0415

    with front.daemon(RATE, int(BEFORE + 20 + 2 * times)) as daemon:
        time.sleep(BEFORE)
        asks: dict[str, Callable[[], object]] = {
            **{f"MCP {tool}": lambda tool=tool: daemon.call(tool, front.TOOLS[tool]) for tool in front.TOOLS},
            **{f"REST {path}": lambda path=path: daemon.get(front.PATHS[path]) for path in front.PATHS},
        }
        for ask in asks.values():
            ask()
        for _ in range(times):
            for name, ask in asks.items():
                took = sorted(_clock(ask) for _ in range(QUESTIONS // 2))
                found.add(name, "ms", took[len(took) // 2] * 1e3)


# --- the whole ---

#: Trades of a round of the whole daemon, and sent how.
WHOLE = {"binance_usdm": 400_000, "bybit": 400_000}


def whole(times: int) -> Figures:
    """The daemon on one core, the exchange on another; and a recording with its order books."""
    import load  # noqa: PLC0415
    import replay  # noqa: PLC0415
    import whole as of_one_core  # noqa: PLC0415

    from actors.playback.captures import bundled  # noqa: PLC0415

    found, core = _Collected(), str(max(os.sched_getaffinity(0)))
    for _ in range(times):
        for exchange, trades in WHOLE.items():
            options = ("--exchange", exchange, "--trades", str(trades), "--core", core)
            with load.serving(*options) as server, _trusting(server.certificate):
                what = json.dumps({"exchange": exchange, **attrs.asdict(server)})
                result = rounds.in_child(str(HERE / "whole.py"), what)
            _figures(found, f"{exchange}: ", of_one_core.FIGURES, result)
        result = rounds.in_child(str(HERE / "replay.py"), "--speed", "max", f"binance={bundled()}")
        _figures(found, "recording with books: ", replay.FIGURES, result)
    return found.figures


def _figures(
    found: "_Collected", of: str, wanted: dict[str, Callable[[Any], float]], result: dict[str, Any]
) -> None:
    for name, figure in wanted.items():
        if name.endswith("/s"):
            found.add(f"{of}{name}", name, figure(result), lower=False)
        elif name == "CPU µs/trade":
            found.add(f"{of}{name}", name, figure(result))


@contextmanager
def _trusting(certificate: str | None) -> Iterator[None]:
    os.environ["SSL_CERT_FILE"] = certificate or ""
    try:
        yield
    finally:
        del os.environ["SSL_CERT_FILE"]


# --- latency and supervision ---


def latency(times: int) -> Figures:
    """From a frame to its bar."""
    import latency as phases  # noqa: PLC0415

    return {
        f"{phase}: {figure}": Figure("" if "%" in figure else "ms", values)
        for phase, figures in phases.measure(max(1, times // 3)).items()
        for figure, values in figures.items()
    }


def overhead(times: int) -> Figures:
    """What supervision costs, beside the same actors in a plain nursery."""
    from overhead import measure  # noqa: PLC0415

    return {name: Figure(unit, values, lower) for name, (unit, values, lower) in measure(times).items()}


PARTS: dict[str, Callable[[int], Figures]] = {
    one.__name__: one
    for one in (receive, decode, fold, books, journal, sinks, query, whole, latency, overhead)
}


# --- measuring ---


@attrs.define
class _Collected:
    """Figures, a value at a time."""

    figures: Figures = attrs.field(factory=dict)

    def add(self, name: str, unit: str, value: float, *, lower: bool = True) -> None:
        values = self.figures[name].values if name in self.figures else []
        self.figures[name] = Figure(unit, [*values, value], lower)


def _clock(step: Callable[[], object]) -> float:
    """Return the seconds that a step takes."""
    began = time.perf_counter()
    step()
    return time.perf_counter() - began


def _cpu(step: Callable[[], object]) -> float:
    """Return the seconds of the processor that a step takes."""
    began = time.process_time()
    step()
    return time.process_time() - began
