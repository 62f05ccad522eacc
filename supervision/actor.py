"""What an actor is, and what it is given."""

from collections.abc import Awaitable, Callable

import attrs
import trio

from supervision.breaker import Breaker
from supervision.mailbox import Mailbox


@attrs.define(eq=False)
class Context:
    """What one incarnation of an actor knows about itself."""

    name: str
    incarnation: int  # 1 is the first start; it rises with every restart and never falls
    mailbox: Mailbox | None = None
    breaker: Breaker | None = None
    stopping: trio.Event = attrs.field(factory=trio.Event)  # set when the actor is asked to return
    _on_started: Callable[["Context"], None] = attrs.field(default=lambda _: None, repr=False)
    _on_succeeded: Callable[["Context"], None] = attrs.field(default=lambda _: None, repr=False)

    def started(self) -> None:
        """Say that the actor is ready, so that the next child may start. Calling it again changes nothing."""
        self._on_started(self)

    def succeeded(self) -> None:
        """Say that what the breaker guards has worked, such as a connection that now answers.

        Until then the incarnation's permit is out: a Disconnected is a failed call. Afterwards a Disconnected
        counts no more, only its back-off does. Calling it again, or without a breaker, changes nothing.
        """
        self._on_succeeded(self)

    def now(self) -> float:
        """Return the time on trio's clock, in seconds."""
        return trio.current_time()


# It runs until it is done or asked to stop, by its closed mailbox or by `Context.stopping`.
Actor = Callable[[Context], Awaitable[None]]
