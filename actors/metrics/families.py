"""Families of metrics made from what the daemon counts anyway."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily

from wadm.latency import Latency
from wadm.market import SECOND

#: The quantiles that are told of a latency.
QUANTILES = (0.5, 0.95, 0.99)

#: Upper bounds (s) of a histogram's buckets: from a trade's fold to an actor's recovery.
BOUNDS = (0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 60.0)


def add_quantiles(family: GaugeMetricFamily, labels: Sequence[str], latency: Latency) -> None:
    """Add a latency's quantiles in seconds; the family's last label is ``quantile``."""
    for share in QUANTILES:
        found = latency.percentile(share)
        if found is not None:
            family.add_metric([*labels, str(share)], found / SECOND)


def add_histogram(family: HistogramMetricFamily, labels: Sequence[str], latency: Latency) -> None:
    """Add a latency as a histogram in seconds; it is as exact as the latency's own buckets, 6 %."""
    below = latency.at_most(int(bound * SECOND) for bound in BOUNDS)
    buckets = [(str(bound), float(count)) for bound, count in zip(BOUNDS, below, strict=True)]
    family.add_metric(labels, [*buckets, ("+Inf", float(latency.total))], latency.sum() / SECOND)


def counter(name: str, says: str, labels: Sequence[str], counts: Counter[Any]) -> CounterMetricFamily:
    """Return a counter of what was counted by its labels, a tuple of texts each."""
    family = CounterMetricFamily(name, says, labels=labels)
    for values, count in counts.items():
        family.add_metric(values, count)
    return family


def histogram(name: str, says: str, label: str, latencies: Mapping[str, Latency]) -> HistogramMetricFamily:
    """Return a histogram, in seconds, of latencies by their one label."""
    family = HistogramMetricFamily(name, says, labels=(label,))
    for value, latency in latencies.items():
        add_histogram(family, (value,), latency)
    return family
