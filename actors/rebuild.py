"""How an aggregator comes to know where its symbol stands: start-up and crash recovery are one path.

Closed bars come from memory, or after a start of the daemon from the stores; the open bars begin at the last
checkpoint, and are folded on from the raw trades of the journal and of the batches on their way there. What
then still waits in the mailbox is recognised by its batch number.
"""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import NamedTuple

import structlog
import trio

from actors.burial import condemn
from actors.memory import Checkpoint, SymbolMemory, epoch_of
from actors.messages import TradeBatch
from actors.rerecord import RERECORD, windows_left
from actors.storage.errors import StorageError
from actors.storage.journal_view import RecordedWindow
from actors.storage.reader import DataReader
from actors.storage.runs import joined
from wadm.bar import Bar, Digest
from wadm.coverage import KnownGap
from wadm.exchanges.base import Gap
from wadm.market import MINUTE, Instrument
from wadm.series import BarSeries

log = structlog.get_logger("rebuild")

#: After a start of the daemon, so much (µs) before the last closed bar's end is counted again from raw
#: trades: a late trade may have been journalled when the revised bar was not.
RECOUNT = 3 * MINUTE

#: Where all bars are in the cold tier, so long (s) is waited to hear how far they reach: a server may hang.
PATIENCE = 2.0

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

    place = {name: at for at, name in enumerate(memory.folded)}

    def is_ours(batch: TradeBatch) -> bool:
        earlier = not begun.applied and epoch_of(batch.incarnation) != epoch
        return earlier or (batch.incarnation, batch.number) in place

    # In the order in which they were folded, whatever was committed while the journal was read: in another
    # one a path could look inexact, and its bar would be closed a second time. Earlier starts' come first.
    ours = sorted(filter(is_ours, batches), key=lambda one: place.get((one.incarnation, one.number), -1))
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
    memory: SymbolMemory, bars: Sequence[Bar], batches: Sequence[TradeBatch], grace: int
) -> BarSeries:
    """Fold batches onto copies of bars. One that cannot be folded is poison: the fold begins again."""
    while True:
        scratch = _copied(bars, grace)
        sound = [one for one in batches if (one.incarnation, one.number) not in memory.poisoned]
        try:
            for trades in joined(one.trades for one in sound):  # in a tenth of the time
                scratch.fold(trades)
        except Exception:  # which of them it was is found out one by one
            scratch = _copied(bars, grace)
            poison = next((one for one in sound if not _folds(scratch, one)), None)
            if poison is not None:
                condemn(memory, poison)
                continue
        for batch in batches:
            memory.seen(batch.trades)
            _follow(memory, batch)
        return scratch


def _copied(bars: Sequence[Bar], grace: int) -> BarSeries:
    return BarSeries(grace=grace, open={bar.start: bar.copy() for bar in bars})


def _folds(scratch: BarSeries, batch: TradeBatch) -> bool:
    try:
        scratch.fold(batch.trades)
    except Exception:  # whatever a batch does to the fold, an aggregator has to come up
        log.exception("batch_not_folded", symbol=batch.trades.key)
        return False
    return True


async def _load_closed(memory: SymbolMemory, reader: DataReader) -> None:
    name, closed = memory.instrument, memory.closed
    try:
        found = await trio.to_thread.run_sync(_newest, reader.recent, name, closed.keep)
        closed.whole = True
    except StorageError as error:
        log.warning("store_not_read", symbol=name.key, reason=str(error), instead="the journal alone")
        found = await trio.to_thread.run_sync(_newest, reader.alone, name, closed.keep)
        closed.whole = False
    # Of bars elsewhere only their end was asked for: the first answer that reads further back tells of them.
    closed.since = None
    if not found.bars:
        await _look_into_archive(memory, reader)
        return
    closed.put_packed(found.bars)
    memory.covered_from = found.bars[0][0].start if memory.covered_from is None else memory.covered_from
    memory.market_time = max(memory.market_time, closed.last_end())
    digests = {digest.start: digest for digest, _ in found.bars}
    for window in windows_left(closed, digests, found.windows):
        memory.due.put(window)


async def _look_into_archive(memory: SymbolMemory, reader: DataReader) -> None:
    """Note where the bars end that only the cold tier has, or that there are none, unless it does not say."""
    name = memory.instrument
    with trio.move_on_after(PATIENCE), suppress(StorageError):
        end, is_all = await trio.to_thread.run_sync(_stored_until, reader, name, abandon_on_cancel=True)
        memory.market_time = max(memory.market_time, end)
        memory.closed.since = end if is_all else None


def _stored_until(reader: DataReader, name: Instrument) -> tuple[int, bool]:
    """Return where all bars end that are stored, 0 without any, and whether nothing is lost behind them."""
    key = name.exchange, name.symbol
    extent = reader.extent(*key)
    end = 0 if extent is None else extent[1]
    return end, not reader.unreadable(*key, end, _FOREVER)


class _Newest(NamedTuple):
    """The newest closed bars of a symbol, and what is recorded of the windows that ended last."""

    bars: list[tuple[Digest, bytes]]
    windows: set[RecordedWindow]


def _newest(reader: DataReader, name: Instrument, keep: int) -> _Newest:
    """Return so much (µs) of them."""
    extent = reader.extent(name.exchange, name.symbol)
    if extent is None:
        return _Newest([], set())
    bars = reader.packed_bars(name.exchange, name.symbol, max(extent[0], extent[1] - keep), extent[1])
    since = bars[-1][0].start - RERECORD if bars else extent[1]
    return _Newest(bars, reader.journal.windows(name.exchange, name.symbol, since))


async def complete(memory: SymbolMemory, reader: DataReader) -> list[Gap]:
    """Load what was out of reach when the symbol's memory was made: older bars, and older gaps.

    Returns the gaps among them that may still be filled. Raises StorageError while it is out of reach still.
    """
    name, closed = memory.instrument, memory.closed
    found = await trio.to_thread.run_sync(_newest, reader.recent, name, closed.keep)
    records = await trio.to_thread.run_sync(reader.gaps, name.exchange, name.symbol, 0, _FOREVER)
    # What came since is in memory, and newer there. No await from here on.
    first = closed.starts[0] if closed.starts else _FOREVER
    older_bars = [one for one in found.bars if one[0].start < first]
    closed.put_packed(older_bars)
    for digest, _ in older_bars[:1]:
        memory.covered_from = min(memory.covered_from or digest.start, digest.start)
    older = [
        KnownGap(record.gap, record.state, record.reason)
        for record in records
        if record.gap.at < first and record.gap.id_kind in (memory.source, None)
    ]
    known = {(one.gap.id_kind, one.gap.first) for one in memory.gaps.known}
    older = [one for one in older if (one.gap.id_kind, one.gap.first) not in known]
    memory.gaps.known += older
    closed.whole = True
    return [one.gap for one in older if one.state == "open" and isinstance(one.gap, Gap)]


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
