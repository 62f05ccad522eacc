"""Marks: how far the journal has been committed, for those who wait for it."""

from collections.abc import Callable, Iterable

import attrs

from actors.messages import Entry, TradeBatch
from actors.notice import Notice

#: Streams remembered by their highest batch; the one that moved longest ago goes first.
STREAMS = 16_384


@attrs.define(eq=False)
class Marks:
    """What the writer has committed: the last sequence number, and the highest batch of each stream.

    A stream is an (incarnation, ``exchange:SYMBOL``). A mark never passes what is on the disk. Make
    them with the journal's own ``last_seq``. Used in trio's thread only.
    """

    last_seq: int = 0
    batches: dict[tuple[int, str], int] = attrs.field(factory=dict)
    #: by symbol (``exchange:SYMBOL``), the last number of the last commit that had trades of it
    traded: dict[str, int] = attrs.field(factory=dict)
    _notice: Notice = attrs.field(factory=Notice, init=False, repr=False)

    def publish(self, last_seq: int, committed: Iterable[Entry]) -> None:
        """Move the marks past entries that were committed, and wake those who wait."""
        self.last_seq = max(self.last_seq, last_seq)
        for entry in committed:
            if isinstance(entry, TradeBatch):
                stream = entry.incarnation, entry.trades.key
                # Taken out and put back, so that the dictionary's order is that of the last movement.
                self.batches[stream] = max(self.batches.pop(stream, 0), entry.number)
                self.traded[entry.trades.key] = self.last_seq
        while len(self.batches) > STREAMS:
            del self.batches[next(iter(self.batches))]
        self._notice.notify()

    def batch(self, incarnation: int, key: str) -> int:
        """Return the highest number committed of a stream, 0 if none."""
        return self.batches.get((incarnation, key), 0)

    async def wait_for(self, predicate: Callable[["Marks"], bool]) -> None:
        """Return once the predicate holds of these marks."""
        await self._notice.wait_for(lambda: predicate(self))

    async def wait_past(self, seq: int) -> None:
        """Return once something after ``seq`` is committed."""
        await self.wait_for(lambda marks: marks.last_seq > seq)

    async def wait_for_batch(self, incarnation: int, key: str, number: int) -> None:
        """Return once batch ``number`` of a stream is committed."""
        await self.wait_for(lambda marks: marks.batch(incarnation, key) >= number)
