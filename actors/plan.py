"""Which connections are to be made, and what each carries."""

from collections.abc import Iterable, Mapping

import attrs

from wadm.exchanges import registry
from wadm.market import IdKind, Instrument
from wadm.settings import Settings


@attrs.frozen
class PlannedConnection:
    """One WebSocket: its streams, and the symbols (``exchange:SYMBOL``) whose trades come over it."""

    name: str
    exchange: str
    url: str
    streams: tuple[str, ...]
    keys: tuple[str, ...]


@attrs.frozen
class Plan:
    """Everything to follow. ``playback`` says that it is a recording: it has an end, and never sheds."""

    instruments: Mapping[str, Instrument]
    #: what the ids count of the one trade source that is folded, by ``exchange:SYMBOL``
    sources: Mapping[str, IdKind]
    connections: tuple[PlannedConnection, ...]
    playback: bool
    #: exchange -> scheme and host of its REST interface
    rest: Mapping[str, str]

    @property
    def traded(self) -> list[str]:
        """The symbols (``exchange:SYMBOL``) whose trades come over some connection."""
        return sorted({key for connection in self.connections for key in connection.keys})


def live(settings: Settings, listing: Mapping[str, Instrument]) -> Plan:
    """Plan the trade streams of the exchanges and symbols that the settings name."""
    instruments: dict[str, Instrument] = {}
    connections: list[PlannedConnection] = []
    for name, wanted in settings.exchanges.items():
        exchange = registry.find(name)
        streams = [exchange.trade_stream(symbol) for symbol in wanted.symbols]
        connections += _connections(name, wanted.url, streams)
        instruments |= _instruments(name, wanted.symbols, listing)
    rest = {name: registry.find(name).rest_url for name in settings.exchanges}
    sources = {key: registry.find(one.exchange).id_kind for key, one in instruments.items()}
    return Plan(instruments, sources, tuple(connections), playback=False, rest=rest)


def recorded(
    exchange: str, url: str, rest_url: str, streams: Iterable[str], listing: Mapping[str, Instrument]
) -> Plan:
    """Plan every stream of a capture, served at ``url``; missed trades are asked for at ``rest_url``."""
    of_symbol = registry.find(exchange).stream_symbol
    streams = list(streams)
    symbols = dict.fromkeys(symbol for stream in streams if (symbol := of_symbol(stream)))
    instruments = _instruments(exchange, symbols, listing)
    return Plan(
        instruments,
        {key: _source(exchange, one.symbol, streams) for key, one in instruments.items()},
        tuple(_connections(exchange, url, streams)),
        playback=True,
        rest={exchange: rest_url},
    )


def _source(name: str, symbol: str, streams: Iterable[str]) -> IdKind:
    """Return what a recording has of a symbol's trades; the exchange's usual source where it has several."""
    exchange = registry.find(name)
    kinds = {
        exchange.stream_id_kind(stream) for stream in streams if exchange.stream_symbol(stream) == symbol
    }
    return next((kind for kind in IdKind if kinds - {None} == {kind}), exchange.id_kind)


def _connections(name: str, url: str, streams: list[str]) -> list[PlannedConnection]:
    exchange = registry.find(name)
    planned = []
    for number, (path, carried) in enumerate(exchange.routes(streams).items(), 1):
        traded = dict.fromkeys(
            f"{name}:{exchange.stream_symbol(stream)}"
            for stream in carried
            if exchange.stream_id_kind(stream)
        )
        connection = f"connection:{name}#{number}"
        planned.append(PlannedConnection(connection, name, url + path, tuple(carried), tuple(traded)))
    return planned


def _instruments(
    exchange: str, symbols: Iterable[str], listing: Mapping[str, Instrument]
) -> dict[str, Instrument]:
    found = (listing.get(f"{exchange}:{symbol}") or Instrument(exchange, symbol) for symbol in symbols)
    return {instrument.key: instrument for instrument in found}
