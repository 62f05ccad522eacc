"""Metrics of what comes in: trades, their latency, gaps, order books, and the connections they come over."""

from collections.abc import Iterator, Mapping

import attrs
import trio
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric

from actors.books.memory import BookMemory
from actors.connections.memory import ConnectionMemory
from actors.connections.rates import Rates
from actors.gaps import soundness
from actors.memory import SymbolMemory
from actors.metrics.families import add_histogram, add_quantiles
from actors.metrics.source import DETAILED, SLICE, Make
from actors.runtime import Runtime
from wadm.latency import Latency
from wadm.ledger import Account

_SYMBOL = ("exchange", "symbol")
_STATES = ("connected", "connecting", "disconnected", "ended")


@attrs.frozen(eq=False)
class _Symbol:
    """What was read of one symbol, beside its trades."""

    latency: Latency
    gaps: Mapping[str, int]
    noticed: Mapping[str, int]
    warming: bool
    market_time: int


@attrs.frozen(eq=False)
class _Book:
    """What was read of one order book."""

    synced: bool
    updates: int
    gaps: int
    resyncs: int


@attrs.frozen(eq=False)
class _Connection:
    """What was read of one connection."""

    state: str
    counts: tuple[int, ...]
    streams: int
    silent: int
    lag: Latency


_COUNTED = (
    ("frames", "Frames received."),
    ("trades", "Trades received."),
    ("received_bytes", "Bytes received."),
    ("reconnects", "Times that the connection was made again."),
    ("rollovers", "Times that the connection was replaced before it ended."),
    ("gaps", "Gaps noticed on the connection."),
)


@attrs.define(eq=False)
class Market:
    """A source. Rates are those since the scrape before."""

    runtime: Runtime
    _rates: Rates = attrs.field(factory=Rates, init=False)

    async def read(self) -> Make:
        """Read the ledger in one go, so that it balances, and the rest in slices."""
        runtime, rates = self.runtime, self._rates
        waiting = runtime.waiting()
        accounts = {key: _copied(account) for key, account in runtime.ledger.accounts.items()}
        frames, refused = runtime.ledger.frames, dict(runtime.ledger.frames_rejected)
        await trio.lowlevel.checkpoint()
        per_second = {key: rates.of(key, account.applied) for key, account in accounts.items()}
        symbols, books = {}, {}
        for number, key in enumerate(list(runtime.symbols)):
            if number % SLICE == 0:
                await trio.lowlevel.checkpoint()
            if key in runtime.symbols:
                symbols[key] = _read_symbol(runtime.symbols[key])
                if runtime.books[key].received:
                    books[key] = _read_book(runtime.books[key])
        connections = {}
        for name, one in list(runtime.connections.items()):
            await trio.lowlevel.checkpoint()
            connections[name] = _read_connection(one)

        def make() -> Iterator[Metric]:
            yield from _trades(accounts, waiting, per_second)
            yield from _frames(frames, refused)
            yield from _latency(symbols)
            yield from _gaps(symbols)
            yield from _books(books)
            yield from _connections(connections)

        return make


def _copied(account: Account) -> Account:
    return attrs.evolve(account, rejected=account.rejected.copy(), shed=account.shed.copy())


def _read_symbol(memory: SymbolMemory) -> _Symbol:
    counted = soundness.totals([memory]).get(memory.instrument.key, {})
    noticed = dict(memory.gaps_noted)
    return _Symbol(memory.latency.copy(), counted, noticed, memory.warming, memory.market_time)


def _read_book(memory: BookMemory) -> _Book:
    sync = memory.sync
    return _Book(sync.synced, sync.applied, sync.gaps, sync.resyncs)


def _read_connection(memory: ConnectionMemory) -> _Connection:
    counts = (memory.frames, memory.trades, memory.bytes, memory.reconnects, memory.rollovers, memory.gaps)
    return _Connection(memory.state, counts, len(memory.streams), len(memory.silent), memory.lag.copy())


# --- in the thread ---


def _named(key: str) -> tuple[str, str]:
    exchange, _, symbol = key.partition(":")
    return exchange, symbol


def _trades(
    accounts: Mapping[str, Account], waiting: Mapping[str, int], per_second: Mapping[str, float]
) -> Iterator[Metric]:
    received = CounterMetricFamily(
        "wadm_trades_received", "Trades received; each has one outcome, or is in flight.", labels=_SYMBOL
    )
    outcomes = CounterMetricFamily(
        "wadm_trades",
        "What became of trades: applied, duplicate, rejected or shed, the last two with a reason.",
        labels=(*_SYMBOL, "outcome", "reason"),
    )
    flying = GaugeMetricFamily("wadm_trades_in_flight", "Trades between codec and bar.", labels=_SYMBOL)
    rate = GaugeMetricFamily(
        "wadm_trades_per_second", "Trades applied per second since the scrape before.", labels=_SYMBOL
    )
    for key, account in accounts.items():
        labels = _named(key)
        received.add_metric(labels, account.received)
        outcomes.add_metric([*labels, "applied", ""], account.applied)
        outcomes.add_metric([*labels, "duplicate", ""], account.duplicate)
        for outcome, counted in (("rejected", account.rejected), ("shed", account.shed)):
            for reason, count in counted.items():
                outcomes.add_metric([*labels, outcome, reason], count)
        flying.add_metric(labels, waiting.get(key, 0))
        rate.add_metric(labels, per_second[key])
    yield from (received, outcomes, flying, rate)


