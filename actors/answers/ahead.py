"""Merging ahead: what a window needs of a symbol's closed bars, made in a thread before it is asked for.

The aggregator would make it by itself, and hold the loop meanwhile: a day of a busy symbol takes half a
second the first time. What is made here it finds as if it had made it.
"""

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import TypeVar

import trio

from wadm import bar as bars
from wadm.bar import Bar
from wadm.market import HOUR
from wadm.series import ClosedBars

T = TypeVar("T")

#: Bytes of packed bars up to which it is left to the aggregator: a millisecond.
LIGHT = 30_000


async def merge_ahead(closed: ClosedBars, spans: Iterable[tuple[int, int]]) -> None:
    """Merge ``spans`` (µs) as far as nobody has: the whole hours in them, stretches of these, then all."""
    for start, end in spans:
        await _merge_hours(closed, *closed.whole_hours(start, end))
        for span in closed.missing(start, end):
            await _ahead(partial(closed.parts, *span), span, _pack, closed.stretches.keep, light=LIGHT)
        span = start, min(end, closed.last_end())
        if not closed.merges.has(*span):
            await _ahead(partial(closed.packed_between, *span), span, _merge, closed.merges.keep, light=LIGHT)


async def _merge_hours(closed: ClosedBars, first: int, last: int) -> None:
    def keep_hour(start: int, _: int, packed: bytes) -> None:
        closed.hours[start] = packed

    for hour in range(first, last, HOUR):
        if hour not in closed.hours:
            span = hour, hour + HOUR
            await _ahead(partial(closed.minutes, *span), span, _pack, keep_hour)
    if last - first > HOUR and not closed.stretches.has(first, last):
        span = first, last
        await _ahead(partial(closed.pieces, *span), span, _pack, closed.stretches.keep)


async def _ahead(
    read: Callable[[], Iterable[bytes]],
    span: tuple[int, int],
    make: Callable[[Sequence[bytes], int, int], T],
    keep: Callable[[int, int, T], None],
    *,
    light: int = 0,
) -> None:
    """Make the merge of what ``read`` returns, in a thread, and keep it unless that has changed meanwhile.

    Nothing is made of ``light`` bytes or fewer.
    """
    pieces = list(read())
    if sum(map(len, pieces)) <= light:
        return
    made = await trio.to_thread.run_sync(make, pieces, *span, abandon_on_cancel=True)
    if _same(pieces, list(read())):
        keep(*span, made)


def _merge(pieces: Sequence[bytes], start: int, end: int) -> Bar:
    return bars.merge(map(bars.decode, pieces), start, end)


def _pack(pieces: Sequence[bytes], start: int, end: int) -> bytes:
    return bars.encode(_merge(pieces, start, end))


def _same(before: Sequence[bytes], now: Sequence[bytes]) -> bool:
    """Say whether no bar was closed anew meanwhile."""
    return len(before) == len(now) and all(one is other for one, other in zip(before, now, strict=True))
