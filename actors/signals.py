"""Ctrl-C and SIGTERM: the first asks for an orderly stop, the second ends at once."""

import signal
from collections.abc import Callable

import trio


async def watch(
    stop: Callable[[], None], *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED
) -> None:
    """Call ``stop`` at the first signal; raise KeyboardInterrupt at the second."""
    with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
        task_status.started()
        count = 0
        async for _ in signals:
            count += 1
            if count > 1:
                raise KeyboardInterrupt
            stop()