def _frames(frames: int, refused: Mapping[str, int]) -> Iterator[Metric]:
    yield CounterMetricFamily("wadm_frames", "Frames that came from exchanges.", frames)
    rejected = CounterMetricFamily(
        "wadm_frames_rejected", "Frames that could not be read.", labels=("reason",)
    )
    for reason, count in refused.items():
        rejected.add_metric([reason], count)
    yield rejected


def _latency(symbols: Mapping[str, _Symbol]) -> Iterator[Metric]:
    by_symbol = GaugeMetricFamily(
        "wadm_ingest_latency_seconds",
        "Time from a frame's arrival until its trades are in a bar, since the start; "
        f"by symbol while there are no more than {DETAILED}, else symbol is empty and stands for all.",
        labels=(*_SYMBOL, "quantile"),
    )
    histogram = HistogramMetricFamily(
        "wadm_ingest_duration_seconds",
        "Time from a frame's arrival until its trades are in a bar.",
        labels=("exchange",),
    )
    exchanges: dict[str, Latency] = {}
    for key, one in symbols.items():
        exchange, symbol = _named(key)
        exchanges.setdefault(exchange, Latency()).merge(one.latency)
        if len(symbols) <= DETAILED:
            add_quantiles(by_symbol, (exchange, symbol), one.latency)
    for exchange, latency in exchanges.items():
        if len(symbols) > DETAILED:
            add_quantiles(by_symbol, (exchange, ""), latency)
        add_histogram(histogram, (exchange,), latency)
    yield from (by_symbol, histogram)


def _gaps(symbols: Mapping[str, _Symbol]) -> Iterator[Metric]:
    known = GaugeMetricFamily(
        "wadm_gaps",
        "Gaps in trades that are not filled: open, unfillable or suspected.",
        labels=(*_SYMBOL, "state"),
    )
    missing = GaugeMetricFamily("wadm_gap_trades_missing", "Ids that are missing in gaps.", labels=_SYMBOL)
    noted = CounterMetricFamily(
        "wadm_gap_events",
        "Gaps, or parts of them, that were noticed, filled or given up.",
        labels=(*_SYMBOL, "state"),
    )
    warming = GaugeMetricFamily("wadm_symbols", "Symbols that are followed.", labels=("exchange", "state"))
    counted: dict[tuple[str, str], int] = {}
    for key, one in symbols.items():
        exchange, symbol = _named(key)
        state = "warming" if one.warming else "live" if one.market_time else "waiting"
        counted[exchange, state] = counted.get((exchange, state), 0) + 1
        for name, count in one.gaps.items():
            if name == "ids_missing":
                missing.add_metric([exchange, symbol], count)
            else:
                known.add_metric([exchange, symbol, name], count)
        for name, count in one.noticed.items():
            noted.add_metric([exchange, symbol, name], count)
    for labels, count in counted.items():
        warming.add_metric(labels, count)
    yield from (known, missing, noted, warming)


def _books(books: Mapping[str, _Book]) -> Iterator[Metric]:
    synced = GaugeMetricFamily("wadm_book_synced", "Whether the order book is in step.", labels=_SYMBOL)
    updates = CounterMetricFamily("wadm_book_updates", "Updates folded into the order book.", labels=_SYMBOL)
    gaps = CounterMetricFamily(
        "wadm_book_gaps", "Times that the order book fell out of step.", labels=_SYMBOL
    )
    resyncs = CounterMetricFamily(
        "wadm_book_resyncs", "Times that the order book came into step again.", labels=_SYMBOL
    )
    for key, one in books.items():
        labels = _named(key)
        synced.add_metric(labels, one.synced)
        updates.add_metric(labels, one.updates)
        gaps.add_metric(labels, one.gaps)
        resyncs.add_metric(labels, one.resyncs)
    yield from (synced, updates, gaps, resyncs)


def _connections(connections: Mapping[str, _Connection]) -> Iterator[Metric]:
    state = GaugeMetricFamily(
        "wadm_connection_state", "1 for the state that the connection is in.", labels=("connection", "state")
    )
    counts = [
        CounterMetricFamily(f"wadm_connection_{name}", meaning, labels=("connection",))
        for name, meaning in _COUNTED
    ]
    streams = GaugeMetricFamily("wadm_connection_streams", "Streams it carries.", labels=("connection",))
    silent = GaugeMetricFamily(
        "wadm_connection_streams_silent", "Streams on which nothing comes.", labels=("connection",)
    )
    lag = GaugeMetricFamily(
        "wadm_connection_lag_seconds",
        "Time from a trade to its receipt, by the two clocks, since the start.",
        labels=("connection", "quantile"),
    )
    for name, one in connections.items():
        for each in _STATES:
            state.add_metric([name, each], one.state == each)
        for family, count in zip(counts, one.counts, strict=True):
            family.add_metric([name], count)
        streams.add_metric([name], one.streams)
        silent.add_metric([name], one.silent)
        add_quantiles(lag, (name,), one.lag)
    yield from (state, *counts, streams, silent, lag)
