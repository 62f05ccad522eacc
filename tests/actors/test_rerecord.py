"""Which windows a start records again, against which of their records are in the journal."""

from pathlib import Path

import pytest
import trio
from spine import BITCOIN

from actors.memory import SymbolMemory
from actors.messages import BarRecord, Entry, OrderFlowRecord, ProfileRecord
from actors.rerecord import windows_left
from actors.storage.journal import Journal
from actors.storage.reader import DataReader
from actors.window_records import WindowRecords
from wadm.bar import Bar
from wadm.market import HOUR, MINUTE, IdKind, Trades
from wadm.series import ClosedBars
from wadm.timeframes import TIMEFRAMES, Window, window

#: 2024-08-09T00:00:00Z: every timeframe ends here
END = 1_723_161_600_000_000
NAME = BITCOIN.exchange, BITCOIN.symbol
FOREVER = 1 << 62


def closed_at(start: int, revision: int) -> Bar:
    bar = Bar(start, start + MINUTE, revision=revision)
    bar.fold(Trades(*NAME, IdKind.TRADE, 0, 0, [start], [start], [100], [1], [1]))
    bar.settle()
    return bar


def left(journal: Journal) -> set[Window]:
    found = journal.packed_bars(*NAME, 0, FOREVER)
    closed = ClosedBars()
    closed.put_packed(found)
    recorded = journal.windows(*NAME, 0)
    return set(windows_left(closed, {digest.start: digest for digest, _ in found}, recorded))


@pytest.mark.parametrize(
    "lost", [None, ("1m", ProfileRecord), ("5m", OrderFlowRecord), ("4h", ProfileRecord)]
)
async def test_what_is_recorded_is_not_made_again(
    tmp_path: Path, lost: tuple[str, type[Entry]] | None
) -> None:
    bars = [
        closed_at(start, start // MINUTE % 3) for start in range(END - 5 * HOUR + MINUTE, END, 2 * MINUTE)
    ]
    memory = SymbolMemory(BITCOIN, ClosedBars(), IdKind.TRADE)
    for bar in bars:
        memory.closed.put(bar)
        memory.due.noted(bar.start)
    memory.market_time = END
    journal = Journal(tmp_path)
    try:
        journal.append([BarRecord(*NAME, bar) for bar in bars])
        recent = {(name, *window(name, bar.start)) for name in TIMEFRAMES for bar in bars[-5:]}
        assert left(journal) == recent
        await WindowRecords(memory, DataReader(journal, None), 0, trio.CapacityLimiter(1)).record()
        journal.append([one for one in memory.records if not _is(one, lost)])
        # An hour is always made again: there is more of it. A day's bars are not all here.
        whole = {one for one in recent if one[0] in ("1h", "1d")}
        missing = {one for one in recent if lost is not None and one[0] == lost[0]}
        assert left(journal) == whole | missing
        # A bar that was closed again is in windows that are not recorded as they are now.
        journal.append([BarRecord(*NAME, closed_at(bars[-1].start, 7))])
        assert left(journal) == whole | missing | {
            (name, *window(name, bars[-1].start)) for name in TIMEFRAMES
        }
    finally:
        journal.close()


def _is(one: Entry, lost: tuple[str, type[Entry]] | None) -> bool:
    return lost is not None and isinstance(one, lost[1]) and one.timeframe == lost[0]  # type: ignore[union-attr]
