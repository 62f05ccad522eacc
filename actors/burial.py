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


def bury(letters: DeadLetters, symbols: Mapping[str, SymbolMemory], ledger: Ledger) -> None:
    """Settle the accounts of dead-lettered batches; each once, however often this is called. No await."""
    for letter in letters.list():
        batch = letter.message
        if isinstance(batch, TradeBatch) and letter.mailbox.startswith("aggregator:"):
            memory = symbols[batch.trades.key]
            applied = batch.number <= memory.applied.get(batch.incarnation, 0)
            if not applied and (batch.incarnation, batch.number) not in memory.poisoned:
                ledger.account(batch.trades.key).rejected[POISON] += len(batch.trades)
                condemn(memory, batch)


def condemn(memory: SymbolMemory, batch: TradeBatch) -> None:
    """Have a batch skipped from now on, and open the gap it leaves."""
    trades = batch.trades
    memory.poisoned.add((batch.incarnation, batch.number))
    log.error("batch_skipped", symbol=trades.key, trades=len(trades), reason=POISON)
    for ids in runs_of(trades.ids):
        gap = Gap(trades.exchange, trades.symbol, trades.id_kind, ids.first, ids.last, trades.times[0])
        memory.note_gap(gap)
        # The same trades would come back the same: asking the exchange again cannot mend this.
        memory.note_given_up(trades.id_kind, ids, POISON)
