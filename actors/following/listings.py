"""The listings actor: keeps what is followed in step with what each exchange lists.

Symbols by pattern and by turnover come and go, delisted ones end, and ticks change, without a restart. A list
that cannot be read changes nothing.
"""

from collections.abc import Mapping
from decimal import Decimal

import attrs
import structlog
import trio

from actors.following.following import Following
from actors.following.listing_memory import ListingMemory
from actors.rest import NotEver, NotNow
from actors.runtime import Runtime
from supervision import Context
from wadm.exchanges import registry
from wadm.exchanges.base import Listed, PageError
from wadm.market import Instrument
from wadm.selection import Decision, Followed, Wanted, decide

log = structlog.get_logger("listings")

#: Seconds from one look at an exchange's list to the next, and to the next try where it could not be read.
PERIOD = 900.0
RETRY = 60.0
#: The least seconds between two looks, however often something else is asked for.
AGAIN = 10.0
#: More pages than any exchange's list has.
MOST_PAGES = 50


@attrs.define(eq=False)
class Listings:
    """Looks at each exchange's list now and then; ``run`` is the actor."""

    runtime: Runtime
    following: Following

    async def run(self, context: Context) -> None:
        """Look at every exchange's list in its time, and when something else is asked for.

        A recording has no list that still holds.
        """
        context.started()
        if self.runtime.plan.playback:
            await trio.sleep_forever()
        while True:
            asked, listings = self._asked(), self.runtime.listings
            for exchange in listings.keys() - asked.keys():
                del listings[exchange]
            for exchange in asked:
                memory = listings.setdefault(exchange, ListingMemory(exchange))
                if self._due(memory) <= trio.current_time():
                    await self._look(memory)
            await self._wait(asked)

    async def _wait(self, asked: Mapping[str, Wanted]) -> None:
        """Return when something is due, or when something else is asked for than was."""
        dues = [self._due(self.runtime.listings[exchange]) for exchange in asked]
        with trio.move_on_at(min(dues, default=trio.current_time() + PERIOD)):
            await self.following.changed.wait_for(lambda: self._asked() != asked)

    def _asked(self) -> dict[str, Wanted]:
        return {exchange: self.following.wanted(exchange) for exchange in self.following.exchanges()}

    def _due(self, memory: ListingMemory) -> float:
        """Return when a list is to be looked at again (s on trio's clock)."""
        if memory.asked is None or memory.asked == self.following.wanted(memory.exchange):
            return memory.due
        return min(memory.due, memory.looked_at + AGAIN)

    async def _look(self, memory: ListingMemory) -> None:
        """Read a list and do what follows from it."""
        exchange, now = memory.exchange, trio.current_time()
        asked = self.following.wanted(exchange)
        # Whatever becomes of this look, even a crash: the next one has its time.
        memory.asked, memory.looked_at, memory.due = asked, now, now + RETRY
        try:
            listing = await self._listing(exchange)
            turnover = await self._turnover(exchange) if asked.ranked else {}
        except (NotNow, NotEver, PageError) as error:
            memory.failed(str(error))
            log.warning("listing_not_read", exchange=exchange, reason=str(error), age=memory.age())
            return
        if self.following.wanted(exchange) != asked:
            return  # what was read need not be enough for what is asked for by now
        followed = Followed(self.following.current(exchange), memory.seen, memory.missed)
        decision = decide(asked, listing, turnover, followed)
        self._retick(exchange, listing, decision)
        self._tell(exchange, decision)
        self.following.want(exchange, decision.follow, decision.leave)
        memory.read(listing, decision)
        memory.due = trio.current_time() + PERIOD

    async def _listing(self, exchange: str) -> Mapping[str, Listed]:
        """Return an exchange's whole list by symbol. Raises NotNow, NotEver or PageError."""
        found: dict[str, Listed] = {}
        cursor, endpoints = "", registry.find(exchange).endpoints
        for _ in range(MOST_PAGES):
            page = await self.runtime.rest.ask(exchange, endpoints.listing(cursor))
            found |= {one.instrument.symbol: one for one in page.listed}
            cursor = page.cursor
            if not cursor:
                break
        else:
            raise PageError(f"{exchange}'s list of symbols has no end after {MOST_PAGES} pages")
        if not found:
            raise PageError(f"{exchange}'s list of symbols is empty")
        return found

    async def _turnover(self, exchange: str) -> Mapping[str, Decimal]:
        return await self.runtime.rest.ask(exchange, registry.find(exchange).endpoints.turnover())

    def _retick(self, exchange: str, listing: Mapping[str, Listed], decision: Decision) -> None:
        """Take over what the list says of the symbols followed now and from now on."""
        known = self.runtime.instruments_of(exchange)
        for symbol in (*known, *decision.follow):
            if symbol in listing:
                self.following.retick(_merged(known.get(symbol), listing[symbol].instrument))

    @staticmethod
    def _tell(exchange: str, decision: Decision) -> None:
        if decision.unknown:
            log.warning("symbols_not_listed", exchange=exchange, symbols=decision.unknown)
        for symbol, reason in decision.leave.items():
            log.warning("symbol_left", exchange=exchange, symbol=symbol, reason=reason)
        if decision.follow:
            log.info("symbols_followed", exchange=exchange, symbols=decision.follow)


def _merged(known: Instrument | None, listed: Instrument) -> Instrument:
    """Return what is listed; of what the list leaves out, what is known."""
    if known is None:
        return listed
    return attrs.evolve(known, tick=listed.tick or known.tick, step=listed.step or known.step)
