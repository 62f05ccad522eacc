"""The one door for questions: HTTP, MCP and the command line all ask here.

Live windows are answered from the aggregators' memory, what is older from bars in the stores, and a window
that reaches into both is merged.
"""

from collections.abc import Mapping

import attrs
import trio

from actors.messages import WindowAnswer, WindowQuery
from actors.storage.errors import StorageError
from actors.overview import Overview
from supervision import AskRefused, AskTimeout, ask
from wadm import bar as bars
from wadm import views
from wadm.analytics.order_flow import order_flow
from wadm.analytics.profile import Profile, RowSizeError, profile
from wadm.bar import Bar
from wadm.coverage import Coverage
from wadm.exchanges.registry import EXCHANGES
from wadm.market import Instrument
from wadm.numbers import plain
from wadm.questions import QuestionError, Unavailable, Window, read_window

#: Seconds an aggregator has to answer.
DEADLINE = 5.0


@attrs.define(eq=False)
class Queries(Overview):
    """Answers about the market, and about the daemon itself. All raise QuestionError for the asker's mistakes."""

    @property
    def instruments(self) -> dict[str, Instrument]:
        """The instruments that are followed, by ``exchange:SYMBOL``."""
        return {key: memory.instrument for key, memory in self.runtime.symbols.items()}

    async def volume_profile(self, parameters: Mapping[str, str]) -> dict[str, object]:
        """Answer for a volume profile; see ``views.profile_answer`` for its shape."""
        window = read_window(parameters, self.instruments)
        found, coverage = await self._find(window, session=False)
        made = make_profile(window, found.bar)
        return views.profile_answer(window.instrument, window.timeframe, found.bar, made, coverage)

    async def order_flow(self, parameters: Mapping[str, str]) -> dict[str, object]:
        """Answer for order flow; see ``views.order_flow_answer`` for its shape."""
        window = read_window(parameters, self.instruments)
        found, coverage = await self._find(window, session=True)
        session = found.session if found.session is not None else found.bar
        flow = order_flow(found.bar, session)
        return views.order_flow_answer(window.instrument, window.timeframe, found.bar, flow, coverage)

    async def summary(self, parameters: Mapping[str, str]) -> dict[str, object]:
        """Answer what replay prints of one symbol, over everything in memory unless a window is named."""
        window = read_window(parameters, self.instruments, everything=True)
        found, _ = await self._find(window, session=False)
        return views.summary(found.bar, make_profile(window, found.bar))

    async def symbols(self) -> dict[str, object]:
        """List the symbols that are followed and where each stands."""
        return {"symbols": [self._listed(memory) for memory in self.runtime.symbols.values()]}

    async def _find(self, window: Window, *, session: bool) -> tuple[WindowAnswer, Coverage]:
        """Ask the aggregator, and put in front what only the stores still have."""
        key = window.instrument.key
        query = WindowQuery(window.timeframe, window.start, window.end, session)
        try:
            found: WindowAnswer = await ask(self.runtime.aggregators[key], query, deadline=DEADLINE)
        except AskTimeout:
            raise Unavailable(key, f"it did not answer within {DEADLINE:g} s") from None
        except AskRefused as error:
            raise Unavailable(key, str(error)) from None
        sources = ["live"]
        bar = await self._with_stored(window.instrument, found.bar, found.memory_from)
        if bar is not found.bar:
            sources.append("store")
        if found.session is not None:
            full = await self._with_stored(window.instrument, found.session, found.memory_from)
            found = attrs.evolve(found, session=full)
        return attrs.evolve(found, bar=bar), self._coverage(window.instrument, found, sources)

    async def _with_stored(self, instrument: Instrument, live: Bar, memory_from: int | None) -> Bar:
        """Return ``live`` with the part before ``memory_from`` read from the stores and merged in front."""
        until = live.end if memory_from is None else min(memory_from, live.end)
        if live.start >= until:
            return live
        try:
            stored = await trio.to_thread.run_sync(
                self.runtime.reader.bars, instrument.exchange, instrument.symbol, live.start, until
            )
        except StorageError as error:
            raise Unavailable("the part of the window that is older than memory", str(error)) from error
        return bars.merge([*stored, live], live.start, live.end) if stored else live

    def _coverage(self, instrument: Instrument, found: WindowAnswer, sources: list[str]) -> Coverage:
        memory = self.runtime.symbols[instrument.key]
        since = memory.covered_from
        covered = None
        if "store" in sources and found.bar.start < (since or found.end):
            since = found.bar.start
        if since is not None:
            start, end = max(found.start, since), min(found.end, found.market_time)
            covered = (start, end) if start < end else None
        return Coverage(
            covered=covered,
            final=found.final,
            provable=EXCHANGES[instrument.exchange].ids_count_up,
            gaps=memory.gaps.between(found.start, found.end),
            sources=sources,
            epoch=found.epoch,
            warming=found.warming,
        )


def make_profile(window: Window, bar: Bar) -> Profile:
    """Return the profile a question asked for. Raises QuestionError where its row size does not fit."""
    row_size = window.row_size or views.default_row_size(window.instrument, bar)
    try:
        return profile(bar, row_size, window.value_area, window.method)
    except RowSizeError as error:
        raise QuestionError("row_size", plain(row_size), f"larger rows: {error}") from error
