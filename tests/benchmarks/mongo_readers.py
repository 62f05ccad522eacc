"""How quickly MongoDB answers fifty readers about recent data while trades are being stored.

    python tests/benchmarks/mongo_readers.py --trades 1000000 --rate 10000 --readers 50

Starts a private mongod, fills it, and has one process store trades at the rate while the readers ask, each by
itself, ``--every`` seconds (0: at once again). ``--processes`` spreads the readers over so many interpreters.
With ``--url`` an existing server is used, in a database that is dropped afterwards. Prints percentiles in ms.
"""

import argparse
import multiprocessing as mp
import os
import random
import statistics
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

from pymongo import MongoClient

sys.path.insert(0, str(Path(__file__).parents[1]))
from server_mongod import mongod_in

from actors.messages import OrderFlowRecord, ProfileRecord, TradeBatch
from actors.storage.journal import wall_clock
from actors.storage.mongo.data_manager import DataManager
from actors.storage.mongo.store import MongoStore
from wadm.analytics.order_flow import order_flow
from wadm.analytics.profile import profile
from wadm.bar import Bar
from wadm.market import MINUTE, IdKind, Trades

EXCHANGE = "binance_usdm"
SYMBOLS = [f"COIN{number:02}USDT" for number in range(20)]
#: Trades of one batch, and rows of one profile.
BATCH, ROWS = 1_000, 400
WINDOWS = 288

#: Batches stored at once at most.
MOST_DUE = 10

QUERIES: dict[str, Callable[[DataManager, str], Any]] = {
    "last 100 trades": lambda manager, symbol: manager.trades.find_recent(
        5, symbol, EXCHANGE, now=wall_clock()
    ),
    "latest profile": lambda manager, symbol: manager.volume_profiles.get_latest_profile(
        symbol, "5m", EXCHANGE
    ),
    "delta of 24 h": lambda manager, symbol: manager.order_flow.get_delta_analysis(
        symbol, 24, EXCHANGE, now=wall_clock()
    ),
    "volume by side, 1 s": lambda manager, symbol: manager.trades.get_volume_by_side(
        symbol, wall_clock() - 1_000_000, wall_clock(), EXCHANGE
    ),
}


