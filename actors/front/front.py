"""The front as one supervised child: every door on one port."""

from collections.abc import Callable, Sequence
from functools import partial

import trio

from actors.front.door import Door
from actors.front.http import create_app
from actors.front.mcp import create_mcp, mcp_app
from actors.front.server import DEFAULT_HOST, DEFAULT_PORT, listen, serve, url
from supervision.actor import Context


async def front(
    context: Context,
    queries: Door,
    *,
    host: str = DEFAULT_HOST,
    port: int = DEFAULT_PORT,
    allowed_hosts: Sequence[str] = (),
    version: str | None = None,
    bound: Callable[[str], None] = lambda url: None,
) -> None:
    """Serve HTTP and MCP until asked to stop. ``bound`` is told the URL. Raises server.BindError."""
    listening = await listen(host, port)
    agents = mcp_app(create_mcp(queries, version), allowed_hosts)
    try:
        async with agents.lifespan(agents), trio.open_nursery() as nursery:
            app = create_app(queries)
            await nursery.start(partial(serve, app, agents, listening, stopping=context.stopping.wait))
            bound(url(listening))
            context.started()
    finally:
        listening.close()
