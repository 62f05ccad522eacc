"""The front as one supervised child: every door on one port."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import trio

from actors.access.access import Access
from actors.front import early, events, websocket  # noqa: F401  # early is for its imports
from actors.front.agents.marks import Marks
from actors.front.agents.server import create_mcp, mcp_app
from actors.front.agents.tools import TOOLS
from actors.front.counted import Counted, CountedCalls
from actors.front.door import Door
from actors.front.gate import Gate
from actors.front.hosts import Hosts, is_loopback
from actors.front.http import create_app
from actors.front.limits import Application
from actors.front.server import Dispatcher, listen, serve, url
from actors.front.tls import Certificate
from actors.live.hub import Hub
from actors.metrics.doors import Listeners
from actors.metrics.scrape import Scrape
from supervision.actor import Context
from wadm.sections import HttpSettings


async def front(
    context: Context,
    queries: Door,
    *,
    http: HttpSettings,
    access: Access,
    bound: Callable[[str], None] = lambda url: None,
    scrape: Scrape | None = None,
) -> None:
    """Serve HTTP and MCP until asked to stop. ``bound`` is told the URL; ``scrape`` makes the metrics.

    Raises server.BindError, tls.CertificateError, and OpenDoorError where anybody could come in.
    """
    access.check_bind(http.host, loopback=is_loopback(http.host))
    certificate = _certificate(http)
    listening = await listen(http.host, http.port)
    hosts = Hosts(frozenset(name.lower() for name in http.allowed_hosts))
    scrape = scrape or Scrape()
    mcp, app = create_mcp(queries), create_app(queries, access, scrape)
    mcp.add_middleware(CountedCalls(scrape.meters.calls, {row.name for row in TOOLS}))
    agents = mcp_app(mcp, Marks(queries).of)
    hub = Hub(queries.channels, context.stopping)
    scrape.listens = (Listeners(hub.statistics),)
    live: dict[str, Application] = {
        websocket.PATH: websocket.LiveSocket(hub),
        events.PATH: events.EventStream(hub),
    }
    gate = Gate(Dispatcher(app, agents, live), access.keyring, access.audit, access.rates, hosts)
    paths = {rule.rule for rule in app.url_map.iter_rules()} | live.keys()
    counted = Counted(gate, scrape.meters.requests, paths)
    tls = None if certificate is None else certificate.context
    try:
        async with agents.running(), trio.open_nursery() as nursery:
            await nursery.start(hub.run)
            if certificate is not None:
                nursery.start_soon(certificate.watch)
                queries.concerns.append(certificate.concerns)
            async with trio.open_nursery() as serving:
                await serving.start(
                    partial(serve, counted, listening, tls=tls, stopping=context.stopping.wait)
                )
                bound(url(listening, tls=tls is not None))
                context.started()
            nursery.cancel_scope.cancel()
    finally:
        listening.close()
        if certificate is not None and certificate.concerns in queries.concerns:
            queries.concerns.remove(certificate.concerns)


def _certificate(http: HttpSettings) -> Certificate | None:
    if http.tls_certificate is None or http.tls_key is None:
        return None
    return Certificate(Path(http.tls_certificate), Path(http.tls_key))
