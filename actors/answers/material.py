"""What a running daemon answers questions from: its memory first, the stores for what is older."""

from collections import Counter
from collections.abc import Callable, Sequence
from functools import cached_property, partial
from typing import TypeVar

import attrs
import trio

from actors.answers.ahead import merge_ahead
from actors.answers.shelf import Shelf, outward
from actors.memory import SymbolMemory, TakenOver
from actors.messages import BarsAnswer, BarsQuery
from actors.runtime import Runtime
from actors.storage.errors import NotKept, StorageError
from actors.storage.runs import within
from supervision import AskRefused, AskTimeout, ask
from wadm import bar as bars
from wadm.answers.asking import Asked, on_whole_minutes, respond
from wadm.answers.question import Book, Material, Needs, Span
from wadm.bar import Bar
from wadm.coverage import Coverage, KnownGap, Unreadable
from wadm.exchanges.registry import EXCHANGES
from wadm.instants import iso
from wadm.market import DAY, MINUTE, Instrument, Liquidation, Ticker, Trades
from wadm.questions import QuestionError, TooFine, Unavailable

#: Seconds an aggregator has to answer.
DEADLINE = 5.0

#: Bytes of packed minutes, and rows of prices, from which on an answer is made in a thread: to unpack and
#: merge 1 KB takes some 20 µs, a row some 8 µs until it is text, and trades are not to be kept waiting for
#: more than a millisecond.
MANY_BYTES = 30_000
MANY_ROWS = 100

_WINDOW = ""

T = TypeVar("T")


@attrs.define(eq=False)
class Live:
    """Answers questions from a running daemon."""

    runtime: Runtime
    shelf: Shelf

    async def answer(self, asked: Asked) -> dict[str, object]:
        """Return the answer. Raises QuestionError."""
        return await self.give(asked, partial(respond, asked))

    async def give(self, asked: Asked, finish: Callable[[Material], T]) -> T:
        """Return what ``finish`` makes of the material a question needs, in a thread where that is much.

        Raises QuestionError.
        """
        memory = self.runtime.symbols[asked.instrument.key]
        span = asked.span(memory.market_time)
        needs = asked.question.needs(span, asked.values)
        check_minutes(span, needs)
        found = await self._ask(asked.instrument, span, needs)
        gaps = memory.gaps_between(*needs.reach(span))
        book = self._book(asked, needs)
        around = Around(
            memory.covered_from, gaps, book, memory.ticker, tuple(memory.liquidations), memory.taken_over
        )
        making = _Making(asked, span, needs, found, self._shelf_of(memory), around)
        if making.at_hand:
            return finish(making.material())
        closed, unknown = memory.closed, memory.closed.whole and memory.closed.since is None
        try:
            # Nothing is changed by it: a store that hangs does not hold up the daemon's end.
            made, alone = await trio.to_thread.run_sync(
                lambda: (finish(making.material()), unknown and making.is_all), abandon_on_cancel=True
            )
        except NotKept as error:
            raise TooFine(str(error)) from error
        except StorageError as error:
            raise Unavailable("the part of the window that is not in memory", str(error)) from error
        if alone and closed.since is None:  # and no bar was let go meanwhile
            closed.since = 0
        return made

    async def everything(self, instrument: Instrument) -> Bar:
        """Return all that is known of a symbol, merged. Raises QuestionError."""
        market_time = self.runtime.symbols[instrument.key].market_time
        found = await self._asked(instrument, BarsQuery({_WINDOW: (0, market_time + DAY)}))
        live = found.bars[_WINDOW]
        until = market_time + DAY if found.memory_from is None else found.memory_from
        older = await trio.to_thread.run_sync(self.shelf.minutes, instrument, 0, until)
        start = older[0].start if older else found.memory_from or 0
        return bars.merge([*older, live], start, live.end)

    async def closed_until(self, instrument: Instrument) -> int:
        """Return the end (µs) of the last minute that is closed. Raises QuestionError."""
        return (await self._asked(instrument, BarsQuery({}))).closed_until

    def _shelf_of(self, memory: SymbolMemory) -> Shelf:
        """Return what answers for what is not in memory: the journal alone, until the store was reached."""
        return self.shelf if memory.closed.whole else Shelf(self.runtime.reader.alone)

    def _book(self, asked: Asked, needs: Needs) -> Book | None:
        """Return a copy of the order book: the answer may go on in a thread while the book moves."""
        memory = self.runtime.books[asked.instrument.key]
        if not needs.book or not memory.is_followed(self.runtime.connections.values()):
            return None
        age = memory.age_ms(trio.current_time())
        return Book(memory.sync.book.copy(), memory.sync.synced, age)

    async def _ask(self, instrument: Instrument, span: Span, needs: Needs) -> BarsAnswer:
        spans = {_WINDOW: (span.start, span.end), **needs.merged}
        query = BarsQuery({name: outward(*one) for name, one in spans.items()}, needs.minutes)
        await merge_ahead(self.runtime.symbols[instrument.key].closed, query.spans.values())
        return await self._asked(instrument, query)

    async def _asked(self, instrument: Instrument, query: BarsQuery) -> BarsAnswer:
        try:
            found: BarsAnswer = await ask(self.runtime.aggregators[instrument.key], query, deadline=DEADLINE)
        except AskTimeout:
            raise Unavailable(instrument.key, f"it did not answer within {DEADLINE:g} s") from None
        except AskRefused as error:
            raise Unavailable(instrument.key, str(error)) from None
        return found


