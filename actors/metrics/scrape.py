"""A scrape: all sources read, and written as Prometheus or OpenMetrics wants it."""

from collections.abc import Callable, Iterator, Sequence
from itertools import chain
from typing import Any

import attrs
import trio
from prometheus_client import CONTENT_TYPE_PLAIN_0_0_4, generate_latest
from prometheus_client.core import Metric
from prometheus_client.openmetrics import exposition as openmetrics

from actors.metrics.doors import Doors
from actors.metrics.machinery import Machinery
from actors.metrics.market import Market
from actors.metrics.meters import Meters
from actors.metrics.process import Disk, Process
from actors.metrics.source import Make, Source
from actors.metrics.storage import Storage
from actors.runtime import Runtime

_OPENMETRICS = "application/openmetrics-text"
_WRITERS: dict[bool, tuple[Callable[[Any], bytes], str]] = {
    False: (generate_latest, CONTENT_TYPE_PLAIN_0_0_4),
    True: (openmetrics.generate_latest, openmetrics.CONTENT_TYPE_LATEST),
}


@attrs.define(eq=False)
class Scrape:
    """Reads ``sources``, behind the meters and the process itself; the front adds who ``listens``."""

    meters: Meters = attrs.field(factory=Meters)
    sources: Sequence[Source] = ()
    listens: Sequence[Source] = ()
    _own: Sequence[Source] = attrs.field(
        init=False,
        default=attrs.Factory(lambda self: (Process(self.meters), Doors(self.meters)), takes_self=True),
    )
    #: Scrapes go one after the other, so that a second one does not read while the first is written.
    _turn: trio.Lock = attrs.field(factory=trio.Lock, init=False)

    async def scrape(self, accept: str = "") -> tuple[bytes, str]:
        """Return the metrics as text, and its content type: OpenMetrics where ``accept`` names it."""
        async with self._turn:
            makes = [await source.read() for source in (*self.sources, *self.listens, *self._own)]
            write, kind = _WRITERS[_OPENMETRICS in accept.lower()]
            return await trio.to_thread.run_sync(write, _Made(makes), abandon_on_cancel=True), kind


@attrs.frozen
class _Made:
    """What the encoders take for a registry."""

    makes: Sequence[Make]

    def collect(self) -> Iterator[Metric]:
        return chain.from_iterable(make() for make in self.makes)


def scrape_of(runtime: Runtime) -> Scrape:
    """Return what tells everything about a daemon."""
    sources = (Market(runtime), Machinery(runtime), Storage(runtime), Disk(runtime.directory))
    return Scrape(runtime.meters, sources)
