"""What an agent may write for an argument of a prompt or of a resource's address."""

from typing import Any

import mcp_types as types
from fastmcp.server.completions import CompletionHandler, CompletionReference

from actors.front.door import Door
from wadm.answers.asking import WINDOWS

#: The most suggestions that the protocol allows at a time.
_MOST = 100


def create_completion(door: Door) -> CompletionHandler:
    """Return what completes arguments from what ``door`` follows."""

    async def complete(
        _of: CompletionReference, argument: types.CompletionArgument, context: types.CompletionContext | None
    ) -> list[str]:
        if argument.name == "timeframe":
            found = list(WINDOWS)
        elif argument.name in ("exchange", "symbol"):
            found = await _followed(door, argument.name, context)
        else:
            return []
        return [one for one in found if one.lower().startswith(argument.value.lower())][:_MOST]

    return complete


async def _followed(door: Door, name: str, context: types.CompletionContext | None) -> list[str]:
    """Return exchanges, or symbols: those of the exchange that was chosen before, if one was."""
    answer: Any = await door.symbols()
    given = {} if context is None or context.arguments is None else context.arguments
    exchange = given.get("exchange") if name == "symbol" else None
    return sorted({str(one[name]) for one in answer["symbols"] if exchange in (None, one["exchange"])})
