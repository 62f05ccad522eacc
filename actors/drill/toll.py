"""What a daemon suffered in a drill, and how it came through."""

import math
from collections import Counter, defaultdict
from typing import Any

import attrs

from actors.drill.windows import Digests


@attrs.define(eq=False)
class Toll:
    """What a daemon suffered, and how it came through."""

    faults: Counter[str] = attrs.field(factory=Counter)
    restarts: Counter[str] = attrs.field(factory=Counter)
    recoveries: dict[str, list[float]] = attrs.field(factory=lambda: defaultdict(list))
    result: dict[str, Any] = attrs.field(factory=dict)
    on_disk: dict[str, Any] = attrs.field(factory=dict)
    recorded: Digests = attrs.field(factory=dict)

    def account(self) -> dict[str, Any]:
        """Return faults, restarts and recoveries as they are reported."""
        return {
            "faults": dict(sorted(self.faults.items())),
            "faults_total": self.faults.total(),
            "restarts": self.restarts.total(),
            "restarts_by_kind": dict(sorted(self.restarts.items())),
            "recovery_ms": self.recovery_ms(),
        }

    def recovery_ms(self) -> dict[str, dict[str, float]]:
        """Return p50, p99 (nearest rank) and maximum of the ms to serving again, by kind of actor."""
        return {
            kind: {"p50": _rank(times, 0.5), "p99": _rank(times, 0.99), "max": max(times)}
            for kind, times in sorted(self.recoveries.items())
        }


def _rank(times: list[float], share: float) -> float:
    return sorted(times)[max(0, math.ceil(share * len(times)) - 1)]
