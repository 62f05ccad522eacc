"""Questions answered from what is stored alone, whether or not a daemon runs on it."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import attrs

from actors.answers import recompute
from actors.answers.material import check_minutes, covers, earlier
from actors.answers.shelf import Reader, Shelf, outward
from actors.configuration import load_listing
from actors.storage.reader import DataReader
from actors.storage.runs import within
from wadm import bar as bars
from wadm import views
from wadm.answers import activity, compare, profile
from wadm.answers.asking import Asked, read, respond
from wadm.answers.question import Material, Needs, Question, Span
from wadm.bar import Bar
from wadm.coverage import Coverage, KnownGap
from wadm.exchanges.registry import EXCHANGES
from wadm.market import Instrument, Trades
from wadm.questions import Unavailable

T = TypeVar("T")


def instruments(reader: Reader) -> dict[str, Instrument]:
    """Return the instruments of which there is data, by ``exchange:SYMBOL``."""
    listing = load_listing()
    found = (
        listing.get(f"{exchange}:{symbol}") or Instrument(exchange, symbol)
        for exchange, symbol in reader.symbols()
    )
    return {instrument.key: instrument for instrument in found}


@attrs.define(eq=False)
class Stored:
    """Answers questions from a data directory, or from a store alone. May raise StorageError."""

    reader: Reader
    _shelf: Shelf = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self._shelf = Shelf(self.reader)

    def ask(
        self, question: Question, given: Mapping[str, str], *, recompute: bool = False
    ) -> dict[str, object]:
        """Return the answer, over everything stored where no window is named. Raises QuestionError."""
        asked = read(question, given, instruments(self.reader), everything=True)
        answer = self.give(asked, partial(respond, asked))
        return self.recomputed(asked, answer) if recompute else answer

    def compare(self, given: Mapping[str, str]) -> dict[str, object]:
        """Compare one symbol on all exchanges of which it is stored. Raises QuestionError."""
        known = instruments(self.reader)
        compared = compare.read(given, known, lambda key: self._known(known[key])[1] - 1)
        return compare.respond(compared, [self.give(one, lambda found: found) for one in compared.asked])

    def activity(self, given: Mapping[str, str]) -> dict[str, object]:
        """Return the activity of every symbol stored. Raises QuestionError."""
        known = instruments(self.reader).values()
        return activity.together([self.ask(activity.QUESTION, one) for one in activity.each(given, known)])

    def recomputed(self, asked: Asked, answer: Mapping[str, object]) -> dict[str, object]:
        """Return an answer, compared with the one made again of bars one by one. Raises QuestionError."""
        recompute.check(asked)
        one, (span, known) = asked.instrument, self._span(asked)
        needs = asked.question.needs(span, asked.values)
        spans = [(span.start, span.end), *([needs.minutes] if needs.minutes else [])]
        remade = self._shelf.remade(
            one, *outward(min(start for start, _ in spans), max(end for _, end in spans))
        )

        def minutes(start: int, end: int) -> list[Bar]:
            return [minute.bar for minute in remade if start <= minute.bar.start < end]

        def merged(start: int, end: int) -> Bar:
            if (start, end) != outward(start, end):
                return self.reader.merged(one.exchange, one.symbol, start, end)
            if (start, end) in spans:
                return bars.merge(minutes(start, end), start, end)
            return bars.merge(self._shelf.minutes(one, start, end), start, end)

        others = {name: merged(*wanted) for name, wanted in needs.merged.items()}
        single = minutes(*needs.minutes) if needs.minutes else []
        material = self._material(
            asked, span, known, needs, bar=merged(span.start, span.end), merged=others, minutes=single
        )
        return recompute.compared(answer, respond(asked, material), remade)

    def give(self, asked: Asked, finish: Callable[[Material], T]) -> T:
        """Return what ``finish`` makes of the material a question needs. Raises QuestionError."""
        one, (span, known) = asked.instrument, self._span(asked)
        needs = asked.question.needs(span, asked.values)
        check_minutes(span, needs)
        bar = self._shelf.merged(one, span.start, span.end, known[1])
        merged = {name: self._shelf.merged(one, *wanted, known[1]) for name, wanted in needs.merged.items()}
        minutes = self._shelf.minutes(one, *needs.minutes) if needs.minutes else []
        return finish(self._material(asked, span, known, needs, bar=bar, merged=merged, minutes=minutes))

    def _known(self, one: Instrument) -> tuple[int, int]:
        """Return ``[start, end)`` of all that is stored of a symbol."""
        known = self.reader.span(one.exchange, one.symbol)
        if known is None:
            raise Unavailable(one.key, "no trade of it is stored")
        return known

    def _span(self, asked: Asked) -> tuple[Span, tuple[int, int]]:
        """Return the window that is meant, and ``[start, end)`` of all that is stored."""
        known = self._known(asked.instrument)
        if asked.timeframe is None and asked.start is None and not asked.rolling:
            asked = attrs.evolve(asked, start=known[0], end=known[1])
        # The newest window is the one that holds the newest trade.
        return attrs.evolve(asked.span(known[1] - 1), market_time=known[1]), known

    def _material(
        self,
        asked: Asked,
        span: Span,
        known: tuple[int, int],
        needs: Needs,
        *,
        bar: Bar,
        merged: Mapping[str, Bar],
        minutes: Sequence[Bar],
    ) -> Material:
        one = asked.instrument
        return Material(
            instrument=one,
            span=span,
            bar=bar,
            coverage=self._coverage(one, span, known, needs.reach(span), bar),
            minutes=minutes,
            merged=merged,
            trades=self._trades(one, span, needs),
        )

    def _trades(self, one: Instrument, span: Span, needs: Needs) -> list[Trades] | None:
        if not needs.trades:
            return None
        whole = outward(span.start, span.end)
        trades = self._shelf.trades(one, *whole)
        if not covers(trades, self._shelf.minutes(one, *whole)):
            return None
        return [within(run, span.start, span.end) for run in trades]

    def _coverage(
        self, one: Instrument, span: Span, known: tuple[int, int], reaches: tuple[int, int], bar: Bar
    ) -> Coverage:
        start, end = max(span.start, known[0]), min(span.end, known[1])
        reach = one.exchange, one.symbol, *reaches
        gaps = self.reader.gaps(*reach)
        return Coverage(
            covered=(start, end) if start < end else None,
            final=span.end <= known[1] and not bar.partial,
            provable=EXCHANGES[one.exchange].ids_count_up,
            gaps=[KnownGap(record.gap, record.state, record.reason) for record in gaps],
            sources=["store", "cold"] if self.reader.reaches_archive(*reach) else ["store"],
            epoch=None,
            warming=False,
            earlier=earlier(reaches[0], span.start, known[0]),
            unreadable=self.reader.unreadable(*reach),
        )


def summaries(directory: Path, row_size: str | None) -> dict[str, Any]:
    """Return what a replay prints of its symbols, read from the data directory."""
    reader = DataReader.open(directory)
    try:
        return {
            key: summary(reader, one, {} if row_size is None else {"row_size": row_size})
            for key, one in sorted(instruments(reader).items())
        }
    finally:
        reader.close()


def summary(reader: DataReader, one: Instrument, given: Mapping[str, str]) -> dict[str, object]:
    """Return what a replay prints of one symbol, over everything that is stored of it."""
    named = {"exchange": one.exchange, "symbol": one.symbol, **given}
    asked = read(profile.QUESTION, named, {one.key: one}, everything=True)
    bar = reader.merged(one.exchange, one.symbol, *(reader.span(one.exchange, one.symbol) or (0, 0)))
    return views.summary(bar, profile.of(bar, one, asked.values))
