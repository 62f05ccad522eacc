"""The janitor: forgets journal segments whose retention has ended and that everybody has passed."""

import time

import attrs
import structlog
import trio

from actors.runtime import Runtime
from supervision import Context

log = structlog.get_logger("retention")

#: Seconds between two looks; a segment is ten minutes long.
PERIOD = 60.0


@attrs.define(eq=False)
class Retention:
    """Trims the journal. ``minutes`` is how long raw trades are kept, from when they were received."""

    runtime: Runtime
    minutes: int

    async def run(self, context: Context) -> None:
        """Trim every minute, except while a symbol is still being rebuilt from the journal."""
        context.started()
        while True:
            await trio.sleep(PERIOD)
            if any(memory.warming for memory in self.runtime.symbols.values()):
                continue
            before = time.time_ns() // 1_000 - self.minutes * 60_000_000
            passed = self.runtime.warm.progress.cursor
            gone = await trio.to_thread.run_sync(self.runtime.journal.trim, before, passed)
            if gone:
                log.info("journal_trimmed", entries=gone)
