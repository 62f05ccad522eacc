"""Where each stream of trade ids stands in a data directory: what was missed meanwhile is a known gap."""

from collections.abc import Iterable, Sequence
from itertools import pairwise

import structlog

from actors.burial import POISON
from actors.memory import SymbolMemory
from actors.messages import TradeBatch
from actors.storage.errors import StorageError
from actors.storage.reader import DataReader
from wadm.coverage import KnownGap
from wadm.exchanges.base import Filled, Gap
from wadm.exchanges.contiguity import MAX_ID, Missing, Positions, runs_of, without
from wadm.market import MINUTE

log = structlog.get_logger("standing")

_FOREVER = 1 << 62

#: Why trades are suspected to be missing between two times that a symbol was followed.
NOT_FOLLOWED = "the daemon was not running, or did not follow the symbol"


def stand(memory: SymbolMemory, positions: Positions, reader: DataReader) -> None:
    """Start a symbol's stream of ids behind the last one in the journal, its gaps known again.

    The ids in the journal tell of holes themselves: a kill may have come between a batch and the record of
    its gap. Of gaps that are older than the journal only the record is left.
    """
    name = memory.instrument
    position = positions.of(name.symbol, memory.source)
    batches = [
        batch
        for batch in reader.journal.overlapping(name.exchange, name.symbol, 0, _FOREVER)
        if batch.trades.id_kind is memory.source
    ]
    for batch in batches:
        if isinstance(batch.trades.ids[0], str):
            for trade_id in batch.trades.ids:
                position.restore(trade_id)
    _recall(memory, reader)
    _take_up(memory, batches, reader)
    _condemn_again(memory, batches)
    sound = [batch for batch in batches if (batch.incarnation, batch.number) not in memory.poisoned]
    runs = runs_of(trade_id for batch in sound for trade_id in batch.trades.ids)
    for kept in runs_of(trade_id for batch in batches for trade_id in batch.trades.ids)[-1:]:
        position.restore(kept.last)
    for first, last in runs:
        # A kill may have come between late trades and the record that their gap is filled.
        memory.note_filled(Filled(name.exchange, name.symbol, memory.source, first, last, 0))
    for gap in memory.gaps.open:
        position.reopen(Missing(gap.first, gap.last))
    floor = _floor(sound)
    for before, after in pairwise(runs):
        if before.last < floor:
            continue
        for hole in _unknown(memory, Missing(before.last + 1, after.first - 1)):
            position.reopen(hole)
            at = _time(batches, after.first)
            memory.note_gap(Gap(name.exchange, name.symbol, memory.source, hole.first, hole.last, at))


def _floor(batches: Sequence[TradeBatch]) -> int:
    """Return the id from which on the journal holds all that came: what was before may have been trimmed.

    A batch of trades long past (it filled a gap) outlives the batches of their own time, and says nothing.
    """
    for batch in batches:
        trades = batch.trades
        if max(trades.times) + MINUTE >= batch.market_time:
            return min((one for one in trades.ids if isinstance(one, int)), default=MAX_ID)
    return MAX_ID


def _recall(memory: SymbolMemory, reader: DataReader) -> None:
    """Know again the gaps on record."""
    name = memory.instrument
    try:
        records = reader.gaps(name.exchange, name.symbol, 0, _FOREVER)
    except StorageError as error:
        log.warning("gaps_not_read", symbol=name.key, reason=str(error))
        return
    memory.gaps.known += [
        KnownGap(record.gap, record.state, record.reason)
        for record in records
        if record.gap.id_kind in (memory.source, None)
    ]


def _take_up(memory: SymbolMemory, batches: Sequence[TradeBatch], reader: DataReader) -> None:
    """Suspect, where ids show no gap, that trades were missed since the last one kept."""
    if memory.counted:
        return
    memory.received_to = max((max(batch.trades.times) for batch in batches), default=None)
    if memory.received_to is None:
        memory.received_to = _last_bar_close(memory, reader)
    memory.note_break(NOT_FOLLOWED)


def _last_bar_close(memory: SymbolMemory, reader: DataReader) -> int | None:
    """Return the time (µs) of the last trade in a bar, None without one."""
    name, reader = memory.instrument, reader.recent
    try:
        extent = reader.extent(name.exchange, name.symbol)
        bars = reader.bars(name.exchange, name.symbol, extent[1] - MINUTE, extent[1]) if extent else []
    except StorageError as error:
        log.warning("bars_not_read", symbol=name.key, reason=str(error))
        return None
    return bars[-1].close[0] if bars and bars[-1].close else None


def _condemn_again(memory: SymbolMemory, batches: Iterable[TradeBatch]) -> None:
    """Skip the batches that were skipped before: the bars are without them, and their gaps say so."""
    poison = [one.gap for one in memory.gaps.known if one.reason == POISON and one.gap.id_kind]
    for batch in batches if poison else ():
        ids = runs_of(batch.trades.ids)
        if any(gap.first <= one.last and one.first <= gap.last for gap in poison for one in ids):
            memory.poisoned.add((batch.incarnation, batch.number))


def _unknown(memory: SymbolMemory, hole: Missing) -> list[Missing]:
    """Return the parts of a hole that lie in no gap known."""
    left = [hole]
    for known in memory.gaps.known:
        if known.gap.id_kind is not None:
            left = [part for one in left for part in without(one, Missing(known.gap.first, known.gap.last))]
    return left


def _time(batches: Iterable[TradeBatch], trade_id: int) -> int:
    """Return the exchange time (µs) of a trade."""
    found = next(batch.trades for batch in batches if trade_id in batch.trades.ids)
    return found.times[found.ids.index(trade_id)]
