"""Where a book's snapshots come from: REST, or the stream itself, which is then subscribed to again."""

import re
from collections.abc import Mapping
from time import time_ns

import attrs
import structlog
import trio

from actors.books.memory import BookMemory
from actors.connections.memory import ConnectionMemory
from actors.rest import NotEver, NotNow, Rest
from wadm.exchanges import registry
from wadm.exchanges.base import BookRule, Channel, PageError
from wadm.market import BookUpdate

log = structlog.get_logger("book")

#: Seconds between attempts, doubled up to the last.
FIRST_RETRY, LAST_RETRY = 0.5, 60.0

#: Seconds that a stream has to begin anew before it is asked to again.
RENEWAL = 5.0

_NUMBER = re.compile(r"\d+")


class NoSnapshot(Exception):  # a state of the far side
    """There is none to be had now; ``after`` is when to ask again (s), where that is known."""

    def __init__(self, why: str, after: float | None = None) -> None:
        super().__init__(why)
        self.after = after


@attrs.define(eq=False)
class Snapshots:
    """Brings one book back into step."""

    memory: BookMemory
    rest: Rest
    connections: Mapping[str, ConnectionMemory]
    playback: bool
    _retry: float = FIRST_RETRY
    _not_before: float = float("-inf")

    async def run(self) -> None:
        """Look for a snapshot whenever the book wants one."""
        memory = self.memory
        while True:
            await memory.changed.wait_for(lambda: memory.sync.wants_snapshot)
            await trio.sleep(await self._attempt())
            if memory.sync.synced:
                self._retry = FIRST_RETRY

    async def catch_up(self) -> None:
        """Look for a snapshot if the book wants one and the last attempt was long enough ago."""
        while self.memory.sync.wants_snapshot and trio.current_time() >= self._not_before:
            wait = await self._attempt()
            self._not_before = trio.current_time() + wait

    async def fetch(self) -> BookUpdate:
        """Ask the exchange for a snapshot. Raises NoSnapshot."""
        instrument = self.memory.instrument
        query = registry.find(instrument.exchange).endpoints.depth(instrument.symbol)
        if instrument.exchange not in self.rest.addresses:
            raise NoSnapshot(f"no REST interface of {instrument.exchange} is known", LAST_RETRY)
        try:
            return await self.rest.ask(instrument.exchange, query)
        except NotNow as error:
            raise NoSnapshot(str(error), error.after) from error
        except (NotEver, PageError) as error:
            raise NoSnapshot(str(error), None if self.playback else LAST_RETRY) from error

    async def _attempt(self) -> float:
        """Try to get a snapshot; return the seconds to wait before the next attempt, 0 where it worked."""
        sync, retry = self.memory.sync, self._retry
        if not self.playback:
            self._retry = min(2 * retry, LAST_RETRY)
        if sync.rule is BookRule.STREAM_SNAPSHOT:
            self.renew()
            return max(RENEWAL, retry)
        try:
            in_step = sync.snapshot(await self.fetch(), time_ns() // 1_000)
        except NoSnapshot as none:
            sync.reason = f"there is no snapshot: {none}"
            log.warning("book_waits", symbol=self.memory.instrument.key, reason=str(none))
            return none.after or retry
        if not in_step:
            return retry
        log.info("book_in_step", symbol=self.memory.instrument.key, update=sync.last)
        return 0.0

    def renew(self) -> None:
        """Have the book's stream subscribed to again: it begins with a snapshot. Of several, the deepest."""
        found = self.carriers()
        if found:
            connection, stream = max(found, key=lambda one: self._depth(one[1]))
            log.info("book_resubscribed", symbol=self.memory.instrument.key, stream=stream)
            connection.renew(stream)

    def carriers(self) -> list[tuple[ConnectionMemory, str]]:
        """Return the connections that bring the book, each with its stream; a recording may have several."""
        instrument = self.memory.instrument
        of = registry.find(instrument.exchange)
        usual = self._kind(of.channels[Channel.BOOK](instrument.symbol))
        return [
            (connection, stream)
            for connection in self.connections.values()
            if connection.exchange == instrument.exchange
            for stream in connection.by_symbol.get(instrument.symbol, ())
            if self._kind(stream) == usual
        ]

    def _kind(self, stream: str) -> str:
        """Return a stream's name without its symbol, which may have digits, and without its numbers."""
        return _NUMBER.sub("", self._unnamed(stream))

    def _depth(self, stream: str) -> list[int]:
        return [int(number) for number in _NUMBER.findall(self._unnamed(stream))]

    def _unnamed(self, stream: str) -> str:
        instrument = self.memory.instrument
        return stream.replace(registry.find(instrument.exchange).spelled(instrument.symbol), "")
