"""The one shape of a question: its parameters, what it must be given, and its answer.

A question is pure. Whoever serves it (a running daemon, a data directory) reads the parameters, fetches the
material it needs, and calls ``respond``; HTTP, MCP and the command line need to know nothing else of it.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import attrs

from wadm.bar import Bar
from wadm.coverage import Coverage
from wadm.market import Instrument, Liquidation, Ticker, Trades
from wadm.orderbook import OrderBook
from wadm.sessions import Session

#: Parameters as they were read: each name with its value, defaults filled in.
Values = Mapping[str, Any]


class UnfitError(ValueError):
    """Text that would be read, but does not fit this instrument; ``expected`` says what would."""

    def __init__(self, expected: str) -> None:
        super().__init__(expected)
        self.expected = expected


@attrs.frozen
class Parameter:
    """A parameter beside those of the window.

    ``read`` turns text into a value, knowing the instrument, and raises ValueError where it cannot;
    ``expected`` says what it reads, ``meaning`` what it is for (with the unit), each in a line for a person
    or an agent. ``default`` is the value where none is given.
    """

    name: str
    meaning: str
    expected: str
    read: Callable[[str, Instrument], Any]
    default: Any = None
    required: bool = False


@attrs.frozen
class Span:
    """The window of a question: ``[start, end)`` (µs), as it was asked for, with market time known.

    ``timeframe`` is a fixed one, ``session``, or None where start and end were given; ``session`` is the one
    that was asked for, or the day of UTC.
    """

    timeframe: str | None
    session: Session
    start: int
    end: int
    market_time: int


@attrs.frozen
class Needs:
    """What a question must be given beside the merge of its window.

    ``minutes``: a span of one-minute bars one by one (it may begin before the window). ``merged``: further
    spans, merged, by name. ``trades``: the raw trades of the window. ``book``: the order book as it stands.
    """

    minutes: tuple[int, int] | None = None
    merged: Mapping[str, tuple[int, int]] = attrs.field(factory=dict)
    trades: bool = False
    book: bool = False

    def reach(self, span: Span) -> tuple[int, int]:
        """Return ``[start, end)`` of all that an answer about ``span`` rests on."""
        spans = [(span.start, span.end), *self.merged.values()]
        spans += [self.minutes] if self.minutes else []
        return min(start for start, _ in spans), max(end for _, end in spans)


@attrs.frozen
class Book:
    """An order book as it stood: ``synced`` or not, and how old its last update was (ms)."""

    book: OrderBook
    synced: bool
    age_ms: int | None


@attrs.frozen
class Material:
    """What a question is answered from; ``bar`` is the merge of the window, the rest as the needs asked.

    ``trades`` is None where the raw trades of the window are not kept (any more). ``book`` is None where
    none is followed; ``ticker`` and ``liquidations`` are what the exchange sent of them.
    """

    instrument: Instrument
    span: Span
    bar: Bar
    coverage: Coverage
    minutes: Sequence[Bar] = ()
    merged: Mapping[str, Bar] = attrs.field(factory=dict)
    trades: Sequence[Trades] | None = None
    book: Book | None = None
    ticker: Ticker | None = None
    liquidations: Sequence[Liquidation] = ()


def _nothing_more(_span: Span, _values: Values) -> Needs:
    return Needs()


@attrs.frozen
class Question:
    """A question. ``name`` is its command (``wadm query NAME``), ``path`` its place under ``/api/v1``.

    ``algorithm`` names the measure and its version. ``answer`` returns what is particular to the question:
    heading, parameters and coverage are put around it by ``respond``. ``default_timeframe`` is the window
    where none is asked for; None where one must be. ``stored`` says that stored bars hold all of it, so that
    the answer can be made again from them. ``table`` names the list in the answer that is read by pages and
    written as CSV, None where there is no one such list.
    """

    name: str
    path: str
    title: str
    algorithm: str
    parameters: Sequence[Parameter]
    answer: Callable[[Material, Values], Mapping[str, object]]
    needs: Callable[[Span, Values], Needs] = _nothing_more
    default_timeframe: str | None = None
    stored: bool = True
    table: str | None = None
