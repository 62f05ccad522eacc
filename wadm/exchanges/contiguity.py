"""Where each stream stands in its trade ids: what comes next, what was jumped over, what came twice.

Pure and shared: positions outlive connections, so that a reconnect sees the jump and two overlapping
connections see each other's trades as duplicates.

Binance numbers trades and aggregate trades upward by one per symbol, so a jump is a gap of known size
(https://developers.binance.com/docs/binance-spot-api-docs/web-socket-streams). Bybit's ids are names
(https://bybit-exchange.github.io/docs/v5/websocket/public/trade): they show duplicates, never gaps.
"""

from abc import ABC, abstractmethod
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from enum import Enum, auto
from typing import NamedTuple

from wadm.exchanges.book_streams import BookStreams
from wadm.market import IdKind, TradeId

#: Ids are stored in 64 signed bits; from here no counting up by one will ever leave them.
MAX_ID = 2**62
#: Beyond so many missing ranges in one stream the lowest is forgotten (its ids would count as duplicates).
MAX_MISSING = 4_096
#: Bybit sends up to 1,024 trades a frame; a reconnect repeats seconds, not minutes.
RECENT_IDS = 8_192
#: A UUID has 36 characters.
LONGEST_ID = 64


class Verdict(Enum):
    """What an id is that opened no gap."""

    FRESH = auto()
    LATE = auto()
    DUPLICATE = auto()
    INVALID = auto()


class Missing(NamedTuple):
    """Ids ``first``..``last``, both missing."""

    first: int
    last: int


def runs_of(ids: Iterable[TradeId]) -> list[Missing]:
    """Return ids that count up by one as ranges, ascending; ids of other kinds give none."""
    runs: list[Missing] = []
    for trade_id in sorted(one for one in ids if isinstance(one, int)):
        if runs and trade_id <= runs[-1].last + 1:
            runs[-1] = Missing(runs[-1].first, trade_id)
        else:
            runs.append(Missing(trade_id, trade_id))
    return runs


def without(ids: Missing, taken: Missing) -> list[Missing]:
    """Return what is left of a range when another is taken out of it: nothing, one part or two."""
    if taken.last < ids.first or ids.last < taken.first:
        return [ids]
    parts = (Missing(ids.first, taken.first - 1), Missing(taken.last + 1, ids.last))
    return [part for part in parts if part.first <= part.last]


def joined(ids: Iterable[Missing]) -> list[Missing]:
    """Return ranges ascending, those that touch or overlap as one."""
    found: list[Missing] = []
    for first, last in sorted(ids):
        if found and first <= found[-1].last + 1:
            found[-1] = Missing(found[-1].first, max(found[-1].last, last))
        else:
            found.append(Missing(first, last))
    return found


def outside(ids: Iterable[Missing], taken: Sequence[Missing]) -> Iterator[Missing]:
    """Yield what is left of ranges when others are taken out; both ascend, and none overlaps its next."""
    passed = 0
    for first, last in ids:
        while passed < len(taken) and taken[passed].last < first:
            passed += 1
        at, left = passed, first
        while at < len(taken) and taken[at].first <= last:
            if left < taken[at].first:
                yield Missing(left, taken[at].first - 1)
            left = taken[at].last + 1
            at += 1
        if left <= last:
            yield Missing(left, last)


def common(ids: Sequence[Missing], others: Sequence[Missing]) -> Iterator[Missing]:
    """Yield what ranges have in common with others; both ascend, and none overlaps its next."""
    at = beside = 0
    while at < len(ids) and beside < len(others):
        one, other = ids[at], others[beside]
        both = Missing(max(one.first, other.first), min(one.last, other.last))
        if both.first <= both.last:
            yield both
        if one.last < other.last:
            at += 1
        else:
            beside += 1


