"""The audit log as the running daemon writes it: changes at once, refusals gathered.

A client that is refused a thousand times a minute gets one line with the count, so that nobody can fill the
disk by knocking.
"""

import attrs
import structlog
import trio

from actors.access.keyring import wall_clock
from actors.access.register import Register
from actors.storage.errors import StorageError
from supervision import Context

log = structlog.get_logger("audit")

#: Seconds between two writes of what was refused.
PERIOD = 5.0

#: Different refusals remembered between two writes; those beyond are counted together.
MOST = 1_000


@attrs.define(eq=False)
class Audit:
    """Notes who did what, and who was refused."""

    register: Register
    _refused: dict[tuple[str, str, str, str], int] = attrs.field(factory=dict, init=False)
    _since: int = attrs.field(factory=wall_clock, init=False)

    def refused(self, who: str, action: str, target: str, outcome: str) -> None:
        """Note that something was refused; it is written within a few seconds."""
        key = (who[:80], action[:80], target[:200], outcome[:80])
        if key not in self._refused and len(self._refused) >= MOST:
            key = ("others", "request", "", outcome[:80])
        self._refused[key] = self._refused.get(key, 0) + 1

    async def done(self, who: str, action: str, target: str, detail: str = "") -> None:
        """Note that something was changed. Raises StorageError: what cannot be noted is not done."""
        line = (wall_clock(), who, action, target, "done", detail)
        await trio.to_thread.run_sync(self.register.note, [line])

    async def run(self, context: Context) -> None:
        """Be the actor: write what was refused, a last time when asked to stop."""
        context.started()
        stopping = False
        while not stopping:
            with trio.move_on_after(PERIOD):
                await context.stopping.wait()
            stopping = context.stopping.is_set()
            await self._write()

    async def _write(self) -> None:
        if not self._refused:
            return
        refused, self._refused = self._refused, {}
        now = wall_clock()
        lines = [(now, *key, f"{count} times" if count > 1 else "") for key, count in refused.items()]
        try:
            await trio.to_thread.run_sync(self.register.note, lines)
        except StorageError as error:
            log.warning("refusals_not_noted", lines=len(lines), reason=str(error))
