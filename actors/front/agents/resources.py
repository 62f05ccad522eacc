"""What agents read and watch by its address: symbols, status, profiles and trades."""

import logging
import re
from collections.abc import Awaitable
from typing import Any

import attrs
import msgspec
import trio
from fastmcp.exceptions import ValidationError
from fastmcp.resources import Resource, ResourceTemplate

from actors.front.agents import asks, standing
from actors.front.agents.arguments import Arguments
from actors.front.agents.tool import ANSWER_TIMEOUT
from actors.front.door import Door
from wadm.answers.asking import WINDOWS
from wadm.questions import QuestionError, Unavailable

log = logging.getLogger(__name__)

SYMBOLS = "wadm://symbols"
STATUS = "wadm://status"
PROFILE = "wadm://{exchange}/{symbol}/profile/{timeframe}"
TRADES = "wadm://{exchange}/{symbol}/trades"

_JSON = "application/json"
_OF_SYMBOL = re.compile(
    r"wadm://([a-z0-9_]{1,40})/([A-Za-z0-9_.:-]{1,40})/(?:trades|profile/([a-z0-9]{1,8}))"
)


@attrs.frozen
class Address:
    """What a resource's address names: with ``key`` something of that symbol (``exchange:SYMBOL``)."""

    uri: str
    key: str | None = None

    @classmethod
    def parse(cls, uri: str) -> "Address | None":
        """Return an address, None where there never is anything."""
        if uri in (SYMBOLS, STATUS):
            return cls(uri)
        found = _OF_SYMBOL.fullmatch(uri)
        if found is None or (found[3] is not None and found[3] not in WINDOWS):
            return None
        return cls(uri, f"{found[1]}:{found[2].upper()}")


def create_resources(door: Door) -> list[Resource | ResourceTemplate]:
    """Return the resources, answering from ``door``; each is what the tool beside it tells by default."""

    async def symbols() -> str:
        return await _text(standing.list_symbols(door, Arguments({"max_symbols": standing.MOST_SYMBOLS})))

    async def status() -> str:
        return await _text(standing.status(door, Arguments({})))

    async def profile(exchange: str, symbol: str, timeframe: str) -> str:
        given = {"exchange": exchange, "symbol": symbol, "timeframe": timeframe}
        return await _text(asks.volume_profile(door, Arguments(given)))

    async def trades(exchange: str, symbol: str) -> str:
        return await _text(asks.trades(door, Arguments({"exchange": exchange, "symbol": symbol})))

    return [
        Resource.from_function(
            symbols, SYMBOLS, name="symbols", title="Symbols", mime_type=_JSON,
            description="Exchanges and symbols that can be asked about.",
        ),
        Resource.from_function(
            status, STATUS, name="status", title="Status", mime_type=_JSON,
            description="Whether the daemon is healthy, and what it takes in.",
        ),
        ResourceTemplate.from_function(
            profile, PROFILE, name="profile", title="Volume profile", mime_type=_JSON,
            description=f"The current volume profile of a symbol; timeframe: {', '.join(WINDOWS)}.",
        ),
        ResourceTemplate.from_function(
            trades, TRADES, name="trades", title="Trades", mime_type=_JSON,
            description="The newest trades of a symbol, and the cursor of those to come.",
        ),
    ]  # fmt: skip


async def _text(answer: Awaitable[dict[str, Any]]) -> str:
    try:
        with trio.fail_after(ANSWER_TIMEOUT):
            return msgspec.json.encode(await answer).decode()
    except QuestionError as error:
        raise ValidationError(str(error), log_level=logging.DEBUG) from error
    except trio.TooSlowError as error:
        late = Unavailable("the resource", f"it took longer than {ANSWER_TIMEOUT:g} s")
        raise ValidationError(str(late), log_level=logging.DEBUG) from error
    except Exception:
        log.exception("No answer to the reading of a resource")
        raise
