"""Limits on what a request may send, kept in front of every application."""

import logging
from collections.abc import Awaitable, Callable
from typing import Any

import trio

from actors.front.problems import CONTENT_TYPE, encode_problem

log = logging.getLogger(__name__)

Message = dict[str, Any]
Scope = dict[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

#: An ASGI application, in words loose enough for every library's own.
Application = Callable[[Any, Any, Any], Awaitable[None]]

MAX_BODY = 1024 * 1024
BODY_TIMEOUT = 10.0


_TOLD_TWICE = (400, "two_lengths", "Content-Length and Transfer-Encoding were given; expected one of them.")


class Limits:
    """Refuses a body that is too large (413) or too slow (408) before the application has to hold it."""

    def __init__(
        self, application: Application, *, max_body: int = MAX_BODY, body_timeout: float = BODY_TIMEOUT
    ) -> None:
        self._application = application
        self._max_body = max_body
        self._body_timeout = body_timeout

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, or let anything else pass."""
        if scope["type"] != "http":
            await self._application(scope, receive, send)
        elif _is_told_twice(scope):
            await _refuse(send, *_TOLD_TWICE)
        elif _declared(scope) > self._max_body:
            await _refuse(send, *self._too_large())
        else:
            await self._limited(scope, receive, send)

    async def _limited(self, scope: Scope, receive: Receive, send: Send) -> None:
        deadline = trio.current_time() + self._body_timeout
        body = _Body(receive, send, self._max_body, deadline, complete=not _has_body(scope))
        try:
            await self._application(scope, body.receive, body.send)
        except Exception:
            # To the application the client has gone; what it makes of that is no error.
            if not body.refused:
                raise
        if body.refused and not body.answered:
            await _refuse(send, *(self._too_slow() if body.late else self._too_large()))

    def _too_large(self) -> tuple[int, str, str]:
        return 413, "body_too_large", f"The request's body is larger than {self._max_body} bytes."

    def _too_slow(self) -> tuple[int, str, str]:
        return 408, "body_too_slow", f"The request's body did not arrive within {self._body_timeout:g} s."


class _Body:
    """The body of one request on its way to the application."""

    def __init__(self, receive: Receive, send: Send, limit: int, deadline: float, *, complete: bool) -> None:
        self._receive, self._send = receive, send
        self._left, self._deadline = limit, deadline
        self._complete = complete
        self._receiving = 0
        self._arrived = trio.Event()
        self.late = self.refused = self.answered = False

    async def receive(self) -> Message:
        """Return the next message, or a disconnect once the body is refused."""
        if self.refused:
            return {"type": "http.disconnect"}
        if self._complete:
            return await self._receive()
        self._receiving += 1
        try:
            with trio.CancelScope(deadline=self._deadline) as scope:
                message = await self._receive()
        finally:
            self._receiving -= 1
        if scope.cancelled_caught:
            self.late = self.refused = True
            return {"type": "http.disconnect"}
        if message["type"] == "http.request":
            self._left -= len(message.get("body", b""))
            self._complete = not message.get("more_body", False)
            self.refused = self._left < 0
            if self._complete or self.refused:
                self._arrived.set()
        return {"type": "http.disconnect"} if self.refused else message

    async def send(self, message: Message) -> None:
        """Pass the application's answer on, unless it answers to a body that was refused."""
        if self.refused and not self.answered:
            return
        self.answered = True
        if message["type"] == "http.response.body" and not message.get("more_body", False):
            await self._take_rest()
        await self._send(message)

    async def _take_rest(self) -> None:
        """Take what is still to come of the body before the answer's end.

        With a request half read, the connection could serve nothing more, and its client would not know.
        """
        while not (self._complete or self.refused):
            if self._receiving:
                with trio.CancelScope(deadline=self._deadline):
                    await self._arrived.wait()
                return
            if (await self.receive())["type"] == "http.disconnect":
                return


def _is_told_twice(scope: Scope) -> bool:
    """Say whether a body's end is told in two ways: who stands in between may have read the other one."""
    names = {name for name, _ in scope["headers"]}
    return {b"content-length", b"transfer-encoding"} <= names


def _has_body(scope: Scope) -> bool:
    return any(name in (b"content-length", b"transfer-encoding") for name, _ in scope["headers"])


def _declared(scope: Scope) -> int:
    for name, value in scope["headers"]:
        if name == b"content-length" and value.isdigit():
            return int(value[:18])
    return 0


async def _refuse(send: Send, status: int, code: str, message: str) -> None:
    body = encode_problem(status, code, message)
    headers = [
        (b"content-type", CONTENT_TYPE.encode()),
        (b"content-length", str(len(body)).encode()),
        (b"cache-control", b"no-store"),
        (b"connection", b"close"),
    ]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body, "more_body": False})
