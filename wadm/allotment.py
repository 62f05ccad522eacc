"""Which streams go over which connection, within what an exchange allows of one.

A connection is filled as far as is comfortable before there is another one. What it carries already never
moves, whatever is added or taken away beside it, so that a change disturbs nobody.
"""

from collections.abc import Iterable, Sequence
from itertools import count

import attrs

from wadm.exchanges.base import Exchange, LimitError, Limits

#: Beside its name, a stream in a request costs quotation marks and a comma.
_FRAMING = 3


@attrs.frozen
class Carrier:
    """A connection: its name, its route (path and query), and the streams it carries."""

    name: str
    route: str
    streams: tuple[str, ...] = ()


def allot(exchange: Exchange, streams: Iterable[str], carriers: Sequence[Carrier] = ()) -> list[Carrier]:
    """Return ``carriers`` with ``streams`` on them, and the new ones that are needed for it, behind them.

    The streams of one symbol stay together as far as their routes allow. A stream that is carried already is
    left where it is. Raises LimitError for a stream that no connection can carry.
    """
    loads = [_Load(one, exchange) for one in carriers]
    carried = {stream for load in loads for stream in load.streams}
    wanted = list(dict.fromkeys(stream for stream in streams if stream not in carried))
    for route, of_route in exchange.routes(wanted).items():
        for symbol, group in _by_symbol(exchange, of_route).items():
            _place(exchange, loads, route, symbol, group)
    return [load.carrier() for load in loads]


class _Load:
    """A connection while it is being filled."""

    def __init__(self, carrier: Carrier, exchange: Exchange) -> None:
        self.name, self.route = carrier.name, carrier.route
        self.streams: list[str] = []
        self.symbols: set[str | None] = set()
        self._exchange = exchange
        self._characters = 0
        self.take(carrier.streams)

    def room_for(self, streams: Sequence[str]) -> bool:
        """Return whether these streams, all of them, stay within the limits."""
        limits = self._exchange.limits
        most, characters = _most(limits), limits.characters_per_connection
        if most is not None and len(self.streams) + len(streams) > most:
            return False
        return characters is None or self._characters + _length(streams) <= characters

    def take(self, streams: Sequence[str]) -> None:
        """Carry these streams as well."""
        self.streams += streams
        self.symbols |= {self._exchange.stream_symbol(stream) for stream in streams}
        self._characters += _length(streams)

    def carrier(self) -> Carrier:
        return Carrier(self.name, self.route, tuple(self.streams))


def _place(
    exchange: Exchange, loads: list[_Load], route: str, symbol: str | None, group: Sequence[str]
) -> None:
    """Put one symbol's streams of a route on one connection, or on several where none has the room."""
    of_route = [load for load in loads if load.route == route]
    of_route.sort(key=lambda load: symbol not in load.symbols)
    for load in of_route:
        if load.room_for(group):
            load.take(group)
            return
    load = _Load(Carrier(_free_name(exchange, loads), route), exchange)
    if load.room_for(group):
        load.take(group)
        loads.append(load)
    elif len(group) > 1:
        middle = len(group) // 2
        _place(exchange, loads, route, symbol, group[:middle])
        _place(exchange, loads, route, symbol, group[middle:])
    else:
        raise LimitError(f"{exchange.name}: no connection can carry {group[0][:80]!r}")


def _free_name(exchange: Exchange, loads: Iterable[_Load]) -> str:
    taken = {load.name for load in loads}
    names = (f"connection:{exchange.name}#{number}" for number in count(1))
    return next(name for name in names if name not in taken)


def _by_symbol(exchange: Exchange, streams: Iterable[str]) -> dict[str | None, list[str]]:
    groups: dict[str | None, list[str]] = {}
    for stream in streams:
        groups.setdefault(exchange.stream_symbol(stream), []).append(stream)
    return groups


def _most(limits: Limits) -> int | None:
    allowed = (limits.comfortable_streams, limits.streams_per_connection)
    return min((one for one in allowed if one is not None), default=None)


def _length(streams: Iterable[str]) -> int:
    return sum(len(stream) + _FRAMING for stream in streams)
