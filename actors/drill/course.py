"""The course of a drill: its faults laid onto the frames of its capture."""

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import attrs

from actors.drill import schedule
from actors.playback.capture import Capture
from actors.playback.faults import Fault
from wadm.exchanges import registry
from wadm.mistakes import Mistake

#: More faults are drawn than are asked for: some fall into moments in which there is nothing to hit.
_SURPLUS = 1.4


class DrillError(Mistake):
    """The drill could not be carried out: one sentence."""


@attrs.frozen
class Drill:
    """What is to be played, and what is to go wrong: ``count`` faults of ``kinds``, ``rate`` a second."""

    captures: Sequence[Path]
    exchange: str
    seed: int
    kinds: Sequence[str] = schedule.KINDS
    count: int = 1_000
    rate: float = 10.0
    row_size: str | None = None


@attrs.frozen
class Course:
    """The faults of a drill laid onto the frames of its capture."""

    speed: float
    exchange_faults: tuple[Fault, ...]
    orders: dict[int, list[schedule.Fault]]

    @classmethod
    def plan(cls, drill: Drill, capture: Capture) -> "Course":
        """Lay the faults drawn from the seed over the capture, from when every symbol has traded."""
        times = [frame.at for frame in capture.frames]
        start = _all_traded(capture, drill.exchange)
        first = times[min(start, len(times) - 1)]
        seconds = drill.count / drill.rate
        speed = max(1, times[-1] - first) / 1e9 / seconds
        drawn = schedule.draw(
            drill.seed, drill.kinds, seconds, int(drill.count * _SURPLUS), _targets(drill.exchange, capture)
        )
        exchange: dict[int, Fault] = {}
        orders: dict[int, list[schedule.Fault]] = defaultdict(list)
        for fault in drawn:
            frame = min(bisect_left(times, first + int(fault.at * speed * 1e9), start), len(times) - 1)
            if frame < start:  # the last frame is the first trade: there is nothing left to disturb
                continue
            if fault.kind in schedule.EXCHANGE_KINDS:
                exchange[frame] = Fault(frame, fault.kind, fault.seconds)
            else:
                orders[frame].append(fault)
        return cls(speed, tuple(exchange[frame] for frame in sorted(exchange)), dict(orders))


def _all_traded(capture: Capture, exchange: str) -> int:
    """Return the first frame by which every symbol has traded: what was before is not known to be missing."""
    wanted = {stream for stream in capture.streams if registry.find(exchange).stream_id_kind(stream)}
    if not wanted:
        raise DrillError("the capture holds no trades: there would be nothing to compare")
    for index, frame in enumerate(capture.frames):
        wanted.discard(frame.stream)
        if not wanted:
            return index + 1
    raise AssertionError("every stream of a capture has a frame")


def _targets(exchange: str, capture: Capture) -> dict[str, list[str]]:
    """Return the actors to be hit, as paths below the root."""
    found = registry.find(exchange)
    aggregators = [f"aggregators/aggregator:{exchange}:{symbol}" for symbol in capture.symbols]
    books = [f"books/book:{exchange}:{symbol}" for symbol in capture.symbols]
    connections = [
        f"connections/connection:{exchange}#{n}" for n, _ in enumerate(found.routes(capture.streams), 1)
    ]
    others = ["storage/writer", "storage/warm", "storage/retention", "services/backfill", "front/http"]
    # Where the state is, most is to be lost: aggregators are hit four times as often as the rest.
    return {
        "kill": [*4 * aggregators, *books, *connections, *others],
        "slow-consumer": [*(path.partition("/")[2] for path in aggregators), "writer"],
    }
