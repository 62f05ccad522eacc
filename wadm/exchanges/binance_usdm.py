"""Binance USDⓈ-M futures: aggregate trades, and single ones where a server sends them.

https://developers.binance.com/docs/derivatives/usds-margined-futures/websocket-market-streams
Since 2026-04 the streams are split over two routes, which cannot share a connection: ``/public`` carries
books, ``/market`` the rest. A stream on the wrong route is acknowledged and stays silent. ``@trade`` is not
documented here; where it is served it comes straight from the matching engine, as the books do, and names in
``X`` what is no market trade (``INSURANCE_FUND``, ``ADL``, ``NA``). Times are in ms.
"""

from collections.abc import Mapping, Sequence

from wadm.exchanges.base import Codec, Exchange, History, Limits
from wadm.exchanges.binance_protocol import (
    BinanceCodec,
    aggregate_stream,
    stream_id_kind,
    stream_kind,
    stream_symbol,
    trade_stream,
)
from wadm.exchanges.binance_rest import BinanceHistory
from wadm.exchanges.contiguity import CountedIds, Positions
from wadm.ledger import Ledger
from wadm.market import IdKind, Instrument

NAME = "binance_usdm"
#: 1,024 streams a connection, 10 incoming messages a second; requests of 200 streams are our choice.
LIMITS = Limits(streams_per_connection=1_024, streams_per_request=200, requests_per_second=10)
_PUBLIC_KINDS = ("depth", "rpiDepth", "bookTicker", "trade")


def codec(instruments: Mapping[str, Instrument], positions: Positions, ledger: Ledger) -> Codec:
    """Return a codec for one new connection."""
    return BinanceCodec(NAME, LIMITS, instruments, positions, ledger)


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
    stream_id_kind=stream_id_kind,
    positions=lambda: Positions(CountedIds),
    codec=codec,
    history=history,
)
