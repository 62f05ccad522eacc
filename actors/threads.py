"""Worker threads, made to give way to the loop's: a commit may wait for a trade, not the other way round."""

import os
import sys
import threading
from contextlib import suppress

import attrs

#: What is added to the niceness of a worker thread: as much as makes the loop's run as soon as it can. On one
#: core the system would otherwise let it wait for milliseconds while a thread is busy in SQLite.
NICE = 15


@attrs.define
class GivingWay:
    """Lowers the priority of threads that have come up since it last looked. Does nothing but on Linux.

    Only daemon threads, as trio's workers are: a thread that nobody may leave behind is not one of them.
    """

    _seen: set[int] = attrs.field(factory=set)

    def look(self) -> None:
        """Lower what is new; to be called in the loop's thread."""
        if sys.platform != "linux":  # elsewhere a priority is the process's
            return
        workers = {
            thread.native_id
            for thread in threading.enumerate()
            if thread.daemon and thread is not threading.current_thread() and thread.native_id is not None
        }
        for number in workers - self._seen:
            with suppress(OSError):  # it has ended meanwhile
                os.setpriority(os.PRIO_PROCESS, number, os.getpriority(os.PRIO_PROCESS, 0) + NICE)
        self._seen = workers
