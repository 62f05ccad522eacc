"""How often an exchange may be connected to, by all connections together, and when not at all.

https://developers.binance.com/docs/binance-spot-api-docs/web-socket-streams: 300 attempts per 5 minutes and
address. https://bybit-exchange.github.io/docs/v5/ws/connect: 500.
"""

import math
from collections.abc import Callable

import attrs
import structlog
import trio

from actors.connections.dial import ConnectFailed
from wadm.pacing import Pacing

log = structlog.get_logger("connects")

#: Of what an exchange allows, this much is used: others may connect from the same address.
SHARE = 0.8
WINDOW = 300.0

#: Seconds to leave an exchange alone that refused a handshake and named no time: Bybit bans an address for
#: ten minutes with 403; where the exchange does not serve (451) the next answer will be the same.
WAITS = {403: 600.0, 418: 600.0, 429: 60.0, 451: 600.0}


@attrs.define(eq=False)
class Connects:
    """The attempts to connect to one exchange, ``limit`` of which are allowed in five minutes."""

    limit: int | None = None
    _pacing: Pacing = attrs.field(init=False)
    _not_before: float = attrs.field(default=-math.inf, init=False)
    _why: str = attrs.field(default="", init=False)
    _turn: trio.Lock = attrs.field(factory=trio.Lock, init=False)

    def __attrs_post_init__(self) -> None:
        self._pacing = Pacing(None if self.limit is None else int(self.limit * SHARE), WINDOW)

    async def turn(self, say: Callable[[str], None]) -> None:
        """Wait until there may be another attempt, first come first served; ``say`` is told of waiting."""
        if self._turn.locked():
            say("waits for its turn to connect")
        async with self._turn:
            while delay := self._delay(trio.current_time(), say):  # noqa: ASYNC110  # it may grow meanwhile
                await trio.sleep(delay)
            self._pacing.spend(trio.current_time())

    def _delay(self, now: float, say: Callable[[str], None]) -> float:
        if now < self._not_before:
            say(f"waits {self._not_before - now:.0f} s before it connects again: {self._why}")
            return self._not_before - now
        delay = self._pacing.delay(now)
        if delay:
            say(f"waits {delay:.0f} s: {self._pacing.most} attempts to connect in five minutes are spent")
        return delay

    def failed(self, error: ConnectFailed) -> None:
        """Note a refused handshake: after some answers the exchange is to be left alone for a while."""
        if error.status not in WAITS and error.retry_after is None:
            return
        wait = WAITS.get(error.status or 0, 0.0) if error.retry_after is None else error.retry_after
        self._not_before = max(self._not_before, trio.current_time() + wait)
        self._why = str(error)
        log.warning("left_alone", seconds=wait, reason=self._why)
