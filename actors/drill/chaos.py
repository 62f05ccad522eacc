"""Parts of a daemon that can be made to fail: a mailbox that dawdles, a journal whose disk is full."""

from typing import Any

import attrs
import trio

from actors.storage.journal import Journal
from supervision import Mailbox


class SlowMailbox(Mailbox):
    """A mailbox whose actor can be held up: it is given nothing for a while."""

    _slow_until = 0.0

    def slow(self, seconds: float) -> None:
        """Hold up the actor for so long, from its next message on."""
        self._slow_until = trio.current_time() + seconds

    async def receive(self) -> Any:
        """Receive, late where the actor is to be slow."""
        await trio.sleep_until(self._slow_until)
        return await super().receive()

    async def receive_run(self, limit: int) -> list[Any]:
        """Receive a run, late where the actor is to be slow."""
        await trio.sleep_until(self._slow_until)
        return await super().receive_run(limit)


@attrs.define
class TightJournal(Journal):
    """A journal whose file can be forbidden to grow: SQLite then says by itself that the disk is full."""

    def tighten(self) -> None:
        """Forbid the file to grow."""
        with self._turn:
            (pages,) = self._db.execute("PRAGMA page_count").fetchone()
            self._db.execute(f"PRAGMA max_page_count = {pages}")

    def loosen(self) -> None:
        """Let the file grow again."""
        with self._turn:
            self._db.execute(f"PRAGMA max_page_count = {_UNLIMITED}")


#: SQLite's own greatest number of pages.
_UNLIMITED = 4_294_967_294
