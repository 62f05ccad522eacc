"""Metrics of the process: processor, memory, files, threads, the event loop, garbage and the disk."""

import gc
import os
import shutil
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import attrs
import trio
from prometheus_client import ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from actors.metrics.families import add_quantiles
from actors.metrics.meters import Meters
from actors.metrics.probe import Collections
from actors.metrics.source import Make
from wadm.latency import Latency

#: Seconds for which the room that the parts of a directory take is not looked up again.
_FRESH = 60.0


@attrs.define(eq=False)
class Process:
    """A source."""

    meters: Meters
    _platform: ProcessCollector = attrs.field(factory=lambda: ProcessCollector(registry=None), init=False)

    async def read(self) -> Make:
        """Read what the probe has; the system is asked in the thread."""
        now, probe = trio.current_time(), self.meters.probe
        lag, longest = probe.lag.latency(now), probe.lag.longest(now)
        pause = probe.pauses.longest(time.monotonic())
        generations = [attrs.evolve(one) for one in probe.generations]

        def make() -> Iterator[Metric]:
            yield from self._process()
            yield from _loop(lag, longest)
            yield from _garbage(generations, pause)

        return make

    def _process(self) -> Iterator[Metric]:
        found = list(self._platform.collect())
        yield from found or _usage()
        yield GaugeMetricFamily("process_threads", "Threads that Python knows of.", threading.active_count())


def _usage() -> Iterator[Metric]:
    """Say what can be known where there is no /proc."""
    try:
        import resource  # noqa: PLC0415  # not on every system
    except ImportError:
        return
    usage = resource.getrusage(resource.RUSAGE_SELF)
    yield CounterMetricFamily(
        "process_cpu_seconds",
        "Total user and system CPU time spent in seconds.",
        usage.ru_utime + usage.ru_stime,
    )
    unit = 1 if os.uname().sysname == "Darwin" else 1024
    yield GaugeMetricFamily(
        "process_resident_memory_max_bytes", "Largest resident memory size in bytes.", usage.ru_maxrss * unit
    )


def _loop(lag: Latency, longest: float) -> Iterator[Metric]:
    quantiles = GaugeMetricFamily(
        "wadm_loop_lag_seconds",
        "How late the event loop wakes a sleeper, over the last minutes.",
        labels=("quantile",),
    )
    add_quantiles(quantiles, (), lag)
    quantiles.add_metric(["1"], longest)
    yield quantiles


def _garbage(generations: Sequence[Collections], pause: float) -> Iterator[Metric]:
    count = CounterMetricFamily("wadm_gc_collections", "Garbage collections.", labels=("generation",))
    seconds = CounterMetricFamily(
        "wadm_gc_pause_seconds", "Time that garbage collections stopped everything.", labels=("generation",)
    )
    objects = CounterMetricFamily("wadm_gc_collected", "Objects collected.", labels=("generation",))
    for number, one in enumerate(generations):
        count.add_metric([str(number)], one.count)
        seconds.add_metric([str(number)], one.seconds)
        objects.add_metric([str(number)], one.collected)
    yield from (count, seconds, objects)
    yield GaugeMetricFamily("wadm_gc_longest_pause_seconds", "The longest of the last minutes.", pause)
    yield GaugeMetricFamily(
        "wadm_gc_frozen_objects", "Objects that collections leave out.", gc.get_freeze_count()
    )


@attrs.define(eq=False)
class Disk:
    """A source: the disk of the data directory, and what the directory's parts take of it."""

    directory: Path
    _parts: dict[str, int] = attrs.field(factory=dict, init=False)
    _looked_at: float | None = attrs.field(default=None, init=False)

    async def read(self) -> Make:
        """Read nothing: all of it is the disk's, and done in the thread."""
        await trio.lowlevel.checkpoint()
        return self._make

    def _make(self) -> Iterator[Metric]:
        try:
            disk = shutil.disk_usage(self.directory)
        except OSError:
            return
        yield GaugeMetricFamily("wadm_disk_free_bytes", "Free room on the data directory's disk.", disk.free)
        yield GaugeMetricFamily("wadm_disk_size_bytes", "Size of the data directory's disk.", disk.total)
        now = time.monotonic()
        if self._looked_at is None or now - self._looked_at > _FRESH:
            self._parts, self._looked_at = _sizes(self.directory), now
        parts = GaugeMetricFamily(
            "wadm_data_bytes", f"Room that the data takes, at most {_FRESH:.0f} s ago.", labels=("part",)
        )
        for part, size in self._parts.items():
            parts.add_metric([part], size)
        yield parts


def _sizes(directory: Path) -> dict[str, int]:
    """Return the bytes of each file and folder of the directory, a database's files together."""
    sizes: dict[str, int] = {}
    for entry in _entries(directory):
        part = entry.name.split(".")[0]
        sizes[part] = sizes.get(part, 0) + _size(entry)
    return sizes


def _size(entry: "os.DirEntry[str]") -> int:
    try:
        if entry.is_dir(follow_symlinks=False):
            return sum(_size(one) for one in _entries(entry.path))
        return entry.stat(follow_symlinks=False).st_size
    except OSError:  # it has gone meanwhile
        return 0


def _entries(directory: Path | str) -> Iterator["os.DirEntry[str]"]:
    try:
        with os.scandir(directory) as found:
            yield from found
    except OSError:
        return