class Position(ABC):
    """One stream's place in its ids."""

    __slots__ = ("expected",)

    #: The id that continues the row, or -1. Whoever meets it may skip ``check`` and count this up by one.
    expected: int

    @abstractmethod
    def check(self, trade_id: TradeId) -> Verdict | Missing:
        """Take ``trade_id`` as seen and return what it was.

        ``Missing`` means fresh as well, and that those ids were jumped over. ``LATE`` ids had been missing.
        ``INVALID`` is no id at all; it changes nothing.
        """

    @abstractmethod
    def advance(self, ids: Sequence[TradeId]) -> bool:
        """Take several ids as seen if they continue the row or are names not seen before.

        Otherwise return False and change nothing: they are to be checked one by one.
        """

    @abstractmethod
    def restore(self, last_id: TradeId) -> None:
        """Start behind ``last_id``, the last one already kept: it and all before it are duplicates."""

    @abstractmethod
    def reopen(self, ids: Missing) -> None:
        """Take ids as missing that were known to be when the stream was last kept; see ``restore``."""

    @abstractmethod
    def forget(self, ids: Iterable[TradeId]) -> None:
        """Take ids as not seen that were: their trades were lost behind this place."""

    @abstractmethod
    def retract(self, trade_id: TradeId) -> bool:
        """Go back behind the last id of the row, where ``trade_id`` is that; return whether it was.

        What it alone showed to be missing is not known to be.
        """

    @abstractmethod
    def knows(self, trade_id: TradeId) -> bool:
        """Return whether an id was seen, as far as that is remembered."""

    @abstractmethod
    def close(self, ids: Missing) -> list[Missing]:
        """Take the missing ids among ``ids`` as seen; return those that were missing."""

    @property
    @abstractmethod
    def missing(self) -> Sequence[Missing]:
        """The ranges still missing, ascending."""


class CountedIds(Position):
    """Ids that count up by one."""

    __slots__ = ("_lowest", "_missing")

    def __init__(self) -> None:
        self.expected = -1
        self._lowest = 0
        self._missing: list[Missing] = []

    def check(self, trade_id: TradeId) -> Verdict | Missing:
        """Take ``trade_id`` as seen, an int in 0..MAX_ID; see ``Position.check``."""
        if not isinstance(trade_id, int) or not 0 <= trade_id <= MAX_ID:
            return Verdict.INVALID
        if trade_id == self.expected:
            self.expected += 1
            return Verdict.FRESH
        if self.expected < 0:
            self._lowest, self.expected = trade_id, trade_id + 1
            return Verdict.FRESH
        if trade_id > self.expected:
            jumped = Missing(self.expected, trade_id - 1)
            self.expected = trade_id + 1
            return self._open(jumped)
        if trade_id < self._lowest:
            return self._extend_down(trade_id)
        return self._late(trade_id)

    def advance(self, ids: Sequence[TradeId]) -> bool:
        """Take ids as seen that count up by one from ``expected`` on; see ``Position``."""
        end = self.expected + len(ids)
        if self.expected < 0 or ids != list(range(self.expected, end)):
            return False
        self.expected = end
        return True

    def restore(self, last_id: TradeId) -> None:
        """Start behind ``last_id`` unless the stream already stands further."""
        if not isinstance(last_id, int) or not 0 <= last_id <= MAX_ID:
            raise ValueError(f"a last id to start behind must be an integer in 0..{MAX_ID}, not {last_id!r}")
        self.expected = max(self.expected, last_id + 1)
        self._lowest = 0

    def reopen(self, ids: Missing) -> None:
        """Take ``ids``, all of them below ``expected``, as missing."""
        self.close(ids)
        self._open(ids)

    def forget(self, ids: Iterable[TradeId]) -> None:
        """Take ids as missing; see ``Position``."""
        for lost in runs_of(ids):
            self.reopen(lost)

    def retract(self, trade_id: TradeId) -> bool:
        """Go back behind the last id of the row, if it is ``trade_id``; see ``Position``."""
        if trade_id != self.expected - 1:
            return False
        self.expected -= 1
        while self._missing and self._missing[-1].last == self.expected - 1:
            self.expected = self._missing.pop().first
        if self.expected <= self._lowest:  # it was the only one
            self.expected, self._lowest = -1, 0
        return True

    def knows(self, trade_id: TradeId) -> bool:
        """Return whether an id was seen or lies before all that is known."""
        if not isinstance(trade_id, int) or trade_id >= self.expected:
            return False
        return not any(first <= trade_id <= last for first, last in self._missing)

    def close(self, ids: Missing) -> list[Missing]:
        """Take the missing ids among ``ids`` as seen; return those that were missing."""
        closed, left = [], []
        for first, last in self._missing:
            inner = Missing(max(first, ids.first), min(last, ids.last))
            if inner.first > inner.last:
                left.append(Missing(first, last))
                continue
            closed.append(inner)
            left += without(Missing(first, last), inner)
        self._missing = left
        return closed

    @property
    def missing(self) -> Sequence[Missing]:
        """The ranges still missing, ascending."""
        return tuple(self._missing)

    def _open(self, jumped: Missing) -> Missing:
        self._missing.insert(bisect_right(self._missing, jumped), jumped)
        if len(self._missing) > MAX_MISSING:
            del self._missing[0]
        return jumped

    def _extend_down(self, trade_id: int) -> Verdict | Missing:
        # Older than the first id of this run: nothing was known below it, so this cannot be a duplicate.
        jumped = Missing(trade_id + 1, self._lowest - 1)
        self._lowest = trade_id
        return self._open(jumped) if jumped.first <= jumped.last else Verdict.FRESH

    def _late(self, trade_id: int) -> Verdict:
        place = bisect_right(self._missing, trade_id, key=lambda missing: missing.first) - 1
        if place < 0 or self._missing[place].last < trade_id:
            return Verdict.DUPLICATE
        first, last = self._missing[place]
        self._missing[place : place + 1] = without(Missing(first, last), Missing(trade_id, trade_id))
        return Verdict.LATE


