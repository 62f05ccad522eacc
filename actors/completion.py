"""The actor that completes the memory of symbols which began while the store was out of reach."""

import attrs
import structlog
import trio

from actors.memory import SymbolMemory
from actors.rebuild import complete
from actors.runtime import Runtime
from actors.storage.errors import StorageError
from actors.storage.sink import Progress
from supervision import Context
from wadm.exchanges.contiguity import Missing

log = structlog.get_logger("completion")

#: Seconds until another try, where the store was there and is gone again.
RETRY = 1.0


@attrs.define(eq=False)
class Completion:
    """Loads the bars and gaps that are not in memory yet, once the store can be read."""

    runtime: Runtime

    async def run(self, context: Context) -> None:
        """Be the actor."""
        context.started()
        while True:
            await self.runtime.warm.wait_for(self._can_be_read)
            for memory in self._incomplete():
                try:
                    await self._complete(memory)
                except StorageError as error:
                    log.warning("memory_not_complete", symbol=memory.instrument.key, reason=str(error))
                    await trio.sleep(RETRY)

    def _can_be_read(self, _: Progress) -> bool:
        reach = self.runtime.warm.reach
        return reach.opened and not reach.reason and bool(self._incomplete())

    def _incomplete(self) -> list[SymbolMemory]:
        memories = self.runtime.symbols.values()
        return [memory for memory in memories if not memory.closed.whole and not memory.warming]

    async def _complete(self, memory: SymbolMemory) -> None:
        name = memory.instrument
        position = self.runtime.positions_of(name.exchange).of(name.symbol, memory.source)
        for gap in await complete(memory, self.runtime.reader):
            position.reopen(Missing(gap.first, gap.last))
        memory.gap_noticed.notify()
        log.info("memory_complete", symbol=name.key, bars=len(memory.closed.starts))
