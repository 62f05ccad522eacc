"""Bybit v5: ``bybit`` (linear) and ``bybit_spot``.

https://bybit-exchange.github.io/docs/v5/ws/connect
https://bybit-exchange.github.io/docs/v5/rate-limit
Times are in ms. The client pings every 20 s; a connection idle for 10 minutes is cut.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial

import attrs

from wadm.exchanges.base import BookRule, Channel, Codec, Exchange, Limits
from wadm.exchanges.bybit_endpoints import BybitEndpoints
from wadm.exchanges.bybit_history import BybitRecent
from wadm.exchanges.bybit_protocol import BybitCodec
from wadm.exchanges.bybit_topics import pace, topic_id_kind, topic_of, topic_symbol, trade_topic
from wadm.exchanges.contiguity import Positions, RecentIds
from wadm.ledger import Ledger
from wadm.market import IdKind, Instrument

#: All arguments of one connection together have at most 21,000 characters; 500 attempts to connect in 5
#: minutes and 600 requests in 5 s from one address, every request weighing 1.
LINEAR_LIMITS = Limits(
    characters_per_connection=21_000, connects_per_five_minutes=500, weight_per_minute=7_200
)
#: Spot takes 10 arguments a request.
SPOT_LIMITS = attrs.evolve(LINEAR_LIMITS, streams_per_request=10)


def _codec(
    name: str, limits: Limits, instruments: Mapping[str, Instrument], positions: Positions, ledger: Ledger
) -> Codec:
    return BybitCodec(name, limits, instruments, positions, ledger)


def _routes(path: str, streams: Sequence[str]) -> Mapping[str, Sequence[str]]:
    return {path: tuple(streams)} if streams else {}


def _exchange(
    name: str, category: str, limits: Limits, channels: Mapping[Channel, Callable[[str], str]]
) -> Exchange:
    return Exchange(
        name=name,
        id_kind=IdKind.TRADE,
        ids_count_up=False,
        limits=limits,
        websocket_url="wss://stream.bybit.com",
        rest_url="https://api.bybit.com",
        routes=partial(_routes, f"/v5/public/{category}"),
        trade_stream=trade_topic,
        trade_streams={IdKind.TRADE: trade_topic},
        stream_symbol=topic_symbol,
        stream_id_kind=topic_id_kind,
        channels=channels,
        pace=pace,
        book_rule=BookRule.STREAM_SNAPSHOT,
        endpoints=BybitEndpoints(name, category),
        positions=lambda: Positions(RecentIds),
        codec=partial(_codec, name, limits),
        recent=partial(BybitRecent, name, category),
    )


SPOT_CHANNELS = {
    Channel.TRADES: trade_topic,
    Channel.BOOK: topic_of("orderbook.200"),
    Channel.PARTIAL_BOOK: topic_of("orderbook.50"),
    Channel.QUOTES: topic_of("orderbook.1"),
    Channel.CANDLES: topic_of("kline.1"),
    Channel.TICKER: topic_of("tickers"),
}
LINEAR_CHANNELS = SPOT_CHANNELS | {Channel.LIQUIDATIONS: topic_of("allLiquidation")}
LINEAR = _exchange("bybit", "linear", LINEAR_LIMITS, LINEAR_CHANNELS)
SPOT = _exchange("bybit_spot", "spot", SPOT_LIMITS, SPOT_CHANNELS)
