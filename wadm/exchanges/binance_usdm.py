"""Binance USDⓈ-M futures.

https://developers.binance.com/docs/derivatives/usds-margined-futures/websocket-market-streams
Since 2026-04 the streams are split over two routes, which cannot share a connection: ``/public`` carries
books, ``/market`` the rest. A stream on the wrong route is acknowledged and stays silent. ``@trade`` is not
documented here; where it is served it comes straight from the matching engine, as the books do, and names in
``X`` what is no market trade (``INSURANCE_FUND``, ``ADL``, ``NA``). Times are in ms.
"""

from collections.abc import Mapping, Sequence

from wadm.exchanges.base import BookRule, Channel, Codec, Exchange, History, Limits
from wadm.exchanges.binance_endpoints import FUTURES, BinanceEndpoints
from wadm.exchanges.binance_protocol import BinanceCodec
from wadm.exchanges.binance_rest import BinanceHistory
from wadm.exchanges.binance_streams import (
    aggregate_stream,
    pace,
    stream_id_kind,
    stream_kind,
    stream_of,
    stream_symbol,
    trade_stream,
)
from wadm.exchanges.contiguity import CountedIds, Positions
from wadm.ledger import Ledger
from wadm.market import IdKind, Instrument

NAME = "binance_usdm"
#: 1,024 streams a connection, 10 incoming messages a second; requests of 200 streams are our choice.
#: A connection is planned with 200 as well: the rate at which one may send and be sent to is not documented.
#: 2,400 of request weight a minute from one address; attempts to connect are counted as on spot, since no
#: number is documented here.
LIMITS = Limits(
    streams_per_connection=1_024,
    comfortable_streams=200,
    streams_per_request=200,
    requests_per_second=10,
    connects_per_five_minutes=300,
    weight_per_minute=2_400,
)
_PUBLIC_KINDS = ("depth", "rpiDepth", "bookTicker", "trade")


def codec(instruments: Mapping[str, Instrument], positions: Positions, ledger: Ledger) -> Codec:
    """Return a codec for one new connection."""
    return BinanceCodec(NAME, LIMITS, instruments, positions, ledger, spot=False)


def routes(streams: Sequence[str]) -> Mapping[str, Sequence[str]]:
    """Return the streams by route; each route wants a connection of its own."""
    by_route: dict[str, list[str]] = {}
    for stream in streams:
        public = stream_kind(stream).startswith(_PUBLIC_KINDS)
        by_route.setdefault("/public/stream" if public else "/market/stream", []).append(stream)
    return by_route


def history(instruments: Mapping[str, Instrument], positions: Positions, ledger: Ledger) -> History:
    """Return what asks for missed trades."""
    return BinanceHistory(NAME, "/fapi/v1", instruments, positions, ledger)


EXCHANGE = Exchange(
    name=NAME,
    id_kind=IdKind.AGG_TRADE,
    ids_count_up=True,
    limits=LIMITS,
    websocket_url="wss://fstream.binance.com",
    rest_url="https://fapi.binance.com",
    routes=routes,
    trade_stream=aggregate_stream,
    trade_streams={IdKind.AGG_TRADE: aggregate_stream, IdKind.TRADE: trade_stream},
    stream_symbol=stream_symbol,
    spelled=str.lower,
    stream_id_kind=stream_id_kind,
    channels={
        Channel.TRADES: aggregate_stream,
        Channel.BOOK: stream_of("depth@100ms"),
        Channel.PARTIAL_BOOK: stream_of("depth20@100ms"),
        Channel.QUOTES: stream_of("bookTicker"),
        Channel.CANDLES: stream_of("kline_1m"),
        Channel.TICKER: stream_of("markPrice@1s"),
        Channel.LIQUIDATIONS: stream_of("forceOrder"),
    },
    pace=pace,
    book_rule=BookRule.PREVIOUS_IDS,
    endpoints=BinanceEndpoints(NAME, FUTURES),
    positions=lambda: Positions(CountedIds),
    codec=codec,
    history=history,
)
