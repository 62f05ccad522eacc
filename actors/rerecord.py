"""Which windows are recorded again after a start of the daemon: a kill may have come before their records."""

from collections.abc import Collection, Iterator, Mapping

from actors.messages import Kind
from actors.storage.journal_view import RecordedWindow
from wadm.bar import Digest
from wadm.market import HOUR, MINUTE
from wadm.series import ClosedBars
from wadm.timeframes import TIMEFRAMES, Window, window

#: Windows that ended within so much (µs) before the last closed bar's end are looked at: a process that is
#: killed may have journalled their bars and not yet them.
RERECORD = 10 * MINUTE


def windows_left(
    closed: ClosedBars, digests: Mapping[int, Digest], recorded: Collection[RecordedWindow]
) -> Iterator[Window]:
    """Yield the windows of the newest bars that are still to be recorded, ``digests`` being those by start.

    The journal keeps one record of a window's revision, so that making it once more would change nothing. An
    hour is recorded again whatever there is: its levels are recorded apart.
    """
    end = closed.last_end()
    starts = closed.starts_between(end - RERECORD, end)
    for one in {(timeframe, *window(timeframe, at)) for timeframe in TIMEFRAMES for at in starts}:
        _, first, last = one
        ended = last <= end and closed.starts[0] <= first and last - first != HOUR
        if not ended or not _is_recorded(one, _revision(closed, digests, first, last), recorded):
            yield one


def _is_recorded(one: Window, revision: int, recorded: Collection[RecordedWindow]) -> bool:
    timeframe, start, _ = one
    return all((kind, timeframe, start, revision) in recorded for kind in (Kind.ORDER_FLOW, Kind.PROFILE))


def _revision(closed: ClosedBars, digests: Mapping[int, Digest], start: int, end: int) -> int:
    """Return the revision of the bars' merge: see ``Bar.absorb``."""
    traded = [digests[at] for at in closed.starts_between(start, end) if digests[at].traded]
    return sum(one.revision for one in traded) + max(0, len(traded) - 1)
