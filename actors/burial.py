"""What becomes of poison: a batch no aggregator survives is skipped from then on, counted, and leaves a gap."""

import structlog

from actors.messages import GapRecord, TradeBatch
from actors.runtime import Runtime
from supervision import DeadLetters
from wadm.exchanges.base import Gap
from wadm.exchanges.contiguity import runs_of

log = structlog.get_logger("burial")

REASON = "poison"


def bury(runtime: Runtime, letters: DeadLetters) -> None:
    """Settle the accounts of dead-lettered batches; each once, however often this is called. No await."""
    for letter in letters.list():
        batch = letter.message
        if not isinstance(batch, TradeBatch) or not letter.mailbox.startswith("aggregator:"):
            continue
        memory = runtime.symbols[batch.trades.key]
        if (batch.incarnation, batch.number) in memory.poisoned:
            continue
        memory.poisoned.add((batch.incarnation, batch.number))
        runtime.ledger.account(batch.trades.key).rejected[REASON] += len(batch.trades)
        _open_gap(runtime, batch)
        log.error("batch_dead_lettered", symbol=batch.trades.key, trades=len(batch.trades), letter=letter.id)


def _open_gap(runtime: Runtime, batch: TradeBatch) -> None:
    trades = batch.trades
    memory = runtime.symbols[trades.key]
    for ids in runs_of(trades.ids):
        gap = Gap(trades.exchange, trades.symbol, trades.id_kind, ids.first, ids.last, batch.received_at)
        memory.note_gap(gap)
        # The same trades would come back the same: asking the exchange again cannot mend this.
        memory.records.append(GapRecord(gap, "unfillable", REASON))
