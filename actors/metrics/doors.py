"""Metrics of the meters: requests, calls of tools, what went wrong and how long until it was well again."""

from collections.abc import Callable, Iterator, Mapping

import attrs
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from actors.metrics.families import counter, histogram
from actors.metrics.meters import Meters
from actors.metrics.source import Make


@attrs.frozen(eq=False)
class Doors:
    """A source."""

    meters: Meters

    async def read(self) -> Make:
        """Be a source. All of it is small: it is made at once."""
        made = [*self._requests(), *self._calls(), *self._recoveries()]
        return lambda: made

    def _requests(self) -> Iterator[Metric]:
        found = self.meters.requests
        yield counter(
            "wadm_http_requests",
            "Requests that were answered. path is a template; other: a path that does not exist.",
            ("path", "method", "status"),
            found.counts,
        )
        yield histogram(
            "wadm_http_request_duration_seconds",
            "Time until the answer to a request began.",
            "path",
            found.seconds,
        )
        yield GaugeMetricFamily(
            "wadm_http_requests_in_work", "Requests and subscriptions in work.", found.in_work
        )

    def _calls(self) -> Iterator[Metric]:
        found = self.meters.calls
        yield counter(
            "wadm_mcp_calls",
            "Calls of MCP tools; other: a tool that does not exist.",
            ("tool", "outcome"),
            found.counts,
        )
        yield histogram(
            "wadm_mcp_call_duration_seconds", "Time that a call of an MCP tool took.", "tool", found.seconds
        )

    def _recoveries(self) -> Iterator[Metric]:
        found = self.meters.recoveries
        yield counter(
            "wadm_actor_errors",
            "What went wrong in the supervision tree: kind is an exception's class, or what else happened.",
            ("group", "kind"),
            found.errors,
        )
        yield histogram(
            "wadm_actor_recovery_seconds",
            "Time from an actor's crash, or its connection's loss, until it served again.",
            "group",
            found.seconds,
        )


@attrs.frozen(eq=False)
class Listeners:
    """A source: who listens over WebSocket and SSE. ``statistics`` counts connections, topics, and missed."""

    statistics: Callable[[], Mapping[str, int]]

    async def read(self) -> Make:
        """Be a source."""
        told = self.statistics()
        connections, topics = told["connections"], told["topics"]
        made: list[Metric] = [
            GaugeMetricFamily("wadm_live_connections", "Connections that listen.", connections),
            GaugeMetricFamily("wadm_live_topics", "Topics that they listen to.", topics),
        ]
        if "missed" in told:
            missed = "Messages that listeners were too slow for."
            made.append(CounterMetricFamily("wadm_live_missed", missed, told["missed"]))
        return lambda: made
