"""How long each kind of data is kept, counted from when it was stored."""

import attrs

from wadm.market import DAY, MINUTE
from wadm.sections import StorageSettings


@attrs.frozen
class Lifetimes:
    """Lifetimes in µs: of raw trades and order books, of bars in the warm store, and of what is made of them.

    Data that is replayed or filled in late lives as long as live data does.
    """

    raw: int
    bars: int
    indicators: int

    @classmethod
    def of(cls, storage: StorageSettings) -> "Lifetimes":
        """Return the lifetimes that the settings name."""
        return cls(
            raw=storage.raw_retention_minutes * MINUTE,
            bars=storage.bars_days * DAY,
            indicators=storage.indicators_days * DAY,
        )
