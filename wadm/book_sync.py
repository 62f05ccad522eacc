"""How an order book is brought into step with an exchange and kept there. Sans-IO; ``now`` is an argument.

https://developers.binance.com/docs/binance-spot-api-docs/web-socket-streams#how-to-manage-a-local-order-book-correctly
https://developers.binance.com/docs/derivatives/usds-margined-futures/websocket-market-streams/How-to-manage-a-local-order-book-correctly
https://bybit-exchange.github.io/docs/v5/websocket/public/orderbook

One rule holds for all of them. A diff carries the book from one update id to another: from the one before its
first (spot, Bybit), or from the one it names as its previous (futures), to its last. It belongs on a book
whose id lies between the two, an overlap being harmless since quantities are absolute. It is old where the
book has passed its end, and shows a gap where the book has not come to its beginning. This accepts whatever
Binance's own steps accept.
"""

from collections import deque
from collections.abc import Sequence
from enum import Enum, auto

import attrs

from wadm.exchanges.base import BookRule
from wadm.market import SECOND, BookChange, BookUpdate
from wadm.orderbook import OrderBook

#: Updates held back while there is no snapshot; of more, the oldest are dropped. One that is asked for comes
#: within seconds, in which there are hardly a hundred.
HELD = 300

#: An update that is old by its id, but later than the book by so many µs, says that the ids began anew.
WENT_BACK = 10 * SECOND

#: How many levels a side of a snapshot has at most, at the depths that REST can be asked for.
_SNAPSHOT_DEPTHS = (5, 10, 20, 50, 100, 500, 1_000, 5_000)
#: The same of streams that begin with a snapshot.
_STREAM_DEPTHS = (50, 200, 500, 1_000)

#: Levels kept of a side. A stream of diffs tells of levels at any depth.
_TRACKED = 5_000


class Outcome(Enum):
    """What became of an update."""

    APPLIED = auto()
    #: the book has it already
    OLD = auto()
    #: there is no snapshot yet that it belongs on
    HELD = auto()
    #: updates before it are missing: the book is out of step, and a snapshot is wanted
    GAP = auto()
    #: it is not about the whole book
    IGNORED = auto()


@attrs.define(eq=False)
class BookSync:
    """One symbol's book and where it stands.

    ``last`` is its update id and ``at`` (µs) the exchange's time of it, 0 where it was not told. While it is
    not ``synced`` the ``reason`` says why, and what the book holds is how it was; while it is not ``whole``
    it holds a part of an update, and is not to be shown. ``synced_at`` (µs, our clock) is when it last came
    into step. ``resyncs`` counts how often it did so again.
    """

    rule: BookRule
    book: OrderBook = attrs.field(factory=OrderBook)
    synced: bool = False
    whole: bool = False
    reason: str = "no snapshot has come yet"
    last: int = 0
    at: int = 0
    synced_at: int | None = None
    applied: int = 0
    old: int = 0
    gaps: int = 0
    resyncs: int = 0
    _held: deque[BookUpdate] = attrs.field(factory=lambda: deque(maxlen=HELD))

    @property
    def wants_snapshot(self) -> bool:
        """Whether a snapshot is to be asked for now: one older than the first update would not serve."""
        return not self.synced and bool(self._held)

    def take(self, update: BookUpdate, now: int) -> Outcome:
        """Take an update as the stream brought it, at ``now`` (µs, our clock)."""
        if update.change is BookChange.PARTIAL:
            return Outcome.IGNORED
        if update.change is BookChange.SNAPSHOT:
            return self._restart(update, now)
        if not self.synced:
            self._held.append(update)
            return Outcome.HELD
        if update.last <= self.last:
            return self._pass_over(update)
        if _base(update) > self.last:
            return self._miss(update, f"updates {self.last + 1} to {_base(update)} are missing")
        self._touch("an update was applied in part")
        self.book.apply(update)
        self._settle()
        self.last, self.at = update.last, max(self.at, update.at)
        self.applied += 1
        return Outcome.APPLIED

    def snapshot(self, snapshot: BookUpdate, now: int) -> bool:
        """Begin from a snapshot that was asked for, and put on it what was held back.

        Returns whether the book is in step. Where the snapshot is older than the first update held, or
        updates are missing between those, another one is to be asked for.
        """
        held = [update for update in self._held if update.last > snapshot.last]
        if held and _base(held[0]) > snapshot.last:
            self.reason = f"the snapshot ({snapshot.last}) is older than the first update ({held[0].first})"
            return False
        self._begin(snapshot, now)
        for update in held:
            self.take(update, now)
        return self.synced

    def lose(self, reason: str) -> None:
        """Take the book for out of step."""
        self.synced, self.reason = False, reason
        self._held.clear()

    def adopt(self, fresh: "BookSync") -> None:
        """Take over the levels of another book that stands at the same update."""
        if not fresh.synced or fresh.last != self.last:
            raise ValueError(f"a book at {fresh.last} cannot replace one at {self.last}")
        fresh.book.pruned += self.book.pruned
        self.book = fresh.book

    def _restart(self, snapshot: BookUpdate, now: int) -> Outcome:
        """Begin from a snapshot that the stream sent.

        Id 1 says that the exchange's service was restarted. A copy that comes late, from a connection that
        overlaps, is old.
        """
        late = self.synced and 1 != snapshot.last <= self.last and snapshot.at <= self.at
        if late:
            self.old += 1
            return Outcome.OLD
        self._begin(snapshot, now)
        return Outcome.APPLIED

    def _begin(self, snapshot: BookUpdate, now: int) -> None:
        self._held.clear()
        self._touch("a snapshot was taken over in part")
        sizes = (len(snapshot.bids), len(snapshot.asks))
        if self.rule is BookRule.STREAM_SNAPSHOT:
            # A snapshot that is not full does not tell how deep its stream is.
            full = max(sizes) in _STREAM_DEPTHS
            self.book.depth, self.book.limited = max(sizes) if full else _STREAM_DEPTHS[-1], True
            self.book.replace(snapshot)
        else:
            self.book.depth, self.book.limited = _TRACKED, False
            self.book.replace(snapshot, cut_at=_at_least(max(sizes), _SNAPSHOT_DEPTHS))
        self._settle()
        self.last, self.at = snapshot.last, snapshot.at
        self.resyncs += self.synced_at is not None
        self.synced_at = now

    def _touch(self, what: str) -> None:
        """Say so beforehand: a crash in between leaves a book that says of itself what it is."""
        self.synced, self.whole, self.reason = False, False, what

    def _settle(self) -> None:
        self.synced, self.whole, self.reason = True, True, ""

    def _pass_over(self, update: BookUpdate) -> Outcome:
        if self.at and update.at > self.at + WENT_BACK:
            return self._miss(update, f"update ids went back from {self.last} to {update.last}")
        self.old += 1
        return Outcome.OLD

    def _miss(self, update: BookUpdate, reason: str) -> Outcome:
        self.lose(reason)
        self._held.append(update)
        self.gaps += 1
        return Outcome.GAP


def _base(update: BookUpdate) -> int:
    """Return the id of the book that an update changes."""
    return update.first - 1 if update.previous is None else update.previous


def _at_least(size: int, depths: Sequence[int]) -> int:
    return next((depth for depth in depths if depth >= size), size)
