"""The storage port: what every engine that keeps the history must do."""

from collections.abc import Sequence
from typing import Protocol

from actors.messages import Entry, GapRecord, OrderFlowRecord, ProfileRecord
from wadm.bar import Bar


class Store(Protocol):
    """A warm store. Synchronous: actors call it in threads, and several may read at once.

    Times are µs, ranges ``[start, end)`` by an entry's start (a gap's: by when it was noticed), answers
    ascend. Every method raises StorageError, with the store's address and what to do, where the store cannot
    be used, and DiskFull where it is full.
    """

    @property
    def name(self) -> str:
        """What the store is, for a person: ``sqlite``, ``postgresql``, ``mongodb``."""
        ...

    @property
    def keeps_trades(self) -> bool:
        """Whether raw trades are stored here; if not, ``apply`` need not be given any."""
        ...

    def initialise(self) -> None:
        """Make what is missing of tables and indexes, and check that the rest is ours. May be repeated."""
        ...

    def cursor(self) -> int:
        """Return the last sequence number applied from the journal that this store follows, 0 at first."""
        ...

    def apply(self, entries: Sequence[Entry], cursor: int) -> None:
        """Store the entries and the cursor, all or nothing.

        An entry replaces one of the same natural key only if its revision is higher, so that applying again,
        or out of order, changes nothing. A cursor never moves back.
        """
        ...

    def bars(self, exchange: str, symbol: str, start: int, end: int) -> list[Bar]:
        """Return the one-minute bars of a range."""
        ...

    def extent(self, exchange: str, symbol: str) -> tuple[int, int] | None:
        """Return the first start and the last end of the bars of a symbol, None while there are none."""
        ...

    def symbols(self) -> list[tuple[str, str]]:
        """Return every (exchange, symbol) that has bars, sorted."""
        ...

    def profiles(
        self, exchange: str, symbol: str, timeframe: str, start: int, end: int
    ) -> list[ProfileRecord]:
        """Return the volume profiles of a timeframe's windows."""
        ...

    def order_flows(
        self, exchange: str, symbol: str, timeframe: str, start: int, end: int
    ) -> list[OrderFlowRecord]:
        """Return the order flow of a timeframe's windows."""
        ...

    def gaps(self, exchange: str, symbol: str, start: int, end: int) -> list[GapRecord]:
        """Return the gaps noticed in a range, as they were recorded, each in its strongest state."""
        ...

    def close(self) -> None:
        """Let go of every connection. The store may be used again afterwards."""
        ...
