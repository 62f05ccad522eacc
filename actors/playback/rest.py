"""REST on the port of the WebSockets: plain HTTP requests, answered at the playback's position."""

from collections.abc import Callable, Sequence

import h11
import trio

from actors.playback.capture import Frame
from actors.playback.dialect import Reply, RestService

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
        ]
        events = (
            h11.Response(status_code=reply.status, headers=headers),
            h11.Data(data=reply.body),
            h11.EndOfMessage(),
        )
        await self._transport.send_all(b"".join(self._http.send(event) or b"" for event in events))


class RestDesk:
    """Answers callers out of as many frames as have been played."""

    def __init__(self, service: RestService, frames: Sequence[Frame], position: Callable[[], int]) -> None:
        self._service = service
        self._frames = frames
        self._position = position
        self._read = 0

    async def serve(self, caller: Caller, request: h11.Request) -> None:
        """Answer a caller, from its first request on, until it hangs up."""
        following: h11.Request | None = request
        while following is not None and await caller.answer(await self._reply(following)):
            following = await caller.request()

    async def _reply(self, request: h11.Request) -> Reply:
        if request.method != b"GET":
            return Reply(405, b"")
        await self._catch_up()
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in request.headers}
        return self._service.answer(request.target.decode("latin-1"), headers)

    async def _catch_up(self) -> None:
        """Read what was played, slice by slice: playback and the other clients go on meanwhile."""
        position = self._position()
        while self._read < position:
            slice_ = self._frames[self._read : min(self._read + SLICE, position)]
            self._read += len(slice_)
            self._service.read(slice_)
            await trio.lowlevel.checkpoint()
