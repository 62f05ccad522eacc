"""The storage writer: the one actor that appends to the journal."""

from collections.abc import Sequence

import attrs
import trio

from actors.messages import Entry
from actors.storage.errors import DiskFull
from actors.storage.journal import Journal
from actors.storage.marks import Marks
from supervision import Context, Mailbox, MailboxClosed

#: Entries committed in one transaction at most.
RUN = 256

#: Waits (s) between attempts while the disk is full.
FIRST_RETRY = 0.1
LAST_RETRY = 5.0


@attrs.define(eq=False)
class Writer:
    """Commits its mailbox to the journal in groups, then acknowledges, then moves the marks.

    Commits lie ``commit_interval`` (s) apart unless a large run waits, which is committed at once. While the
    disk is full, ``waiting`` says so and the run stays in hand: its senders' mailbox fills, and they shed
    visibly. Any other failure ends the actor; the run is then handed out again, and what had been committed
    of it is not stored twice.
    """

    journal: Journal
    marks: Marks
    commit_interval: float = 0.05
    commits: int = attrs.field(default=0, init=False)
    entries: int = attrs.field(default=0, init=False)
    waiting: str | None = attrs.field(default=None, init=False)
    #: A commit waits for no thread that others hold: of a store that hangs, say.
    _threads: trio.CapacityLimiter = attrs.field(
        factory=lambda: trio.CapacityLimiter(1), init=False, repr=False
    )

    async def run(self, context: Context) -> None:
        """Be the actor: return when the mailbox is closed and everything in it is committed."""
        mailbox = context.mailbox
        if mailbox is None:
            raise ValueError(f"the storage writer {context.name!r} needs a mailbox")
        self.marks.publish(await trio.to_thread.run_sync(self.journal.last_seq), ())
        context.started()
        committed_at = -self.commit_interval
        while True:
            await self._pause(context, mailbox, until=committed_at + self.commit_interval)
            try:
                run = await mailbox.receive_run(RUN)
            except MailboxClosed:
                return
            last_seq = await self._commit(run)
            committed_at = trio.current_time()
            # No await from here to the marks: a cancellation comes before the commit or after them.
            mailbox.ack()
            self.marks.publish(last_seq, run)

    async def _pause(self, context: Context, mailbox: Mailbox, until: float) -> None:
        """Let a group gather, unless it is large already or the daemon is stopping."""
        if not mailbox.closed and mailbox.statistics().depth < RUN // 2:
            with trio.move_on_at(until):
                await context.stopping.wait()

    async def _commit(self, run: Sequence[Entry]) -> int:
        """Append the run, waiting for as long as the disk is full; return the journal's last number."""
        retry = FIRST_RETRY
        while True:
            try:
                last_seq = await trio.to_thread.run_sync(self.journal.append, run, limiter=self._threads)
            except DiskFull as error:
                self.waiting = str(error)
                await trio.sleep(retry)
                retry = min(2 * retry, LAST_RETRY)
            else:
                self.waiting = None
                self.commits += 1
                self.entries += len(run)
                return last_seq
