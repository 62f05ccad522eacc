"""What is counted of each connection to an exchange, and of all of them together."""

from collections.abc import Mapping, Sequence

import attrs
import trio

from actors.connections.memory import ConnectionMemory
from actors.connections.rates import Rates
from wadm.instants import iso

#: Silent and refused streams that are named; beyond so many they are only counted.
NAMED = 20

_SUMMED = (
    "streams",
    "streams_acknowledged",
    "streams_heard",
    "streams_silent",
    "streams_refused",
    "frames",
    "frames_per_second",
    "trades",
    "trades_per_second",
    "bytes",
    "bytes_per_second",
    "reconnects",
    "rollovers",
    "gaps",
)


@attrs.define(eq=False)
class Collectors:
    """Statistics of the ``connections``, by name."""

    connections: Mapping[str, ConnectionMemory]
    _rates: Rates = attrs.field(factory=Rates, init=False)

    def each(self) -> list[dict[str, object]]:
        """Say what each connection carries and counts.

        Ages are in seconds, ``lag_ms`` is the time from a trade to its receipt: with the clocks' difference,
        and None in playback. ``silent`` names streams with how long nothing has come on them.
        """
        return [self._one(memory) for memory in self.connections.values()]

    @staticmethod
    def total(each: Sequence[Mapping[str, object]]) -> dict[str, object]:
        """Sum up what ``each`` has said."""
        return {
            "collectors": len(each),
            "connected": sum(one["state"] == "connected" for one in each),
            **{name: round(sum(_number(one[name]) for one in each), 1) for name in _SUMMED},
        }

    def alarms(self) -> list[str]:
        """Name the connections with streams that are silent or refused, and some of those."""
        found = []
        for memory in self.connections.values():
            found += [f"{memory.name}: silent: {_some(memory.silent)}"] if memory.silent else []
            found += [f"{memory.name}: refused: {_some(memory.refused)}"] if memory.refused else []
        return found

    def _one(self, memory: ConnectionMemory) -> dict[str, object]:
        now, seen, since = trio.current_time(), memory.last_frame_at, memory.connected_at
        return {
            "name": memory.name,
            "exchange": memory.exchange,
            "state": memory.state,
            "reason": memory.reason,
            "connected_since": None if since is None else iso(since),
            "streams": len(memory.streams),
            "streams_acknowledged": memory.acknowledged,
            "streams_heard": memory.heard,
            "streams_silent": len(memory.silent),
            "streams_refused": len(memory.refused),
            "silent": {name: round(now - at) for name, at in list(memory.silent.items())[:NAMED]},
            "refused": dict(list(memory.refused.items())[:NAMED]),
            "frames": memory.frames,
            "frames_per_second": self._rates.of(f"{memory.name} frames", memory.frames),
            "trades": memory.trades,
            "trades_per_second": self._rates.of(f"{memory.name} trades", memory.trades),
            "bytes": memory.bytes,
            "bytes_per_second": self._rates.of(f"{memory.name} bytes", memory.bytes),
            "reconnects": memory.reconnects,
            "rollovers": memory.rollovers,
            "gaps": memory.gaps,
            "last_frame_age": None if seen is None else round(now - seen, 3),
            "lag_ms": {"p50": _ms(memory.lag.percentile(0.50)), "p99": _ms(memory.lag.percentile(0.99))},
        }


def _ms(microseconds: int | None) -> float | None:
    return None if microseconds is None else round(microseconds / 1_000, 1)


def _number(value: object) -> float:
    return value if isinstance(value, int | float) else 0


def _some(streams: Mapping[str, object]) -> str:
    more = len(streams) - 3
    return ", ".join(list(streams)[:3]) + (f" and {more} more" if more > 0 else "")
