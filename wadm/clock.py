"""How far this machine's clock is from an exchange's, found by asking the exchange for its time.

An answer tells the exchange's time at some moment between question and answer: the best guess is the middle,
and half of the round trip is how wrong it can be. Of several, the quickest answer is the surest; see RFC 5905
(NTP), section 10. Nothing is corrected by it: bars are cut by the exchange's time alone.
"""

from collections.abc import Iterable

import attrs

from wadm.market import MILLISECOND

#: Beyond it (µs) a clock is wrong; clocks kept by NTP are some milliseconds off.
BOUND = 1_000 * MILLISECOND


@attrs.frozen
class Probe:
    """One answer, all in µs: ``told`` by the exchange, ``received`` by the local clock."""

    told: int
    received: int
    round_trip: int


@attrs.frozen
class Skew:
    """The exchange's clock is ``offset`` µs ahead of the local one, ``uncertainty`` more or less."""

    offset: int
    uncertainty: int

    @property
    def excessive(self) -> bool:
        """Whether a clock is wrong for certain."""
        return abs(self.offset) - self.uncertainty > BOUND


def skew(probes: Iterable[Probe]) -> Skew:
    """Return what the quickest of some answers, at least one, tells."""
    best = min(probes, key=lambda probe: probe.round_trip)
    uncertainty = best.round_trip // 2
    return Skew(best.told - (best.received - uncertainty), uncertainty)


def advice(exchange: str, found: Skew) -> str:
    """Return what is wrong with the clock, and what to do about it."""
    way = "behind" if found.offset > 0 else "ahead of"
    return (
        f"this machine's clock is {abs(found.offset) / 1e6:.1f} s {way} that of {exchange}: "
        "set it, and keep it set by NTP (timedatectl set-ntp true)"
    )
