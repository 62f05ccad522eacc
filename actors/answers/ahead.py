"""Merging ahead: what a window needs of a symbol's closed bars, made in a thread before it is asked for.

The aggregator would make it by itself, and hold the loop meanwhile: a day of a busy symbol takes half a
second the first time. What is made here it finds as if it had made it.
"""

from collections.abc import Iterable, Sequence

import trio

from wadm import bar as bars
from wadm.bar import Bar
from wadm.market import HOUR
from wadm.series import ClosedBars

#: Bytes of packed bars up to which it is left to the aggregator: a millisecond.
LIGHT = 30_000


async def merge_ahead(closed: ClosedBars, spans: Iterable[tuple[int, int]]) -> None:
    """Merge ``spans`` (µs) as far as nobody has: the whole hours in them, stretches of these, then all."""
    for start, end in spans:
        await _merge_hours(closed, *closed.whole_hours(start, end))
        for first, last in closed.missing(start, end):
            pieces = closed.parts(first, last)
            if _weight(pieces) > LIGHT:
                packed = await _merged(pieces, first, last)
                if _same(pieces, closed.parts(first, last)):
                    closed.stretches.keep(first, last, packed)
        until = min(end, closed.last_end())
        if not closed.merges.has(start, until):
            pieces = list(closed.packed_between(start, until))
            if _weight(pieces) > LIGHT:
                merged = await trio.to_thread.run_sync(_merge, pieces, start, until, abandon_on_cancel=True)
                if _same(pieces, list(closed.packed_between(start, until))):
                    closed.merges.keep(start, until, merged)


async def _merge_hours(closed: ClosedBars, first: int, last: int) -> None:
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
    return await trio.to_thread.run_sync(
        lambda: bars.encode(_merge(pieces, start, end)), abandon_on_cancel=True
    )


def _merge(pieces: Sequence[bytes], start: int, end: int) -> Bar:
    return bars.merge(map(bars.decode, pieces), start, end)


def _weight(pieces: Sequence[bytes]) -> int:
    return sum(map(len, pieces))


def _same(before: Sequence[bytes], now: Sequence[bytes]) -> bool:
    """Say whether no bar was closed anew meanwhile."""
    return len(before) == len(now) and all(one is other for one, other in zip(before, now, strict=True))
