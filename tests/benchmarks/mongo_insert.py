"""Trades a second into a real MongoDB, with its indexes and validator.

*backlog*: as fast as it takes them, 20,000 in one go, as a sink that catches up hands them over.
*ingest*: 10,000 trades a second for some seconds, handed over twenty times a second, as a sink that follows.
"""

import argparse
import random
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from server_mongod import mongod_in

from actors.messages import TradeBatch
from actors.storage.mongo.store import MongoStore
from wadm.market import IdKind, Trades

#: What one read of a socket brings, and over how many symbols that spreads.
BATCH = 20
SYMBOLS = 10

RATE = 10_000
HANDED_OVER = 20_000
EVERY = 0.05


def batches(first: int) -> Iterator[TradeBatch]:
    """Yield batches of made-up trades without end."""
    chance, number = random.Random(7), first
    while True:
        symbol, at = f"S{number % SYMBOLS}USDT", 1_723_161_300_000_000 + number * 2_000
        trades = Trades(
            "binance_usdm", symbol, IdKind.AGG_TRADE, 1, 3,
            [number * BATCH + index for index in range(BATCH)],
            [at + index * 100 for index in range(BATCH)],
            [610_000 + chance.randrange(1_000) for _ in range(BATCH)],
            [chance.choice((1, -1)) * chance.randrange(1, 100_000) for _ in range(BATCH)],
            [1] * BATCH,
        )  # fmt: skip
        yield TradeBatch(trades, 1, number, at, 0.0, at)
        number += 1


def backlog(store: MongoStore, count: int, first: int) -> str:
    """Store trades as fast as possible."""
    source, seconds, processor = batches(first), 0.0, 0.0
    for place in range(0, count, HANDED_OVER):
        some = [next(source) for _ in range(HANDED_OVER // BATCH)]
        before, used = time.perf_counter(), time.process_time()
        store.apply(some, place + 1)
        seconds += time.perf_counter() - before
        processor += time.process_time() - used
    return f"{count / seconds:9,.0f} trades/s, {processor / count * 1e6:.1f} µs of processor each here"


def ingest(store: MongoStore, count: int, first: int) -> str:
    """Store trades at the pace at which they come; say how long that took, and the lag at the end."""
    each = int(RATE * EVERY)
    source, took = batches(first), []
    ready = [[next(source) for _ in range(each // BATCH)] for _ in range(count // each)]
    started, processor = time.perf_counter(), time.process_time()
    for place, some in enumerate(ready):
        time.sleep(max(0.0, started + place * EVERY - time.perf_counter()))
        before = time.perf_counter()
        store.apply(some, place + 1)
        took.append(time.perf_counter() - before)
    late = time.perf_counter() - started - len(ready) * EVERY
    took.sort()
    share = (time.process_time() - processor) / (time.perf_counter() - started)
    return (
        f"{RATE:9,} trades/s, behind by {max(0.0, late) * 1e3:.0f} ms at the end; {each} of them take "
        f"p50 {took[len(took) // 2] * 1e3:.1f} ms, p99 {took[int(len(took) * 0.99)] * 1e3:.1f} ms; "
        f"{share:.0%} of a core here"
    )


def main() -> None:
    """Measure every way once."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trades", type=int, default=200_000)
    count = parser.parse_args().trades
    with tempfile.TemporaryDirectory() as directory, mongod_in(Path(directory)).running() as server:
        for name, series in (("collection", False), ("time series", True)):
            for way, first in ((backlog, 0), (ingest, 10_000_000)):
                store = MongoStore(f"{server.url}/{name.replace(' ', '_')}", way.__name__, time_series=series)
                store.initialise()
                print(f"{name:12} {way.__name__:8} {way(store, count, first)}", flush=True)
                store.close()


if __name__ == "__main__":
    main()