def check_minutes(span: Span, needs: Needs) -> None:
    """Refuse a window within minutes where the question goes through minutes. Raises QuestionError."""
    if needs.minutes is not None and not on_whole_minutes(span):
        name, at = ("start", span.start) if span.start % MINUTE else ("end", span.end)
        raise QuestionError(name, iso(at), "a whole minute: this question is answered from one-minute bars")


@attrs.frozen(eq=False)
class Around:
    """What is known of a symbol beside its bars, as it stood when the question was asked."""

    covered_from: int | None
    gaps: Sequence[KnownGap]
    book: Book | None
    ticker: Ticker | None
    liquidations: Sequence[Liquidation]
    taken_over: TakenOver | None


@attrs.frozen(eq=False)
class _Making:
    """An answer in the making: it may go on in a thread, and touches nothing that lives on the loop."""

    asked: Asked
    span: Span
    needs: Needs
    found: BarsAnswer
    shelf: Shelf
    around: Around

    @property
    def at_hand(self) -> bool:
        """Whether all of it is in memory, and little enough to be answered at once."""
        return (
            on_whole_minutes(self.span)
            and not self.needs.trades
            and sum(map(len, self.found.minutes)) < MANY_BYTES
            and sum(len(bar.rows) for bar in self.found.bars.values()) < MANY_ROWS
            and self._older_end(*self.needs.reach(self.span)) is None
        )

    def material(self) -> Material:
        """Put the material together."""
        bar, minutes = self._merged(_WINDOW, self.span.start, self.span.end), self._minutes()
        merged = {name: self._merged(name, *one) for name, one in self.needs.merged.items()}
        trades = self._trades()
        return Material(
            instrument=self.asked.instrument,
            span=self.span,
            bar=bar,
            coverage=self._coverage(bar),  # the last: by now it is known what could not be read
            minutes=minutes,
            merged=merged,
            trades=trades,
            book=self.around.book,
            ticker=self.around.ticker,
            liquidations=self.around.liquidations,
        )

    @property
    def is_all(self) -> bool:
        """Whether the stores were asked, and all that is known of the symbol is in memory."""
        one, known_from = self.asked.instrument, self.found.memory_from
        if known_from is None or self._older_end(*self.needs.reach(self.span)) is None:
            return False
        older = self._extent is not None and self._extent[0] < known_from
        return not (older or self.shelf.reader.unreadable(one.exchange, one.symbol, 0, known_from))

    @cached_property
    def _extent(self) -> tuple[int, int] | None:
        return self.shelf.reader.extent(self.asked.instrument.exchange, self.asked.instrument.symbol)

    def _stored_from(self) -> int | None:
        """Return where the bars begin that come from the stores alone, None where none of them is wanted."""
        until = self._older_end(*self.needs.reach(self.span))
        extent = None if until is None else self._extent
        return extent[0] if extent is not None and until is not None and extent[0] < until else None

    def _older_end(self, start: int, end: int) -> int | None:
        """Return where the part of a span ends that only the stores have, None where there is none."""
        if self.found.held_from is not None and self.found.held_from <= start:
            return None
        until = end if self.found.memory_from is None else min(self.found.memory_from, end)
        return until if start < until else None

    def _merged(self, name: str, start: int, end: int) -> Bar:
        """Return all of a span, merged."""
        instrument, now = self.asked.instrument, self.found.market_time
        if (start, end) != outward(start, end):
            return self.shelf.merged(instrument, start, end, now)
        live, until = self.found.bars[name], self._older_end(start, end)
        if until is None:
            return live
        return bars.merge([self.shelf.merged(instrument, start, until, now), live], start, end)

    def _minutes(self) -> list[Bar]:
        if self.needs.minutes is None:
            return []
        live = [bars.decode(packed) for packed in self.found.minutes]
        until = self._older_end(*self.needs.minutes)
        if until is None:
            return live
        return [*self.shelf.minutes(self.asked.instrument, self.needs.minutes[0], until), *live]

    def _trades(self) -> list[Trades] | None:
        """Return the raw trades of the window, None where some are no longer kept."""
        if not self.needs.trades:
            return None
        trades = self.shelf.trades(self.asked.instrument, *outward(self.span.start, self.span.end))
        if not covers(trades, self._closed_minutes()):
            return None
        return [within(run, self.span.start, self.span.end) for run in trades]

    def _closed_minutes(self) -> list[Bar]:
        first, last = outward(self.span.start, self.span.end)
        until = min(last, self.found.closed_until)
        return self.shelf.minutes(self.asked.instrument, first, until) if first < until else []

    def _coverage(self, bar: Bar) -> Coverage:
        """Say what the answer rests on."""
        span, found, stored_from = self.span, self.found, self._stored_from()
        known = min((one for one in (self.around.covered_from, stored_from) if one is not None), default=None)
        start, end = max(span.start, span.end if known is None else known), min(span.end, found.market_time)
        return Coverage(
            covered=(start, end) if start < end else None,
            final=span.end <= found.closed_until and not bar.partial,
            provable=EXCHANGES[self.asked.instrument.exchange].ids_count_up,
            gaps=self._gaps(),
            sources=self._sources(stored_from),
            epoch=found.epoch,
            warming=found.warming,
            earlier=earlier(self.needs.reach(self.span)[0], span.start, known),
            unreadable=self._unreadable(),
        )

    def _sources(self, stored_from: int | None) -> list[str]:
        """Return what the answer came from."""
        one, (start, end) = self.asked.instrument, self.needs.reach(self.span)
        taken = self.around.taken_over
        live = ["live", "hot"] if taken and taken.first < end and start <= taken.last else ["live"]
        if stored_from is None:
            return live
        until = self._older_end(start, end) or end
        archived = self.shelf.reader.reaches_archive(one.exchange, one.symbol, start, until)
        return [*live, "store", "cold"] if archived else [*live, "store"]

    def _unreadable(self) -> list[Unreadable]:
        """Return the parts of what was needed of the stores that could not be read."""
        one, (start, end) = self.asked.instrument, self.needs.reach(self.span)
        until = self._older_end(start, end)
        return [] if until is None else self.shelf.reader.unreadable(one.exchange, one.symbol, start, until)

    def _gaps(self) -> list[KnownGap]:
        """Return the gaps known now, behind those that only the stores remember."""
        start, end = self.needs.reach(self.span)
        until = self._older_end(start, end)
        known = list(self.around.gaps)
        if until is None:
            return known
        one, seen = self.asked.instrument, {(gap.gap.id_kind, gap.gap.first) for gap in known}
        stored = self.shelf.reader.gaps(one.exchange, one.symbol, start, until)
        older = [KnownGap(record.gap, record.state, record.reason) for record in stored]
        return [gap for gap in older if (gap.gap.id_kind, gap.gap.first) not in seen] + known


def earlier(reach: int, start: int, known: int | None) -> tuple[int, int | None] | None:
    """Return ``Coverage.earlier`` of an answer that reaches back to ``reach`` before its window's start."""
    if reach >= start:
        return None
    return reach, max(reach, known) if known is not None and known < start else None


def covers(trades: Sequence[Trades], minutes: Sequence[Bar]) -> bool:
    """Say whether raw trades are all that these bars were made of, in the minutes of their window."""
    kept: Counter[int] = Counter()
    for run in trades:
        for time, count in zip(run.times, run.counts, strict=True):
            kept[time - time % MINUTE] += count
    return all(kept[bar.start] >= bar.buy_trades + bar.sell_trades for bar in minutes)
