"""How an aggregator comes to know where its symbol stands: start-up and crash recovery are one path.

Closed bars come from memory, or after a start of the daemon from the stores; the open bars are folded again
from the raw trades of the journal. What then still waits in the mailbox is recognised by its batch number.
"""

import trio

from actors.memory import SymbolMemory, epoch_of
from actors.messages import TradeBatch
from actors.storage.journal import Journal
from actors.storage.marks import Marks
from actors.storage.reader import DataReader
from wadm.bar import Bar
from wadm.market import MINUTE
from wadm.series import BarSeries

#: After a start of the daemon, so much (µs) before the last closed bar's end is counted again from raw
#: trades: a late trade may have been journalled when the revised bar was not.
RECOUNT = 3 * MINUTE

_FOREVER = 1 << 62

#: Senders whose last batch may not be committed yet, counted generously: the writer commits in order.
_UNCOMMITTED = 8


async def rebuild(
    memory: SymbolMemory, series: BarSeries, journal: Journal, reader: DataReader, marks: Marks, *, epoch: int
) -> None:
    """Bring ``series`` to the state that the batches applied so far make, or that the stores hold.

    ``epoch`` is this start of the daemon: its own batches come from the mailbox unless they were applied.
    """
    memory.warming = True
    name = memory.instrument
    applied = dict(memory.applied)
    fresh = not applied
    if fresh:
        await _load_closed(memory, reader)
        since = memory.closed.last_end() - RECOUNT
    else:
        # What an earlier start of the daemon left was read from the journal: it has no marks here.
        own = [one for one in applied.items() if epoch_of(one[0]) == epoch]
        for incarnation, number in own[-_UNCOMMITTED:]:
            await marks.wait_for_batch(incarnation, name.key, number)
        since = memory.market_time - series.grace - MINUTE + 1
    since = max(0, -(-since // MINUTE) * MINUTE)
    batches = await trio.to_thread.run_sync(
        lambda: list(journal.overlapping(name.exchange, name.symbol, since, _FOREVER))
    )
    scratch = BarSeries(grace=series.grace)
    for batch in batches:
        if (batch.incarnation, batch.number) in memory.poisoned:
            continue
        earlier = fresh and epoch_of(batch.incarnation) != epoch
        if earlier or batch.number <= applied.get(batch.incarnation, 0):
            scratch.fold(batch.trades)
            memory.seen(batch.trades)
            if earlier:
                _follow(memory, batch)
    for start, bar in scratch.open.items():
        if start >= since:
            _adopt(series, bar)
    memory.warming = False


async def _load_closed(memory: SymbolMemory, reader: DataReader) -> None:
    name, closed = memory.instrument, memory.closed
    extent = await trio.to_thread.run_sync(reader.extent, name.exchange, name.symbol)
    if extent is None:
        return
    start, end = max(extent[0], extent[1] - closed.keep), extent[1]
    for bar in await trio.to_thread.run_sync(reader.bars, name.exchange, name.symbol, start, end):
        closed.put(bar)
        memory.covered_from = bar.start if memory.covered_from is None else memory.covered_from
    memory.market_time = max(memory.market_time, closed.last_end())
    memory.due.noted(closed.last_end() - MINUTE)


def _follow(memory: SymbolMemory, batch: TradeBatch) -> None:
    memory.came_to(batch.incarnation, max(batch.number, memory.applied.get(batch.incarnation, 0)))
    memory.market_time = max(memory.market_time, batch.market_time)


def _adopt(series: BarSeries, bar: Bar) -> None:
    """Take a bar made from raw trades, unless its closed revision knows as much (raw trades may be gone)."""
    closed = series.closed.get(bar.start)
    if closed is None:
        series.open[bar.start] = bar
    elif closed.buy_trades + closed.sell_trades < bar.buy_trades + bar.sell_trades:
        bar.revision = closed.revision + 1
        series.open[bar.start] = bar
