"""Delta bar by bar: the longest runs of one sign, and the bars of the largest delta.

A run is consecutive bars whose deltas are of one sign; a bar without delta ends it and belongs to none. Of
runs of equal length the one of the larger |delta| in all is the longest, then the earlier. Bars without a
trade are no bars: they neither lengthen nor end a run.
"""

from collections.abc import Sequence

import attrs

ALGORITHM = "delta/1"


@attrs.frozen
class Run:
    """Bars ``first``..``last`` (places) whose deltas are of one sign, and the sum of these."""

    first: int
    last: int
    delta: int

    @property
    def bars(self) -> int:
        """How many bars it lasted."""
        return self.last - self.first + 1


def runs(deltas: Sequence[int]) -> list[Run]:
    """Return the runs of one sign, ascending."""
    found: list[Run] = []
    for at, delta in enumerate(deltas):
        last = found[-1] if found else None
        if last is not None and last.last == at - 1 and last.delta * delta > 0:
            found[-1] = Run(last.first, at, last.delta + delta)
        elif delta:
            found.append(Run(at, at, delta))
    return found


def longest(deltas: Sequence[int], sign: int) -> Run | None:
    """Return the longest run of positive (``sign`` 1) or negative (-1) deltas, None where there is none."""
    of_sign = [one for one in runs(deltas) if one.delta * sign > 0]
    return max(of_sign, key=lambda one: (one.bars, abs(one.delta), -one.first), default=None)


def largest(deltas: Sequence[int], count: int) -> list[int]:
    """Return the places of the largest |delta|, largest first; of equal ones the earlier; none without."""
    places = [at for at, delta in enumerate(deltas) if delta]
    return sorted(places, key=lambda at: (-abs(deltas[at]), at))[:count]
