"""Which connections are to be made at the start, and what each carries."""

from collections.abc import Iterable, Mapping, Sequence

import attrs

from wadm.allotment import Carrier, allot
from wadm.channels import streams_of, usual
from wadm.exchanges import registry
from wadm.exchanges.base import Exchange
from wadm.market import IdKind, Instrument
from wadm.sections import ExchangeSettings
from wadm.selected import Selected
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
    #: exchange -> scheme and host of its REST interface; exchanges may come while the daemon runs
    rest: dict[str, str]
    #: the instruments known, by ``exchange:SYMBOL``, and what was added and removed by hand, by exchange
    listing: Mapping[str, Instrument] = attrs.field(factory=dict)
    selected: Mapping[str, Selected] = attrs.field(factory=dict)

    @property
    def traded(self) -> list[str]:
        """The symbols (``exchange:SYMBOL``) whose trades come over some connection."""
        return sorted({key for connection in self.connections for key in connection.keys})


def live(
    settings: Settings, listing: Mapping[str, Instrument], selected: Mapping[str, Selected] | None = None
) -> Plan:
    """Plan the streams of the symbols that the settings name; patterns wait for the exchange's list.

    ``selected`` is what was added and removed by hand, by exchange.
    """
    by_hand = selected or {}
    instruments: dict[str, Instrument] = {}
    sources: dict[str, IdKind] = {}
    connections: list[PlannedConnection] = []
    rest: dict[str, str] = {}
    for name in dict.fromkeys((*settings.exchanges, *by_hand)):
        exchange, wanted = registry.find(name), of_exchange(settings, name)
        symbols = by_hand.get(name, Selected()).over(wanted.names)
        streams = [stream for symbol in symbols for stream in wanted_streams(exchange, wanted, symbol)]
        connections += _connections(exchange, wanted.url, allot(exchange, streams))
        found = instruments_of(name, symbols, listing)
        instruments |= found
        rest[name] = wanted.rest_url or exchange.rest_url
        sources |= dict.fromkeys(found, source_of(exchange, wanted))
    return Plan(
        instruments, sources, tuple(connections), playback=False, rest=rest, listing=listing, selected=by_hand
    )


def recorded(
    exchange: str, url: str, rest_url: str, streams: Iterable[str], listing: Mapping[str, Instrument]
) -> Plan:
    """Plan every stream of a capture, served at ``url``; missed trades are asked for at ``rest_url``."""
    of = registry.find(exchange)
    streams = list(streams)
    symbols = dict.fromkeys(symbol for stream in streams if (symbol := of.stream_symbol(stream)))
    instruments = instruments_of(exchange, symbols, listing)
    return Plan(
        instruments,
        {key: _recorded_source(of, one.symbol, streams) for key, one in instruments.items()},
        tuple(_connections(of, url, allot(of, streams))),
        playback=True,
        rest={exchange: rest_url},
    )


def of_exchange(settings: Settings, name: str) -> ExchangeSettings:
    """Return an exchange's settings; the defaults, without symbols, where it has none."""
    return settings.exchanges.get(name) or ExchangeSettings(registry.find(name).websocket_url, ())


def source_of(exchange: Exchange, wanted: ExchangeSettings) -> IdKind:
    """Return the kind of trades that is folded live."""
    return exchange.id_kind if wanted.trade_source is None else IdKind(wanted.trade_source)


def wanted_streams(exchange: Exchange, wanted: ExchangeSettings, symbol: str) -> list[str]:
    """Return the streams of a symbol that are followed live."""
    entries = wanted.streams if wanted.streams is not None else usual(exchange)
    return streams_of(exchange, entries, symbol, source_of(exchange, wanted))


def connection(exchange: Exchange, url: str, carrier: Carrier) -> PlannedConnection:
    """Return the connection to ``url`` (scheme and host) that carries what was allotted to it."""
    traded = dict.fromkeys(
        f"{exchange.name}:{exchange.stream_symbol(stream)}"
        for stream in carrier.streams
        if exchange.stream_id_kind(stream)
    )
    return PlannedConnection(carrier.name, exchange.name, url + carrier.route, carrier.streams, tuple(traded))


def instruments_of(
    exchange: str, symbols: Iterable[str], listing: Mapping[str, Instrument]
) -> dict[str, Instrument]:
    """Return the symbols' instruments by key; one that is not listed has no tick."""
    found = (listing.get(f"{exchange}:{symbol}") or Instrument(exchange, symbol) for symbol in symbols)
    return {instrument.key: instrument for instrument in found}


def _connections(exchange: Exchange, url: str, carriers: Sequence[Carrier]) -> list[PlannedConnection]:
    return [connection(exchange, url, carrier) for carrier in carriers]


def _recorded_source(exchange: Exchange, symbol: str, streams: Iterable[str]) -> IdKind:
    """Return what a recording has of a symbol's trades; the exchange's usual source where it has several."""
    kinds = {
        exchange.stream_id_kind(stream) for stream in streams if exchange.stream_symbol(stream) == symbol
    }
    return next((kind for kind in IdKind if kinds - {None} == {kind}), exchange.id_kind)
