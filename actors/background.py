"""A block with tasks behind it, whose own exceptions come out as they went in."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import trio


@asynccontextmanager
async def background() -> AsyncIterator[trio.Nursery]:
    """Open a nursery for tasks that serve the block: they are cancelled when the block ends.

    A plain nursery would wrap the block's exception in a group. Here it leaves bare; a task that crashes
    cancels the block, and its exception leaves instead.
    """
    raised: BaseException | None = None
    try:
        async with trio.open_nursery() as nursery:
            try:
                yield nursery
            except BaseException as error:  # raised again below, outside of the nursery
                raised = error
            nursery.cancel_scope.cancel()
    except BaseExceptionGroup as group:
        crashes = _crashes(group)
        if crashes is not None:
            raise _with_own(crashes, raised) from None
        if raised is None:
            raise
    if raised is not None:
        raise raised


def _crashes(group: BaseExceptionGroup[BaseException]) -> BaseExceptionGroup[BaseException] | None:
    """Leave out that something was cancelled."""
    return group.split(trio.Cancelled)[1]


def _with_own(crashes: BaseExceptionGroup[BaseException], raised: BaseException | None) -> BaseException:
    """Join the crashes of tasks with what the block raised, if that was more than being cancelled by them."""
    own: BaseException | None = None
    if isinstance(raised, BaseExceptionGroup):
        own = _crashes(raised)
    elif raised is not None and not isinstance(raised, trio.Cancelled):
        own = raised
    if own is not None:
        return BaseExceptionGroup("the block and a task behind it both failed", [own, crashes])
    return crashes.exceptions[0] if len(crashes.exceptions) == 1 else crashes
