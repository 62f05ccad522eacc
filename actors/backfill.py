"""The backfill actor: fills gaps in trade ids from the exchanges' REST interfaces.

It keeps no list of its own: the positions say what is missing, whoever jumped over it, so that a kill of
this actor, or of the one that noticed, forgets nothing. At a recording's end it also asks for what may have
come after the last trade received, and then tells the aggregators that nothing more will come.
"""

import time
from collections.abc import Iterator, Sequence

import attrs
import structlog
import trio

from actors import rest as rest_interface
from actors.messages import EndOfCapture
from actors.rest import NotEver, NotNow, Rest
from actors.runtime import BACKFILL, Runtime
from supervision import Context
from wadm.exchanges import registry
from wadm.exchanges.base import Event, Filled, Gap, History, PageError, PageTrade, Rejected
from wadm.exchanges.contiguity import MAX_ID, Missing, Position, without
from wadm.market import IdKind, Instrument, Trades

log = structlog.get_logger("backfill")

#: Seconds to wait before asking: what is only out of order comes by itself meanwhile.
PATIENCE = 0.05

#: Seconds between attempts after an error, doubled up to the second.
FIRST_RETRY, LAST_RETRY = 0.2, 30.0

#: Refusals in a row after which is given up what may never come: by a recording, which has to end, all that
#: the local exchange refuses; of a live exchange ids behind which it shows no trade, though there is one.
LAST_REFUSAL = 6


@attrs.frozen(eq=False)
class Source:
    """Where the trades of one stream are asked for."""

    rest: Rest
    instrument: Instrument
    id_kind: IdKind


