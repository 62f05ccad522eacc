"""Where each stream of trade ids stands in a data directory: what was missed meanwhile is a known gap."""

from collections.abc import Iterable
from itertools import pairwise

from actors.memory import SymbolMemory
from actors.messages import TradeBatch
from actors.storage.journal_view import JournalView
from wadm.exchanges.base import Gap
from wadm.exchanges.contiguity import Missing, Positions, runs_of

_FOREVER = 1 << 62


def stand(memory: SymbolMemory, positions: Positions, journal: JournalView) -> None:
    """Start a symbol's streams behind the last ids in the journal, and open again the holes among them.

    The ids themselves tell, not the records of gaps: a kill may have come between a batch and its record.
    """
    name = memory.instrument
    batches = list(journal.overlapping(name.exchange, name.symbol, 0, _FOREVER))
    for id_kind in {batch.trades.id_kind for batch in batches}:
        of_kind = [batch for batch in batches if batch.trades.id_kind is id_kind]
        position = positions.of(name.symbol, id_kind)
        for batch in of_kind:
            if isinstance(batch.trades.ids[0], str):
                for trade_id in batch.trades.ids:
                    position.restore(trade_id)
        runs = runs_of(trade_id for batch in of_kind for trade_id in batch.trades.ids)
        if runs:
            position.restore(runs[-1].last)
        for before, after in pairwise(runs):
            hole = Missing(before.last + 1, after.first - 1)
            position.reopen(hole)
            at = _time(of_kind, after.first)
            memory.note_gap(Gap(name.exchange, name.symbol, id_kind, hole.first, hole.last, at))


def _time(batches: Iterable[TradeBatch], trade_id: int) -> int:
    """Return the exchange time (µs) of a trade."""
    found = next(batch.trades for batch in batches if trade_id in batch.trades.ids)
    return found.times[found.ids.index(trade_id)]
