"""Where a producer finds what an actor told it; telling costs the actor next to nothing, and never waits."""

from collections import deque
from typing import Generic, TypeVar

import attrs

from actors.notice import Notice

#: Messages that may wait for a producer; it takes them as soon as it has its turn.
MOST = 1_000

T = TypeVar("T")


@attrs.define(eq=False)
class Inbox(Generic[T]):
    """Messages that wait for one who listens. Beyond the bound the oldest is lost, and counted."""

    lost: int = 0
    _waiting: deque[T] = attrs.field(factory=deque, init=False)
    _notice: Notice = attrs.field(factory=Notice, init=False)

    def put(self, message: T) -> None:
        """Tell something. Never waits."""
        self._waiting.append(message)
        if len(self._waiting) > MOST:
            self._waiting.popleft()
            self.lost += 1
        self._notice.notify()

    def take(self) -> list[T]:
        """Return what waits."""
        taken = list(self._waiting)
        self._waiting.clear()
        return taken

    async def wait(self) -> None:
        """Return once something waits."""
        await self._notice.wait_for(lambda: bool(self._waiting))