def trades(symbol: str, first: int, start: int, step: int, chance: random.Random) -> TradeBatch:
    """Return a batch whose trades lie ``step`` µs apart."""
    count = range(BATCH)
    run = Trades(
        EXCHANGE, symbol, IdKind.AGG_TRADE, 1, 3,
        [first + index for index in count], [start + index * step for index in count],
        [600_000 + chance.randrange(4_000) for _ in count],
        [chance.choice((-1, 1)) * chance.randrange(1, 5_000) for _ in count], [1] * BATCH,
    )  # fmt: skip
    return TradeBatch(run, 1, first // BATCH + 1, start, 0.0, start)


def fill(url: str, count: int) -> float:
    """Store trades of the last half hour, and a day of windows of each symbol; return trades per second."""
    chance, now = random.Random(7), wall_clock()
    with closing(MongoStore(url, "bench")) as store:
        for symbol in SYMBOLS:
            store.apply(list(windows(symbol, now, chance)), 1)
        each = max(1, count // len(SYMBOLS) // BATCH)
        step = 30 * MINUTE // (each * BATCH)
        began = time.perf_counter()
        for number in range(each):
            at = now - 30 * MINUTE + number * BATCH * step
            store.apply([trades(symbol, number * BATCH, at, step, chance) for symbol in SYMBOLS], 1)
        return each * BATCH * len(SYMBOLS) / (time.perf_counter() - began)


def windows(symbol: str, now: int, chance: random.Random) -> Iterator[ProfileRecord | OrderFlowRecord]:
    length = 5 * MINUTE
    last = now - now % length
    for number in range(WINDOWS):
        start = last - (WINDOWS - number) * length
        bar = Bar(start, start + length)
        count = ROWS if number >= WINDOWS - 3 else 10
        bar.fold(
            Trades(EXCHANGE, symbol, IdKind.AGG_TRADE, 1, 3, list(range(count)), [start] * count,
                   [600_000 + row for row in range(count)],
                   [chance.choice((-1, 1)) * chance.randrange(1, 5_000) for _ in range(count)], [1] * count)
        )  # fmt: skip
        names = EXCHANGE, symbol, "5m", start, start + length, 0, False
        yield ProfileRecord(*names, profile(bar, Decimal("0.1")))
        yield OrderFlowRecord(*names, order_flow(bar, bar))


def write(url: str, rate: int, stop: Any, stored: Any) -> None:
    """Store trades at a rate, whatever is due at a time, as the daemon's sink does, until told to stop."""
    chance, number = random.Random(8), 1_000_000
    began = time.perf_counter()
    with closing(MongoStore(url, "bench")) as store:
        while not stop.is_set():
            due = int((time.perf_counter() - began) * rate - stored.value) // BATCH
            numbers = range(number, number + min(max(due, 1), MOST_DUE))
            at = wall_clock() - 100_000
            store.apply(
                [trades(SYMBOLS[one % len(SYMBOLS)], one * BATCH, at, 100, chance) for one in numbers], 1
            )
            number += len(numbers)
            stored.value += BATCH * len(numbers)
            stop.wait(max(0.0, began + stored.value / rate - time.perf_counter()))


def read(url: str, readers: int, seconds: float, every: float, told: Any) -> None:
    """Ask in as many threads as there are readers; tell how long each question took (s), by its name."""
    took: dict[str, list[float]] = {name: [] for name in QUERIES}
    with DataManager.open(url) as manager:
        end = time.perf_counter() + seconds
        threads = [
            threading.Thread(target=_ask, args=(manager, seed, end, every, took)) for seed in range(readers)
        ]
        for one in threads:
            one.start()
        for one in threads:
            one.join()
    told.put(took)


def _ask(manager: DataManager, seed: int, end: float, every: float, took: dict[str, list[float]]) -> None:
    chance = random.Random(seed)
    time.sleep(chance.random() * every)
    while (began := time.perf_counter()) < end:
        name, query = chance.choice(list(QUERIES.items()))
        query(manager, chance.choice(SYMBOLS))
        took[name].append(time.perf_counter() - began)
        time.sleep(max(0.0, began + every - time.perf_counter()))


@contextmanager
def served(url: str | None) -> Iterator[str]:
    name = f"wadm_bench_{uuid.uuid4().hex[:8]}"
    with tempfile.TemporaryDirectory() as directory:
        if url is None:
            with mongod_in(Path(directory)).running() as server:
                yield f"mongodb://127.0.0.1:{server.port}/{name}"
            return
        yield f"{url}/{name}"
        with MongoClient[dict[str, Any]](url) as client:
            client.drop_database(name)


def measured(url: str, asked: argparse.Namespace, processes: int, every: float) -> None:
    """Run readers beside the writer for a while, and print what they saw."""
    context = mp.get_context("spawn")
    stop, stored, told = context.Event(), context.Value("q", 0), context.Queue()
    writer = context.Process(target=write, args=(url, asked.rate, stop, stored))
    per = asked.readers // processes
    readers = [
        context.Process(target=read, args=(url, per, asked.seconds, every, told)) for _ in range(processes)
    ]
    if asked.rate:
        writer.start()
        while not stored.value:
            time.sleep(0.01)
    began, before = time.perf_counter(), stored.value
    for one in readers:
        one.start()
    found = [told.get(timeout=120) for _ in readers]
    rate = (stored.value - before) / (time.perf_counter() - began)
    stop.set()
    for one in (*readers, *([writer] if asked.rate else [])):
        one.join()
    total = sum(len(times) for each in found for times in each.values())
    pace = f"each every {every:g} s" if every else "without pause"
    print(
        f"\n{per * processes} readers in {processes} process(es), {pace}: {total / asked.seconds:,.0f} "
        f"questions/s; meanwhile {rate:,.0f} trades/s stored; load {os.getloadavg()[0]:.1f}"
    )
    for name in QUERIES:
        times = sorted(1_000 * one for each in found for one in each[name])
        if len(times) > 1:
            cut = statistics.quantiles(times, n=100, method="inclusive")
            print(f"  {name:20} p50 {cut[49]:7.2f}  p95 {cut[94]:7.2f}  p99 {cut[98]:7.2f}  ({len(times)})")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--trades", type=int, default=1_000_000, help="stored before")
    parser.add_argument("--rate", type=int, default=10_000, help="trades a second stored meanwhile")
    parser.add_argument("--readers", type=int, default=50)
    parser.add_argument("--seconds", type=float, default=8)
    parser.add_argument("--processes", type=int, nargs="+", default=[1, 2])
    parser.add_argument(
        "--every", type=float, nargs="+", default=[1.0, 0.0], help="seconds between questions"
    )
    parser.add_argument("--url", help="a server to use, such as mongodb://127.0.0.1:27017")
    asked = parser.parse_args()
    with served(asked.url) as url:
        print(f"filled with {asked.trades:,} trades at {fill(url, asked.trades):,.0f}/s; times in ms")
        for every in asked.every:
            for processes in asked.processes:
                measured(url, asked, processes, every)


if __name__ == "__main__":
    main()
