"""The same news as over the WebSocket, as server-sent events: ``GET /api/v1/stream``.

``channel`` may be given several times; the other parameters are those of the channels. Every event's data is
one message, as ``actors.front.websocket`` describes it. The id of an event is the cursor of its trades: a
client that comes back with it as Last-Event-ID misses none of them. A comment comes when nothing else did for
a while.
"""

from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl

import attrs
import trio

from actors.front.caller import caller_of
from actors.front.limits import Receive, Scope, Send
from actors.front.problems import RefusedRequestError, RepeatedParameterError
from actors.front.refusals import refuse
from actors.live.hub import Hub
from actors.live.session import Session
from actors.live.subscription import Message
from wadm.questions import MissingParameter, QuestionError, UnknownParameter, nearest

PATH = "/api/v1/stream"

#: Seconds without news after which a comment says that the connection lives.
HEARTBEAT = 15.0

#: Milliseconds after which a browser that was cut off comes back.
RETRY = 2_000

#: Parameters of a request; the same bound as a channel's own.
MOST_PARAMETERS = 40

_SHARED = ("exchange", "symbol")

_HEADERS = [
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-store"),
    (b"x-content-type-options", b"nosniff"),
    (b"x-accel-buffering", b"no"),
]


@attrs.frozen(eq=False)
class EventStream:
    """The ASGI application."""

    hub: Hub

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one stream until the client leaves or the daemon stops."""
        if scope["type"] != "http":
            await receive()  # the handshake
            no_socket = RefusedRequestError(404, "not_found", "path", PATH, "/ws/v1 for a WebSocket")
            await refuse(send, no_socket, kind="websocket.http")
            return
        try:
            if scope["method"] != "GET":
                raise RefusedRequestError(405, "method_not_allowed", "method", scope["method"], "GET")
            wanted = self._wanted(_parameters(scope), _header(scope, b"last-event-id"))
            with self.hub.session(caller_of(scope).name) as session:
                for one in wanted:
                    session.subscribe(one)
                await self._serve(session, receive, send)
        except QuestionError as error:
            more = ((b"allow", b"GET"),) if error.status == 405 else ()
            await refuse(send, error, more)

    def _wanted(self, given: dict[str, list[str]], last: str | None) -> list[dict[str, str]]:
        """Return what to subscribe to: each channel with the parameters that are its own."""
        names = given.pop("channel", [])
        channels = self.hub.channels
        if not names:
            raise MissingParameter("channel", None, f"one or more of {', '.join(channels)}")
        for name in names:
            if name not in channels:
                raise QuestionError("channel", name, nearest(name, channels))
        own = {name: {*_SHARED, *channels[name].parameters} for name in names}
        known = sorted({"channel"}.union(*own.values()))
        for name, values in given.items():
            if name not in known:
                raise UnknownParameter(name, values[0], nearest(name, known))
            if len(values) > 1:
                raise RepeatedParameterError(name, values[1], f"a single value, but {len(values)} were given")
        single = {name: values[0] for name, values in given.items()}
        return [_of(name, single, own[name], last) for name in dict.fromkeys(names)]

    async def _serve(self, session: Session, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": _HEADERS})
        await _say(send, f"retry: {RETRY}\n\n")
        async with trio.open_nursery() as nursery:

            async def until_gone() -> None:
                while (await receive())["type"] != "http.disconnect":
                    pass
                nursery.cancel_scope.cancel()

            async def until_stopped() -> None:
                await self.hub.stopping.wait()
                nursery.cancel_scope.cancel()

            nursery.start_soon(until_gone)
            nursery.start_soon(until_stopped)
            await _tell(session, send)
        await send({"type": "http.response.body", "body": b": the end\n\n", "more_body": False})


async def _tell(session: Session, send: Send) -> None:
    while True:
        message: Message | None = None
        with trio.move_on_after(HEARTBEAT):
            message = await session.next()
        await _say(send, ": here\n\n" if message is None else _event(message))
        # A client that has gone is noticed elsewhere, for which there has to be an occasion.
        await trio.lowlevel.checkpoint()


def _event(message: Message) -> str:
    named = "" if message.cursor is None else f"id: {message.cursor}\n"
    return f"{named}data: {message.text}\n\n"


async def _say(send: Send, text: str) -> None:
    await send({"type": "http.response.body", "body": text.encode(), "more_body": True})


def _of(name: str, given: Mapping[str, str], own: set[str], last: str | None) -> dict[str, str]:
    found = {"channel": name, **{key: value for key, value in given.items() if key in own}}
    if last and "cursor" in own:
        # The browser repeats its first request; where it was cut off, it says besides.
        found = {key: value for key, value in found.items() if key not in ("start", "cursor")}
        found["cursor"] = last
    return found


def _parameters(scope: Scope) -> dict[str, list[str]]:
    try:
        pairs = parse_qsl(
            scope["query_string"].decode(), keep_blank_values=True, max_num_fields=MOST_PARAMETERS
        )
    except ValueError:
        raise RefusedRequestError(
            400, "bad_query", "the query", "", f"at most {MOST_PARAMETERS} parameters, in UTF-8"
        ) from None
    found: dict[str, list[str]] = {}
    for name, value in pairs:
        found.setdefault(name, []).append(value)
    return found


def _header(scope: Scope, name: bytes) -> str | None:
    found: dict[bytes, Any] = dict(scope["headers"])
    return found[name].decode("latin-1")[:200] if name in found else None
