"""Candles out of trades, exact. Pure."""

from collections.abc import Iterable, Iterator, Sequence
from decimal import Context, Decimal, Inexact, localcontext
from itertools import groupby
from typing import NamedTuple

import attrs

_EXACT = Context(prec=200, traps=[Inexact])

MINUTE, DAY = 60_000, 86_400_000  # ms


class Deal(NamedTuple):
    """A trade, or ``trades`` of one order at one price; ``bought`` says that the taker bought. Time in ms."""

    time: int
    price: Decimal
    quantity: Decimal
    bought: bool
    trades: int = 1


@attrs.frozen
class Candle:
    """What was traded in the interval that begins at ``start`` (ms)."""

    start: int
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: Decimal = Decimal(0)
    turnover: Decimal = Decimal(0)
    bought: Decimal = Decimal(0)
    bought_turnover: Decimal = Decimal(0)
    count: int = 0


def candles(deals: Iterable[Deal], interval: int, origin: int = 0) -> list[Candle]:
    """Return the candles of every interval (ms) from the first trade to the last, ascending.

    Intervals are counted from ``origin``. In one without a trade everything is at the last close.
    """
    found: list[Candle] = []
    ordered = sorted(deals, key=lambda deal: deal.time)  # stable: trades of one ms stay in their order
    for start, group in groupby(ordered, lambda deal: (deal.time - origin) // interval * interval + origin):
        if found:
            found += _calm(found[-1], start, interval)
        found.append(fold(start, list(group)))
    return found


def flat(start: int, price: Decimal) -> Candle:
    """Return the candle of an interval without a trade."""
    return Candle(start, price, price, price, price)


def _calm(last: Candle, until: int, interval: int) -> Iterator[Candle]:
    for start in range(last.start + interval, until, interval):
        yield flat(start, last.close)


def fold(start: int, deals: Sequence[Deal]) -> Candle:
    """Return one candle of all trades given, at least one."""
    with localcontext(_EXACT):
        prices = [deal.price for deal in deals]
        bought = [deal for deal in deals if deal.bought]
        return Candle(
            start,
            open=prices[0],
            high=max(prices),
            low=min(prices),
            close=prices[-1],
            volume=sum((deal.quantity for deal in deals), Decimal(0)),
            turnover=sum((deal.price * deal.quantity for deal in deals), Decimal(0)),
            bought=sum((deal.quantity for deal in bought), Decimal(0)),
            bought_turnover=sum((deal.price * deal.quantity for deal in bought), Decimal(0)),
            count=sum(deal.trades for deal in deals),
        )
