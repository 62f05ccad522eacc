"""What a connection takes note of beside trades and books, in the memories that outlive it."""

from collections import Counter
from collections.abc import Iterable, Mapping

import attrs
import structlog

from actors.connections.memory import ConnectionMemory
from actors.memory import SymbolMemory
from actors.notice import Notice
from wadm.exchanges.base import Event, Filled, Gap, Rejected
from wadm.market import Candle, Liquidation, Ticker

log = structlog.get_logger("connection")


@attrs.define(eq=False)
class Noting:
    """Notes the events of one connection. No await anywhere: a kill must not lose half of a run.

    ``symbols`` (by ``exchange:SYMBOL``) come and go; events of others are left out.
    """

    memory: ConnectionMemory
    symbols: Mapping[str, SymbolMemory]
    gap_noticed: Notice
    _loud: Counter[str] = attrs.field(factory=Counter, init=False)

    def note(self, events: Iterable[Event], *, overlapping: bool) -> None:
        """Take note of a run's events; ``overlapping``: two links bring the same, an event may have come."""
        for event in events:
            match event:
                case Gap() as gap:
                    self._note_gap(gap)
                case Rejected(reason=reason, count=count, sample=sample):
                    self._complain(reason, count, sample)
                case Filled() | Ticker() | Liquidation() | Candle():
                    memory = self.symbols.get(f"{event.exchange}:{event.symbol}")
                    if memory is not None:
                        _note_of(memory, event, overlapping=overlapping)
                case _:
                    pass

    def _note_gap(self, gap: Gap) -> None:
        key = f"{gap.exchange}:{gap.symbol}"
        if key in self.symbols:
            self.memory.gaps += 1
            self.symbols[key].note_gap(gap)
            self.gap_noticed.notify()
            log.warning("gap_opened", symbol=key, first=gap.first, missing=gap.missing)

    def _complain(self, reason: str, count: int, sample: bytes) -> None:
        """Log what was rejected once per burst: the first, then at every doubling of the count."""
        before, after = self._loud[reason], self._loud[reason] + count
        self._loud[reason] = after
        if before.bit_length() != after.bit_length():
            log.warning("rejected", connection=self.memory.name, reason=reason, so_far=after, sample=sample)


def _note_of(
    memory: SymbolMemory, event: Filled | Ticker | Liquidation | Candle, *, overlapping: bool
) -> None:
    match event:
        case Filled():
            memory.note_filled(event)
        case Ticker():
            memory.note_ticker(event)
        case Candle():
            memory.note_candle(event)
        case Liquidation():
            if not (overlapping and event in memory.liquidations):
                memory.liquidations.append(event)
