"""Market time on a connection: the highest exchange time seen, going on while nothing is traded."""

from collections.abc import Mapping
from contextlib import suppress

import attrs
import trio

from actors.connections.memory import ConnectionMemory
from actors.messages import MarketTime
from supervision import Mailbox, MailboxClosed, MailboxFull
from wadm.market import MINUTE, SECOND


@attrs.define(eq=False)
class MarketClock:
    """Tells the aggregators of a connection's symbols the time, once a minute, ``grace`` µs after its end."""

    memory: ConnectionMemory
    aggregators: Mapping[str, Mailbox]
    grace: int
    _told: dict[str, int] = attrs.field(factory=dict, init=False)
    #: the minute that all of these know of: with each batch of trades this is looked at
    _all_know: tuple[tuple[str, ...], int] = attrs.field(default=((), -1), init=False)

    async def run(self) -> None:
        """Let market time go on while nothing is traded, so that a quiet symbol's bar still closes."""
        memory = self.memory
        while True:
            idle = trio.current_time() - memory.market_time_at
            if memory.market_time and idle >= 1:
                await self.tell(memory.market_time + int(idle * SECOND))
            await trio.sleep(1)

    async def tell(self, market_time: int) -> None:
        """Tell those who do not know it when market time has passed the end of another minute."""
        minute, traded = (market_time - self.grace) // MINUTE, self.memory.traded
        if self._all_know[0] is traded and minute <= self._all_know[1]:
            return
        if all([await self._tell(key, minute, market_time) for key in traded]):
            self._all_know = traded, minute

    async def _tell(self, key: str, minute: int, market_time: int) -> bool:
        """Tell one of them; return whether it knows. Else it is told with the next trades, or in a second."""
        if key not in self.aggregators:
            return False
        if self._told.get(key, -1) < minute:
            try:
                with suppress(MailboxClosed):  # its symbol has just been given up
                    await self.aggregators[key].put(MarketTime(market_time))
            except MailboxFull:
                return False
            self._told[key] = max(minute, self._told.get(key, -1))
        return True
