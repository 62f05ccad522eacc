"""The probe: how late the event loop wakes who sleeps, and how long garbage collections stop everything.

It also sees to it that threads that come up give way to the loop.
"""

import gc
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import attrs
import trio

from actors.metrics.recent import Recent
from actors.threads import GivingWay
from supervision import Context

#: Seconds between two looks: short enough to meet what holds the loop for a few milliseconds.
PERIOD = 0.05

#: Python's generations of garbage.
GENERATIONS = 3


@attrs.define
class Collections:
    """The garbage collections of one generation: how many, for how long (s), and what they found."""

    count: int = 0
    seconds: float = 0.0
    collected: int = 0


@attrs.define(eq=False)
class Probe:
    """Measures while ``run`` is at work, as an actor."""

    lag: Recent = attrs.field(factory=Recent)
    pauses: Recent = attrs.field(factory=Recent)
    generations: list[Collections] = attrs.field(factory=lambda: [Collections() for _ in range(GENERATIONS)])
    _began: float | None = attrs.field(default=None, init=False)

    async def run(self, context: Context) -> None:
        """Be the actor."""
        threads = GivingWay()
        with self._watching():
            context.started()
            while True:
                threads.look()
                due = trio.current_time() + PERIOD
                await trio.sleep_until(due)
                now = trio.current_time()
                self.lag.add(max(0.0, now - due), now)

    def status(self) -> dict[str, object]:
        """Say in ms how late the loop was lately."""
        now = trio.current_time()
        lag = self.lag.latency(now)
        return {
            "p50_ms": _ms(lag.percentile(0.50)),
            "p99_ms": _ms(lag.percentile(0.99)),
            "longest_ms": round(self.lag.longest(now) * 1_000, 2),
            "longest_collection_ms": round(self.pauses.longest(time.monotonic()) * 1_000, 2),
        }

    @contextmanager
    def _watching(self) -> Iterator[None]:
        gc.callbacks.append(self._collecting)
        try:
            yield
        finally:
            gc.callbacks.remove(self._collecting)

    def _collecting(self, phase: str, info: Mapping[str, int]) -> None:
        """Hear of a collection, in whatever thread set it off: all threads stand still meanwhile."""
        now = time.monotonic()
        if phase == "start":
            self._began = now
        elif self._began is not None:
            taken, self._began = now - self._began, None
            counted = self.generations[info["generation"]]
            counted.count += 1
            counted.seconds += taken
            counted.collected += info["collected"]
            self.pauses.add(taken, now)


def resident_bytes() -> int | None:
    """Return the memory that the process has, None where the system does not tell."""
    try:
        pages = Path("/proc/self/statm").read_text(encoding="ascii").split()[1]
    except OSError:
        return None
    return int(pages) * os.sysconf("SC_PAGE_SIZE")


def _ms(microseconds: int | None) -> float | None:
    return None if microseconds is None else round(microseconds / 1_000, 2)
