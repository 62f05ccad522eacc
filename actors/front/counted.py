"""Counts and logs every request, whatever becomes of it: those that the gate refuses too."""

import time
from collections.abc import Collection

import attrs
import structlog
from fastmcp.exceptions import ToolError
from fastmcp.server.middleware import CallNext, Middleware, MiddlewareContext
from fastmcp.tools import ToolResult
from mcp_types import CallToolRequestParams

from actors.front.limits import Application, Message, Receive, Scope, Send
from actors.metrics.requests import OTHER, Calls, Requests

log = structlog.get_logger("request")

_BEGINS = ("http.response.start", "websocket.http.response.start")
_READS = ("GET", "HEAD", "OPTIONS")

#: Where the application notes the template of the path that it found.
TEMPLATE = "template"

MCP = "/mcp"


@attrs.define(eq=False)
class Counted:
    """Counts requests to ``application``; ``paths`` are those that have a name of their own."""

    application: Application
    requests: Requests
    paths: Collection[str]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request or WebSocket."""
        if scope["type"] not in ("http", "websocket"):
            await self.application(scope, receive, send)
            return
        answering = _Answering(self, scope, send)
        self.requests.in_work += 1
        try:
            await self.application(scope, receive, answering.send)
        finally:
            self.requests.in_work -= 1
            answering.note("none")  # whoever asked has gone, unless there was an answer

    def template(self, scope: Scope) -> str:
        """Return the path of a request without what differs from one request to the next."""
        found = (scope.get("state") or {}).get(TEMPLATE)
        if found is not None:
            return str(found)
        path = scope.get("path", "")
        if path == MCP or path.startswith(f"{MCP}/"):
            return MCP
        return path if path in self.paths else OTHER


@attrs.define(eq=False)
class _Answering:
    """One request until its answer begins."""

    counted: Counted
    scope: Scope
    _send: Send
    _began: float = attrs.field(factory=time.perf_counter, init=False)
    _noted: bool = attrs.field(default=False, init=False)

    async def send(self, message: Message) -> None:
        """Pass a message on; an answer's first is noted."""
        if message["type"] in _BEGINS:
            self.note(str(message["status"]))
        elif message["type"] == "websocket.accept":
            self.note("101")
        elif message["type"] == "websocket.close":
            self.note("403")  # unless it was accepted before
        await self._send(message)

    def note(self, status: str) -> None:
        """Count the request, and log it: at debug, changes at info, what failed inside as a warning."""
        if self._noted:
            return
        self._noted = True
        seconds, method = time.perf_counter() - self._began, self.scope.get("method", "GET")
        template = self.counted.template(self.scope)
        self.counted.requests.add(template, method, status, seconds)
        changes = method not in _READS and template != MCP and status.startswith("2")
        tell = log.warning if status.startswith("5") else log.info if changes else log.debug
        caller = (self.scope.get("state") or {}).get("caller")
        tell(
            "request",
            method=method,
            path=self.scope.get("path", "")[:200],
            status=status,
            caller=None if caller is None else caller.name,
            ms=round(seconds * 1_000, 2),
        )


class CountedCalls(Middleware):
    """Counts the calls of ``tools``."""

    def __init__(self, calls: Calls, tools: Collection[str]) -> None:
        self._calls, self._tools = calls, tools

    async def on_call_tool(
        self,
        context: MiddlewareContext[CallToolRequestParams],
        call_next: CallNext[CallToolRequestParams, ToolResult],
    ) -> ToolResult:
        """Pass a call on and count it."""
        began, name = time.perf_counter(), context.message.name
        tool, outcome = name if name in self._tools else OTHER, "error"
        try:
            answer = await call_next(context)
            outcome = "ok"
        except ToolError as error:
            log.debug("tool_refused", tool=tool, reason=str(error))
            raise
        finally:
            self._calls.add(tool, outcome, time.perf_counter() - began)
        return answer
