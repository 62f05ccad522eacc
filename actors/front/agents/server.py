"""The MCP server: tools, resources and prompts over one door for questions."""

import logging

from fastmcp import FastMCP
from fastmcp.resources import Resource

import wadm
from actors.front.agents.completions import create_completion
from actors.front.agents.notices import Notices
from actors.front.agents.prompts import create_prompts
from actors.front.agents.resources import create_resources
from actors.front.agents.subscriptions import MarksOf, Subscriptions
from actors.front.agents.tools import TOOLS, create_tools
from actors.front.agents.transport import Transport
from actors.front.door import Door

_INSTRUCTIONS = (
    "Exact volume profiles, order flow and books of live crypto markets. list_symbols names what is followed;"
    " windows are a timeframe (the current one) or start and end. Every answer's coverage says what it rests"
    " on: while it is warming, provisional or has gaps, say so. Ask for detail only where it is needed."
)


def create_mcp(door: Door) -> FastMCP[None]:
    """Return the MCP server that answers from ``door``."""
    adopt_logs()
    mcp: FastMCP[None] = FastMCP(
        "wadm",
        _INSTRUCTIONS,
        version=wadm.__version__,
        tools=create_tools(door),
        mask_error_details=True,
        dereference_schemas=False,
    )
    # A call's headers are checked against the tool it names; else the tools would be listed at every call.
    mcp._mcp_server.get_tool_input_schema = {row.name: row.takes for row in TOOLS}.get  # noqa: SLF001
    for one in create_resources(door):
        if isinstance(one, Resource):
            mcp.add_resource(one)
        else:
            mcp.add_template(one)
    mcp.completion(create_completion(door))
    for prompt in create_prompts():
        mcp.add_prompt(prompt)
    return mcp


def mcp_app(mcp: FastMCP[None], marks_of: MarksOf) -> Transport:
    """Return the ASGI application at ``/mcp``; ``marks_of`` tells when a resource has changed."""
    notices = Notices(Subscriptions(marks_of))
    notices.serve(mcp)
    return Transport(mcp, notices)


def adopt_logs() -> None:
    """Let the libraries below speak through the root logger only, and only when something is wrong."""
    fastmcp = logging.getLogger("fastmcp")
    for handler in fastmcp.handlers[:]:
        fastmcp.removeHandler(handler)
    fastmcp.propagate = True
    for name in ("fastmcp", "mcp"):
        logging.getLogger(name).setLevel(logging.WARNING)
