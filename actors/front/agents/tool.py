"""One tool: checks what it is given, asks, and says in a sentence what went wrong and what to do next."""

import logging
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
import trio
from fastmcp.exceptions import ToolError
from fastmcp.server.dependencies import get_context
from fastmcp.tools import Tool, ToolResult
from mcp_types import TextContent, ToolAnnotations
from pydantic import PrivateAttr

from actors.background import background
from actors.front.agents.arguments import Arguments, shown
from wadm.questions import NotFollowed, QuestionError, Unavailable, UnknownParameter, nearest

log = logging.getLogger(__name__)

Answer = dict[str, Any]
Ask = Callable[[Arguments], Awaitable[Answer]]

#: No call waits longer than this (s), and one that waits says so this often where progress is asked for.
ANSWER_TIMEOUT = 15.0
PROGRESS_EVERY = 0.5

#: Every tool reads, and reads only what is here.
READING = ToolAnnotations(
    read_only_hint=True, destructive_hint=False, idempotent_hint=True, open_world_hint=False
)


class QuestionTool(Tool):
    """A tool that reads. Its arguments are checked here, so that mistakes are named in our own words."""

    _ask: Ask = PrivateAttr()

    @classmethod
    def make(
        cls, ask: Ask, *, name: str, title: str, description: str, parameters: Answer, answer: Answer
    ) -> "QuestionTool":
        """Return a tool; ``parameters`` and ``answer`` are JSON schemas."""
        tool = cls(
            name=name,
            title=title,
            description=description,
            parameters=parameters,
            output_schema=answer,
            annotations=READING,
        )
        tool._ask = ask
        return tool

    async def run(self, arguments: dict[str, Any]) -> ToolResult:
        """Answer one call. Cancelling it cancels what is asked."""
        try:
            given = Arguments.of(arguments)
            self._check_names(given)
            with trio.fail_after(ANSWER_TIMEOUT):
                async with background() as nursery:
                    nursery.start_soon(_tell_progress)
                    answer = await self._ask(given)
        except QuestionError as error:
            raise ToolError(f"{error} {_next(error)}".strip(), log_level=logging.DEBUG) from error
        except trio.TooSlowError as error:
            late = Unavailable("the answer", f"it took longer than {ANSWER_TIMEOUT:g} s")
            raise ToolError(f"{late} A shorter window is quicker.", log_level=logging.DEBUG) from error
        except Exception as error:
            log.exception("No answer to the tool call %s", self.name)
            sentence = "Something went wrong inside the daemon; asking the same again may not help."
            raise ToolError(sentence, log_level=logging.DEBUG) from error
        text = msgspec.json.encode(answer).decode()
        return ToolResult(content=[TextContent(type="text", text=text)], structured_content=answer)

    def _check_names(self, asked: Arguments) -> None:
        known = self.parameters["properties"]
        for name, value in asked.given.items():
            if name not in known:
                raise UnknownParameter(name, shown(value), nearest(name, known))


async def _tell_progress() -> None:
    """Tell how long the answer takes (s), where the call asked for that."""
    context = get_context()
    began = trio.current_time()
    while True:
        await trio.sleep(PROGRESS_EVERY)
        waited = round(trio.current_time() - began, 1)
        await context.report_progress(waited, ANSWER_TIMEOUT, "reading and merging the window's bars")


def _next(error: QuestionError) -> str:
    if isinstance(error, NotFollowed) or error.status == 503:
        return ""
    if error.parameter in ("exchange", "symbol"):
        return "Call list_symbols to see what can be asked."
    return "Correct it and call again."
