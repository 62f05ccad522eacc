"""What is told of an order book: its best levels, how old they are, and whether they are in step."""

from collections.abc import Sequence

from wadm.book_sync import BookSync
from wadm.instants import iso
from wadm.market import Instrument
from wadm.numbers import plain_scaled
from wadm.orderbook import Level, OrderBook, Side


def depth_answer(
    instrument: Instrument, sync: BookSync, levels: int, *, age_ms: int | None
) -> dict[str, object]:
    """Return the best ``levels`` of each side, best first, as [price, quantity] (base units).

    A book that fell out of step is shown as it was, with ``synced`` false and the reason; one that never was
    in step, or holds half of an update, shows no level. ``known_to``: behind these prices only levels that
    changed since the snapshot are known, null where every level is. ``totals`` are of the levels shown.
    """
    book = sync.book if sync.whole else OrderBook()
    bids, asks = book.bids.top(levels), book.asks.top(levels)
    return {
        "exchange": instrument.exchange,
        "symbol": instrument.symbol,
        "synced": sync.synced,
        "reason": sync.reason or None,
        "age_ms": age_ms,
        "update_id": sync.last if sync.whole else None,
        "exchange_time": iso(sync.at) if sync.whole and sync.at else None,
        "synced_at": None if sync.synced_at is None else iso(sync.synced_at),
        "quantity_unit": "base",
        **best(book),
        "totals": {"bids": _total(bids, book), "asks": _total(asks, book)},
        "known_to": {"bids": _horizon(book.bids, book), "asks": _horizon(book.asks, book)},
        "bids": _plain(bids, book),
        "asks": _plain(asks, book),
    }


def best(book: OrderBook) -> dict[str, str | None]:
    """Return best bid and ask, the spread between them and the middle of it; null where a side is empty."""
    bid, ask = book.bids.best, book.asks.best
    told: dict[str, str | None] = {
        "bid": None if bid is None else plain_scaled(bid[0], book.price_decimals),
        "ask": None if ask is None else plain_scaled(ask[0], book.price_decimals),
        "spread": None,
        "mid": None,
    }
    if bid is not None and ask is not None:
        told["spread"] = plain_scaled(ask[0] - bid[0], book.price_decimals)
        told["mid"] = plain_scaled((bid[0] + ask[0]) * 5, book.price_decimals + 1)
    return told


def book_summary(sync: BookSync, *, age_ms: int | None) -> dict[str, object]:
    """Return where a book stands, in a few words."""
    book = sync.book if sync.whole else OrderBook()
    return {
        "synced": sync.synced,
        "reason": sync.reason or None,
        **best(book),
        "crossed": book.crossed,
        "age_ms": age_ms,
        "updates": sync.applied,
        "gaps": sync.gaps,
        "resyncs": sync.resyncs,
    }


def _plain(levels: Sequence[Level], book: OrderBook) -> list[list[str]]:
    prices, quantities = book.price_decimals, book.quantity_decimals
    return [[plain_scaled(price, prices), plain_scaled(quantity, quantities)] for price, quantity in levels]


def _total(levels: Sequence[Level], book: OrderBook) -> str:
    return plain_scaled(sum(quantity for _, quantity in levels), book.quantity_decimals)


def _horizon(side: Side, book: OrderBook) -> str | None:
    return None if side.horizon is None else plain_scaled(abs(side.horizon), book.price_decimals)
