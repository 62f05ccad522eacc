"""Single trades by cursor: everything in the order in which it was journalled, resumable at any place.

A cursor outlives the daemon: it names a place in the journal. What is promised: behind a cursor nothing is
left out unless ``missed`` says so (the journal keeps raw trades for an hour, see the settings), and a trade
that was received twice comes once within a page and the thousand trades before it. Trades that were filled
in later come when they were received: their times lie before those around them.
"""

from collections.abc import Mapping
from functools import partial

import attrs
import trio

from actors.answers.places import CursorError, Place
from actors.answers.trade_pages import MOST, Row, TradePage, TradePages
from actors.memory import SymbolMemory
from actors.runtime import Runtime
from actors.storage.errors import StorageError
from wadm.answers.asking import read_instant
from wadm.coverage import Coverage, KnownGap, SuspectedGap
from wadm.exchanges.registry import EXCHANGES
from wadm.market import Instrument
from wadm.questions import (
    ConflictingParameters,
    QuestionError,
    Unavailable,
    UnknownParameter,
    find_instrument,
    nearest,
    read_whole,
)

PARAMETERS = ("exchange", "symbol", "cursor", "limit", "start")

#: Trades of a page where nothing else is asked for.
USUAL = 100


@attrs.frozen
class TradesAsked:
    """Whose trades are meant, how many, and behind what: a place, a time (µs), or neither for the newest."""

    instrument: Instrument
    limit: int = USUAL
    place: Place | None = None
    start: int | None = None


def read(given: Mapping[str, str], instruments: Mapping[str, Instrument]) -> TradesAsked:
    """Read a question about trades. Raises QuestionError."""
    for name, value in given.items():
        if name not in PARAMETERS:
            raise UnknownParameter(name, value, nearest(name, PARAMETERS))
    instrument = find_instrument(given.get("exchange"), given.get("symbol"), instruments)
    cursor, start = given.get("cursor"), given.get("start")
    if cursor is not None and start is not None:
        raise ConflictingParameters("start", start, "either cursor or start, not both")
    return TradesAsked(
        instrument,
        read_whole("limit", given.get("limit"), USUAL, MOST),
        None if cursor is None else read_cursor(cursor),
        None if start is None else read_instant("start", start),
    )


def read_cursor(text: str) -> Place:
    """Read a cursor. Raises QuestionError."""
    try:
        return Place.parse(text)
    except CursorError as error:
        raise QuestionError("cursor", text, str(error)) from None


@attrs.define(eq=False)
class TradesAnswers:
    """Answers about single trades from a running daemon's journal."""

    runtime: Runtime

    async def answer(self, asked: TradesAsked) -> dict[str, object]:
        """Return a page: ``trades``, and ``next``, the cursor behind them. Raises QuestionError.

        ``more`` says that there are more behind it already; without, ``next`` is asked again later.
        """
        page = await self.page(asked)
        memory = self.runtime.symbols[asked.instrument.key]
        return {
            "exchange": asked.instrument.exchange,
            "symbol": asked.instrument.symbol,
            "id_kind": str(memory.source),
            "trades": page.rows,
            "next": str(page.place),
            "more": page.more,
            "missed": page.missed,
            "coverage": coverage(memory, page.span, self.runtime.epoch).answer(),
        }

    async def page(self, asked: TradesAsked) -> TradePage:
        """Return a page. Raises QuestionError."""
        try:
            return await trio.to_thread.run_sync(
                partial(_read, self.pages(asked.instrument), asked), abandon_on_cancel=True
            )
        except CursorError as error:
            raise QuestionError("cursor", str(asked.place), str(error)) from None
        except StorageError as error:
            raise Unavailable("the journal", str(error)) from error

    def pages(self, instrument: Instrument) -> TradePages:
        """Return a symbol's pages."""
        return TradePages(self.runtime.journal, instrument.exchange, instrument.symbol)


def _read(pages: TradePages, asked: TradesAsked) -> TradePage:
    if asked.place is not None:
        return pages.behind(asked.place, asked.limit)
    if asked.start is None:
        return pages.newest(asked.limit)
    place, missed = pages.at(asked.start)
    page = pages.behind(place, asked.limit)
    earlier: Row | None = missed or page.missed
    return attrs.evolve(page, missed=earlier)


def coverage(memory: SymbolMemory, span: tuple[int, int] | None, epoch: int) -> Coverage:
    """Return what trades rest on that lie between two times (µs), both included."""
    return Coverage(
        covered=None if span is None else (span[0], span[1] + 1),
        final=False,
        provable=EXCHANGES[memory.instrument.exchange].ids_count_up,
        gaps=gaps_among(memory, span),
        sources=["journal"],
        epoch=epoch,
        warming=memory.warming,
    )


def gaps_among(memory: SymbolMemory, span: tuple[int, int] | None) -> list[KnownGap]:
    """Return the gaps that lie among trades of these times (µs), both included."""
    return [] if span is None else [one for one in memory.gaps.known if _lies(one, *span)]


def _lies(known: KnownGap, first: int, last: int) -> bool:
    """Say whether a gap lies among trades of these times: it was noticed with the one behind it."""
    gap = known.gap
    return (gap.first if isinstance(gap, SuspectedGap) else gap.at) <= last and first <= gap.at
