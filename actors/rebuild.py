"""How an aggregator comes to know where its symbol stands: start-up and crash recovery are one path.

Closed bars come from memory, or after a start of the daemon from the stores; the open bars begin at the last
checkpoint, and are folded on from the raw trades of the journal and of the batches on their way there. What
then still waits in the mailbox is recognised by its batch number.
"""

from collections.abc import Mapping, Sequence

import structlog
import trio

from actors.burial import condemn
from actors.memory import Checkpoint, SymbolMemory, epoch_of
from actors.messages import TradeBatch
from actors.storage.reader import DataReader
from wadm.bar import Bar, decode
from wadm.market import MINUTE, Instrument
from wadm.series import BarSeries

log = structlog.get_logger("rebuild")

#: After a start of the daemon, so much (µs) before the last closed bar's end is counted again from raw
#: trades: a late trade may have been journalled when the revised bar was not.
RECOUNT = 3 * MINUTE

_FOREVER = 1 << 62


async def rebuild(memory: SymbolMemory, series: BarSeries, reader: DataReader, *, epoch: int) -> None:
    """Bring ``series`` to the state that the batches applied so far make, or that the stores hold.

    ``epoch`` is this start of the daemon: its own batches come from the mailbox unless they were applied.
    """
    memory.warming = True
    name, applied = memory.instrument, dict(memory.applied)
    fresh = not applied
    if fresh:
        await _load_closed(memory, reader)
        since = memory.closed.last_end() - RECOUNT
    else:
        since = memory.market_time - series.grace - MINUTE + 1
    since = max(0, -(-since // MINUTE) * MINUTE)
    begun = memory.checkpoint or Checkpoint({}, ())
    batches = await trio.to_thread.run_sync(_journalled, reader, name, begun, applied, since)
    # What the writer has not committed yet is in nobody's hand but this memory's: a slow disk delays no one.
    journalled = {(batch.incarnation, batch.number) for batch in batches}
    batches += [one for one in memory.uncommitted if (one.incarnation, one.number) not in journalled]

    def is_ours(batch: TradeBatch) -> bool:
        if fresh:
            return epoch_of(batch.incarnation) != epoch
        number = applied.get(batch.incarnation, 0)
        return begun.applied.get(batch.incarnation, 0) < batch.number <= number

    ours = [batch for batch in batches if is_ours(batch)]
    scratch = _refold(memory, begun.bars, ours, series.grace)
    for start, bar in scratch.open.items():
        if start >= since:
            _adopt(series, bar)
    memory.open_from = min(series.open, default=None)
    memory.warming = False


def _journalled(
    reader: DataReader, name: Instrument, begun: Checkpoint, applied: Mapping[int, int], since: int
) -> list[TradeBatch]:
    """Read what was folded after the checkpoint; without one, all that reaches past ``since`` (µs)."""
    journal = reader.journal
    if not begun.applied:
        return list(journal.overlapping(name.exchange, name.symbol, since, _FOREVER))
    found: list[TradeBatch] = []
    for incarnation, last in applied.items():
        done = begun.applied.get(incarnation, 0)
        while done < last:
            page = journal.batches(name.exchange, name.symbol, incarnation, done)
            found += page
            done = page[-1].number if page else last
    return found


def _refold(
    memory: SymbolMemory, bars: Sequence[bytes], batches: Sequence[TradeBatch], grace: int
) -> BarSeries:
    """Fold batches onto packed bars. One that cannot be folded is poison: the fold begins again."""
    while True:
        opened = (decode(packed) for packed in bars)
        scratch = BarSeries(grace=grace, open={bar.start: bar for bar in opened})
        for batch in batches:
            if (batch.incarnation, batch.number) in memory.poisoned:
                continue
            try:
                scratch.fold(batch.trades)
            except Exception:  # whatever a batch does to the fold, an aggregator has to come up
                log.exception("batch_not_folded", symbol=batch.trades.key)
                condemn(memory, batch)
                break
        else:
            for batch in batches:
                memory.seen(batch.trades)
                _follow(memory, batch)
            return scratch


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
