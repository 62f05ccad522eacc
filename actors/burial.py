"""What becomes of poison: a batch no aggregator survives is skipped, counted, and leaves a gap."""

from collections.abc import Mapping

import structlog

from actors.memory import SymbolMemory
from actors.messages import TradeBatch
from supervision import DeadLetters
from wadm.exchanges.base import Gap
from wadm.exchanges.contiguity import runs_of
from wadm.ledger import Ledger

log = structlog.get_logger("burial")

POISON = "poison"


#: The reason of a gap in the journal alone: the bars have these trades.
NOT_JOURNALLED = "not journalled: poison"


def bury(letters: DeadLetters, symbols: Mapping[str, SymbolMemory], ledger: Ledger) -> None:
    """Settle the accounts of dead-lettered batches; each once, however often this is called. No await."""
    for letter in letters.list():
        batch = letter.message
        if not isinstance(batch, TradeBatch) or batch.trades.key not in symbols:
            continue
        memory, key = symbols[batch.trades.key], (batch.incarnation, batch.number)
        if letter.mailbox == "writer":
            if letter.id not in memory.unwritten:
                memory.unwritten.add(letter.id)
                _give_up(memory, batch, NOT_JOURNALLED)
        elif batch.number > memory.applied.get(batch.incarnation, 0) and key not in memory.poisoned:
            ledger.account(batch.trades.key).rejected[POISON] += len(batch.trades)
            condemn(memory, batch)


def condemn(memory: SymbolMemory, batch: TradeBatch) -> None:
    """Have a batch skipped from now on, and open the gap it leaves."""
    memory.poisoned.add((batch.incarnation, batch.number))
    log.error("batch_skipped", symbol=batch.trades.key, trades=len(batch.trades), reason=POISON)
    _give_up(memory, batch, POISON)


def _give_up(memory: SymbolMemory, batch: TradeBatch, reason: str) -> None:
    """Hold the ids of a batch for unfillable: the same trades would come back the same."""
    trades = batch.trades
    if not memory.counted:
        memory.suspect(min(trades.times), max(trades.times), reason)
        memory.note_not_covered(min(trades.times), max(trades.times), "the same trades would come back")
    for ids in runs_of(trades.ids):
        gap = Gap(trades.exchange, trades.symbol, trades.id_kind, ids.first, ids.last, trades.times[0])
        memory.note_gap(gap)
        memory.note_given_up(trades.id_kind, ids, reason)
