"""Whether what is stored agrees with itself: bars counted again from raw trades, and all that rests on bars.

Raw trades are kept for a while only, so that a part of the bars can be counted again, and the report says
which part. A minute counts as kept whole where the journal holds everything that came since it began.
"""

from collections.abc import Callable, Iterator, Sequence

import attrs

from actors.burial import POISON
from actors.messages import Kind, OrderFlowRecord, ProfileRecord
from actors.storage import differing, integrity, stored_trades
from actors.storage.engines import EMBEDDED
from actors.storage.errors import StorageError
from actors.storage.reader import DataReader
from actors.storage.runs import distinct, ordered
from actors.storage.transfer.selection import FOREVER, Selection
from actors.storage.verdict import Difference, Verdict
from wadm import bar as bars
from wadm.bar import Bar
from wadm.coverage import AnyGap
from wadm.exchanges.contiguity import runs_of
from wadm.market import DAY, HOUR, MINUTE, TradeId
from wadm.timeframes import TIMEFRAMES

#: Windows that are looked at in one go.
STRETCH = 60

Stream = tuple[str, str]


@attrs.define(eq=False)
class Verification:
    """Verifies what a reader reads, of a selection. It reads only.

    What came from ``stored_since`` (µs, wall clock) on is not so old that a store forgets it.
    """

    reader: DataReader
    chosen: Selection
    stored_since: int
    verdict: Verdict = attrs.field(factory=Verdict)

    def run(self) -> Verdict:
        """Verify everything. What cannot be read is a problem in the verdict."""
        self._files()
        if not self.verdict.problems:
            self._tried(self._cursor)
            for stream in self.chosen.streams(self.reader) if self._asked_for() else ():
                for check in (self._bars, self._windows, self._trades, self._cold):
                    self._tried(check, stream)
        return self.verdict

    def _asked_for(self) -> bool:
        """Say whether there is anything to look at, or something is named that ought to be there."""
        return bool(self.chosen.exchange or self.chosen.symbol or self.reader.symbols())

    def _tried(self, check: Callable[..., None], *given: Stream) -> None:
        try:
            check(*given)
        except StorageError as error:
            self.verdict.wrong(str(error))

    def _files(self) -> None:
        """Read every page of the files."""
        journal = self.reader.journal.path
        for path in (journal, journal.with_name(EMBEDDED)):
            if path.is_file():
                self.verdict.problems += integrity.faults(path)

    def _cursor(self) -> None:
        """Check that the store goes on where the journal begins, or later."""
        store, journal = self.reader.store, self.reader.journal
        if store is None:
            return
        cursor, last = store.cursor(), journal.last_seq()
        if cursor > last:
            self.verdict.wrong(
                f"{store.address} is ahead of the journal ({cursor} > {last}): the journal was put back to "
                "an older state; the next start goes on behind it"
            )
        for loss in journal.losses():
            self.verdict.wrong(
                f"{loss.target} never got the entries {loss.first_seq} to {loss.last_seq}: "
                "the journal had to let them go first"
            )

    # --- bars ---

    def _bars(self, stream: Stream) -> None:
        """Compare the bars with their raw trades, as long as these are kept."""
        extent = self.reader.extent(*stream)
        if extent is None:
            return
        start, end = self.chosen.clipped(extent)
        kept = self.reader.journal.trades_extent(*stream) or (0, 0)
        whole_since = self._whole_since(stream)
        poison = self._poison(stream)
        for at in range(start - start % MINUTE, end, STRETCH * MINUTE):
            until = min(at + STRETCH * MINUTE, end)
            known = {bar.start: bar for bar in self.reader.bars(*stream, at, until)}
            for part in self.reader.unreadable(*stream, at, until):
                self.verdict.wrong(part.reason)
            self._carried(stream, at, until, known)
            for minute in range(at, until, MINUTE):
                stored = known.get(minute)
                if kept[0] < minute + MINUTE and minute <= kept[1]:
                    self._bar(stream, minute, stored, poison, whole=whole_since <= minute)
                elif stored is not None:
                    self.verdict.bars_only_read += 1

    def _bar(
        self, stream: Stream, minute: int, stored: Bar | None, poison: Sequence[AnyGap], *, whole: bool
    ) -> None:
        counted = self._counted(stream, minute, poison)
        count = counted.buy_trades + counted.sell_trades
        if stored is None:
            if count:
                self._differs(stream, "bar", minute, ("trades", None, count))
        elif count < stored.buy_trades + stored.sell_trades and not whole:
            self.verdict.bars_only_read += 1
        else:
            self.verdict.bars += 1
            for found in differing.in_bars(stored, counted):
                self._differs(stream, "bar", minute, found)

    def _counted(self, stream: Stream, minute: int, poison: Sequence[AnyGap]) -> Bar:
        """Count a minute's bar again, without the batches that were left out of it as poison."""
        runs = self.reader.journal.trades(*stream, minute, minute + MINUTE)
        bar = Bar(minute, minute + MINUTE)
        run = ordered(distinct(run for run in runs if not _touch(run.ids, poison)))
        if run is not None:
            bar.fold(run)
        bar.settle()
        return bar

    def _poison(self, stream: Stream) -> list[AnyGap]:
        gaps = self.reader.gaps(*stream, 0, FOREVER)
        return [one.gap for one in gaps if one.reason == POISON and one.gap.id_kind is not None]

    def _whole_since(self, stream: Stream) -> int:
        """Return the time (µs) from which on the journal holds all that ever came."""
        journal = self.reader.journal
        if journal.first_seq() <= 1:
            return 0
        oldest = next(journal.overlapping(*stream, 0, FOREVER), None)
        return FOREVER if oldest is None else oldest.market_time

    def _carried(self, stream: Stream, start: int, end: int, known: dict[int, Bar]) -> None:
        """Check that what was carried over from the journal is there, as it was."""
        for bar in self.reader.journal.bars(*stream, start, end):
            stored = known.get(bar.start)
            if stored is None or stored.revision < bar.revision:
                found = None if stored is None else stored.revision
                self._differs(stream, "bar", bar.start, ("revision", found, bar.revision))
            elif stored.revision == bar.revision:
                for one in differing.in_bars(stored, bar):
                    self._differs(stream, "bar as journalled", bar.start, one)

    # --- windows ---

    def _windows(self, stream: Stream) -> None:
        """Compare profiles and order flow with what their bars make."""
        extent, store = self.reader.extent(*stream), self.reader.store
        if extent is None or store is None:
            return
        for timeframe, length in TIMEFRAMES.items():
            start, end = self.chosen.clipped((extent[0] - extent[0] % length, extent[1]))
            for at in range(start - start % length, end, STRETCH * length):
                until = at + STRETCH * length
                for profile in store.profiles(*stream, timeframe, at, until):
                    self._window(stream, profile)
                for order_flow in store.order_flows(*stream, timeframe, at, until):
                    self._window(stream, order_flow)

    def _window(self, stream: Stream, stored: ProfileRecord | OrderFlowRecord) -> None:
        bar = bars.merge(self._minutes(stream, stored.start, stored.end), stored.start, stored.end)
        if bar.revision != stored.revision:
            self.verdict.windows_outdated += 1
            return
        self.verdict.windows += 1
        name = f"{stored.timeframe} {'profile' if isinstance(stored, ProfileRecord) else 'order flow'}"
        for found in differing.in_windows(stored, bar):
            self._differs(stream, name, stored.start, found)

    def _minutes(self, stream: Stream, start: int, end: int) -> Iterator[Bar]:
        for at in range(start, end, HOUR):
            yield from self.reader.bars(*stream, at, min(at + HOUR, end))

    # --- stores that keep trades ---

    def _trades(self, stream: Stream) -> None:
        """Compare a store's trades with the journal's."""
        store, extent = self.reader.store, self.reader.journal.trades_extent(*stream)
        if store is None or Kind.TRADES not in store.keeps or extent is None:
            return
        span = self.chosen.clipped((max(extent[0], self._whole_since(stream)), extent[1] + 1))
        for at, compared, found in stored_trades.compare(
            self.reader.journal, store, stream, span, self.stored_since
        ):
            self.verdict.trades += compared
            for one in found:
                self._differs(stream, "trade", at, one)

    # --- the cold tier ---

    def _cold(self, stream: Stream) -> None:
        """Read every day in the cold tier, and compare its profile with its bars."""
        archive = self.reader.archive
        if archive is None:
            return
        listed = archive.catalogue.of(*stream)
        if listed.problem is not None:
            self.verdict.wrong(listed.problem)
        if not listed.days:
            return
        from actors.storage.cold import soundness  # noqa: PLC0415  # pyarrow, which most checks need not

        start, end = self.chosen.clipped((listed.days[0], listed.days[-1] + DAY))
        for day in listed.between(start, end):
            self.verdict.cold_days += 1
            for fault in soundness.faults(archive, *stream, day):
                self.verdict.wrong(fault)

    def _differs(self, stream: Stream, what: str, start: int, found: differing.Found) -> None:
        self.verdict.differs(Difference(":".join(stream), what, start, *found))


def _touch(ids: Sequence[TradeId], gaps: Sequence[AnyGap]) -> bool:
    """Say whether ids lie in one of these gaps."""
    runs = runs_of(ids) if gaps else []
    return any(gap.first <= one.last and one.first <= gap.last for gap in gaps for one in runs)
