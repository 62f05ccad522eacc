"""Audits of a book: now and then, or when asked, it is compared with a fresh snapshot."""

import random
from collections.abc import Sequence
from time import time_ns

import attrs
import structlog
import trio

from actors.books.memory import BookMemory
from actors.books.snapshots import NoSnapshot, Snapshots
from wadm.book_audit import Audit, Difference, Verdict
from wadm.exchanges.base import BookRule

log = structlog.get_logger("book")

#: Seconds between two audits, give or take a fifth so that the symbols' do not fall together.
EVERY = 600.0

#: A side of which fewer levels than this are known without a hole is looked at earlier, so many seconds
#: after the audit before: the fresh snapshot replaces it.
THIN, THIN_EVERY = 250, 60.0

#: Seconds within which the book has to come to the update of its snapshot.
_PATIENCE = 60.0

#: Seconds before another snapshot is asked for where one was too old, and how often it is.
_AGAIN, _ATTEMPTS = 1.0, 3

#: Differences that are kept as examples.
_EXAMPLES = 10


@attrs.define(eq=False)
class Audits:
    """Compares one book with fresh snapshots."""

    memory: BookMemory
    snapshots: Snapshots
    _due: float = attrs.field(factory=lambda: trio.current_time() + _pause())
    _last: float = attrs.field(factory=trio.current_time)

    def look(self) -> None:
        """Have an audit made if it is time for one."""
        now, sync = trio.current_time(), self.memory.sync
        if not sync.synced:
            return
        sides = (sync.book.bids, sync.book.asks)
        thin = any(side.horizon is not None and side.known < THIN for side in sides)
        if now >= self._due or (thin and now >= self._last + THIN_EVERY):
            self.memory.want_audit()

    async def run(self) -> None:
        """Make an audit whenever one is wanted."""
        memory = self.memory
        while True:
            await memory.changed.wait_for(lambda: memory.audit_wanted)
            if memory.sync.synced:
                await self._audit()
            memory.audit_wanted = False
            self._last = trio.current_time()
            self._due = self._last + _pause()

    async def _audit(self) -> None:
        memory = self.memory
        audit = memory.audit = Audit(memory.sync.rule)
        verdict, why = None, f"the book did not come to the snapshot's update within {_PATIENCE:g} s"
        try:
            with trio.move_on_after(_PATIENCE):
                await self._give_snapshot(audit)
                await memory.changed.wait_for(
                    lambda: memory.audit is not audit or audit.verdict(memory.sync) is not None
                )
        except NoSnapshot as none:
            why = str(none)
        if memory.audit is not audit:
            why = "the book was resynchronised meanwhile"
        else:
            verdict = audit.verdict(memory.sync)
        at = time_ns() // 1_000
        if verdict is None:
            memory.note_audit(at, {"comparable": False, "reason": why})
            return
        self._conclude(audit, verdict)
        memory.note_audit(at, _told(verdict))

    async def _give_snapshot(self, audit: Audit) -> None:
        for _ in range(_ATTEMPTS):
            if audit.snapshot(await self.snapshots.fetch(), time_ns() // 1_000):
                return
            await trio.sleep(_AGAIN)
        raise NoSnapshot("every snapshot was older than the updates that came meanwhile")

    def _conclude(self, audit: Audit, verdict: Verdict) -> None:
        """Take over the fresh book, which knows every level around the market's present price."""
        memory, sync = self.memory, self.memory.sync
        if verdict.differences:
            log.error(
                "book_differs", symbol=memory.instrument.key, update=verdict.update_id,
                differing=len(verdict.differences), examples=_examples(verdict.differences),
            )  # fmt: skip
        if sync.rule is not BookRule.STREAM_SNAPSHOT:
            sync.adopt(audit.fresh)
            sync.resyncs += bool(verdict.differences)
        elif verdict.differences:
            # Its stream has a depth of its own, which only its own snapshot has.
            memory.lose("an audit found levels that differ")
            self.snapshots.renew()


def _told(verdict: Verdict) -> dict[str, object]:
    return {
        "comparable": True,
        "update_id": verdict.update_id,
        "compared": verdict.compared,
        "differing": len(verdict.differences),
        "examples": _examples(verdict.differences),
    }


def _examples(differences: Sequence[Difference]) -> list[dict[str, object]]:
    return [attrs.asdict(one) for one in differences[:_EXAMPLES]]


def _pause() -> float:
    return EVERY * random.uniform(0.8, 1.2)