class RecentIds(Position):
    """Ids without order: the last ``RECENT_IDS`` and up to as many before them are remembered."""

    __slots__ = ("_earlier", "_recent")

    def __init__(self) -> None:
        self.expected = -1
        self._recent: set[TradeId] = set()
        self._earlier: set[TradeId] = set()

    def check(self, trade_id: TradeId) -> Verdict | Missing:
        """Take ``trade_id`` as seen: FRESH, DUPLICATE or INVALID (empty or longer than LONGEST_ID)."""
        if not isinstance(trade_id, str) or not 0 < len(trade_id) <= LONGEST_ID:
            return Verdict.INVALID
        if trade_id in self._recent or trade_id in self._earlier:
            return Verdict.DUPLICATE
        self._recent.add(trade_id)
        if len(self._recent) >= RECENT_IDS:
            self._earlier, self._recent = self._recent, set()
        return Verdict.FRESH

    def advance(self, ids: Sequence[TradeId]) -> bool:
        """Take names as seen, all of them new and sound; see ``Position``."""
        names = {one for one in ids if isinstance(one, str) and 0 < len(one) <= LONGEST_ID}
        known = len(names) < len(ids) or not (
            names.isdisjoint(self._recent) and names.isdisjoint(self._earlier)
        )
        if known or len(self._recent) + len(names) >= RECENT_IDS:
            return False
        self._recent |= names
        return True

    def restore(self, last_id: TradeId) -> None:
        """Remember ``last_id`` as seen; may be called for as many ids as are known."""
        self.check(last_id)

    def forget(self, ids: Iterable[TradeId]) -> None:
        """Take ids as not seen; see ``Position``."""
        self._recent.difference_update(ids)
        self._earlier.difference_update(ids)

    def retract(self, trade_id: TradeId) -> bool:
        """Do nothing: no id is the last one of no row."""
        return False

    def knows(self, trade_id: TradeId) -> bool:
        """Return whether an id is remembered."""
        return trade_id in self._recent or trade_id in self._earlier

    def reopen(self, ids: Missing) -> None:
        """Do nothing: unordered ids cannot be missing."""

    def close(self, ids: Missing) -> list[Missing]:
        """Do nothing: unordered ids cannot be missing."""
        return []

    @property
    def missing(self) -> Sequence[Missing]:
        """Nothing: unordered ids cannot show what is missing."""
        return ()


class Positions:
    """The positions of one exchange's streams, by (symbol, id kind)."""

    def __init__(self, position: Callable[[], Position]) -> None:
        self._new = position
        self.books = BookStreams()
        self._positions: dict[tuple[str, IdKind], Position] = {}

    def of(self, symbol: str, id_kind: IdKind) -> Position:
        """Return the position of one stream, opened if there is none. For known symbols only."""
        key = (symbol, id_kind)
        position = self._positions.get(key)
        if position is None:
            position = self._positions[key] = self._new()
        return position

    def restore(self, symbol: str, id_kind: IdKind, last_id: TradeId) -> None:
        """Start the stream behind ``last_id``, the last id that is already kept."""
        self.of(symbol, id_kind).restore(last_id)

    def take(self, other: "Positions") -> None:
        """Take over where the streams of other positions stand."""
        self._positions |= other._positions  # noqa: SLF001  # of its own class

    def forget(self, symbol: str) -> None:
        """Forget the streams of a symbol that is followed no longer."""
        self.books.forget(symbol)
        for key in [key for key in self._positions if key[0] == symbol]:
            del self._positions[key]

    def missing(self) -> dict[tuple[str, IdKind], Sequence[Missing]]:
        """Return the ids still missing of every stream that misses any."""
        return {key: position.missing for key, position in self._positions.items() if position.missing}
