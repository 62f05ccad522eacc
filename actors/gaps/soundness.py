"""What is known to be wrong with the trades of the symbols: their gaps, and what the checks found."""

from collections.abc import Iterable

from actors.gaps import checking
from actors.memory import SymbolMemory
from wadm.coverage import KnownGap, SuspectedGap

#: The most gaps that a status lists: the newest.
LISTED = 100


def gaps(memories: Iterable[SymbolMemory]) -> list[KnownGap]:
    """Return every gap that is not filled, by symbol."""
    return [gap for memory in memories for gap in memory.gaps.known]


def newest(memories: Iterable[SymbolMemory]) -> list[dict[str, object]]:
    """Return the gaps that a status lists, in the order in which they were noticed."""
    return [one.answer() for one in sorted(gaps(memories), key=lambda one: one.gap.at)[-LISTED:]]


def totals(memories: Iterable[SymbolMemory]) -> dict[str, dict[str, int]]:
    """Return how many gaps there are of each symbol that has any: by their state, and those suspected."""
    return {memory.instrument.key: _total(memory.gaps.known) for memory in memories if memory.gaps.known}


def _total(known: Iterable[KnownGap]) -> dict[str, int]:
    counted = {"open": 0, "unfillable": 0, "suspected": 0, "ids_missing": 0}
    for one in known:
        if isinstance(one.gap, SuspectedGap):
            counted["suspected"] += 1
        else:
            counted[one.state] += 1
            counted["ids_missing"] += one.gap.missing
    return counted


def checks(memory: SymbolMemory) -> dict[str, object]:
    """Return what comparing a symbol's minutes with other sources has shown."""
    candles, second = memory.candles, memory.second.check
    return {
        "candles_checked": candles.checked,
        "candles_differing": candles.differing,
        "candle_differences": candles.answer(),
        "second_checked": second.checked,
        "second_differing": second.differing,
        "second_differences": second.answer(),
    }


def alarms(memories: Iterable[SymbolMemory]) -> list[str]:
    """Return what is wrong by the comparisons of the last hour."""
    return [alarm for memory in memories if (alarm := checking.alarm(memory))]
