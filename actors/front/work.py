"""What is in work on one connection: the application's calls, whose ends tell when the connection is idle."""

from collections.abc import Callable
from typing import Any

import attrs
import trio

from actors.front.limits import Message, Receive, Scope, Send

#: Calls a server's application, with what it needs for threads.
Call = Callable[..., Any]


@attrs.define(eq=False)
class Work:
    """The application as one connection calls it. ``stalled`` is called where an answer is not taken.

    A client of HTTP/2 decides by its windows when the next part of an answer may be sent; who lets none be
    sent for ``patience`` (s) would hold the answer for ever.
    """

    application: Call
    patience: float
    stalled: Callable[[], None]
    _count: int = attrs.field(default=0, init=False)
    _changed: trio.Event = attrs.field(factory=trio.Event, init=False)

    async def __call__(self, scope: Scope, receive: Receive, send: Send, *more: Any) -> None:
        """Serve one request or WebSocket."""

        async def patient(message: Message) -> None:
            with trio.move_on_after(self.patience) as waiting:
                await send(message)
            if waiting.cancelled_caught:
                self.stalled()

        self._change(1)
        try:
            await self.application(scope, receive, patient, *more)
        finally:
            self._change(-1)

    def _change(self, by: int) -> None:
        self._count += by
        self._changed.set()
        self._changed = trio.Event()

    async def wait_idle(self, seconds: float) -> None:
        """Return once nothing was in work for so long."""
        while True:
            changed = self._changed
            if self._count:
                await changed.wait()
                continue
            with trio.move_on_after(seconds) as idle:
                await changed.wait()
            if idle.cancelled_caught:
                return
