"""What tools tell of the daemon itself: which symbols it follows, and how it is."""

from collections import Counter
from collections.abc import Mapping
from typing import Any

from actors.front.agents import brief
from actors.front.agents.arguments import Arguments
from actors.front.door import Door
from wadm.questions import UnknownExchange, nearest

Answer = dict[str, Any]

#: The most symbols of a page.
MOST_SYMBOLS = 500

_SYMBOL = ("exchange", "symbol", "last_price", "trades", "state")
_COLLECTOR = ("name", "state", "reason", "reconnects", "last_frame_age")
_HEALTH = ("status", "reasons", "version", "storage", "uptime")
_LEDGER = ("received", "applied", "duplicate", "balanced")

#: Collectors that a glance takes in.
_GLANCE = 10


async def list_symbols(door: Door, asked: Arguments) -> Answer:
    """Tell the symbols of one exchange or of all, in the order of their keys, page by page."""
    limit, detail = asked.whole("max_symbols", 20, 1, MOST_SYMBOLS), asked.flag("detail")
    exchange, after = asked.text("exchange"), asked.text("cursor") or ""
    found = {_key(one): one for one in (await _listed(door))}
    _check_exchange(exchange, found)
    keys = [key for key in sorted(found) if exchange in (None, found[key]["exchange"])]
    left = [key for key in keys if key > after]
    shown = [brief.chosen(found[key], _SYMBOL, detail=detail) for key in left[:limit]]
    more = {"next_cursor": left[limit - 1]} if len(left) > limit else {}
    return {"symbols": shown, "total": len(keys), "shown": len(shown), **more}


async def _listed(door: Door) -> list[Answer]:
    answer: Any = await door.symbols()
    listed: list[Answer] = answer["symbols"]
    return listed


def _key(one: Mapping[str, Any]) -> str:
    return f"{one['exchange']}:{one['symbol']}"


def _check_exchange(exchange: str | None, found: Mapping[str, Answer]) -> None:
    known = sorted({one["exchange"] for one in found.values()})
    if exchange is not None and exchange not in known:
        raise UnknownExchange("exchange", exchange, nearest(exchange, known))


async def status(door: Door, asked: Arguments) -> Answer:
    """Tell how the daemon is, and what it takes in."""
    detail = asked.flag("detail")
    whole: Any = await door.status()
    if detail:
        return {name: value for name, value in whole.items() if name not in ("actors", "symbols")}
    collectors = sorted(whole["collectors"], key=lambda one: (one["state"] == "connected", one["name"]))
    return {
        **brief.chosen(whole["health"], _HEALTH),
        "market_time": whole["market_time"],
        "trades_per_second": whole["trades_per_second"],
        "latency_us": whole["latency"],
        "ledger": brief.chosen(whole["ledger"], _LEDGER),
        "gaps": len(whole["gaps"]),
        "symbols": dict(Counter(one["state"] for one in whole["symbols"])),
        "collectors": [brief.chosen(one, _COLLECTOR) for one in collectors[:_GLANCE]],
        "collectors_total": len(collectors),
    }
