"""The names of Bybit v5's topics: ``orderbook.50.BTCUSDT`` is what is told, and of which symbol.

https://bybit-exchange.github.io/docs/v5/ws/connect
"""

from collections.abc import Callable, Mapping

from wadm.market import IdKind

#: Seconds of suspicious silence by how a topic begins; 60 for all others.
_PACES: Mapping[str, float | None] = {
    "allLiquidation": None,
    "kline": 90.0,
    "orderbook": 30.0,
    "tickers": 30.0,
}


def topic_symbol(topic: str) -> str | None:
    """Return the symbol of ``publicTrade.BTCUSDT``, None for a topic without one."""
    return topic.rpartition(".")[2] if "." in topic else None


def topic_kind(topic: str) -> str:
    """Return ``orderbook`` of ``orderbook.50.BTCUSDT``."""
    return topic.partition(".")[0]


def topic_id_kind(topic: str) -> IdKind | None:
    """Return TRADE for ``publicTrade.…``, None for a topic without trades."""
    return IdKind.TRADE if topic.startswith("publicTrade.") else None


def topic_depth(topic: str) -> int:
    """Return how many levels ``orderbook.50.BTCUSDT`` shows; 0 for a topic of no order book."""
    parts = topic.split(".")
    is_book = len(parts) == 3 and parts[0] == "orderbook" and len(parts[1]) <= 4
    return int(parts[1]) if is_book and parts[1].isascii() and parts[1].isdigit() else 0


def topic_of(start: str) -> Callable[[str], str]:
    """Return what names a symbol's topic of one kind: ``kline.1.BTCUSDT``."""
    return lambda symbol: f"{start}.{symbol}"


trade_topic = topic_of("publicTrade")


def pace(topic: str) -> float | None:
    """Return the seconds after which a topic's silence is suspicious while its siblings move.

    Candles come every 1 to 60 s, liquidations when there are any, the rest as it changes; the best quote is
    repeated every 3 s.
    """
    return _PACES.get(topic_kind(topic), 60.0)
