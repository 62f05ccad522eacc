"""Filling suspected gaps of one exchange, whose ids are names, from the newest trades that it gives."""

from collections import Counter
from collections.abc import Sequence

import attrs
import structlog

from actors.gaps.refill import LAST_REFUSAL, now, take
from actors.memory import SymbolMemory
from actors.outbox import Outbox
from actors.rest import NotEver, NotNow
from actors.runtime import Runtime
from wadm.coverage import SuspectedGap
from wadm.exchanges import registry
from wadm.exchanges.base import PageError, RecentTrade, RecentTrades
from wadm.exchanges.contiguity import Position
from wadm.market import MILLISECOND

log = structlog.get_logger("backfill")

NO_OLDER = "the exchange gives no older trades"
OTHER_IDS = "the exchange gives them other ids, by which they could be counted twice"


@attrs.define(eq=False)
class Recall:
    """Asks one exchange for its newest trades where some may have been missed."""

    runtime: Runtime
    exchange: str
    outbox: Outbox
    _refusals: Counter[str] = attrs.field(factory=Counter, init=False)

    def symbols(self) -> list[SymbolMemory]:
        """Return the symbols with a suspected gap that may be filled."""
        return [
            memory
            for memory in self.runtime.symbols.values()
            if memory.instrument.exchange == self.exchange and _suspected(memory)
        ]

    async def fill_all(self) -> None:
        """Settle every suspicion. Raises NotNow in the end where the exchange had no answer to one."""
        refused: dict[str, NotNow] = {}
        for memory in self.symbols():
            try:
                await self._fill(memory)
                self._refusals.pop(memory.instrument.key, None)
            except NotNow as reason:
                refused[memory.instrument.key] = reason
        for why in refused.values():
            raise why

    async def _fill(self, memory: SymbolMemory) -> None:
        try:
            recent = self._recent()
            page = await self._ask(memory, recent)
        except (NotEver, PageError) as error:
            for gap in _suspected(memory):
                self._give_up(memory, gap.first, gap.last, str(error))
            return
        if memory is self.runtime.symbols.get(memory.instrument.key):
            for gap in _suspected(memory):
                self._settle(memory, gap, page, recent)
            await self.outbox.hand_over()

    async def _ask(self, memory: SymbolMemory, recent: RecentTrades) -> Sequence[RecentTrade]:
        try:
            return await self.runtime.rest.ask(self.exchange, recent.newest(memory.instrument.symbol))
        except NotNow as error:
            # A recording has to come to its end, whatever the local exchange refuses.
            if self.runtime.plan.playback and self._hopeless(memory):
                raise NotEver(str(error)) from error
            raise

    def _settle(
        self, memory: SymbolMemory, gap: SuspectedGap, page: Sequence[RecentTrade], recent: RecentTrades
    ) -> None:
        """Take what a page has of a gap, and say what it has not. No await."""
        symbol, position = memory.instrument.symbol, self._position(memory)
        until = min(gap.last, memory.received_to or gap.last)
        if not page or page[-1].time * MILLISECOND < until:
            if not (self.runtime.plan.playback or self._hopeless(memory)):
                raise NotNow(f"{memory.instrument.key} has not come so far there yet")
            self._give_up(memory, gap.first, gap.last, "the exchange does not give them")
            return
        oldest = page[0].time * MILLISECOND
        if oldest > gap.last:
            self._give_up(memory, gap.first, gap.last, NO_OLDER)
            return
        if not any(position.knows(trade.id) for trade in page):
            self._give_up(memory, gap.first, gap.last, OTHER_IDS)
            return
        # Of the page's oldest millisecond some trades may be cut off.
        reached = oldest < gap.first or (oldest == gap.first and position.knows(page[0].id))
        since = gap.first if reached else oldest + MILLISECOND
        take(self.runtime, self.outbox, recent.take(symbol, gap.first, gap.last, page, now()))
        memory.note_covered(since, gap.last)
        if not reached:
            self._give_up(memory, gap.first, since - 1, NO_OLDER)

    def _recent(self) -> RecentTrades:
        recent = registry.find(self.exchange).recent
        if recent is None:
            raise NotEver(f"{self.exchange} gives no trades of the past")
        instruments = self.runtime.instruments_of(self.exchange)
        return recent(instruments, self.runtime.positions_of(self.exchange), self.runtime.ledger)

    def _position(self, memory: SymbolMemory) -> Position:
        return self.runtime.positions_of(self.exchange).of(memory.instrument.symbol, memory.source)

    def _hopeless(self, memory: SymbolMemory) -> bool:
        """Count one more refusal; say whether there were enough."""
        self._refusals[memory.instrument.key] += 1
        return self._refusals[memory.instrument.key] > LAST_REFUSAL

    @staticmethod
    def _give_up(memory: SymbolMemory, first: int, last: int, reason: str) -> None:
        memory.note_not_covered(first, last, reason)
        log.warning("gap_unfillable", symbol=memory.instrument.key, first=first, last=last, reason=reason)


def _suspected(memory: SymbolMemory) -> list[SuspectedGap]:
    """Return the suspected gaps that may still be filled."""
    return [one.gap for one in memory.gaps.known if one.state == "open" and isinstance(one.gap, SuspectedGap)]
