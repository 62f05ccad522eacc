"""How long things took, kept in a few hundred counters however many there were."""

from collections import Counter
from collections.abc import Iterable

import attrs

#: Each bucket is 1/16 of a power of two wide: a percentile is off by 6 % at most.
_STEPS = 16


@attrs.define
class Latency:
    """A histogram of durations in µs."""

    counts: Counter[int] = attrs.field(factory=Counter)
    total: int = 0

    def add(self, microseconds: float, weight: int = 1) -> None:
        """Count ``weight`` events that took this long."""
        self.counts[_bucket(int(microseconds))] += weight
        self.total += weight

    def merge(self, other: "Latency") -> None:
        """Add another histogram to this one."""
        self.counts += other.counts
        self.total += other.total

    def percentile(self, share: float) -> int | None:
        """Return the duration (µs) that ``share`` (0 to 1) of the events did not exceed, None without any."""
        seen = 0
        for bucket, count in sorted(self.counts.items()):
            seen += count
            if seen >= share * self.total:
                return _upper_edge(bucket)
        return None

    def at_most(self, bounds: Iterable[int]) -> list[int]:
        """Return how many events took no longer than each of ``bounds`` (µs), with the buckets' error."""
        counts = [(_upper_edge(bucket), count) for bucket, count in self.counts.items()]
        return [sum(count for edge, count in counts if edge <= bound) for bound in bounds]

    def sum(self) -> int:
        """Return how long all events took together (µs), with the buckets' error."""
        return sum(_upper_edge(bucket) * count for bucket, count in self.counts.items())

    def copy(self) -> "Latency":
        """Return the histogram as it is now."""
        return Latency(Counter(self.counts), self.total)

    def percentiles(self) -> dict[str, int | None]:
        """Return p50, p95 and p99 in µs."""
        return {"p50": self.percentile(0.50), "p95": self.percentile(0.95), "p99": self.percentile(0.99)}


def _bucket(microseconds: int) -> int:
    value = max(microseconds, 0)
    if value < _STEPS:
        return value
    exponent = value.bit_length() - _STEPS.bit_length()
    return exponent * _STEPS + (value >> exponent)


def _upper_edge(bucket: int) -> int:
    if bucket < 2 * _STEPS:
        return bucket
    exponent, mantissa = divmod(bucket, _STEPS)
    exponent, mantissa = exponent - 1, mantissa + _STEPS
    return ((mantissa + 1) << exponent) - 1
