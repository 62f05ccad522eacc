"""Merging ahead: what a window needs of a symbol's closed bars, made in a thread before it is asked for.

The aggregator would make it by itself, and hold the loop meanwhile: a day of a busy symbol takes half a
second the first time. What is made here it finds as if it had made it.
"""

from collections.abc import Iterable, Sequence

import trio

from wadm import bar as bars
from wadm.market import HOUR
from wadm.series import ClosedBars


async def merge_ahead(closed: ClosedBars, spans: Iterable[tuple[int, int]]) -> None:
    """Merge the whole hours within ``spans`` (µs) that nobody has merged yet, and these to one stretch."""
    for span in spans:
        first, last = closed.whole_hours(*span)
        for hour in range(first, last, HOUR):
            if hour not in closed.hours and (pieces := closed.minutes(hour, hour + HOUR)):
                packed = await _merged(pieces, hour, hour + HOUR)
                if _same(pieces, closed.minutes(hour, hour + HOUR)):
                    closed.hours[hour] = packed
        if last - first > HOUR and not closed.stretches.has(first, last):
            pieces = closed.pieces(first, last)
            packed = await _merged(pieces, first, last)
            if _same(pieces, closed.pieces(first, last)):
                closed.stretches.keep(first, last, packed)


async def _merged(pieces: Sequence[bytes], start: int, end: int) -> bytes:
    return await trio.to_thread.run_sync(_merge, pieces, start, end, abandon_on_cancel=True)


def _merge(pieces: Sequence[bytes], start: int, end: int) -> bytes:
    return bars.encode(bars.merge(map(bars.decode, pieces), start, end))


def _same(before: Sequence[bytes], now: Sequence[bytes]) -> bool:
    """Say whether no bar was closed anew meanwhile."""
    return len(before) == len(now) and all(one is other for one, other in zip(before, now, strict=True))
