"""One link after the other: before the exchange ends one, another has taken over, so that nothing is missed.

Binance ends every connection after 24 hours, and announces with ``serverShutdown`` that it will end one soon
(https://developers.binance.com/docs/binance-spot-api-docs/web-socket-streams).
"""

import math
import random
import time
from collections.abc import Callable
from itertools import count

import attrs
import structlog
import trio

from actors.background import background
from actors.connections.connects import Connects
from actors.connections.link import Ending, Link, Silent
from actors.connections.memory import ConnectionMemory
from actors.connections.websocket import ConnectFailed, ConnectionLost
from supervision import Backoff
from wadm.subscriber import Unanswered

log = structlog.get_logger("succession")

END_OF_CAPTURE = "end of capture"

#: A link is replaced up to so many seconds, or this part of its lifetime, earlier than it must be, so that
#: not all are at once.
JITTER, JITTER_SHARE = 600.0, 0.01

#: Seconds for which two links are read after the newer one has proved itself.
OVERLAP = 1.0

#: Seconds within which a link that carries something has to show it.
PROBATION = 60.0

#: Between attempts to make a successor.
ATTEMPTS = Backoff(minimum=1.0, maximum=60.0)


@attrs.define(eq=False)
class Succession:
    """Keeps a connection's links; ``run`` ends when the last one has.

    ``make_link`` makes one, not yet opened, by its number. A link lives ``lifetime`` seconds, None: as long
    as it can. ``led`` is told of the link that the connection lives by whenever another one is it; ``ended``
    of each that ends.
    """

    memory: ConnectionMemory
    make_link: Callable[[int], Link]
    connects: Connects
    lifetime: float | None
    led: Callable[[Link], None]
    ended: Callable[[Link], None]
    links: list[Link] = attrs.field(factory=list, init=False)
    leading: Link = attrs.field(init=False)
    _numbers: "count[int]" = attrs.field(factory=lambda: count(1), init=False)
    _outcome: Ending | Exception | None = attrs.field(default=None, init=False)
    _draw: random.Random = attrs.field(factory=random.Random, init=False)

    async def run(self) -> Ending:
        """Return how the exchange closed the last link.

        Raises ConnectFailed, ConnectionLost, Silent or Unanswered where it ended otherwise.
        """
        async with background() as nursery:
            link = self._begin(nursery)
            await self._lead(link)
            while not link.over:
                await self._due(link)
                if not link.over:
                    link = await self._replace(link, nursery)
        assert self._outcome is not None
        if isinstance(self._outcome, Exception):
            raise self._outcome
        return self._outcome

    # --- one link ---

    def _begin(self, nursery: trio.Nursery) -> Link:
        link = self.make_link(next(self._numbers))
        self.links.append(link)
        nursery.start_soon(self._live, link)
        return link

    async def _live(self, link: Link) -> None:
        try:
            await self.connects.turn(self._say)
            self._note(link, await link.run())
        except ConnectFailed as error:
            self.connects.failed(error)
            self._note(link, error)
        except (ConnectionLost, Silent, Unanswered) as error:
            self._note(link, error)

    def _note(self, link: Link, outcome: Ending | Exception) -> None:
        """Note how a link ended. One that did not come about says nothing of how the connection ended."""
        before = self._outcome
        at_end = isinstance(before, Ending) and before.reason == END_OF_CAPTURE
        if before is None or (link.opened_at is not None and not at_end):
            self._outcome = outcome
        link.over = outcome
        self.links.remove(link)
        self.ended(link)
        self.memory.changed.notify()

    def _say(self, reason: str) -> None:
        self.memory.reason = reason

    async def _lead(self, link: Link) -> None:
        """Live by a link from now on, once it is open; it had to be made because there was none."""
        self.leading = link
        await self._wait(lambda: bool(link.over) or link.opened_at is not None)
        if link.opened_at is not None:
            self.memory.connects += 1
            self.memory.connected_at = time.time_ns() // 1_000
            self.led(link)

    async def _wait(self, holds: Callable[[], bool], seconds: float = math.inf) -> None:
        with trio.move_on_after(seconds):
            await self.memory.changed.wait_for(holds)

    # --- from one to the next ---

    async def _due(self, link: Link) -> None:
        """Return when a link is to be replaced, or has ended."""
        assert link.opened_at is not None
        left = math.inf
        if self.lifetime is not None:
            early = self._draw.random() * min(JITTER, self.lifetime * JITTER_SHARE)
            left = link.opened_at + self.lifetime - early - trio.current_time()
        await self._wait(lambda: bool(link.over or link.leaving), max(0.0, left))

    async def _replace(self, old: Link, nursery: trio.Nursery) -> Link:
        """Return the link that has taken over from ``old``, however many attempts that needs."""
        name, why = self.memory.name, old.leaving or "it has lived long enough"
        log.info("link_to_be_replaced", connection=name, reason=why)
        for attempt in count(2):
            new = self._begin(nursery)
            if await self._proves_itself(new, old):
                await self._overlap(new, old)
                if not new.over:
                    return new
            elif old.over:
                await self._lead(new)
                return new
            else:
                new.end()
                await self._wait(lambda link=new: bool(link.over))  # type: ignore[misc]
            log.warning("link_not_replaced", connection=name, reason=str(new.over))
            await self._wait(lambda: bool(old.over), ATTEMPTS.delay(attempt, self._draw))
            if old.over:
                break
        return old

    async def _proves_itself(self, new: Link, old: Link) -> bool:
        """Return whether a new link delivers; False as soon as one of the two has ended."""
        await self._wait(lambda: bool(new.over or old.over) or new.opened_at is not None)
        heard = old.heard
        await self._wait(lambda: bool(new.over or old.over) or new.live, PROBATION)
        if new.over or old.over:
            return False
        # Where the old one has heard nothing either, there was nothing to hear.
        return new.live or (new.settled and old.heard == heard)

    async def _overlap(self, new: Link, old: Link) -> None:
        """Read both for a while, then end the old one; what came before its end is received."""
        await self._wait(lambda: bool(new.over or old.over), OVERLAP)
        if new.over:
            return
        self.leading = new
        self.memory.rollovers += 1
        self.memory.connected_at = time.time_ns() // 1_000
        self.led(new)
        await old.retire()
        await self._wait(lambda: bool(old.over))
        log.info("link_replaced", connection=self.memory.name)
