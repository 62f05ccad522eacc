"""A notice that something has changed, for those who wait for it."""

from collections.abc import Callable

import attrs
import trio


@attrs.define(eq=False)
class Notice:
    """Wakes whoever waits for something to have changed."""

    _changed: trio.Event = attrs.field(factory=trio.Event, init=False, repr=False)

    def notify(self) -> None:
        """Let every waiter look again."""
        changed, self._changed = self._changed, trio.Event()
        changed.set()

    async def wait_for(self, predicate: Callable[[], bool]) -> None:
        """Return once ``predicate()`` holds; it is asked now and after every ``notify``."""
        while not predicate():
            await self._changed.wait()
