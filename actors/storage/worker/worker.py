"""The port of a sink's blocking work, and its form in threads."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from typing import Protocol, TypeVar

import attrs
import trio

from actors.storage.carrier import Carried, Carrier, Leg

T = TypeVar("T")


class WorkerDied(Exception):
    """The process that did a sink's work has ended, or does not answer; another one has to go on."""


class Worker(Protocol):
    """Does a sink's work, one call at a time, for the length of ``at_work``.

    Calls raise what a ``Carrier`` raises, and WorkerDied. A call that is cancelled is left alone: the next
    one waits until it has ended, or ends it.
    """

    @property
    def pid(self) -> int | None:
        """The number of the process that does it now; None where it is the daemon's own, or not at work."""
        ...

    def at_work(self) -> AbstractAsyncContextManager[None]:
        """Have the work done from now on, until the block ends."""
        ...

    async def open(self) -> int:
        """See ``Carrier``."""
        ...

    async def carry(self, leg: Leg) -> Carried:
        """See ``Carrier``."""
        ...


@attrs.define(eq=False)
class ThreadWorker:
    """A ``Worker`` in a thread of the daemon."""

    carrier: Carrier
    pid: None = None
    #: Its calls wait for nobody else's: a store that hangs holds up no other thread, nor others it.
    _turn: trio.CapacityLimiter = attrs.field(factory=lambda: trio.CapacityLimiter(1), init=False, repr=False)

    @asynccontextmanager
    async def at_work(self) -> AsyncIterator[None]:
        """See ``Worker``."""
        yield

    async def open(self) -> int:
        """See ``Worker``."""
        return await self._call(self.carrier.open)

    async def carry(self, leg: Leg) -> Carried:
        """See ``Worker``."""
        return await self._call(partial(self.carrier.carry, leg))

    async def _call(self, work: Callable[[], T]) -> T:
        # A store that hangs does not hold up the daemon's end. Whoever comes next waits for the same thread,
        # and asks the store for its place.
        return await trio.to_thread.run_sync(work, abandon_on_cancel=True, limiter=self._turn)
