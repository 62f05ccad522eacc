"""How it is told that a resource has changed: by what little has to change with it."""

from collections.abc import Iterable, Mapping
from typing import Any

import attrs

from actors.front.agents.resources import STATUS, SYMBOLS, Address
from actors.front.agents.subscriptions import Mark
from actors.front.door import Door


@attrs.frozen
class Marks:
    """Looks at what the door lists anyway: nothing is computed for those who only watch."""

    door: Door

    async def of(self, uris: Iterable[str]) -> dict[str, Mark]:
        """Return the marks of the resources that exist."""
        addresses = [found for uri in uris if (found := Address.parse(uri))]
        if not addresses:
            return {}
        answer: Any = await self.door.symbols()
        listed = {f"{one['exchange']}:{one['symbol']}": one for one in answer["symbols"]}
        known: dict[str, Mark] = {}
        for one in addresses:
            if one.uri == STATUS:
                known[one.uri] = _of_health(self.door.health())
            elif one.uri == SYMBOLS:
                known[one.uri] = tuple((key, listed[key]["state"]) for key in sorted(listed))
            elif one.key in listed:
                known[one.uri] = _of_symbol(listed[one.key])
        return known


def _of_symbol(one: Mapping[str, Any]) -> Mark:
    return one.get("trades"), one["last_trade"], one["state"]


def _of_health(health: Mapping[str, Any]) -> Mark:
    return tuple(str(health.get(name)) for name in ("status", "reasons", "collectors", "storage"))
