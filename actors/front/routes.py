"""What can be asked over HTTP: every question with its path and its parameters, in one table.

The application serves it and ``/openapi.json`` describes it, so that neither knows a path the other does not.
"""

from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import attrs

from actors.answers import trade_pages, trades
from actors.front.door import Door
from actors.front.paging import MOST
from wadm.answers import activity, compare
from wadm.answers.asking import WINDOWS, written
from wadm.answers.question import Parameter, Question
from wadm.answers.registry import QUESTIONS
from wadm.questions import MOST_LEVELS, UnknownParameter

Answer = dict[str, Any]
Ask = Callable[[Mapping[str, str]], Awaitable[Answer]]

PREFIX = "/api/v1"


@attrs.frozen
class Described:
    """A parameter of the query string: its meaning, and a JSON schema of its text."""

    name: str
    meaning: str
    schema: Mapping[str, Any] = attrs.field(factory=lambda: {"type": "string"})
    required: bool = False


@attrs.frozen(eq=False)
class Route:
    """A path that answers GET. ``table`` names the list of its answer that has pages and can be CSV."""

    path: str
    summary: str
    ask: Ask
    parameters: Sequence[Described] = ()
    table: str | None = None
    #: a question about a window: its answer says when that is over
    windowed: bool = False


_EXCHANGE = Described("exchange", "Exchange, as /api/v1/symbols lists it")
_SYMBOL = Described("symbol", "Symbol, as /api/v1/symbols lists it")
_WINDOW = (
    Described("timeframe", "The current window of this length", {"type": "string", "enum": list(WINDOWS)}),
    Described("session", "Where sessions begin, such as 09:30@America/New_York; default 00:00@UTC"),
    Described("start", "Begin of the window, ISO 8601, with end instead of timeframe"),
    Described("end", "End of the window, not in it, ISO 8601"),
)
_RECOMPUTE = Described(
    "recompute",
    "Make the answer again from stored bars, and compare",
    {"type": "string", "enum": ["true", "false"]},
)
_PAGE = (
    Described("limit", "Rows of a page", {"type": "integer", "minimum": 1, "maximum": MOST}),
    Described("cursor", "The `next` of the page before"),
)
_TRADES = (
    Described("cursor", "The `next` of an answer before, also of one before a restart; else the newest come"),
    Described("start", "Begin with the first trade at this time or later, ISO 8601, instead of cursor"),
    Described(
        "limit",
        "Trades of a page",
        {"type": "integer", "minimum": 1, "maximum": trade_pages.MOST, "default": trades.USUAL},
    ),
)
_LEVELS = Described(
    "levels", "Levels of each side", {"type": "integer", "minimum": 1, "maximum": MOST_LEVELS, "default": 20}
)


def routes(queries: Door) -> list[Route]:
    """Return everything that can be asked of ``queries``."""
    return [*_questions(queries), *_others(queries)]


def _questions(queries: Door) -> Iterator[Route]:
    for question in QUESTIONS.values():
        yield Route(
            f"{PREFIX}/{question.path}",
            question.title,
            partial(queries.ask, question),
            tuple(_parameters(question)),
            question.table,
            windowed=True,
        )


def _parameters(question: Question) -> Iterator[Described]:
    every = question is activity.QUESTION  # of all symbols where none is named
    yield attrs.evolve(_EXCHANGE, required=not every)
    yield attrs.evolve(_SYMBOL, required=not every)
    yield from _WINDOW
    yield _RECOMPUTE
    yield from map(described, question.parameters)
    if question.table:
        yield from _PAGE


def described(parameter: Parameter) -> Described:
    """Return a question's parameter for readers of the description."""
    default = written(parameter.default)
    shown = ",".join(map(str, default)) if isinstance(default, list) else default
    schema = {"type": "string"} if shown is None else {"type": "string", "default": str(shown)}
    meaning = f"{parameter.meaning[:1].upper()}{parameter.meaning[1:]}: {parameter.expected}"
    return Described(parameter.name, meaning, schema, parameter.required)


def _others(queries: Door) -> Iterator[Route]:
    symbol = attrs.evolve(_SYMBOL, required=True)
    yield Route(
        f"{PREFIX}/{compare.NAME}",
        compare.TITLE,
        queries.compare,
        (symbol, *_WINDOW, *map(described, compare.PARAMETERS)),
    )
    yield Route(
        f"{PREFIX}/depth",
        "The order book: best bids and asks as [price, quantity]",
        queries.depth,
        (attrs.evolve(_EXCHANGE, required=True), symbol, _LEVELS),
    )
    yield Route(
        f"{PREFIX}/trades",
        "Single trades, in the order in which they came",
        queries.trades,
        (attrs.evolve(_EXCHANGE, required=True), symbol, *_TRADES),
        table="trades",
    )
    yield Route(f"{PREFIX}/symbols", "The symbols that are followed", _bare(queries.symbols), table="symbols")
    yield Route(f"{PREFIX}/status", "Everything that the status page shows", _bare(queries.status))

    async def actors() -> Answer:
        return queries.actors()

    yield Route(f"{PREFIX}/actors", "The supervision tree as it stands", _bare(actors))


def _bare(ask: Callable[[], Awaitable[Answer]]) -> Ask:
    """Return what asks a question that has no parameters."""

    async def asked(parameters: Mapping[str, str]) -> Answer:
        for name, value in parameters.items():
            raise UnknownParameter(name, value, "no parameters here")
        return await ask()

    return asked
