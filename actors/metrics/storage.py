"""Metrics of the storage: the journal, the tiers that follow it, the archive."""

import time
from collections.abc import Iterable, Iterator

import attrs
import trio
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from actors.metrics.source import Make
from actors.runtime import Runtime
from actors.storage.sink import Progress
from actors.storage.upkeep import Upkeep
from wadm.market import SECOND


@attrs.frozen(eq=False)
class _Tier:
    """What was read of one tier."""

    tier: str
    engine: str
    progress: Progress


@attrs.frozen(eq=False)
class _Journal:
    """What was read of the journal and its writer."""

    last: int
    commits: int
    entries: int
    writable: bool
    upkeep: Upkeep


@attrs.define(eq=False)
class Storage:
    """A source."""

    runtime: Runtime

    async def read(self) -> Make:
        """Read everything in one go: it is little."""
        await trio.lowlevel.checkpoint()
        runtime, writer = self.runtime, self.runtime.writer
        journal = _Journal(
            runtime.marks.last_seq,
            writer.commits,
            writer.entries,
            writer.waiting is None,
            attrs.evolve(runtime.upkeep),
        )
        tiers = [_Tier(name, sink.target.name, sink.progress) for name, sink in runtime.sinks.items()]
        cold, now = runtime.archivist.progress, time.time_ns() // 1_000

        def make() -> Iterator[Metric]:
            yield from _journal(journal)
            yield from _tiers(tiers, now)
            yield GaugeMetricFamily("wadm_archive_days_waiting", "Days to be archived.", cold.waiting)
            yield CounterMetricFamily("wadm_archive_failures", "Days and looks that failed.", cold.failures)

        return make


def _journal(one: _Journal) -> Iterator[Metric]:
    upkeep = one.upkeep
    yield GaugeMetricFamily("wadm_journal_bytes", "Room that the journal takes.", upkeep.taken)
    yield GaugeMetricFamily("wadm_journal_over_bytes", "Room beyond the quota that it takes.", upkeep.over)
    yield GaugeMetricFamily("wadm_journal_last_entry", "Number of the journal's last entry.", one.last)
    yield GaugeMetricFamily("wadm_journal_first_entry", "Number of its oldest entry.", upkeep.first)
    yield CounterMetricFamily("wadm_journal_shed", "Entries that went for want of room.", upkeep.shed)
    yield GaugeMetricFamily("wadm_journal_writable", "Whether it can be written to.", one.writable)
    yield CounterMetricFamily("wadm_journal_commits", "Commits since the start.", one.commits)
    yield CounterMetricFamily("wadm_journal_entries", "Entries committed since the start.", one.entries)
    losses = "What tiers have lost since the journal began: times that it happened."
    yield GaugeMetricFamily("wadm_losses", losses, len(upkeep.losses))


def _tiers(tiers: Iterable[_Tier], now: int) -> Iterator[Metric]:
    labels = ("tier", "engine")
    cursor = GaugeMetricFamily("wadm_sink_cursor", "Number of the last entry the tier has.", labels=labels)
    entries = GaugeMetricFamily(
        "wadm_sink_lag_entries", "Entries that the tier does not have yet.", labels=labels
    )
    seconds = GaugeMetricFamily("wadm_sink_lag_seconds", "Age of the oldest of them.", labels=labels)
    failures = CounterMetricFamily("wadm_sink_failures", "Times that the tier failed.", labels=labels)
    failing = GaugeMetricFamily("wadm_sink_failing", "Whether the tier fails now.", labels=labels)
    for one in tiers:
        name, progress = (one.tier, one.engine), one.progress
        cursor.add_metric(name, progress.cursor)
        entries.add_metric(name, progress.lag)
        age = 0 if progress.oldest is None else max(0, now - progress.oldest)
        seconds.add_metric(name, age / SECOND)
        failures.add_metric(name, progress.failures)
        failing.add_metric(name, progress.last_error is not None)
    yield from (cursor, entries, seconds, failures, failing)
