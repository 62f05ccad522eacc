"""Where each stream of trade ids stands in a data directory: what was missed meanwhile is a known gap."""

from collections.abc import Iterable, Sequence
from itertools import pairwise

import structlog

from actors.burial import POISON
from actors.memory import SymbolMemory
from actors.storage.errors import StorageError
from actors.storage.payload import KeptIds
from actors.storage.reader import DataReader
from wadm.coverage import AnyGap, KnownGap
from wadm.exchanges.base import Filled, Gap
from wadm.exchanges.contiguity import MAX_ID, Missing, Positions, joined, runs_of, without
from wadm.market import MINUTE

log = structlog.get_logger("standing")

_FOREVER = 1 << 62

#: Why trades are suspected to be missing between two times that a symbol was followed.
NOT_FOLLOWED = "the daemon was not running, or did not follow the symbol"


def stand(
    memory: SymbolMemory, positions: Positions, reader: DataReader, ids: Sequence[KeptIds] | None = None
) -> None:
    """Start a symbol's stream of ids behind the last one in the journal, its gaps known again.

    The ids in the journal tell of holes themselves: a kill may have come between a batch and the record of
    its gap. Of gaps that are older than the journal only the record is left. ``ids`` are the symbol's, where
    those of all symbols were read at once: see ``JournalView.joined_ids``.
    """
    name = memory.instrument
    position = positions.of(name.symbol, memory.source)
    _recall(memory, reader)
    poison = [one.gap for one in memory.gaps.known if one.reason == POISON and one.gap.id_kind]
    if ids is None or poison:  # which are skipped batch by batch
        ids = list(reader.journal.ids(name.exchange, name.symbol))
    kept = [one for one in ids if one.id_kind is memory.source]
    for trade_id in (trade_id for one in kept if isinstance(one.ids[0], str) for trade_id in one.ids):
        position.restore(trade_id)
    _take_up(memory, kept, reader)
    _condemn_again(memory, kept, poison)
    sound = [one for one in kept if (one.incarnation, one.number) not in memory.poisoned]
    runs = _runs(sound)
    for last in (runs if len(sound) == len(kept) else _runs(kept))[-1:]:
        position.restore(last.last)
    for first, last_id in runs:
        # A kill may have come between late trades and the record that their gap is filled.
        memory.note_filled(Filled(name.exchange, name.symbol, memory.source, first, last_id, 0))
    for gap in memory.gaps.open:
        position.reopen(Missing(gap.first, gap.last))
    floor = _floor(sound)
    for before, after in pairwise(runs):
        if before.last < floor:
            continue
        for hole in _unknown(memory, Missing(before.last + 1, after.first - 1)):
            position.reopen(hole)
            at = _time(memory, reader, kept, after.first)
            memory.note_gap(Gap(name.exchange, name.symbol, memory.source, hole.first, hole.last, at))


def _runs(kept: Iterable[KeptIds]) -> list[Missing]:
    """Return the ids that are kept as ranges, ascending; ids that are names give none."""
    return joined(run for one in kept for run in _runs_of(one))


def _runs_of(one: KeptIds) -> list[Missing]:
    return [Missing(one.ids[0], one.ids[-1])] if isinstance(one.ids, range) else runs_of(one.ids)


def _floor(kept: Iterable[KeptIds]) -> int:
    """Return the id from which on the journal holds all that came: what was before may have been trimmed.

    A batch of trades long past (it filled a gap) outlives the batches of their own time, and says nothing.
    """
    for one in kept:
        if one.in_time:
            return _lowest(one)
    return MAX_ID


def _lowest(one: KeptIds) -> int:
    """Return the lowest of a batch's ids, ``MAX_ID`` where they are names."""
    if isinstance(one.ids, range):
        return one.ids.start
    return min((trade_id for trade_id in one.ids if isinstance(trade_id, int)), default=MAX_ID)


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


def _take_up(memory: SymbolMemory, kept: Iterable[KeptIds], reader: DataReader) -> None:
    """Suspect, where ids show no gap, that trades were missed since the last one kept."""
    if memory.counted:
        return
    memory.received_to = max((one.last_time for one in kept), default=None)
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


def _condemn_again(memory: SymbolMemory, kept: Iterable[KeptIds], poison: Sequence[AnyGap]) -> None:
    """Skip the batches that were skipped before: the bars are without them, and their gaps say so."""
    for one in kept if poison else ():
        if any(gap.first <= run.last and run.first <= gap.last for gap in poison for run in _runs_of(one)):
            memory.poisoned.add((one.incarnation, one.number))


def _unknown(memory: SymbolMemory, hole: Missing) -> list[Missing]:
    """Return the parts of a hole that lie in no gap known."""
    left = [hole]
    for known in memory.gaps.known:
        if known.gap.id_kind is not None:
            left = [part for one in left for part in without(one, Missing(known.gap.first, known.gap.last))]
    return left


def _time(memory: SymbolMemory, reader: DataReader, kept: Iterable[KeptIds], trade_id: int) -> int:
    """Return the exchange time (µs) of a trade."""
    name, holder = memory.instrument, next(one for one in kept if trade_id in one.ids)
    for batch in reader.journal.batches(name.exchange, name.symbol, holder.incarnation, holder.number - 1, 1):
        if trade_id in batch.trades.ids:
            return batch.trades.times[batch.trades.ids.index(trade_id)]
    return holder.last_time  # it was trimmed meanwhile
