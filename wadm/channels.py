"""What is followed of a symbol, as settings name it, and the streams it comes from.

An entry is the name of a channel (``trades``, ``book``, …) or a stream of the exchange's own, with
``{symbol}`` where its symbol stands: ``orderbook.50.{symbol}``, ``{symbol}@depth20@100ms``.
"""

from collections.abc import Iterable, Sequence
from difflib import get_close_matches

from wadm.exchanges.base import Channel, Exchange
from wadm.market import IdKind

SYMBOL = "{symbol}"

#: What is followed unless settings name something else, as far as the exchange has it.
USUAL = (Channel.TRADES, Channel.BOOK, Channel.CANDLES, Channel.TICKER, Channel.LIQUIDATIONS)


def usual(exchange: Exchange) -> tuple[str, ...]:
    """Return the channels that are followed by default."""
    return tuple(channel for channel in USUAL if channel in exchange.channels)


def streams_of(
    exchange: Exchange, entries: Iterable[str], symbol: str, source: IdKind | None = None
) -> list[str]:
    """Return the streams of a symbol. ``source`` is the kind of trades that is folded, if not the usual."""
    found = (_stream(exchange, entry, symbol, source or exchange.id_kind) for entry in entries)
    return list(dict.fromkeys(found))


def problem(exchange: Exchange, entry: str) -> str | None:
    """Return what was expected in place of an entry that this exchange does not have."""
    if SYMBOL in entry:
        sound = entry.count(SYMBOL) == 1 and entry.isascii() and entry.isprintable() and " " not in entry
        return None if sound else f"a stream's name with {SYMBOL} in it once"
    known = [*exchange.channels]
    if len(exchange.trade_streams) > 1 and Channel.SECOND_TRADES not in known:
        known.append(Channel.SECOND_TRADES)
    if entry in known:
        return None
    near = get_close_matches(entry, known, n=1)
    hint = f" (did you mean {near[0]}?)" if near else ""
    return f"one of {', '.join(sorted(known))}, or a stream's name with {SYMBOL} in it{hint}"


def _stream(exchange: Exchange, entry: str, symbol: str, source: IdKind) -> str:
    if SYMBOL in entry:
        return entry.replace(SYMBOL, exchange.spelled(symbol))
    if entry == Channel.TRADES:
        return exchange.trade_streams[source](symbol)
    if entry == Channel.SECOND_TRADES:
        return exchange.trade_streams[_other(exchange.trade_streams, source)](symbol)
    return exchange.channels[Channel(entry)](symbol)


def _other(kinds: Iterable[IdKind], source: IdKind) -> IdKind:
    others: Sequence[IdKind] = [kind for kind in kinds if kind is not source]
    return others[0]
