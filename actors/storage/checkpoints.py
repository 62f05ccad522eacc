"""The actor that makes the journal's checkpoints, so that no commit has to wait for one."""

import attrs
import structlog
import trio

from actors.storage.errors import StorageError
from actors.storage.journal import Journal
from supervision import Context

log = structlog.get_logger("checkpoints")

#: Seconds between two checkpoints: what a power failure takes along at most, and what it costs to spare it.
PERIOD = 2.0


@attrs.define(eq=False)
class Checkpoints:
    """Flushes what was committed to the journal and folds it into its file, every two seconds."""

    journal: Journal
    failing: str | None = attrs.field(default=None, init=False)
    _threads: trio.CapacityLimiter = attrs.field(
        factory=lambda: trio.CapacityLimiter(1), init=False, repr=False
    )

    async def run(self, context: Context) -> None:
        """Be the actor."""
        context.started()
        while True:
            await trio.sleep(PERIOD)
            try:
                await trio.to_thread.run_sync(self.journal.checkpoint, limiter=self._threads)
            except StorageError as error:
                # The log keeps what could not be folded yet.
                if self.failing is None:
                    log.warning("checkpoint_failed", reason=str(error))
                self.failing = str(error)
            else:
                self.failing = None
