"""The backfill actor: fills gaps from the exchanges' REST interfaces, each exchange for itself.

What is missing stands in the positions and the symbols' memories, not here: a kill forgets nothing. At a
recording's end it also asks for what may have come after the last trade received, and then tells the
aggregators that nothing more will come.
"""

from collections.abc import Iterator

import attrs
import structlog
import trio

from actors.gaps.doubts import Doubts
from actors.gaps.recall import Recall
from actors.gaps.refill import Refill, Source
from actors.messages import EndOfCapture
from actors.outbox import Outbox
from actors.rest import NotNow
from actors.runtime import BACKFILL, Runtime
from supervision import Context

log = structlog.get_logger("backfill")

#: Seconds to wait before asking: what is only out of order comes by itself meanwhile.
PATIENCE = 0.05

#: Seconds between attempts after an error, doubled up to the second.
FIRST_RETRY, LAST_RETRY = 0.2, 30.0

#: Seconds between two looks whether minutes in doubt have ended.
DOUBT_PAUSE = 10.0


@attrs.define(eq=False)
class Backfill:
    """Fills gaps; ``run`` is the actor."""

    runtime: Runtime
    _told: set[str] = attrs.field(factory=set, init=False)

    async def run(self, context: Context) -> None:
        """Serve every exchange that is followed, also those that come to be later."""
        positions, served = self.runtime.positions, set[str]()
        context.started()
        async with trio.open_nursery() as nursery:
            while True:
                for exchange in positions.keys() - served:
                    served.add(exchange)
                    nursery.start_soon(self._serve, exchange)
                await self.runtime.gap_noticed.wait_for(lambda: bool(positions.keys() - served))

    async def _serve(self, exchange: str) -> None:
        """Look after every notice of a gap, and again later where the exchange could not answer."""
        outbox = self._outbox(exchange)
        work = _Work(
            self.runtime,
            Refill(self.runtime, exchange, outbox),
            Recall(self.runtime, exchange, outbox),
            Doubts(self.runtime, exchange),
            self._told,
        )
        await outbox.hand_over()
        retry = FIRST_RETRY
        while True:
            try:
                await work.do()
            except NotNow as reason:
                log.warning("backfill_waits", exchange=exchange, reason=str(reason))
                await trio.sleep(reason.after or retry)
                retry = min(2 * retry, LAST_RETRY)
                continue
            retry = FIRST_RETRY
            await work.wait()
            await trio.sleep(PATIENCE)

    def _outbox(self, exchange: str) -> Outbox:
        name = f"{BACKFILL}:{exchange}"
        if name not in self.runtime.outboxes:
            self.runtime.send_as(name)
        outbox = self.runtime.outboxes[name]
        outbox.live = False
        outbox.begin(self.runtime.numbering.incarnation())
        return outbox


@attrs.frozen(eq=False)
class _Work:
    """What is to be done for one exchange; ``told`` are the symbols that know of their recording's end."""

    runtime: Runtime
    refill: Refill
    recall: Recall
    doubts: Doubts
    told: set[str]

    async def do(self) -> None:
        """Do what there is. Raises NotNow where the exchange cannot answer."""
        await self._fill_all()
        for key in list(self._ending()):
            await self._finish(key)
        await self.doubts.settle()

    async def wait(self) -> None:
        """Return once there is something to do."""
        pause = DOUBT_PAUSE if self.doubts.any() else float("inf")
        with trio.move_on_after(pause):
            await self.runtime.gap_noticed.wait_for(self._any)

    def _any(self) -> bool:
        return (
            any(True for _ in self.refill.gaps())
            or bool(self.recall.symbols())
            or any(True for _ in self._ending())
            or self.doubts.ended()
        )

    async def _fill_all(self) -> None:
        """Fill every gap of both kinds. Raises NotNow in the end where one of the two had to."""
        refused: NotNow | None = None
        for part in (self.refill, self.recall):
            try:
                await part.fill_all()
            except NotNow as error:
                refused = error
        if refused is not None:
            raise refused

    def _ending(self) -> Iterator[str]:
        """Yield the symbols of a recording that has been played to its end."""
        runtime, exchange = self.runtime, self.refill.exchange
        if runtime.plan.playback and all(one.ended.is_set() for one in runtime.connections.values()):
            for key in runtime.plan.traded:
                if key not in self.told and runtime.symbols[key].instrument.exchange == exchange:
                    yield key

    async def _finish(self, key: str) -> None:
        """Ask for what may have come after the last trade received, then say that this was all."""
        memory = self.runtime.symbols[key]
        await self.refill.verify_tail(Source(memory.instrument, memory.source))
        # Nothing may be filled after the end is told: nobody would close the bars it falls into.
        await self._fill_all()
        market_time = max(one.market_time for one in self.runtime.connections.values())
        await self.runtime.aggregators[key].put(EndOfCapture(max(market_time, memory.market_time)))
        self.told.add(key)
