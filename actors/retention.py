"""The janitor: forgets journal segments whose retention has ended and that everybody has passed."""

import time

import attrs
import structlog
import trio

from actors.memory import SymbolMemory
from actors.runtime import Runtime
from supervision import Context
from wadm.market import MINUTE

log = structlog.get_logger("retention")

#: Seconds between two looks; a segment is ten minutes long.
PERIOD = 60.0


@attrs.define(eq=False)
class Retention:
    """Trims the journal. ``minutes`` is how long raw trades are kept, from when they were received."""

    runtime: Runtime
    minutes: int

    async def run(self, context: Context) -> None:
        """Trim every minute, except while a symbol may still have to be rebuilt from what would go."""
        context.started()
        while True:
            await trio.sleep(PERIOD)
            before = time.time_ns() // 1_000 - self.minutes * MINUTE
            if any(_needs_older(memory, before) for memory in self.runtime.symbols.values()):
                continue
            passed = self.runtime.warm.progress.cursor
            gone = await trio.to_thread.run_sync(self.runtime.journal.trim, before, passed)
            if gone:
                log.info("journal_trimmed", entries=gone)


def _needs_older(memory: SymbolMemory, before: int) -> bool:
    """Return whether a rebuild would need raw trades from before that time (µs)."""
    return memory.warming or (memory.open_from is not None and memory.open_from < before)
