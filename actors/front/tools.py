"""The tools that agents call. A wrong argument is answered with a sentence and what to do next."""

import logging
from collections.abc import Awaitable, Callable, Mapping
from decimal import Decimal
from typing import Any

import msgspec
import trio
from fastmcp.exceptions import ToolError
from fastmcp.tools import Tool, ToolResult
from mcp_types import TextContent, ToolAnnotations
from pydantic import PrivateAttr

from actors.front import brief, schemas
from actors.front.door import Door
from wadm.answers.registry import QUESTIONS
from wadm.numbers import NumberError, plain
from wadm.questions import (
    MOST_LEVELS,
    NotFollowed,
    QuestionError,
    Unavailable,
    UnknownExchange,
    UnknownParameter,
)

log = logging.getLogger(__name__)

Arguments = Mapping[str, Any]
Ask = Callable[[Arguments], Awaitable[dict[str, Any]]]

#: No tool call waits longer than this (s).
ANSWER_TIMEOUT = 15.0

_READING = ToolAnnotations(
    read_only_hint=True, destructive_hint=False, idempotent_hint=True, open_world_hint=False
)


class QuestionTool(Tool):
    """A tool that reads. Its arguments are checked here, so that mistakes are named in our own words."""

    _ask: Ask = PrivateAttr()

    async def run(self, arguments: dict[str, Any]) -> ToolResult:
        """Answer one call."""
        try:
            given = {name: value for name, value in arguments.items() if value is not None}
            self._check_names(given)
            with trio.fail_after(ANSWER_TIMEOUT):
                answer = await self._ask(given)
        except QuestionError as error:
            raise ToolError(f"{error} {_next(error)}", log_level=logging.DEBUG) from error
        except trio.TooSlowError as error:
            late = Unavailable("the answer", f"it took longer than {ANSWER_TIMEOUT:g} s")
            raise ToolError(str(late), log_level=logging.DEBUG) from error
        except Exception as error:
            log.exception("No answer to the tool call %s", self.name)
            sentence = "Something went wrong inside the daemon; asking the same again may not help."
            raise ToolError(sentence, log_level=logging.DEBUG) from error
        text = msgspec.json.encode(answer).decode()
        return ToolResult(content=[TextContent(type="text", text=text)], structured_content=answer)

    def _check_names(self, given: Arguments) -> None:
        known = self.parameters["properties"]
        for name, value in given.items():
            if name not in known:
                raise UnknownParameter(name, _shown(value), f"one of {', '.join(known)}")


def _next(error: QuestionError) -> str:
    if isinstance(error, NotFollowed):
        return ""
    if error.parameter in ("exchange", "symbol"):
        return "Call list_symbols to see what can be asked."
    if error.status == 503:
        return ""
    return "Correct it and call again."


def create_tools(queries: Door) -> list[Tool]:
    """Return the tools, answering from ``queries``."""

    async def get_volume_profile(given: Arguments) -> dict[str, Any]:
        asked = dict(given)
        max_rows, detail = _whole(asked, "max_rows", 10, 0, schemas.MAX_ROWS), _flag(asked, "detail")
        answer = await queries.ask(QUESTIONS["profile"], _window(asked))
        return brief.profile(answer, max_rows=max_rows, detail=detail)

    async def get_order_flow(given: Arguments) -> dict[str, Any]:
        asked = dict(given)
        detail = _flag(asked, "detail")
        return brief.order_flow(await queries.ask(QUESTIONS["flow"], _window(asked)), detail=detail)

    async def get_market_depth(given: Arguments) -> dict[str, Any]:
        asked = dict(given)
        levels, detail = _whole(asked, "levels", 10, 1, MOST_LEVELS), _flag(asked, "detail")
        parameters = {name: _text(name, value) for name, value in asked.items()}
        return brief.depth(await queries.depth({**parameters, "levels": str(levels)}), detail=detail)

    async def list_symbols(given: Arguments) -> dict[str, Any]:
        asked = dict(given)
        limit, detail = _whole(asked, "max_symbols", 20, 1, schemas.MAX_SYMBOLS), _flag(asked, "detail")
        exchange = _text("exchange", asked["exchange"]) if "exchange" in asked else None
        answer = await queries.symbols()
        _check_exchange(exchange, answer)
        return brief.symbols(answer, exchange=exchange, max_symbols=limit, detail=detail)

    return [
        _tool(
            get_volume_profile,
            "Volume profile",
            "Volume by price: POC, value area (VAH, VAL), volume, delta and the rows of most volume."
            " Prices are lower edges of rows; numbers are exact text.",
            schemas.PROFILE_PARAMETERS,
            schemas.PROFILE_ANSWER,
        ),
        _tool(
            get_order_flow,
            "Order flow",
            "Who was the aggressor: taker buy and sell volume, delta, CVD since 00:00 UTC.",
            schemas.ORDER_FLOW_PARAMETERS,
            schemas.ORDER_FLOW_ANSWER,
        ),
        _tool(
            get_market_depth,
            "Market depth",
            "Order book: best bids and asks as [price, quantity], spread, mid. Where synced is false the"
            " levels are of age_ms ago and may be wrong: say so.",
            schemas.DEPTH_PARAMETERS,
            schemas.DEPTH_ANSWER,
        ),
        _tool(
            list_symbols,
            "Symbols",
            "Exchanges and symbols that can be asked about.",
            schemas.SYMBOLS_PARAMETERS,
            schemas.SYMBOLS_ANSWER,
        ),
    ]


def _tool(
    ask: Ask, title: str, description: str, parameters: schemas.Schema, answer: schemas.Schema
) -> QuestionTool:
    tool = QuestionTool(
        name=getattr(ask, "__name__", ""),
        title=title,
        description=description,
        parameters=parameters,
        output_schema=answer,
        annotations=_READING,
    )
    tool._ask = ask  # noqa: SLF001 - pydantic sets private attributes after construction
    return tool


def _window(asked: Arguments) -> dict[str, str]:
    """Return the question's parameters as text, about the current hour unless something else is named."""
    parameters = {name: _text(name, value) for name, value in asked.items()}
    if not parameters.keys() & {"timeframe", "start", "end"}:
        parameters["timeframe"] = "1h"
    return parameters


def _text(name: str, value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, int | float) and not isinstance(value, bool):
        try:
            return plain(Decimal(str(value)))  # what the agent wrote, not its binary neighbour
        except NumberError:
            pass
    raise QuestionError(name, _shown(value), "text or a number")


def _whole(asked: dict[str, Any], name: str, default: int, low: int, high: int) -> int:
    value = asked.pop(name, default)
    text = str(value)
    if isinstance(value, bool) or not (text.isascii() and text.isdigit() and len(text) < 9):
        raise QuestionError(name, _shown(value), f"a whole number from {low} to {high}")
    if not low <= int(text) <= high:
        raise QuestionError(name, _shown(value), f"a whole number from {low} to {high}")
    return int(text)


def _flag(asked: dict[str, Any], name: str) -> bool:
    value = asked.pop(name, False)
    if not isinstance(value, bool):
        raise QuestionError(name, _shown(value), "true or false")
    return value


def _check_exchange(exchange: str | None, answer: Mapping[str, Any]) -> None:
    known = sorted({one["exchange"] for one in answer["symbols"]})
    if exchange is not None and exchange not in known:
        raise UnknownExchange("exchange", exchange, f"one of {', '.join(known)}")


def _shown(value: Any) -> str:
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()
