"""``/metrics``: what the daemon measures of itself, for Prometheus."""

from quart import Response, request
from quart_trio import QuartTrio

from actors.front.counted import TEMPLATE
from actors.metrics.scrape import Scrape

PATH = "/metrics"


def add_metrics(app: QuartTrio, scrape: Scrape) -> None:
    """Add the route, and have every request's path noted by its template."""

    async def metrics() -> Response:
        body, kind = await scrape.scrape(request.headers.get("Accept", ""))
        response = Response(body, content_type=kind)
        response.headers["Vary"] = "Accept"
        return response

    async def note() -> None:
        if request.url_rule is not None:
            request.scope["state"][TEMPLATE] = request.url_rule.rule

    app.add_url_rule(PATH, "metrics", metrics)
    app.before_request(note)
