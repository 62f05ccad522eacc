"""The one door for questions: HTTP, MCP and the command line all ask here.

Live windows are answered from the aggregators' memory, what is older from bars in the stores, and a window
that reaches into both is merged.
"""

from collections.abc import Mapping

import attrs
import trio

from actors.messages import WindowAnswer, WindowQuery
from actors.overview import Overview
from actors.storage.errors import StorageError
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
    """Answers about the market and the daemon itself. All raise QuestionError for the asker's mistakes."""

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
        """Answer what replay prints of one symbol, over everything there is unless a window is named."""
        window = read_window(parameters, self.instruments, everything=True)
        found, _ = await self._find(window, session=False)
        bar = found.bar
        if window.timeframe is None and window.start is None:
            bar = _in_front(await self._older(window.instrument, 0, bar.end, found.memory_from), bar)
        return views.summary(bar, make_profile(window, bar))

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
        older = await self._older(window.instrument, found.start, found.end, found.memory_from)
        coverage = self._coverage(window.instrument, found, older[0].start if older else None)
        bar = _in_front(older, found.bar)
        if found.session is not None:
            day = found.session
            older = await self._older(window.instrument, day.start, day.end, found.memory_from)
            found = attrs.evolve(found, session=_in_front(older, day))
        return attrs.evolve(found, bar=bar), coverage

    async def _older(
        self, instrument: Instrument, start: int, end: int, memory_from: int | None
    ) -> list[Bar]:
        """Return the bars of ``[start, end)`` that lie before ``memory_from``, from the stores."""
        until = end if memory_from is None else min(memory_from, end)
        if start >= until:
            return []
        try:
            return await trio.to_thread.run_sync(
                self.runtime.reader.bars, instrument.exchange, instrument.symbol, start, until
            )
        except StorageError as error:
            raise Unavailable("the part of the window that is older than memory", str(error)) from error

    def _coverage(self, instrument: Instrument, found: WindowAnswer, stored_from: int | None) -> Coverage:
        """Say what the answer rests on; ``stored_from`` is where the bars that came from the stores begin."""
        memory = self.runtime.symbols[instrument.key]
        known = [one for one in (memory.covered_from, stored_from) if one is not None]
        covered = None
        if known:
            since = min(known)
            start, end = max(found.start, since), min(found.end, found.market_time)
            covered = (start, end) if start < end else None
        return Coverage(
            covered=covered,
            final=found.final,
            provable=EXCHANGES[instrument.exchange].ids_count_up,
            gaps=memory.gaps.between(found.start, found.end),
            sources=["live"] if stored_from is None else ["live", "store"],
            epoch=found.epoch,
            warming=found.warming,
        )


def _in_front(older: list[Bar], live: Bar) -> Bar:
    if not older:
        return live
    return bars.merge([*older, live], min(older[0].start, live.start), live.end)


def make_profile(window: Window, bar: Bar) -> Profile:
    """Return the profile a question asked for. Raises QuestionError where its row size does not fit."""
    row_size = window.row_size or views.default_row_size(window.instrument, bar)
    try:
        return profile(bar, row_size, window.value_area, window.method)
    except RowSizeError as error:
        raise QuestionError("row_size", plain(row_size), f"larger rows: {error}") from error
