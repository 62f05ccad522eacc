"""The door for AI agents: MCP over Streamable HTTP at ``/mcp``."""

import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING

from fastmcp import FastMCP

from actors.front.door import Door
from actors.front.tools import create_tools

if TYPE_CHECKING:
    from fastmcp.server.http import StarletteWithLifespan

_INSTRUCTIONS = (
    "Exact volume profiles, order flow and books of live crypto markets. Every answer's coverage says what it"
    " rests on: while it is warming, provisional or has gaps, say so."
)


def create_mcp(queries: Door, version: str | None = None) -> FastMCP[None]:
    """Return the MCP server that answers from ``queries``."""
    adopt_logs()
    return FastMCP(
        "wadm",
        _INSTRUCTIONS,
        version=version,
        tools=create_tools(queries),
        mask_error_details=True,
    )


def mcp_app(mcp: FastMCP[None], allowed_hosts: Sequence[str] = ()) -> "StarletteWithLifespan":
    """Return the ASGI application; its lifespan must be entered around serving.

    Stateless, with plain JSON answers: nothing is kept between calls, so an agent notices no restart of the
    daemon. Loopback and the address a request came in on may stand in its Host; other names are listed.
    """
    return mcp.http_app(
        path="/mcp",
        stateless_http=True,
        json_response=True,
        host_origin_protection=True,
        allowed_hosts=list(allowed_hosts) or None,
    )


def adopt_logs() -> None:
    """Let the libraries below speak through the root logger only, and only when something is wrong."""
    fastmcp = logging.getLogger("fastmcp")
    for handler in fastmcp.handlers[:]:
        fastmcp.removeHandler(handler)
    fastmcp.propagate = True
    for name in ("fastmcp", "mcp"):
        logging.getLogger(name).setLevel(logging.WARNING)
