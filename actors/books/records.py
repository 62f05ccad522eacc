"""What is journalled of an order book: its top as it stood, at most once in a second of the exchange's time.

Of each second it is the book after the first update of that second, so that a recording played again leaves
the same records however its updates come together on the way.
"""

import attrs

from actors.books.memory import BookMemory
from actors.messages import BookRecord
from supervision import Mailbox
from wadm.market import SECOND

#: Levels kept of a side.
LEVELS = 50


@attrs.define(eq=False)
class BookRecords:
    """Takes one book down and hands that to the storage writer.

    A live book never waits for the writer: while that is behind by half its mailbox, which then is needed for
    trades, books are left out and counted. In playback nothing is left out.
    """

    memory: BookMemory
    writer: Mailbox

    def look(self) -> None:
        """Take the book down if this is its first update of a second; to be called after every one."""
        memory, sync = self.memory, self.memory.sync
        second = sync.at // SECOND
        if second == memory.looked_at or not sync.synced:
            return
        memory.looked_at = second
        found = BookRecord(
            memory.instrument.exchange, memory.instrument.symbol, sync.at, sync.last,
            sync.book.price_decimals, sync.book.quantity_decimals,
            sync.book.bids.top(LEVELS), sync.book.asks.top(LEVELS),
        )  # fmt: skip
        if memory.latest is None or _content(found) != _content(memory.latest):
            memory.latest = found
            memory.records.append(found)

    async def hand_on(self) -> None:
        """Hand on what was taken down."""
        records = self.memory.records
        while records:
            if self.writer.deadline is None:
                await self.writer.put(records[0])
            elif self._is_behind():
                self._leave_out()
                return
            else:
                self.writer.put_nowait(records[0])
            records.popleft()
            self.memory.recorded += 1

    def _is_behind(self) -> bool:
        return self.writer.closed or self.writer.statistics().depth > self.writer.capacity // 2

    def _leave_out(self) -> None:
        memory = self.memory
        memory.not_recorded += len(memory.records)
        memory.records.clear()
        memory.latest = None  # nothing says that what comes next is known already


def _content(record: BookRecord) -> tuple[object, ...]:
    return record.price_decimals, record.quantity_decimals, record.bids, record.asks
