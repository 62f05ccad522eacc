"""Merged stretches of closed bars, remembered: a window that grows is not merged from its start again."""

from collections import OrderedDict

import attrs


@attrs.define
class Stretches:
    """The last ``most`` stretches ``[start, end)`` (µs) that were asked for, packed."""

    most: int = 16
    _packed: OrderedDict[tuple[int, int], bytes] = attrs.field(factory=OrderedDict, init=False)

    def longest(self, start: int, end: int) -> tuple[int, bytes] | None:
        """Return the longest one that begins at ``start`` and ends by ``end``: its end, and itself."""
        found = max((until for since, until in self._packed if since == start and until <= end), default=None)
        if found is None:
            return None
        self._packed.move_to_end((start, found))
        return found, self._packed[start, found]

    def has(self, start: int, end: int) -> bool:
        """Say whether exactly this one is remembered."""
        return (start, end) in self._packed

    def keep(self, start: int, end: int, packed: bytes) -> None:
        """Remember one, and forget the one that was not asked for the longest."""
        self._packed[start, end] = packed
        if len(self._packed) > self.most:
            self._packed.popitem(last=False)

    def drop(self, at: int) -> None:
        """Forget those that hold the time ``at``: a bar in them has changed or is gone."""
        for span in [span for span in self._packed if span[0] <= at < span[1]]:
            del self._packed[span]

    def __len__(self) -> int:
        return len(self._packed)

    @property
    def size(self) -> int:
        """How many bytes are remembered."""
        return sum(map(len, self._packed.values()))
