"""Asking one exchange for its candles of minutes with gaps, once they have ended."""

from collections.abc import Iterator

import attrs
import structlog

from actors.memory import SymbolMemory
from actors.rest import NotEver
from actors.runtime import Runtime
from wadm.exchanges import registry
from wadm.exchanges.base import PageError
from wadm.market import MINUTE, SECOND

log = structlog.get_logger("backfill")

#: So long (µs) after its end a minute's candle is asked for: by then it changes no more.
SETTLED = 10 * SECOND

#: The most minutes asked for at once.
PAGE = 300


@attrs.define(eq=False)
class Doubts:
    """The minutes in doubt of one exchange's symbols. A recording's exchange is not asked."""

    runtime: Runtime
    exchange: str

    def any(self) -> bool:
        """Say whether some minutes are in doubt, ended or not."""
        return any(memory.doubted for memory in self._memories())

    def ended(self) -> bool:
        """Say whether some of them have ended."""
        return any(_ended(memory) for memory in self._memories())

    async def settle(self) -> None:
        """Ask for the candles of those that have ended. Raises NotNow."""
        for memory in list(self._memories()):
            while minutes := _ended(memory):
                await self._ask(memory, minutes)

    async def _ask(self, memory: SymbolMemory, minutes: list[int]) -> None:
        first = minutes[0]
        page = [start for start in minutes if start < first + PAGE * MINUTE]
        endpoints = registry.find(self.exchange).endpoints
        query = endpoints.candles(memory.instrument.symbol, first, page[-1] + MINUTE)
        try:
            for candle in await self.runtime.rest.ask(self.exchange, query):
                if candle.start in memory.doubted:
                    memory.note_candle(candle)
        except (NotEver, PageError) as error:
            log.warning("candles_not_read", symbol=memory.instrument.key, reason=str(error))
        memory.doubted.difference_update(page)

    def _memories(self) -> Iterator[SymbolMemory]:
        if not self.runtime.plan.playback:
            for memory in self.runtime.symbols.values():
                if memory.instrument.exchange == self.exchange:
                    yield memory


def _ended(memory: SymbolMemory) -> list[int]:
    """Return the minutes to be asked for, ascending; a candle that came by itself is not asked for."""
    memory.doubted.difference_update([one for one in memory.doubted if memory.candles.knows(one)])
    return sorted(one for one in memory.doubted if one + MINUTE + SETTLED <= memory.market_time)
