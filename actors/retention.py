"""The janitor: forgets what has outlived its retention, and what the disk has no room for."""

import time
from collections.abc import Awaitable, Callable

import attrs
import structlog
import trio

from actors.memory import SymbolMemory
from actors.runtime import Runtime
from actors.storage.errors import StorageError
from actors.storage.journal_file import LOG_LIMIT
from supervision import Context
from wadm.market import MINUTE

log = structlog.get_logger("retention")

#: Seconds between two looks at the journal; a segment is ten minutes long.
PERIOD = 10.0

#: Seconds between two looks at what the warm store has to forget by itself.
EXPIRY = 300.0

#: What was received in so long (µs) stays, however little room there is: open bars are rebuilt from it.
LEAST = 5 * MINUTE


@attrs.define(eq=False)
class Retention:
    """Trims the journal behind its followers, keeps it within its quota, and has the warm store forget.

    ``minutes`` is how long raw trades are kept, from when they were received.
    """

    runtime: Runtime
    minutes: int
    quota_mb: int

    async def run(self, context: Context) -> None:
        """Be the actor. What fails is shown, and tried again at the next look."""
        context.started()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._expire)
            while True:
                await trio.sleep(PERIOD)
                await self._tolerant("journal", self._look)

    async def _look(self) -> None:
        runtime = self.runtime
        await trio.to_thread.run_sync(runtime.note_places)
        await self._trim()
        await self._shed()

    async def _trim(self) -> None:
        """Trim, except while a symbol may still have to be rebuilt from what would go."""
        before = time.time_ns() // 1_000 - self.minutes * MINUTE
        if any(_needs_older(memory, before) for memory in self.runtime.symbols.values()):
            return
        passed = min(sink.progress.cursor for sink in self.runtime.sinks.values())
        gone = await trio.to_thread.run_sync(self.runtime.journal.trim, before, passed)
        if gone:
            log.info("journal_trimmed", entries=gone)

    async def _shed(self) -> None:
        """Let the oldest entries go that the quota has no room for, whoever has not passed them."""
        runtime, room = self.runtime, (self.quota_mb << 20) - LOG_LIMIT
        upkeep, journal = runtime.upkeep, runtime.journal
        upkeep.taken = await trio.to_thread.run_sync(journal.taken)
        if upkeep.taken > room:
            before = time.time_ns() // 1_000 - LEAST
            followers = [sink.follower for sink in runtime.sinks.values()]
            # A tenth more than must be: the next time is not at once.
            gone = await trio.to_thread.run_sync(journal.shed, room * 9 // 10, before, followers)
            upkeep.taken = await trio.to_thread.run_sync(journal.taken)
            if gone:
                log.warning("journal_over_quota", shed=gone, quota_mb=self.quota_mb)
                upkeep.shed += gone
                upkeep.shed_at = time.time_ns() // 1_000
        upkeep.over = max(0, upkeep.taken - room)
        upkeep.first = await trio.to_thread.run_sync(journal.first_seq)
        upkeep.kept_since = await trio.to_thread.run_sync(journal.written_at, upkeep.first)
        upkeep.losses = await trio.to_thread.run_sync(journal.losses)
        for sink in runtime.sinks.values():
            sink.let_go(upkeep.first - 1)

    async def _expire(self) -> None:
        while True:
            await self._tolerant("store", self._forget)
            await trio.sleep(EXPIRY)

    async def _forget(self) -> None:
        runtime = self.runtime
        if runtime.warm.reach.reason:
            return  # it would only be waited for
        now = time.time_ns() // 1_000
        gone = await trio.to_thread.run_sync(runtime.store.expire, now, abandon_on_cancel=True)
        if gone:
            log.info("store_expired", entries=gone)

    async def _tolerant(self, what: str, work: Callable[[], Awaitable[None]]) -> None:
        failing = self.runtime.upkeep.failing
        try:
            await work()
        except StorageError as error:
            if what not in failing:
                log.warning("retention_failed", of=what, reason=str(error))
            failing[what] = str(error)
        else:
            failing.pop(what, None)


def _needs_older(memory: SymbolMemory, before: int) -> bool:
    """Return whether a rebuild would need raw trades from before that time (µs)."""
    return memory.warming or (memory.open_from is not None and memory.open_from < before)
