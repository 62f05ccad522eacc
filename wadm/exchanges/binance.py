"""Binance spot.

https://developers.binance.com/docs/binance-spot-api-docs/web-socket-streams
https://developers.binance.com/docs/binance-spot-api-docs/rest-api/limits
Times are in ms (``timeUnit=MICROSECOND`` is not asked for). The server pings every 20 s and ends each
connection after 24 h.
"""

from collections.abc import Mapping, Sequence

from wadm.exchanges.base import BookRule, Channel, Codec, Exchange, History, Limits
from wadm.exchanges.binance_endpoints import SPOT, BinanceEndpoints
from wadm.exchanges.binance_protocol import BinanceCodec
from wadm.exchanges.binance_rest import BinanceHistory
from wadm.exchanges.binance_streams import (
    aggregate_stream,
    pace,
    stream_id_kind,
    stream_of,
    stream_symbol,
    trade_stream,
)
from wadm.exchanges.contiguity import CountedIds, Positions
from wadm.ledger import Ledger
from wadm.market import IdKind, Instrument

NAME = "binance"
#: 1,024 streams a connection, 5 incoming messages a second, 300 attempts to connect in 5 minutes and 6,000 of
#: request weight a minute from one address. Requests of 200 streams are our choice: the length of a message
#: is limited as well, and nowhere documented.
LIMITS = Limits(
    streams_per_connection=1_024,
    streams_per_request=200,
    requests_per_second=5,
    connects_per_five_minutes=300,
    weight_per_minute=6_000,
)


def codec(instruments: Mapping[str, Instrument], positions: Positions, ledger: Ledger) -> Codec:
    """Return a codec for one new connection."""
    return BinanceCodec(NAME, LIMITS, instruments, positions, ledger, spot=True)


def routes(streams: Sequence[str]) -> Mapping[str, Sequence[str]]:
    """Return the one path that carries every stream, wrapped with the stream's name."""
    return {"/stream": tuple(streams)} if streams else {}


def history(instruments: Mapping[str, Instrument], positions: Positions, ledger: Ledger) -> History:
    """Return what asks for missed trades."""
    return BinanceHistory(NAME, "/api/v3", instruments, positions, ledger)


EXCHANGE = Exchange(
    name=NAME,
    id_kind=IdKind.TRADE,
    ids_count_up=True,
    limits=LIMITS,
    websocket_url="wss://stream.binance.com:9443",
    rest_url="https://api.binance.com",
    routes=routes,
    trade_stream=trade_stream,
    trade_streams={IdKind.TRADE: trade_stream, IdKind.AGG_TRADE: aggregate_stream},
    stream_symbol=stream_symbol,
    spelled=str.lower,
    stream_id_kind=stream_id_kind,
    channels={
        Channel.TRADES: trade_stream,
        Channel.SECOND_TRADES: aggregate_stream,
        Channel.BOOK: stream_of("depth@100ms"),
        Channel.PARTIAL_BOOK: stream_of("depth20@100ms"),
        Channel.QUOTES: stream_of("bookTicker"),
        Channel.CANDLES: stream_of("kline_1m"),
    },
    pace=pace,
    book_rule=BookRule.UPDATE_IDS,
    endpoints=BinanceEndpoints(NAME, SPOT),
    positions=lambda: Positions(CountedIds),
    codec=codec,
    history=history,
)
