"""Order books as they are, recorded beside their changes where the exchange's stream tells changes only."""

import time

import attrs
import structlog
import trio

from actors.recording.capture_files import Taken
from actors.recording.tape import Tape
from actors.rest import NotEver, NotNow, Rest
from supervision import Context

log = structlog.get_logger("record")

#: Seconds until an exchange that cannot answer is asked again, where it names no time.
RETRY = 5.0


@attrs.define(eq=False)
class Snapshots:
    """Asks for the order books that a tape has not seen whole, once changes of them have come."""

    tape: Tape
    rest: Rest

    async def run(self, context: Context) -> None:
        """Ask until stopped: one order book after the other, as REST limits are one for all."""
        tape = self.tape
        context.started()
        while True:
            await tape.memory.changed.wait_for(lambda: bool(tape.changing))
            await self._ask(tape.changing[0])

    async def _ask(self, symbol: str) -> None:
        tape, query = self.tape, self.tape.exchange.endpoints.depth(symbol)
        asked = tape.beginnings
        try:
            body = await self.rest.get(tape.planned.exchange, query.request)
        except NotNow as later:
            log.info("snapshot_later", symbol=symbol, reason=str(later))
            await trio.sleep(later.after or RETRY)
            return
        except NotEver as never:
            log.warning("no_snapshot", symbol=symbol, reason=str(never))
        else:
            await tape.put(Taken(time.time_ns(), [_named(symbol, body)]))
        if tape.beginnings == asked:  # else it is of a time before this connection or file
            tape.unseen.discard(symbol)


def _named(symbol: str, body: bytes) -> bytes:
    """Write whose book a snapshot is in front of it: in itself it does not tell."""
    return b'{"symbol":"%s",%s' % (symbol.encode(), body.lstrip()[1:])
