"""The follower: makes what is followed what shall be, symbol by symbol, and others notice nothing.

It begins where it stood when it was killed. The actors of a symbol that is left are stopped once all that was
received of it is in its bars and in the journal.
"""

from collections.abc import Collection, Sequence
from functools import partial

import attrs
import structlog
import trio

from actors.connections.memory import ConnectionMemory
from actors.crews import Crews
from actors.following.following import Following
from actors.messages import EndOfCapture
from actors.plan import connection, source_of
from actors.runtime import Runtime
from actors.storage.errors import StorageError
from supervision import Context, MailboxFull, NotStarted, Stuck
from wadm.allotment import Carrier, allot
from wadm.exchanges import registry
from wadm.exchanges.base import LimitError
from wadm.market import Instrument

log = structlog.get_logger("follower")

#: Its name.
FOLLOWER = "follower"

#: Seconds between attempts after an error, doubled up to the second.
FIRST_RETRY, LAST_RETRY = 0.5, 30.0

#: Seconds to wait for the end of a subscription; what comes after it is counted as of an unknown symbol.
FAREWELL = 2.0

#: Seconds for what was received of a symbol to reach its bars, and the journal.
DRAIN = 10.0


@attrs.define(eq=False)
class Follower:
    """``run`` is the actor."""

    runtime: Runtime
    crews: Crews
    following: Following

    async def run(self, context: Context) -> None:
        """Make it so now and after every change; try again after an error."""
        context.started()
        following, retry, begun = self.following, FIRST_RETRY, False
        while True:
            try:
                # What it did last before it was killed may look done and not be.
                while not (begun and self._is_so()):
                    for exchange in following.touched():
                        await self._make_so(exchange)
                    begun = True
            except (StorageError, NotStarted, Stuck, MailboxFull, LimitError) as error:
                following.trouble = str(error)
                log.warning("follower_waits", reason=following.trouble)
                await trio.sleep(retry)
                retry = min(2 * retry, LAST_RETRY)
                continue
            following.trouble, retry = "", FIRST_RETRY
            await following.changed.wait_for(lambda: not self._is_so())

    def _is_so(self) -> bool:
        following = self.following
        return not following.leaving and all(map(following.is_so, following.touched()))

    async def _make_so(self, exchange: str) -> None:
        """Bring one exchange nearer to what shall be; after a kill in the middle, the next call goes on."""
        following = self.following
        wanted = following.current(exchange)
        following.leaving |= {
            key
            for key, memory in self.runtime.symbols.items()
            if memory.instrument.exchange == exchange and memory.instrument.symbol not in wanted
        }
        gone = [key for key in following.leaving if key.partition(":")[0] == exchange]
        await self._prepare(exchange)
        await self._carry(exchange)
        if gone:
            await self._leave(exchange, gone)
        await self._dismiss(exchange)
        following.changed.notify()

    # --- following ---

    def _keys(self, exchange: str) -> list[str]:
        """Return what shall be followed and is not half left."""
        keys = (f"{exchange}:{symbol}" for symbol in sorted(self.following.current(exchange)))
        return [key for key in keys if key not in self.following.leaving]

    async def _prepare(self, exchange: str) -> None:
        """Make the memories and actors of symbols that are not there yet."""
        runtime, of, settings = self.runtime, registry.find(exchange), self.following.settings_of(exchange)
        runtime.plan.rest.setdefault(exchange, settings.rest_url or of.rest_url)
        for key in (keys := self._keys(exchange)):
            if key not in runtime.symbols:
                found = self.following.listing.get(key) or Instrument(exchange, key.partition(":")[2])
                # Followed anew it is another one to codecs that knew it before: its ids begin anew.
                known = await trio.to_thread.run_sync(
                    runtime.remember, attrs.evolve(found), source_of(of, settings)
                )
                runtime.adopt(*known)
                log.info("followed", symbol=key)
        await self.crews.start_symbols(keys)

    async def _carry(self, exchange: str) -> None:
        """Have the connections carry what is wanted of the symbols that are there, and nothing else."""
        runtime, following, of = self.runtime, self.following, registry.find(exchange)
        ready = [key.partition(":")[2] for key in self._keys(exchange) if key in runtime.symbols]
        wanted = dict.fromkeys(following.streams(exchange, ready))
        for memory in following.connections(exchange):
            if ended := [stream for stream in memory.streams if stream not in wanted]:
                memory.drop(ended)
        url = following.settings_of(exchange).url
        carriers = [_carrier(url, memory) for memory in following.connections(exchange)]
        for carrier in allot(of, wanted, carriers):
            there = runtime.connections.get(carrier.name)
            if there is None:
                runtime.connect(connection(of, url, carrier))
            elif fresh := [stream for stream in carrier.streams if stream not in there.streams]:
                there.carry(fresh)
        await self.crews.start_connections(one.name for one in following.connections(exchange) if one.streams)

    # --- leaving ---

    async def _leave(self, exchange: str, keys: Sequence[str]) -> None:
        """Let symbols go that no connection carries any more, once what came of them is kept."""
        with trio.move_on_after(FAREWELL):
            for memory in self.following.connections(exchange):
                await memory.changed.wait_for(partial(_has_unsubscribed, memory))
        for key in keys:
            self.runtime.instruments_of(exchange).pop(key.partition(":")[2], None)
        with trio.move_on_after(DRAIN):
            while self._is_under_way(keys):  # noqa: ASYNC110  # an outbox tells nobody that it is empty
                await trio.sleep(0.01)
        for key in keys:
            await self._end(key)
            self.following.leaving.discard(key)
            log.info("left", symbol=key)

    def _is_under_way(self, keys: Collection[str]) -> bool:
        return any(outbox.waiting().keys() & set(keys) for outbox in self.runtime.outboxes.values())

    async def _end(self, key: str) -> None:
        """Stop a symbol's actors and forget it; what does not get into its bars is counted as shed."""
        runtime = self.runtime
        if key not in runtime.symbols:
            return
        memory, mailbox = runtime.symbols[key], runtime.aggregators[key]
        if self.crews.folds(key) and not mailbox.closed:
            with trio.move_on_after(DRAIN):
                for incarnation, number in list(memory.left):
                    await runtime.marks.wait_for_batch(incarnation, key, number)
                await mailbox.put(EndOfCapture(memory.market_time))
                await memory.ended.wait()
        await self.crews.stop_symbol(key)
        with trio.move_on_after(DRAIN):
            await runtime.marks.wait_for(lambda _: not runtime.is_being_written(key))
        if lost := runtime.waiting()[key]:
            runtime.ledger.account(key).shed["not_followed"] += lost
        runtime.release(key)

    async def _dismiss(self, exchange: str) -> None:
        """End the connections that carry nothing any more."""
        for memory in self.following.connections(exchange):
            if not memory.streams:
                await self.crews.stop_connection(memory.name)
                await self.runtime.outboxes[memory.name].hand_over()
                self.runtime.disconnect(memory.name)


def _has_unsubscribed(memory: ConnectionMemory) -> bool:
    return memory.acknowledged <= len(memory.streams)


def _carrier(url: str, memory: ConnectionMemory) -> Carrier:
    return Carrier(memory.name, memory.url.removeprefix(url), tuple(memory.streams))
