"""What an exchange tells of a contract beside its trades and book, in the shape of answers."""

from collections.abc import Sequence

from wadm.instants import iso
from wadm.market import Liquidation, Ticker
from wadm.numbers import plain, plain_or_none


def contract(ticker: Ticker | None, liquidations: Sequence[Liquidation], since: int) -> dict[str, object]:
    """Return mark price, funding, open interest (base units), and the liquidations from ``since`` (µs) on.

    What was never told is None; ``last`` is the last liquidation, however long ago.
    """
    told = ticker or Ticker("", "", 0)
    last = max(liquidations, key=lambda one: one.at, default=None)
    return {
        "mark_price": plain_or_none(told.mark_price),
        "index_price": plain_or_none(told.index_price),
        "funding_rate": plain_or_none(told.funding_rate),
        "next_funding": None if told.next_funding_at is None else iso(told.next_funding_at),
        "open_interest": plain_or_none(told.open_interest),
        "liquidations": {
            "count": sum(one.at >= since for one in liquidations),
            "last": None if last is None else _liquidation(last),
        },
    }


def _liquidation(one: Liquidation) -> dict[str, object]:
    return {
        "at": iso(one.at),
        "position": str(one.position),
        "price": plain(one.price),
        "quantity": plain(one.quantity),
    }
