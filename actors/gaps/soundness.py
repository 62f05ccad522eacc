"""What is known to be wrong with the trades of the symbols: their gaps, and what the checks found."""

from collections.abc import Iterable

from actors.gaps import checking
from actors.memory import SymbolMemory
from actors.storage.reader import DataReader
from actors.window_records import BACKLOG
from wadm.coverage import KnownGap

#: The most gaps that a status lists: the newest.
LISTED = 100


def gaps(memories: Iterable[SymbolMemory]) -> list[KnownGap]:
    """Return the gaps that are not filled, by symbol, without those that memory has let go."""
    return [gap for memory in memories for gap in memory.gaps.known]


def every(memories: Iterable[SymbolMemory], reader: DataReader) -> list[KnownGap]:
    """Return every gap that is not filled, by symbol, from the stores as well. Raises StorageError."""
    return [gap for memory in memories for gap in (*_let_go(memory, reader), *memory.gaps.known)]


def _let_go(memory: SymbolMemory, reader: DataReader) -> list[KnownGap]:
    name, since = memory.instrument, memory.gaps.since
    records = reader.gaps(name.exchange, name.symbol, 0, since) if memory.gaps.gone else []
    return [
        KnownGap(one.gap, one.state, one.reason)
        for one in records
        if one.gap.at < since and one.gap.id_kind in (memory.source, None)
    ]


def newest(memories: Iterable[SymbolMemory]) -> list[dict[str, object]]:
    """Return the gaps that a status lists, in the order in which they were noticed."""
    return [one.answer() for one in sorted(gaps(memories), key=lambda one: one.gap.at)[-LISTED:]]


def totals(memories: Iterable[SymbolMemory]) -> dict[str, dict[str, int]]:
    """Return how many gaps there are of each symbol that has any: by their state, and those suspected."""
    return {
        memory.instrument.key: memory.gaps.totals()
        for memory in memories
        if memory.gaps.known or memory.gaps.gone
    }


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
        "records_given_up": memory.unrecorded,
    }


def alarms(memories: Iterable[SymbolMemory]) -> list[str]:
    """Return what is wrong by the comparisons of the last hour, and which symbols' records pile up."""
    found = (alarm for memory in memories for alarm in (checking.alarm(memory), _backlog(memory)))
    return [alarm for alarm in found if alarm]


def _backlog(memory: SymbolMemory) -> str:
    waiting = len(memory.records)
    if waiting < BACKLOG:
        return ""
    given_up = f", {memory.unrecorded} were given up" if memory.unrecorded else ""
    return f"{waiting} records of {memory.instrument.key} wait for the journal{given_up}"
