"""REST on the port of the WebSockets: plain HTTP requests, answered at the playback's position."""

from collections.abc import Callable, Iterable, Mapping, Sequence

import attrs
import h11
import trio

from actors.notice import Notice
from actors.playback.capture import Frame
from actors.playback.dialect import Reply, Service
from actors.playback.terms import Terms
from actors.playback.usage import Usage

#: Seconds that an answer which comes early may wait for the playback.
PATIENCE = 5.0
#: Frames read at a time before playback gets its turn: a few milliseconds' work.
SLICE = 2048


class Caller:
    """A client's connection as HTTP: one request after the other."""

    def __init__(self, transport: trio.abc.Stream) -> None:
        self._transport = transport
        self._http = h11.Connection(h11.SERVER)
        #: The bytes that the last request was read from, for who must read it again.
        self.received = b""

    async def request(self) -> h11.Request | None:
        """Read the head of the next request; None where the client is gone or does not speak HTTP."""
        self.received = b""
        try:
            event = await self._event()
        except h11.RemoteProtocolError as error:
            await self._send(Reply(error.error_status_hint, b""))
            return None
        return event if isinstance(event, h11.Request) else None

    async def answer(self, reply: Reply) -> bool:
        """Read what is left of the request and answer it; return whether another may follow."""
        try:
            while not isinstance(await self._event(), h11.EndOfMessage):
                pass
        except h11.RemoteProtocolError:
            return False
        await self._send(reply)
        if self._http.our_state is not h11.DONE or self._http.their_state is not h11.DONE:
            return False
        self._http.start_next_cycle()
        return True

    async def _event(self) -> object:
        while (event := self._http.next_event()) is h11.NEED_DATA:
            data = bytes(await self._transport.receive_some())
            self.received += data
            self._http.receive_data(data)
        return event

    async def _send(self, reply: Reply) -> None:
        headers = [
            ("Content-Type", "application/json;charset=UTF-8"),
            ("Content-Length", str(len(reply.body))),
            *reply.headers,
        ]
        events = (
            h11.Response(status_code=reply.status, headers=headers),
            h11.Data(data=reply.body),
            h11.EndOfMessage(),
        )
        await self._transport.send_all(b"".join(self._http.send(event) or b"" for event in events))


class RestDesk:
    """Answers callers out of as many frames as have been played."""

    def __init__(
        self,
        service: Service,
        frames: Sequence[Frame],
        position: Callable[[], int],
        *,
        terms: Terms = Terms(),  # noqa: B008  # it cannot change
        moved: Notice | None = None,
        on_book: Callable[[str], object] = lambda _: None,
    ) -> None:
        self._service = service
        self._frames = frames
        self._position = position
        self._moved = moved or Notice()
        self._on_book = on_book
        self._usage = Usage(terms.weight_limit, terms.weight_window)
        self._read = 0

    def refuse(self, seconds: float, *, banned: bool) -> None:
        """Refuse every request for a while."""
        self._usage.refuse(trio.current_time() + seconds, banned=banned)

    def present(self, streams: Iterable[str]) -> list[bytes]:
        """Return the snapshots that new subscriptions to streams begin with."""
        self._take(self._position())
        found = map(self._service.present, streams)
        return [snapshot for snapshot in found if snapshot is not None]

    async def serve(self, caller: Caller, request: h11.Request) -> None:
        """Answer a caller, from its first request on, until it hangs up."""
        following: h11.Request | None = request
        while following is not None and await caller.answer(await self._reply(following)):
            following = await caller.request()

    async def _reply(self, request: h11.Request) -> Reply:
        if request.method != b"GET":
            return Reply(405, b"")
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in request.headers}
        reply = await self._answer(request.target.decode("latin-1"), headers)
        now = trio.current_time()
        refusal = self._usage.charge(reply.weight, now)
        if refusal is not None:
            return self._service.refusal(refusal.seconds, banned=refusal.banned)
        if reply.book_of is not None:
            self._on_book(reply.book_of)
        return attrs.evolve(reply, headers=(*reply.headers, *self._service.used(self._usage.used(now))))

    async def _answer(self, target: str, headers: Mapping[str, str]) -> Reply:
        """Answer at the playback's position; what comes early waits a while for playback to come to it."""
        await self._catch_up()
        reply = self._service.answer(target, headers)
        with trio.move_on_after(PATIENCE):
            while reply.early:
                await self._moved.wait_for(lambda: self._position() > self._read)
                await self._catch_up()
                reply = self._service.answer(target, headers)
        return reply

    async def _catch_up(self) -> None:
        """Read what was played, slice by slice: playback and the other clients go on meanwhile."""
        position = self._position()
        while self._read < position:
            self._take(min(self._read + SLICE, position))
            await trio.lowlevel.checkpoint()

    def _take(self, stop: int) -> None:
        slice_ = self._frames[self._read : stop]
        self._read += len(slice_)
        self._service.read(slice_)