@attrs.define(eq=False)
class Backfill:
    """Fills gaps; ``run`` is the actor."""

    runtime: Runtime
    _given_up: dict[str, list[Missing]] = attrs.field(factory=dict, init=False)
    _told: set[str] = attrs.field(factory=set, init=False)
    _refusals: int = attrs.field(default=0, init=False)

    async def run(self, context: Context) -> None:
        """Look after every notice of a gap, and again later where the exchange could not answer."""
        outbox = self.runtime.outboxes[BACKFILL]
        outbox.begin(self.runtime.numbering.incarnation())
        context.started()
        await outbox.hand_over()
        retry = FIRST_RETRY
        async with rest_interface.client() as client:
            asking = Rest(client, self.runtime.plan.rest, self.runtime.plan.playback)
            while True:
                # A recording has to come to its end, whatever the local exchange refuses.
                asking.hopeless = asking.playback and self._refusals >= LAST_REFUSAL
                try:
                    await self._round(asking)
                except NotNow as reason:
                    log.warning("backfill_waits", reason=str(reason))
                    await trio.sleep(reason.after or retry)
                    retry = min(2 * retry, LAST_RETRY)
                    self._refusals += 1
                    continue
                self._refusals = 0
                retry = FIRST_RETRY
                await self.runtime.gap_noticed.wait_for(self._has_work)
                await trio.sleep(PATIENCE)

    # --- what is to be done ---

    def _has_work(self) -> bool:
        return any(True for _ in self._gaps()) or any(True for _ in self._ending())

    def _gaps(self) -> Iterator[tuple[Instrument, IdKind, Missing]]:
        """Yield what is missing and not given up."""
        for exchange, positions in self.runtime.positions.items():
            for (symbol, id_kind), ranges in positions.missing().items():
                memory = self.runtime.symbols[f"{exchange}:{symbol}"]
                if id_kind is not memory.source:
                    continue
                instrument = memory.instrument
                for one in ranges:
                    yield from ((instrument, id_kind, part) for part in self._not_given_up(instrument, one))

    def _not_given_up(self, instrument: Instrument, ids: Missing) -> list[Missing]:
        left = [ids]
        for given_up in self._given_up.get(instrument.key, []):
            left = [part for one in left for part in without(one, given_up)]
        return left

    def _ending(self) -> Iterator[str]:
        """Yield the symbols of a recording that has been played to its end."""
        runtime = self.runtime
        if runtime.plan.playback and all(one.ended.is_set() for one in runtime.connections.values()):
            yield from (key for key in runtime.plan.traded if key not in self._told)

    async def _round(self, rest: Rest) -> None:
        await self._fill_all(rest)
        for key in list(self._ending()):
            await self._finish(rest, self.runtime.symbols[key].instrument)

    # --- filling ---

    async def _fill_all(self, rest: Rest) -> None:
        """Fill every gap, those as well that are noticed meanwhile."""
        while gaps := list(self._gaps()):
            for instrument, id_kind, missing in gaps:
                await self._fill(rest, instrument, id_kind, missing)

    async def _fill(self, rest: Rest, instrument: Instrument, id_kind: IdKind, missing: Missing) -> None:
        """Ask for missing ids until they have come; give up on those that the exchange does not give."""
        source = Source(rest, instrument, id_kind)
        wanted = missing
        try:
            while wanted.first <= wanted.last:
                wanted = Missing(await self._fill_from(source, wanted), wanted.last)
        except (NotEver, PageError) as error:
            self._give_up(instrument, id_kind, wanted, str(error))
        for left in self._still_missing(source, missing):
            self._give_up(instrument, id_kind, left, "the exchange's own copy cannot be read")

    async def _fill_from(self, source: Source, wanted: Missing) -> int:
        """Fill as much as one page gives; return the first id that is still to be asked for."""
        # The trade before is asked for too: what a page passes over behind it is no market trade.
        page = await self._page(source, max(0, wanted.first - 1))
        if not page or page[-1].id < wanted.first:
            # Nothing follows the trade before. What comes later, if anything?
            page = [trade for trade in await self._page(source, wanted.first) if trade.id >= wanted.first]
            if not page and not self.runtime.plan.playback and self._refusals < LAST_REFUSAL:
                raise NotNow(f"{source.instrument.key} has not come to id {wanted.first} there yet")
        lost = Missing(wanted.first, min(page[0].id - 1, wanted.last) if page else wanted.last)
        if lost.first <= lost.last:
            self._give_up(source.instrument, source.id_kind, lost, "the exchange does not give them")
            return lost.last + 1
        return await self._take_page(source, page, wanted) + 1

    def _still_missing(self, source: Source, asked: Missing) -> list[Missing]:
        """Return what of the ids asked for is neither there nor given up."""
        instrument = source.instrument
        position = self.runtime.positions[instrument.exchange].of(instrument.symbol, source.id_kind)
        return [
            part
            for first, last in position.missing
            if first <= asked.last and asked.first <= last
            for part in self._not_given_up(
                instrument, Missing(max(first, asked.first), min(last, asked.last))
            )
        ]

    async def _take_page(self, source: Source, page: Sequence[PageTrade], wanted: Missing) -> int:
        """Take what is wanted out of a page that is not empty; return its last id."""
        history = self._history(source.instrument)
        self._take(history.take(source.instrument.symbol, source.id_kind, wanted, page, _now()))
        await self.runtime.outboxes[BACKFILL].hand_over()
        return page[-1].id

    async def _page(self, source: Source, first: int) -> Sequence[PageTrade]:
        instrument, history = source.instrument, self._history(source.instrument)
        request = history.request(instrument.symbol, source.id_kind, first)
        body = await source.rest.get(instrument.exchange, request)
        return history.page(source.id_kind, body)

    def _history(self, instrument: Instrument) -> History:
        exchange = registry.find(instrument.exchange)
        if exchange.history is None:
            raise NotEver(f"{instrument.exchange} gives no trades by id")
        positions = self.runtime.positions[instrument.exchange]
        return exchange.history({instrument.symbol: instrument}, positions, self.runtime.ledger)

    def _take(self, events: list[Event]) -> None:
        """Queue trades and note what was filled. No await: a kill must not lose half of a page."""
        outbox = self.runtime.outboxes[BACKFILL]
        for event in events:
            match event:
                case Trades() as trades:
                    memory = self.runtime.symbols[trades.key]
                    outbox.add(trades, _now(), 0.0, max(memory.market_time, *trades.times))
                case Gap() as gap:
                    self.runtime.symbols[f"{gap.exchange}:{gap.symbol}"].note_gap(gap)
                case Filled() as filled:
                    self.runtime.symbols[f"{filled.exchange}:{filled.symbol}"].note_filled(filled)
                case Rejected(reason=reason, count=count):
                    log.warning("rejected", reason=reason, count=count)
                case _:
                    pass

    def _give_up(self, instrument: Instrument, id_kind: IdKind, missing: Missing, reason: str) -> None:
        self._given_up.setdefault(instrument.key, []).append(missing)
        self.runtime.symbols[instrument.key].note_given_up(id_kind, missing, reason)
        log.warning(
            "gap_unfillable", symbol=instrument.key, first=missing.first, last=missing.last, reason=reason
        )

    # --- the end of a recording ---

    async def _finish(self, rest: Rest, instrument: Instrument) -> None:
        """Ask for what may have come after the last trade received, then say that this was all."""
        memory = self.runtime.symbols[instrument.key]
        position = self.runtime.positions[instrument.exchange].of(instrument.symbol, memory.source)
        if position.expected >= 0:
            try:
                await self._verify_tail(rest, instrument, memory.source, position)
            except (NotEver, PageError) as error:
                log.warning("tail_not_verified", symbol=instrument.key, reason=str(error))
        # Nothing may be filled after the end is told: nobody would close the bars it falls into.
        await self._fill_all(rest)
        market_time = max(one.market_time for one in self.runtime.connections.values())
        await self.runtime.aggregators[instrument.key].put(EndOfCapture(max(market_time, memory.market_time)))
        self._told.add(instrument.key)

    async def _verify_tail(
        self, rest: Rest, instrument: Instrument, id_kind: IdKind, position: Position
    ) -> None:
        source = Source(rest, instrument, id_kind)
        while True:
            first = position.expected
            page = await self._page(source, first - 1)
            if not page or await self._take_page(source, page, Missing(first, MAX_ID)) < first:
                return


def _now() -> int:
    return time.time_ns() // 1_000
