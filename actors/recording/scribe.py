"""The scribe: the actor that writes what one connection received."""

from collections.abc import Callable
from functools import partial

import attrs
import structlog
import trio

from actors.recording.capture_files import RecordingError
from actors.recording.tape import CAPACITY, Tape
from supervision import Context, Mailbox, MailboxClosed

log = structlog.get_logger("record")

#: Seconds between two writes where little comes: what a kill can lose.
INTERVAL = 1.0


@attrs.define(eq=False)
class Scribe:
    """Writes a tape's mailbox to its files in a thread; ``fail`` is told where they cannot be written."""

    tape: Tape
    fail: Callable[[RecordingError], None]
    interval: float = INTERVAL

    async def run(self, context: Context) -> None:
        """Be the actor: return when the mailbox is closed, all of it written and the file finished."""
        mailbox = context.mailbox
        if mailbox is None:
            raise ValueError(f"the scribe {context.name!r} needs a mailbox")
        context.started()
        try:
            await self._write_all(context, mailbox)
            await self._in_thread(self.tape.files.close)
        except RecordingError as error:
            # Trying again would leave a hole that nobody sees: the recording ends here.
            self.fail(error)
            await context.stopping.wait()

    async def _write_all(self, context: Context, mailbox: Mailbox) -> None:
        tape, due = self.tape, trio.current_time()
        while True:
            with trio.move_on_at(due):
                await self._hurry(context)
            tape.written()
            try:
                run = await mailbox.receive_run(CAPACITY)
            except MailboxClosed:
                return
            due = trio.current_time() + self.interval
            finished = len(tape.files.finished)
            with trio.CancelScope(shield=True):  # no end comes between the writing and its acknowledgement
                begins = await self._in_thread(partial(tape.files.write, run))
                mailbox.ack()
            for path in tape.files.finished[finished:]:
                log.info("file_finished", file=str(path))
            if begins:
                tape.file_begun()

    async def _hurry(self, context: Context) -> None:
        """Return once there is a reason to write before the time."""
        async with trio.open_nursery() as nursery:

            async def wait_for(event: trio.Event) -> None:
                await event.wait()
                nursery.cancel_scope.cancel()

            nursery.start_soon(wait_for, self.tape.pressing)
            nursery.start_soon(wait_for, context.stopping)

    async def _in_thread(self, do: Callable[[], object]) -> bool:
        return bool(await trio.to_thread.run_sync(do))
