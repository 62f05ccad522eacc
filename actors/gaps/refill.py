"""Filling gaps in one exchange's trade ids, where they count up by one.

No list of gaps is kept here: the positions say what is missing, whoever jumped over it, so that a kill of
whoever fills, or of the one that noticed, forgets nothing.
"""

import time
from collections import Counter
from collections.abc import Iterator, Sequence

import attrs
import structlog

from actors.outbox import Outbox
from actors.rest import NotEver, NotNow
from actors.runtime import Runtime
from wadm.exchanges import registry
from wadm.exchanges.base import Event, Filled, Gap, History, PageError, PageTrade, Rejected
from wadm.exchanges.contiguity import MAX_ID, Missing, Position, common, joined, outside
from wadm.exchanges.run import EARLIEST_MS
from wadm.market import MILLISECOND, IdKind, Instrument, Trades

log = structlog.get_logger("backfill")

#: Refusals in a row after which is given up what may never come: by a recording, which has to end, all that
#: the local exchange refuses; of a live exchange ids behind which it shows no trade, though there is one.
LAST_REFUSAL = 6


@attrs.frozen(eq=False)
class Source:
    """The trades of one stream."""

    instrument: Instrument
    id_kind: IdKind


@attrs.define(eq=False)
class Refill:
    """Asks one exchange for the ids that are missing."""

    runtime: Runtime
    exchange: str
    outbox: Outbox
    #: by symbol: of what is missing, the ids that are not asked for again, ascending
    _given_up: dict[str, list[Missing]] = attrs.field(factory=dict, init=False)
    _refusals: Counter[str] = attrs.field(factory=Counter, init=False)
    _behind: Counter[str] = attrs.field(factory=Counter, init=False)

    # --- what is to be done ---

    def gaps(self) -> Iterator[tuple[Source, Missing]]:
        """Yield what is missing and not given up."""
        for (symbol, id_kind), ranges in self.runtime.positions_of(self.exchange).missing().items():
            memory = self.runtime.symbols.get(f"{self.exchange}:{symbol}")
            if memory is None or id_kind is not memory.source:
                continue
            source = Source(memory.instrument, id_kind)
            given_up = self._given_up.get(memory.instrument.key, [])
            yield from ((source, part) for part in outside(ranges, given_up))

    # --- filling ---

    async def fill_all(self) -> None:
        """Fill every gap, those as well that are noticed meanwhile.

        A symbol for which the exchange has no answer yet does not hold up the others. Raises NotNow in the
        end where there was one.
        """
        refused: dict[str, NotNow] = {}
        while gaps := [one for one in self.gaps() if one[0].instrument.key not in refused]:
            for source, missing in gaps:
                key = source.instrument.key
                if key in refused:
                    continue
                try:
                    await self._fill(source, missing)
                except NotNow as reason:
                    self._refusals[key] += 1
                    refused[key] = reason
        for why in refused.values():
            raise why

    async def verify_tail(self, source: Source) -> None:
        """Ask for what may have come after the last trade received. Raises NotNow."""
        position = self._position(source)
        if position.expected < 0:
            return
        try:
            await self._ask_behind(source, position)
        except (NotEver, PageError) as error:
            log.warning("tail_not_verified", symbol=source.instrument.key, reason=str(error))

    async def _ask_behind(self, source: Source, position: Position) -> None:
        while True:
            first = position.expected
            page = await self._page(source, first - 1)
            if not page or await self._take_page(source, page, Missing(first, MAX_ID)) < first:
                return

    async def _fill(self, source: Source, missing: Missing) -> None:
        """Ask for missing ids until they have come; give up on those that the exchange does not give."""
        wanted = missing
        try:
            while wanted.first <= wanted.last:
                wanted = Missing(await self._fill_from(source, wanted), wanted.last)
        except (NotEver, PageError) as error:
            self._give_up(source, wanted, str(error))
        for left in self._still_missing(source, missing):
            self._give_up(source, left, "the exchange's own copy cannot be read")

    async def _fill_from(self, source: Source, wanted: Missing) -> int:
        """Fill as much as one page gives; return the first id that is still to be asked for."""
        # The trade before is asked for too: what a page passes over behind it is no market trade.
        page = await self._page(source, max(0, wanted.first - 1))
        if not page or page[-1].id < wanted.first:
            # Nothing follows the trade before. What comes later, if anything?
            page = [trade for trade in await self._page(source, wanted.first) if trade.id >= wanted.first]
            if not page:
                self._wait_for(source, wanted.first)
        self._behind.pop(source.instrument.key, None)
        lost = Missing(wanted.first, min(page[0].id - 1, wanted.last) if page else wanted.last)
        if lost.first <= lost.last:
            behind = page[0] if page and page[0].id <= wanted.last else None
            self._give_up(source, lost, "the exchange does not give them", behind)
            return lost.last + 1
        return await self._take_page(source, page, wanted) + 1

    def _wait_for(self, source: Source, first: int) -> None:
        """Raise NotNow for an exchange that has not come so far, unless it had time enough."""
        key = source.instrument.key
        if self.runtime.plan.playback or self._behind[key] >= LAST_REFUSAL:
            return
        self._behind[key] += 1
        raise NotNow(f"{key} has not come to id {first} there yet")

    def _still_missing(self, source: Source, asked: Missing) -> list[Missing]:
        """Return what of the ids asked for is neither there nor given up."""
        left = common([asked], self._position(source).missing)
        return list(outside(left, self._given_up.get(source.instrument.key, [])))

    async def _take_page(self, source: Source, page: Sequence[PageTrade], wanted: Missing) -> int:
        """Take what is wanted out of a page that is not empty; return its last id."""
        history = self._history(source)
        take(self.runtime, self.outbox, history.take(
            source.instrument.symbol, source.id_kind, wanted, page, now()
        ))  # fmt: skip
        await self.outbox.hand_over()
        return page[-1].id

    async def _page(self, source: Source, first: int) -> Sequence[PageTrade]:
        key, history = source.instrument.key, self._history(source)
        request = history.request(source.instrument.symbol, source.id_kind, first)
        try:
            body = await self.runtime.rest.get(self.exchange, request)
        except NotNow as error:
            if self.runtime.plan.playback and self._refusals[key] >= LAST_REFUSAL:
                # A recording has to come to its end, whatever the local exchange refuses.
                raise NotEver(str(error)) from error
            raise
        self._refusals.pop(key, None)
        if key not in self.runtime.symbols:
            raise NotEver(f"{key} is not followed any more")
        return history.page(source.id_kind, body)

    def _history(self, source: Source) -> History:
        of = registry.find(self.exchange)
        if of.history is None:
            raise NotEver(f"{self.exchange} gives no trades by id")
        instruments = self.runtime.instruments_of(self.exchange)
        return of.history(instruments, self.runtime.positions_of(self.exchange), self.runtime.ledger)

    def _position(self, source: Source) -> Position:
        return self.runtime.positions_of(self.exchange).of(source.instrument.symbol, source.id_kind)

    def _give_up(
        self, source: Source, missing: Missing, reason: str, behind: PageTrade | None = None
    ) -> None:
        """Hold ids for unfillable; ``behind`` is the trade that follows them, where it came to be known."""
        key, at = source.instrument.key, None
        if behind is not None and behind.time >= EARLIEST_MS:
            at = behind.time * MILLISECOND
        given_up = joined([*self._given_up.get(key, []), missing])
        # What came all the same is forgotten: positions miss a bounded number of ranges.
        self._given_up[key] = list(common(given_up, self._position(source).missing))
        if key in self.runtime.symbols:
            self.runtime.symbols[key].note_given_up(source.id_kind, missing, reason, at)
            log.warning("gap_unfillable", symbol=key, first=missing.first, last=missing.last, reason=reason)


def take(runtime: Runtime, outbox: Outbox, events: Sequence[Event]) -> None:
    """Queue trades and note what was filled. No await: a kill must not lose half of a page."""
    for event in events:
        match event:
            case Trades() as trades:
                memory = runtime.symbols[trades.key]
                outbox.add(trades, now(), 0.0, max(memory.market_time, *trades.times))
            case Gap() as gap:
                runtime.symbols[f"{gap.exchange}:{gap.symbol}"].note_gap(gap)
            case Filled() as filled:
                runtime.symbols[f"{filled.exchange}:{filled.symbol}"].note_filled(filled)
            case Rejected(reason=reason, count=count):
                log.warning("rejected", reason=reason, count=count)
            case _:
                pass


def now() -> int:
    """Return the time (µs) at which something is received."""
    return time.time_ns() // 1_000
