"""One stream's trades of one symbol, checked and collected within one call of a codec's ``receive``."""

from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Protocol

from wadm.exchanges.base import Event, Filled, Gap
from wadm.exchanges.column import BadNumberError, Column, ScaleError
from wadm.exchanges.contiguity import Missing, Position, Verdict, runs_of, without
from wadm.ledger import Account
from wadm.market import DAY, MILLISECOND, IdKind, Instrument, TradeId, Trades
from wadm.numbers import from_decimal

#: Milliseconds of 2009-01-01 and 2262-01-01 UTC: no trade is older than Bitcoin, and ns must fit 64 bits.
EARLIEST_MS = 1_230_768_000_000
LATEST_MS = 9_214_646_400_000
#: So many µs may an exchange's clock be ahead of ours, or ours be wrong.
AHEAD = DAY
#: More fills than any aggregate trade has.
MAX_COUNT = 10**9
#: From so many trades on it is faster to collect them column by column.
SEVERAL = 8


class Decoded(Protocol):
    """A trade as an exchange writes it."""

    @property
    def id(self) -> TradeId:
        """The exchange's id."""

    @property
    def time(self) -> int:
        """Exchange time in ms."""

    @property
    def price(self) -> str:
        """Price as written."""

    @property
    def quantity(self) -> str:
        """Quantity as written."""


