"""One symbol's order book and all that is kept of it, which outlives its actor's crash."""

from collections import deque
from collections.abc import Iterable

import attrs

from actors.connections.memory import ConnectionMemory
from actors.messages import BookRecord
from actors.notice import Notice
from wadm.book_audit import Audit
from wadm.book_sync import BookSync
from wadm.crossing import Crossing
from wadm.exchanges import registry
from wadm.exchanges.base import Channel
from wadm.instants import iso
from wadm.market import Instrument
from wadm.quote_check import QuoteCheck


def _sync(memory: "BookMemory") -> BookSync:
    return BookSync(registry.find(memory.instrument.exchange).book_rule)


@attrs.define(eq=False)
class BookMemory:
    """One symbol's order book.

    ``received`` counts the updates that came. The last of them came at ``updated_at`` (µs, wall clock) and
    ``updated_clock`` (s, trio's clock). ``out_since`` (s, likewise) is when it was first seen out of step,
    None while it is in step. ``alarm`` says what is wrong with the book for too long already.
    ``audit`` is the one in progress; ``last_audit`` is what came of the last one, as it is answered. Who
    wants a snapshot or an audit tells by ``changed``. ``records`` wait to be journalled; ``latest`` is the
    last of them, ``looked_at`` the last second (of the exchange's time) that was looked at for one;
    ``recorded`` and ``not_recorded`` (the writer was behind) count them.
    """

    instrument: Instrument
    sync: BookSync = attrs.field(default=attrs.Factory(_sync, takes_self=True))
    quotes: QuoteCheck = attrs.field(factory=QuoteCheck)
    crossing: Crossing = attrs.field(factory=Crossing)
    received: int = 0
    updated_at: int | None = None
    updated_clock: float | None = None
    out_since: float | None = None
    alarm: str = ""
    audit: Audit | None = None
    audit_wanted: bool = False
    last_audit: dict[str, object] | None = None
    changed: Notice = attrs.field(factory=Notice)
    records: deque[BookRecord] = attrs.field(factory=deque)
    latest: BookRecord | None = None
    looked_at: int = 0
    recorded: int = 0
    not_recorded: int = 0

    def want_audit(self) -> None:
        """Have the book compared with a fresh snapshot, soon."""
        self.audit_wanted = True
        self.changed.notify()

    def lose(self, reason: str) -> None:
        """Take the book for out of step."""
        self.sync.lose(reason)
        self.quotes.forget()
        self.audit = None
        self.changed.notify()

    def is_followed(self, connections: Iterable[ConnectionMemory]) -> bool:
        """Whether anything is to be told of this book: it has come, or a connection is to bring it."""
        usual = registry.find(self.instrument.exchange).channels[Channel.BOOK](self.instrument.symbol)
        return bool(self.received) or any(
            one.exchange == self.instrument.exchange and usual in one.streams for one in connections
        )

    def age_ms(self, now: float) -> int | None:
        """Return how long ago the last update came, at ``now`` on trio's clock."""
        return None if self.updated_clock is None else round((now - self.updated_clock) * 1_000)

    def counters(self) -> dict[str, object]:
        """Return what was counted."""
        sync, quotes = self.sync, self.quotes
        return {
            "updates": sync.applied,
            "dropped_old": sync.old,
            "gaps": sync.gaps,
            "resyncs": sync.resyncs,
            "pruned": sync.book.pruned,
            "crossed": self.crossing.count,
            "book_ticker_checked": quotes.checked,
            "book_ticker_mismatches": quotes.mismatches,
            "recorded": self.recorded,
            "not_recorded": self.not_recorded,
        }

    def note_audit(self, at: int, result: dict[str, object]) -> None:
        """Keep what came of an audit at ``at`` (µs, wall clock)."""
        self.audit = None
        self.last_audit = {"at": iso(at), **result}
