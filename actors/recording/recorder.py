"""The recorder: the actor that holds one connection and hands on its frames as they are.

The codec subscribes, beats and reads answers; of frames that come on a stream it is told only that they came.
While another WebSocket takes over, what both bring is recorded: a reader drops what comes twice.
"""

import attrs
import trio

from actors.background import background
from actors.connections.connects import Connects
from actors.connections.link import Connect, Link, Silent
from actors.connections.succession import END_OF_CAPTURE, Succession
from actors.connections.websocket import ConnectFailed, ConnectionLost, Frames
from actors.recording.capture_files import Taken
from actors.recording.tape import Tape
from supervision import Context, Disconnected
from wadm.exchanges.base import Reply
from wadm.ledger import Ledger
from wadm.subscriber import Unanswered

#: How frames that come on a stream begin; its name follows.
_BEGINNINGS = (b'{"stream":"', b'{"topic":"')

_LOST = (ConnectFailed, ConnectionLost, Silent, Unanswered)


@attrs.define(eq=False)
class Recorder:
    """Connects, subscribes and reads for a tape; ``connects`` are the attempts of all of its exchange's."""

    tape: Tape
    connects: Connects
    connect: Connect
    quiet_after: float | None
    lifetime: float | None
    _streams: dict[bytes, str] = attrs.field(init=False)
    _succession: Succession = attrs.field(init=False)
    _context: Context | None = attrs.field(default=None, init=False)

    def __attrs_post_init__(self) -> None:
        self._streams = {stream.encode(): stream for stream in self.tape.planned.streams}

    async def run(self, context: Context) -> None:
        """Read until the far side ends it. Raises Disconnected, but not where a capture has been played."""
        tape, url = self.tape, self.tape.planned.url
        self._context = context
        self._succession = Succession(
            tape.memory, self._link, self.connects, self.lifetime, self._led, self._ended
        )
        context.started()
        try:
            async with background() as nursery:
                nursery.start_soon(self._renew_books)
                ending = await self._succession.run()
        except _LOST as error:
            raise Disconnected(f"{url}: {error}") from error
        if ending.reason != END_OF_CAPTURE:
            raise Disconnected(f"{url}: {ending}")
        tape.memory.ended.set()

    def _link(self, number: int) -> Link:
        """Return a new link, not yet opened."""
        exchange = self.tape.exchange
        return Link(
            number=number,
            url=self.tape.planned.url,
            memory=self.tape.memory,
            exchange=exchange,
            codec=exchange.codec({}, exchange.positions(), Ledger()),
            take=self._take,
            tell=self._tell,
            connect=self.connect,
            quiet_after=self.quiet_after,
            leniency=1.0,
        )

    def _led(self, link: Link) -> None:
        """Note which link brings the books from now on: what it brings may not continue what there was."""
        self.tape.connected()
        self._tell(link)

    def _tell(self, link: Link) -> None:
        memory = self.tape.memory
        memory.refused |= link.subscriber.refused
        if link.live and self._context is not None:
            self._context.succeeded()
        memory.changed.notify()

    def _ended(self, link: Link) -> None:
        self.tape.memory.changed.notify()

    async def _renew_books(self) -> None:
        """Subscribe anew to the order books that a subscription gives whole, when a file is to hold them."""
        tape = self.tape
        while tape.books_begin_whole:
            await tape.memory.changed.wait_for(lambda: bool(tape.unseen))
            streams = [tape.books[symbol] for symbol in sorted(tape.unseen)]
            tape.unseen.clear()
            for link in self._succession.links:
                link.renew(streams)

    async def _take(self, link: Link, run: Frames) -> None:
        tape = self.tape
        await tape.put(Taken(run.received_at * 1_000, run.frames))
        tape.memory.frames += len(run.frames)
        tape.memory.bytes += sum(map(len, run.frames))
        tape.memory.last_frame_at = trio.current_time()
        others = [frame for frame in run.frames if not self._heard(frame, link)]
        if tape.unseen:
            tape.memory.changed.notify()
        for event in link.codec.receive(others, run.received_at) if others else ():
            link.note(event)
            if isinstance(event, Reply):
                await link.reply(event)

    def _heard(self, frame: bytes, link: Link) -> bool:
        """Say whether a frame comes on one of the streams, and count it."""
        for beginning in _BEGINNINGS:
            if frame.startswith(beginning):
                name = frame[len(beginning) : frame.find(b'"', len(beginning))]
                stream = self._streams.get(name)
                if stream is not None:
                    link.codec.heard[stream] = link.codec.heard.get(stream, 0) + 1
                    self.tape.heard[stream] += 1
                    return True
        return False
