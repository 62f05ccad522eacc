"""Comparing a symbol's closed minutes with the exchange's candles and with a second source of its trades."""

from collections.abc import Container, Iterator

import structlog

from actors.memory import SymbolMemory
from wadm.bar import Bar
from wadm.crosscheck import Check, Difference
from wadm.market import HOUR, MINUTE

log = structlog.get_logger("checking")

#: Why a minute is suspected of which the exchange counted something else.
OTHER_CANDLE = "the exchange's candle differs"
#: What closed a suspected gap in which nothing was missing.
SAME_CANDLES = "the exchange's candles agree"


def closed_again(memory: SymbolMemory, bar: Bar) -> None:
    """Note that a bar was closed, perhaps not for the first time: it is to be compared."""
    memory.candles.again(bar.start)
    memory.second.check.again(bar.start)


def compare(memory: SymbolMemory, still_open: Container[int], grace: int) -> None:
    """Compare what is known of minutes that market time has left behind by ``grace`` (µs). No await."""
    memory.second.advance(memory.market_time)
    until = memory.market_time - grace
    for difference in _differences(memory, memory.second.check, still_open, until):
        log.warning("second_source_differs", symbol=memory.instrument.key, **difference.answer())
    for difference in _differences(memory, memory.candles, still_open, until):
        log.warning("candle_differs", symbol=memory.instrument.key, **difference.answer())
        if not memory.counted:
            memory.suspect(difference.start, difference.start + MINUTE - 1, OTHER_CANDLE)


def alarm(memory: SymbolMemory) -> str:
    """Return what is wrong by the comparisons of the last hour, "" where nothing is."""
    for name, check in (("candles", memory.candles), ("second source", memory.second.check)):
        since = memory.market_time - HOUR
        recent = sum(start >= since for start in check.differences)
        if recent:
            return f"{memory.instrument.key} differs from its {name} in {recent} of the last 60 minutes"
    return ""


def _differences(
    memory: SymbolMemory, check: Check, still_open: Container[int], until: int
) -> Iterator[Difference]:
    due = check.due(until)
    for start in sorted(due):
        if start in still_open:
            continue
        bar = memory.closed.get(start)
        if not _received_in_full(memory, start, bar):
            check.pass_over(start)
        elif (found := check.compare(start, bar)) is not None:
            yield found
    if due and check is memory.candles:
        _clear_suspicions(memory)


def _received_in_full(memory: SymbolMemory, start: int, bar: Bar | None) -> bool:
    """Say whether all of a minute ought to be in its bar: a suspicion alone is no excuse."""
    if memory.covered_from is None or start <= memory.covered_from or (bar is not None and bar.partial):
        return False
    if not memory.closed.starts or start < memory.closed.starts[0]:
        return False
    return not any(one.gap.id_kind for one in memory.gaps_between(start, start + MINUTE))


def _clear_suspicions(memory: SymbolMemory) -> None:
    """Close the suspected gaps in which nothing is missing by the exchange's own count."""
    for one in memory.gaps.suspected:
        first = one.gap.first - one.gap.first % MINUTE
        if all(memory.candles.agrees(start) for start in range(first, one.gap.last + 1, MINUTE)):
            memory.note_covered(one.gap.first, one.gap.last, SAME_CANDLES)