class Run:
    """Collects one stream's trades of one symbol: settles each or passes it on in ``events``.

    ``note`` is told the reason of every rejection, and the frame, for the log.
    """

    def __init__(
        self,
        instrument: Instrument,
        id_kind: IdKind,
        position: Position,
        account: Account,
        note: Callable[[str, bytes], None],
    ) -> None:
        self.instrument = instrument
        self.id_kind = id_kind
        self._position = position
        self._account = account
        self._note = note
        self._prices = Column("price", _decimals(instrument.tick))
        self._quantities = Column("quantity", _decimals(instrument.step))
        self._known_price, self._known_quantity = self._prices.known.get, self._quantities.known.get
        self._ids: list[TradeId] = []
        self._times: list[int] = []
        self._counts: list[int] = []
        self._finished: list[Event] = []
        self._gaps: list[tuple[Missing, int]] = []
        self._filled: list[Missing] = []

    def offer(self, trade: Decoded, frame: bytes, taker_bought: bool, count: int = 1) -> None:
        """Collect one trade, standing for ``count`` trades.

        A rejected one leaves no trace but its count: its id is not taken as seen, so that a sound copy of it
        still counts.
        """
        ms, trade_id, position = trade.time, trade.id, self._position
        if not EARLIEST_MS <= ms < LATEST_MS:
            self.reject("time_out_of_range", frame)
            return
        if not 0 < count <= MAX_COUNT:
            self.reject("count_out_of_range", frame)
            return
        try:
            price = self._known_price(trade.price) or self._read(self._prices, trade.price)
            quantity = self._known_quantity(trade.quantity) or self._read(self._quantities, trade.quantity)
        except BadNumberError as bad:
            self.reject(bad.reason, frame)
            return
        if trade_id == position.expected >= 0:
            position.expected += 1
        else:
            found = position.check(trade_id)
            if found is not Verdict.FRESH and not self._admits(found, trade_id, ms, frame):
                return
        self._ids.append(trade_id)
        self._times.append(ms * MILLISECOND)
        self._prices.values.append(price)
        self._quantities.values.append(quantity if taker_bought else -quantity)
        self._counts.append(count)

    def offer_all(
        self,
        trades: Sequence[Decoded],
        frames: Sequence[bytes],
        bought: Sequence[bool],
        counts: Sequence[int],
    ) -> None:
        """Offer trades in the order they came, each with its frame: several ordinary ones at once."""
        if len(trades) < SEVERAL or not self._collect(trades, bought, counts):
            for trade, frame, taker_bought, count in zip(trades, frames, bought, counts, strict=True):
                self.offer(trade, frame, taker_bought, count)

    def _collect(self, trades: Sequence[Decoded], bought: Sequence[bool], counts: Sequence[int]) -> bool:
        """Collect trades, column by column; return False, and collect none, if one needs a closer look."""
        ids = [trade.id for trade in trades]
        times = [trade.time * MILLISECOND for trade in trades]
        known, read = self._known_price, self._prices.at_scale
        prices = [known(trade.price) or read(trade.price) for trade in trades]
        known, read = self._known_quantity, self._quantities.at_scale
        quantities = [known(trade.quantity) or read(trade.quantity) for trade in trades]
        ordinary = (
            min(times) >= EARLIEST_MS * MILLISECOND
            and max(times) < LATEST_MS * MILLISECOND
            and min(counts) > 0
            and max(counts) <= MAX_COUNT
            and all(prices)
            and all(quantities)
            and self._position.advance(ids)
        )
        if ordinary:
            self._ids += ids
            self._times += times
            self._prices.values += prices
            signed = zip(quantities, bought, strict=True)
            self._quantities.values += [quantity if taker else -quantity for quantity, taker in signed]
            self._counts += counts
        return ordinary

    def exclude(self, trade_id: TradeId, ms: int, reason: str, frame: bytes) -> None:
        """Reject a sound trade that does not belong to the market, unless it is a duplicate.

        Its id is taken as seen.
        """
        found = self._position.check(trade_id)
        if found is Verdict.FRESH or self._admits(found, trade_id, ms, frame):
            self.reject(reason, frame)

    def close(self, ids: Missing) -> None:
        """Take missing ids as seen that will never come, because no market trade has them."""
        self._filled += self._position.close(ids)

    def reject(self, reason: str, frame: bytes) -> None:
        """Count one trade as received and rejected, and note its frame."""
        self._count_rejected(reason)
        self._note(reason, frame)

    def events(self, at: int) -> Sequence[Event]:
        """Give up what was collected: gaps, then trades, then what was filled at ``at`` (µs)."""
        if self._times and max(self._times) > at + AHEAD:
            self._drop_after(at + AHEAD, at)
        self._finish()
        finished, self._finished = self._finished, []
        if not self._gaps and not self._filled:
            return finished
        gaps, self._gaps = self._gaps, []
        filled, self._filled = self._filled, []
        name = self.instrument.exchange, self.instrument.symbol, self.id_kind
        return [
            *(Gap(*name, first, last, shown_at) for (first, last), shown_at in gaps),
            *finished,
            *(Filled(*name, first, last, at) for first, last in filled),
        ]

    def _drop_after(self, latest: int, at: int) -> None:
        """Reject what claims to be later than ``latest`` (µs): it would close every bar before it.

        Its id is missing then, which showed at ``at`` (µs): a sound copy of it still counts.
        """
        for index in reversed([index for index, time in enumerate(self._times) if time > latest]):
            self._take_back(self._ids[index], at)
            for column in self._columns():
                del column[index]
            self._count_rejected("time_in_future")

    def _take_back(self, trade_id: TradeId, at: int) -> None:
        left = [part for ids in self._filled for one in runs_of([trade_id]) for part in without(ids, one)]
        was_late = isinstance(trade_id, int) and left != self._filled
        if not was_late and self._position.retract(trade_id):
            last = self._position.expected - 1
            self._gaps = [
                (Missing(first, min(end, last)), shown) for (first, end), shown in self._gaps if first <= last
            ]
            return
        self._position.forget([trade_id])
        if was_late:
            self._filled = left
        else:
            self._gaps += [(one, at) for one in runs_of([trade_id])]

    def _count_rejected(self, reason: str) -> None:
        self._account.received += 1
        self._account.rejected[reason] += 1

    def _columns(self) -> tuple[list[TradeId], list[int], list[int], list[int], list[int]]:
        """Return what was collected: ids, times, prices, signed quantities, counts."""
        return self._ids, self._times, self._prices.values, self._quantities.values, self._counts

    def _read(self, column: Column, text: str) -> int:
        try:
            return column.read(text)
        except ScaleError as finer:
            self._finish()
            column.restart(finer.decimals)
            return column.read(text)

    def _admits(self, found: Verdict | Missing, trade_id: TradeId, ms: int, frame: bytes) -> bool:
        """Settle what an id beside the row was; return whether its trade counts."""
        if found is Verdict.INVALID:
            self.reject("id_out_of_range", frame)
            return False
        if found is Verdict.DUPLICATE:
            self._account.received += 1
            self._account.duplicate += 1
            return False
        if isinstance(found, Missing):
            self._gaps.append((found, min(max(ms, EARLIEST_MS), LATEST_MS) * MILLISECOND))
        elif isinstance(trade_id, int):
            self._fill(trade_id)
        return True

    def _fill(self, trade_id: int) -> None:
        if self._filled and self._filled[-1].last + 1 == trade_id:
            self._filled[-1] = Missing(self._filled[-1].first, trade_id)
        else:
            self._filled.append(Missing(trade_id, trade_id))

    def _finish(self) -> None:
        """Close the columns into one Trades and count it; nothing collected, nothing made."""
        if not self._ids:
            return
        self._account.received += len(self._ids)
        self._finished.append(
            Trades(
                self.instrument.exchange,
                self.instrument.symbol,
                self.id_kind,
                self._prices.decimals,
                self._quantities.decimals,
                ids=self._ids,
                times=self._times,
                prices=self._prices.take(),
                signed_quantities=self._quantities.take(),
                counts=self._counts,
            )
        )
        self._ids, self._times, self._counts = [], [], []


def _decimals(step: Decimal | None) -> int:
    return 0 if step is None else from_decimal(step)[1]
