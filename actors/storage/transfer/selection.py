"""Which symbols and which range of time are meant."""

import attrs

from actors.storage.reader import DataReader
from wadm.mistakes import Mistake

#: Later than any data (µs).
FOREVER = 1 << 62


class SelectionError(Mistake):
    """Nothing is stored of what was asked for; the message says what there is."""


@attrs.frozen
class Selection:
    """An exchange and a symbol (None: every one) and a range ``[start, end)`` in µs."""

    exchange: str | None = None
    symbol: str | None = None
    start: int = 0
    end: int = FOREVER

    def streams(self, reader: DataReader) -> list[tuple[str, str]]:
        """Return the (exchange, symbol) meant, of those stored. Raises SelectionError where none is."""
        stored = reader.symbols()
        found = [
            (exchange, symbol)
            for exchange, symbol in stored
            if self.exchange in (None, exchange) and self.symbol in (None, symbol)
        ]
        if not found:
            wanted = f"{self.exchange or 'any exchange'}:{self.symbol or 'any symbol'}"
            known = ", ".join(f"{exchange}:{symbol}" for exchange, symbol in stored) or "nothing"
            raise SelectionError(f"nothing is stored of {wanted}; what is stored: {known}")
        return found

    def clipped(self, extent: tuple[int, int]) -> tuple[int, int]:
        """Return the part of the range that lies in an extent."""
        return max(self.start, extent[0]), min(self.end, extent[1])
