"""The storage port: what every engine that keeps the history must do."""

from collections.abc import Mapping, Sequence
from typing import Protocol

from actors.messages import BookRecord, Entry, GapRecord, Kind, LevelMark, OrderFlowRecord, ProfileRecord
from wadm.bar import Bar, Digest
from wadm.market import Trades


def named(name: str, address: str) -> str:
    """Return what a target is and where, for a person: ``mongodb at mongodb://host:port/database``."""
    return address if address.lower().startswith(f"{name} ") else f"{name} at {address}"


class Target(Protocol):
    """Whatever a sink carries the journal's entries into. Synchronous: actors call it in threads.

    Every method raises StorageError, with the target's address and what to do, where it cannot be used, and
    DiskFull where it is full. No address or error has a password in it.
    """

    @property
    def name(self) -> str:
        """What the target is, for a person: ``sqlite``, ``postgresql``, ``mongodb``, ``redis``."""
        ...

    @property
    def address(self) -> str:
        """Where the target is, for a person, without its password."""
        ...

    @property
    def keeps(self) -> frozenset[Kind]:
        """The kinds of entries that are stored here; ``apply`` is given no others."""
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

    def close(self) -> None:
        """Let go of every connection. The target may be used again afterwards."""
        ...


class Store(Target, Protocol):
    """A warm store: a target that also answers. Several threads may read at once.

    Times are µs, ranges ``[start, end)`` by an entry's start (a gap's: by when it was noticed), answers
    ascend.
    """

    def schema(self) -> tuple[int | None, int]:
        """Return the version of the schema found, None where nothing was stored yet, and the one expected.

        Nothing is written. Raises StorageError where what is there is not ours.
        """
        ...

    def migrate(self) -> None:
        """Bring an older schema to the one expected, or make it where there is none. May be repeated.

        What fails leaves the data as it was; a newer or a foreign schema is refused. ``initialise`` does this
        first; a store that is read only refuses it.
        """
        ...

    def trades(self, exchange: str, symbol: str, start: int, end: int) -> list[Trades]:
        """Return the raw trades of a range, in runs; none where the store does not keep Kind.TRADES."""
        ...

    def books(self, exchange: str, symbol: str, start: int, end: int) -> list[BookRecord]:
        """Return the order books of a range; none where the store does not keep Kind.BOOK."""
        ...

    def bars(self, exchange: str, symbol: str, start: int, end: int) -> list[Bar]:
        """Return the one-minute bars of a range."""
        ...

    def packed_bars(self, exchange: str, symbol: str, start: int, end: int) -> list[tuple[Digest, bytes]]:
        """Return the one-minute bars of a range as they were packed."""
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

    def levels(self, exchange: str, symbol: str) -> list[LevelMark]:
        """Return the levels of a symbol's newest record that has any, ascending by price, then by kind."""
        ...

    def expire(self, now: int) -> int:
        """Forget what has outlived its lifetime at ``now`` (µs); return how many entries went.

        Bars do not expire: they leave by ``forget_bars``. Nor do gaps: what is said of old bars must stay
        true. A database that forgets by itself returns 0.
        """
        ...

    def ripe_days(self, stored_before: int) -> list[tuple[str, str, int]]:
        """Return (exchange, symbol, start of a UTC day) of the days whose bars were all stored before then.

        A bar is stored anew when a revision of it comes.
        """
        ...

    def forget_bars(self, exchange: str, symbol: str, revisions: Mapping[int, int]) -> int:
        """Forget bars (start -> revision) that are at that revision still; return how many went."""
        ...
