"""A small data directory made by hand: two symbols, four minutes, every kind of record, half carried over."""

import random
from decimal import Decimal
from pathlib import Path

from actors.messages import (
    BarRecord,
    BookRecord,
    Entry,
    GapRecord,
    OrderFlowRecord,
    ProfileRecord,
    TradeBatch,
)
from actors.storage.carrying import carry_over
from actors.storage.engines import embedded_url
from actors.storage.journal import Journal
from actors.storage.sql import SqlStore
from wadm.analytics.order_flow import order_flow
from wadm.analytics.profile import profile
from wadm.coverage import SuspectedGap
from wadm.exchanges.base import Gap
from wadm.market import MINUTE, IdKind, Trades
from wadm.series import BarSeries
from wadm.timeframes import window

#: 2024-08-08T23:55:00Z
START = 1_723_161_300_000_000
MINUTES = 4
PER_MINUTE = 60

BTC = "binance", "BTCUSDT"
ETH = "bybit", "ETHUSDT"
STREAMS = (BTC, ETH)


def trades_of(stream: tuple[str, str], minutes: int = MINUTES, start: int = START) -> Trades:
    """Return trades that cross minutes: numbered on Binance, named on Bybit."""
    chance = random.Random(f"{stream}{start}")
    count = minutes * PER_MINUTE
    times = sorted(start + chance.randrange(minutes * MINUTE) // 1_000 * 1_000 for _ in range(count))
    counted = stream == BTC
    first = start // MINUTE * 1_000
    return Trades(
        *stream, IdKind.AGG_TRADE if counted else IdKind.TRADE, 2, 5,
        [first + one if counted else f"{chance.getrandbits(128):032x}" for one in range(count)],
        times,
        [6_100_000 + chance.randrange(-40, 40) for _ in range(count)],
        [chance.choice((-1, 1)) * chance.randrange(1, 300_000) for _ in range(count)],
        [1 + chance.randrange(3) if counted else 1 for _ in range(count)],
    )  # fmt: skip


def part(trades: Trades, first: int, last: int) -> Trades:
    """Return the trades ``[first:last]``."""
    return Trades(
        trades.exchange, trades.symbol, trades.id_kind, trades.price_decimals, trades.quantity_decimals,
        *(column[first:last] for column in (
            trades.ids, trades.times, trades.prices, trades.signed_quantities, trades.counts
        )),
    )  # fmt: skip


def batches(trades: Trades, incarnation: int = 1_000_001, size: int = 37) -> list[TradeBatch]:
    """Return trades in batches that do not respect minutes."""
    runs = [part(trades, at, at + size) for at in range(0, len(trades), size)]
    return [
        TradeBatch(run, incarnation, number, run.times[-1] + 5, 0.0, run.times[-1])
        for number, run in enumerate(runs, 1)
    ]


def records(trades: Trades) -> list[Entry]:
    """Return the bars, profiles and order flow that an aggregator records of them."""
    series = BarSeries(grace=0)
    series.fold(trades)
    stream, last = (trades.exchange, trades.symbol), trades.times[-1]
    closed = series.finish(last)
    made: list[Entry] = [BarRecord(*stream, bar) for bar in closed]
    windows = {("1m", bar.start, bar.end) for bar in closed} | {("5m", *window("5m", closed[0].start))}
    for timeframe, start, end in sorted(windows):
        bar = series.merged(start, end)
        key = (*stream, timeframe, start, end, bar.revision, bar.partial)
        made.append(ProfileRecord(*key, profile(bar, Decimal("0.05"))))
        made.append(OrderFlowRecord(*key, order_flow(bar, bar), 3, 1))
    return made


def others(stream: tuple[str, str]) -> list[Entry]:
    """Return gaps and order books."""
    missing = (
        Gap(*stream, IdKind.AGG_TRADE, 10, 19, START + 7)
        if stream == BTC
        else SuspectedGap(*stream, START + 5, START + 9)
    )
    return [
        GapRecord(missing, "open", "the connection ended"),
        GapRecord(missing, "unfillable", "too old, by far"),
        BookRecord(*stream, START + 3, 77, 2, 5, [(6_100_001, 5), (6_100_000, 70)], [(6_100_002, 9)]),
        BookRecord(*stream, START + 1_000_003, 79, 2, 5, [(6_100_001, 6)], []),
    ]


def make(directory: Path) -> Path:
    """Make the data directory; the store has followed its journal half-way."""
    directory.mkdir()
    journal = Journal(directory)
    store = SqlStore(embedded_url(directory), journal.identity())
    for number, stream in enumerate(STREAMS):
        trades = trades_of(stream)
        journal.append([*batches(trades), *records(trades), *others(stream)])
        if number == 0:
            carry_over(journal, store)
    journal.close()
    store.close()
    return directory
