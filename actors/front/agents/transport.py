"""Streamable HTTP: plain calls without any state, and sessions or streams for those who need them.

2026-07-28 knows no sessions: its answer is JSON, and a stream only where there is something to tell on the
way (progress, notices). 2025-11-25 tells on the way, cancels and subscribes within a session; a call without
one is answered all the same. So is one whose session a restart has ended: the agent notices nothing, and
its stream of notices, answered with 404, has it begin anew.
"""

from collections import OrderedDict
from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping
from contextlib import asynccontextmanager
from typing import Any

import attrs
from fastmcp import FastMCP
from mcp.server.auth.middleware.bearer_auth import AuthenticatedUser
from mcp.server.auth.provider import AccessToken
from mcp.server.streamable_http_manager import StreamableHTTPSessionManager
from mcp.server.transport_security import TransportSecuritySettings

from actors.background import background
from actors.front.agents.notices import Notices
from actors.front.caller import caller_of
from actors.front.limits import MAX_BODY, Receive, Scope, Send
from actors.front.problems import CONTENT_TYPE, encode_problem

PATH = "/mcp"

#: Sessions at one time, and how long (s) one lasts in which nothing is asked or listened to.
MOST_SESSIONS = 200
IDLE_TIMEOUT = 600.0

#: Sessions that are remembered to have been here: they answer 404 once they have ended.
_REMEMBERED = 4_096

_OPEN_HOST = TransportSecuritySettings(enable_dns_rebinding_protection=False)  # the gate has looked
_SESSION = b"mcp-session-id"
_VERSION = b"mcp-protocol-version"


@attrs.define(eq=False)
class Transport:
    """The ASGI application at ``/mcp``; ``running`` must be entered around serving."""

    mcp: FastMCP[None]
    notices: Notices
    _sessions: StreamableHTTPSessionManager = attrs.field(init=False)
    _plain: StreamableHTTPSessionManager = attrs.field(init=False)
    _known: OrderedDict[bytes, None] = attrs.field(factory=OrderedDict, init=False)

    def __attrs_post_init__(self) -> None:
        server = self.mcp._mcp_server  # noqa: SLF001 - what FastMCP's own applications are built on
        self._sessions = StreamableHTTPSessionManager(
            app=server,
            security_settings=_OPEN_HOST,
            max_request_body_size=MAX_BODY,
            max_sessions=MOST_SESSIONS,
            session_idle_timeout=IDLE_TIMEOUT,
        )
        self._plain = StreamableHTTPSessionManager(
            app=server,
            security_settings=_OPEN_HOST,
            max_request_body_size=MAX_BODY,
            stateless=True,
            json_response=True,
        )

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Keep sessions and notices for the length of the block."""
        async with background() as nursery, self._sessions.run(), self._plain.run():
            self.notices.nursery = nursery
            nursery.start_soon(self.notices.subscriptions.watch)
            yield

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["path"] != PATH or scope["type"] != "http":
            await _refuse(scope, send)
            return
        if scope["method"] == "POST":
            whole = await _whole(receive)
            if whole is None:
                return  # it went away in the middle of its request: the library would log a failure of ours
            receive = whole
        headers = dict(scope["headers"])
        manager = self._plain if self._is_plain(scope["method"], headers) else self._sessions
        await manager.handle_request(_with_user(scope), receive, self._remembering(send))

    def _is_plain(self, method: str, headers: dict[bytes, bytes]) -> bool:
        """Say whether a request is answered with JSON and forgotten."""
        if method != "POST":
            return False
        if b"text/event-stream" not in headers.get(b"accept", b""):
            return True
        if (version := headers.get(_VERSION)) is not None and version >= b"2026":
            return False
        session = headers.get(_SESSION)
        # A first request names no version either: it asks for a session.
        return version is not None if session is None else session not in self._known

    def _remembering(self, send: Send) -> Callable[[MutableMapping[str, Any]], Awaitable[None]]:
        async def watched(message: MutableMapping[str, Any]) -> None:
            if message["type"] == "http.response.start":
                for name, value in message.get("headers", ()):
                    if name == _SESSION:
                        self._remember(value)
            await send(dict(message))

        return watched

    def _remember(self, session: bytes) -> None:
        self._known[session] = None
        self._known.move_to_end(session)
        if len(self._known) > _REMEMBERED:
            self._known.popitem(last=False)


async def _whole(receive: Receive) -> Receive | None:
    """Take a request's body; return what gives it as one, None where its client has gone."""
    parts, more = list[bytes](), True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        parts.append(message.get("body", b""))
        more = message.get("more_body", False)
    given = [{"type": "http.request", "body": b"".join(parts), "more_body": False}]

    async def first_the_body() -> dict[str, Any]:
        return given.pop() if given else await receive()

    return first_the_body


def _with_user(scope: Scope) -> Scope:
    """Name the key that was shown, so that a session opens to the key that began it, and to no other."""
    key = caller_of(scope).key
    if key is None:
        return scope
    return {**scope, "user": AuthenticatedUser(AccessToken(token=key, client_id=key, scopes=[]))}


async def _refuse(scope: Scope, send: Send) -> None:
    status, kind = 404, "http" if scope["type"] == "http" else "websocket.http"
    body = encode_problem(status, "not_found", f"Agents are served at {PATH}, by POST, GET and DELETE.")
    headers = [(b"content-type", CONTENT_TYPE.encode()), (b"content-length", str(len(body)).encode())]
    await send({"type": f"{kind}.response.start", "status": status, "headers": headers})
    await send({"type": f"{kind}.response.body", "body": body, "more_body": False})
