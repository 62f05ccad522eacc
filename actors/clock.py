"""The clock actor: measures now and then how far the local clock is from each exchange's.

It only looks and tells: bars are cut by exchange time, whatever the local clock says.
"""

import time

import attrs
import structlog
import trio

from actors.clock_memory import ClockMemory
from actors.rest import NotEver, NotNow
from actors.runtime import Runtime
from supervision import Context
from wadm.clock import Probe, skew
from wadm.exchanges import registry
from wadm.exchanges.base import PageError
from wadm.market import MILLISECOND

log = structlog.get_logger("clock")

#: Seconds from one measurement to the next, and to a look whether another exchange is followed by now.
PERIOD = 300.0
LOOK = 10.0
#: Questions in a measurement: connections and queues delay some of them.
PROBES = 5


@attrs.define(eq=False)
class Clock:
    """Measures the clock against every exchange that is followed; ``run`` is the actor."""

    runtime: Runtime

    async def run(self, context: Context) -> None:
        """Measure now and every five minutes. A recording's time is none to measure against."""
        context.started()
        if self.runtime.plan.playback:
            await trio.sleep_forever()
        while True:
            clocks, followed = self.runtime.clocks, self._followed()
            for exchange in clocks.keys() - followed.keys():
                del clocks[exchange]
            for exchange in followed:
                memory = clocks.setdefault(exchange, ClockMemory(exchange))
                if memory.due <= trio.current_time():
                    await self._measure(memory)
            await trio.sleep(LOOK)

    def _followed(self) -> dict[str, None]:
        """Return the exchanges that there is a connection to, in order."""
        return dict.fromkeys(one.exchange for one in self.runtime.connections.values())

    async def _measure(self, memory: ClockMemory) -> None:
        """Measure against one exchange; what cannot be measured leaves the last measurement standing."""
        memory.due = trio.current_time() + PERIOD
        try:
            found = skew([await self._probe(memory.exchange) for _ in range(PROBES)])
        except (NotNow, NotEver, PageError) as error:
            memory.error = str(error)
            log.warning("clock_not_measured", exchange=memory.exchange, reason=memory.error)
            return
        was_wrong = bool(memory.alarm)
        memory.skew, memory.measured_at, memory.error = found, _now(), ""
        if memory.alarm and not was_wrong:
            log.error("clock_skewed", exchange=memory.exchange, advice=memory.alarm)
        elif was_wrong and not memory.alarm:
            log.info("clock_in_order", exchange=memory.exchange, offset_ms=found.offset // MILLISECOND)

    async def _probe(self, exchange: str) -> Probe:
        """Ask for the time. Raises NotNow, NotEver or PageError."""
        asked = time.perf_counter_ns()
        told = await self.runtime.rest.ask(exchange, registry.find(exchange).endpoints.clock())
        # The wall clock is read once: it may be set at any moment, and a round trip could be negative.
        return Probe(told, _now(), (time.perf_counter_ns() - asked) // 1_000)


def _now() -> int:
    return time.time_ns() // 1_000
