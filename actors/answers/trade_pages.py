"""Trades in the order in which they were journalled, page by page."""

from collections import OrderedDict
from collections.abc import Iterator
from typing import Any

import attrs

from actors.answers.places import Place
from actors.messages import TradeBatch
from actors.storage.journal_view import JournalView
from actors.storage.stretch import Stretch
from wadm.instants import iso
from wadm.market import IdKind, TradeId, Trades
from wadm.numbers import plain_scaled

#: The most trades of a page.
MOST = 1_000

#: A trade that was journalled twice comes once within a page, and among as many trades before it as this.
LOOK_BACK = MOST

Row = dict[str, Any]


@attrs.define
class Recent:
    """The ids of the last trades told."""

    _ids: OrderedDict[TradeId, None] = attrs.field(factory=OrderedDict, init=False)

    def is_new(self, trade_id: TradeId) -> bool:
        """Note an id; return whether it was not among them."""
        if trade_id in self._ids:
            return False
        self._ids[trade_id] = None
        if len(self._ids) > 2 * LOOK_BACK:
            self._ids.popitem(last=False)
        return True


@attrs.frozen(eq=False)
class TradePage:
    """A page: ``place`` is behind it, ``span`` its first and last exchange time (µs), None of an empty one.

    ``missed`` says which part before it the journal no longer keeps.
    """

    rows: list[Row]
    place: Place
    span: tuple[int, int] | None = None
    more: bool = False
    missed: Row | None = None


@attrs.define(eq=False)
class TradePages:
    """The pages of one symbol's trades. They are read in threads, and may raise StorageError."""

    journal: JournalView
    exchange: str
    symbol: str
    _name: str = attrs.field(default="", init=False)

    def newest(self, limit: int, until: Place | None = None) -> TradePage:
        """Return the newest trades, ``until`` a place where one is named."""
        found = self.journal.newest(self.exchange, self.symbol, limit)
        rows = _Rows(Recent(), until=until)
        rows.add(found.batches)
        span = rows.span(limit)
        behind = until or self._place(found.last_seq + 1)
        return TradePage(rows.rows[-limit:], behind.at(span), span)

    def at(self, time: int) -> tuple[Place, Row | None]:
        """Return the place of the first trade at ``time`` (µs) or later, and what before it is not kept."""
        seq, oldest = self.journal.seq_at(self.exchange, self.symbol, time)
        missed = None
        if oldest is not None and time < oldest:
            missed = {"from": iso(time), "to": iso(oldest), "from_sequence": None, "to_sequence": seq}
        return self._place(seq), missed

    def end(self) -> Place:
        """Return the place behind everything."""
        return self._place(self.journal.last_seq() + 1)

    def behind(
        self, place: Place, limit: int, recent: Recent | None = None, until: Place | None = None
    ) -> TradePage:
        """Return up to ``limit`` trades behind a place, ``until`` another. Raises CursorError.

        ``recent`` are those told before; without it they are read again.
        """
        wanted = place.index + limit + 1
        look_back = LOOK_BACK if recent is None else 0
        found = self.journal.following(self.exchange, self.symbol, place.seq, wanted, look_back)
        place.check(self.name, found.last_seq)
        recent = _told(found.before) if recent is None else recent
        rows = _Rows(recent, limit, place, until)
        rows.add(found.batches)
        span = rows.span(limit)
        read = sum(len(batch.trades) for _, batch in found.batches)
        more = rows.stopped is not None or read >= wanted  # of which some had been told before
        seq, index = rows.stopped or ((found.batches[-1][0] if more else found.last_seq) + 1, 0)
        if until is not None:
            seq, index = min((seq, index), (until.seq, until.index))
        behind = attrs.evolve(place, seq=seq, index=index).at(span)
        return TradePage(rows.rows, behind, span, more, _missed(place, found, span))

    @property
    def name(self) -> str:
        """The beginning of the journal's name."""
        self._name = self._name or self.journal.identity()[:8]
        return self._name

    def _place(self, seq: int) -> Place:
        return Place(self.name, seq)


@attrs.define(eq=False)
class _Rows:
    """Rows in the making, up to ``limit`` of them; ``stopped`` is where the next would have been."""

    recent: Recent
    limit: int | None = None
    begin: Place | None = None
    until: Place | None = None
    rows: list[Row] = attrs.field(factory=list)
    times: list[int] = attrs.field(factory=list)
    stopped: tuple[int, int] | None = None

    def add(self, batches: list[tuple[int, TradeBatch]]) -> None:
        """Add the trades of batches until there are enough."""
        for seq, batch in batches:
            skip = self.begin.index if self.begin is not None and self.begin.seq == seq else 0
            for trade_id in batch.trades.ids[:skip]:
                self.recent.is_new(trade_id)
            for index, time, row in _rows_of(batch.trades, skip):
                if len(self.rows) == self.limit or _is_behind(self.until, seq, index):
                    self.stopped = seq, index
                    return
                if self.recent.is_new(batch.trades.ids[index]):
                    self.rows.append(row)
                    self.times.append(time)

    def span(self, limit: int) -> tuple[int, int] | None:
        """Return the first and last time of the last ``limit`` rows."""
        times = self.times[-limit:]
        return (min(times), max(times)) if times else None


def _is_behind(place: Place | None, seq: int, index: int) -> bool:
    return place is not None and place.precedes(seq, index)


def _rows_of(trades: Trades, skip: int) -> Iterator[tuple[int, int, Row]]:
    """Yield (index, time, row) of a run's trades, without the first few."""
    prices, quantities = trades.price_decimals, trades.quantity_decimals
    several = trades.id_kind is IdKind.AGG_TRADE
    for index in range(skip, len(trades)):
        time, signed = trades.times[index], trades.signed_quantities[index]
        row: Row = {
            "time": iso(time),
            "price": plain_scaled(trades.prices[index], prices),
            "quantity": plain_scaled(abs(signed), quantities),
            "side": "buy" if signed > 0 else "sell",
            "id": trades.ids[index],
        }
        if several:
            row["count"] = trades.counts[index]
        yield index, time, row


def _told(before: list[TradeBatch]) -> Recent:
    """Return what was told before a place, of the batches ahead of it, newest first."""
    recent = Recent()
    for batch in reversed(before):
        for trade_id in batch.trades.ids:
            recent.is_new(trade_id)
    return recent


def _missed(place: Place, found: Stretch, span: tuple[int, int] | None) -> Row | None:
    """Return what lay behind a place and is not kept any more: trades may have been among it."""
    if place.seq >= found.first_seq:
        return None
    return {
        "from": iso(place.time) if place.time else None,
        "to": iso(span[0]) if span else None,
        "from_sequence": place.seq,
        "to_sequence": found.first_seq,
    }
