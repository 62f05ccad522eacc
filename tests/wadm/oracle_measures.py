"""The oracle's measures beyond profile and flow, to be read beside the definitions: slow and plain.

As the oracle does, it imports nothing of what it checks.
"""

from bisect import bisect_left
from collections.abc import Sequence
from decimal import Decimal
from fractions import Fraction
from itertools import pairwise
from typing import Any, NamedTuple

import oracle
from oracle import Levels, Row, Trade, within

DAY_MS = 86_400_000


# --- profiles in time ---


def developing(
    trades: Sequence[Trade], start_ms: int, end_ms: int, step_ms: int, *how: Any
) -> list[tuple[int, Levels]]:
    """POC, VAH and VAL (row size, share, method) at the end of each step in which something traded."""
    found = []
    at = start_ms
    while at < end_ms:
        until = min(at + step_ms, end_ms)
        if within(trades, at, until):
            found.append((until, oracle.levels(within(trades, start_ms, until), *how)))
        at += step_ms
    return found


class Past(NamedTuple):
    """A past window's POC, and the window in which a trade first touched it."""

    start_ms: int
    end_ms: int
    poc: Decimal
    touched_in: int | None


def past_pocs(
    trades: Sequence[Trade], windows: Sequence[tuple[int, int]], row_size: Decimal, share: Decimal
) -> list[Past]:
    """The POC of each window but the last; a later trade whose price lies in its row touches it."""
    found = []
    for start, end in windows[:-1]:
        poc = oracle.levels(within(trades, start, end), row_size, share).poc
        if poc is None:
            continue
        later = within(trades, end, windows[-1][1])
        touching = [trade.at_ms for trade in later if poc <= trade.price < poc + row_size]
        first = min(touching, default=None)
        touched = [since for since, until in windows if first is not None and since <= first < until]
        found.append(Past(start, end, poc, touched[0] if touched else None))
    return found


def nodes(rows: Sequence[Row], smoothing: int, prominence: Decimal) -> tuple[list[int], list[int]]:
    """Positions of high and low volume nodes of dense rows, of the profile smoothed by a centred box."""
    heights = [
        oracle.total(row.volume for row in rows[max(0, at - smoothing) : at + smoothing + 1])
        for at in range(len(rows))
    ]
    if not heights:
        return [], []
    highs = [
        at
        for at, height in enumerate(heights)
        if _is_peak(heights, at)
        and Fraction(height) - _saddle(heights, at) >= Fraction(prominence) * Fraction(max(heights))
    ]
    lows = []
    for left, right in pairwise(highs):
        lowest = min(heights[left:right])
        lows.append(next(at for at in range(left, right) if heights[at] == lowest))
    return highs, lows


def _is_peak(heights: Sequence[Decimal], at: int) -> bool:
    """Whether a level stretch begins here that is higher than what lies on either side of it."""
    end = at
    while end + 1 < len(heights) and heights[end + 1] == heights[at]:
        end += 1
    rises = at == 0 or heights[at - 1] < heights[at]
    falls = end == len(heights) - 1 or heights[end + 1] < heights[at]
    return rises and falls


def _saddle(heights: Sequence[Decimal], at: int) -> Fraction:
    """The higher of the lowest points on the two ways to strictly higher ground; 0 where there is none."""
    saddles = []
    for way in (range(at - 1, -1, -1), range(at + 1, len(heights))):
        lowest = heights[at]
        for place in way:
            lowest = min(lowest, heights[place])
            if heights[place] > heights[at]:
                saddles.append(Fraction(lowest))
                break
    return max(saddles, default=Fraction(0))


# --- footprint ---


def imbalances(rows: Sequence[Row], ratio: Decimal, minimum: Decimal) -> tuple[list[int], list[int]]:
    """Positions of buying and of selling imbalances of dense rows, each row against its diagonal."""
    padded = [oracle.EMPTY_ROW, *rows, oracle.EMPTY_ROW]
    buying, selling = [], []
    for at in range(len(rows)):
        below, row, above = padded[at : at + 3]
        for found, strong, weak in ((buying, row.buy, below.sell), (selling, row.sell, above.buy)):
            if strong > 0 and strong >= minimum and Fraction(strong) >= Fraction(ratio) * Fraction(weak):
                found.append(at)
    return buying, selling


def stacked(found: Sequence[int], least: int) -> list[tuple[int, int]]:
    """Every (lowest, highest) of at least so many consecutive rows that nothing lengthens."""
    rows = set(found)
    return [
        (low, high)
        for low in sorted(rows)
        for high in sorted(rows)
        if high - low + 1 >= least
        and all(row in rows for row in range(low, high + 1))
        and low - 1 not in rows
        and high + 1 not in rows
    ]


# --- prices ---


def rounded(value: Fraction, places: int) -> Decimal:
    """Half to even."""
    return Decimal(round(value * 10**places)).scaleb(-places, oracle.WIDE)


def vwap(trades: Sequence[Trade], places: int) -> tuple[Decimal, Decimal] | None:
    """The mean price by volume and its standard deviation, each rounded to places."""
    if not trades:
        return None
    weights: dict[Decimal, Decimal] = {}
    for trade in trades:
        weights[trade.price] = oracle.WIDE.add(weights.get(trade.price, Decimal(0)), trade.quantity)
    prices = [(Fraction(price), Fraction(volume)) for price, volume in weights.items()]
    volume = sum(weight for _, weight in prices)
    mean = sum(price * weight for price, weight in prices) / volume
    variance = sum((price - mean) ** 2 * weight for price, weight in prices) / volume
    return rounded(mean, places), _root(variance, places)


def _root(square: Fraction, places: int) -> Decimal:
    """The square root to places, found by halving an interval."""
    unit = Fraction(1, 10**places)
    low, high = 0, int((square + 1) / unit) + 1
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if (middle * unit) ** 2 <= square else (low, middle)
    up = square > ((low + Fraction(1, 2)) * unit) ** 2
    return Decimal(low + up).scaleb(-places, oracle.WIDE)


# --- taker orders ---


class Order(NamedTuple):
    """One taker's fills: when the first came, how much in all, and what it was worth."""

    at_ms: int
    signed: Decimal
    notional: Decimal
    fills: int


def orders(trades: Sequence[Trade], *, merged: bool) -> list[Order]:
    """Taker orders by time: `merged` aggregates are one each, single trades of a time and side one."""
    together: dict[tuple[int, object], list[Trade]] = {}
    for trade in trades:
        together.setdefault((trade.at_ms, trade.id if merged else trade.buy), []).append(trade)
    return sorted(
        Order(
            fills[0].at_ms,
            oracle.total(fill.quantity if fill.buy else -fill.quantity for fill in fills),
            oracle.total(oracle.WIDE.multiply(fill.price, fill.quantity) for fill in fills),
            sum(fill.count for fill in fills),
        )
        for fills in together.values()
    )


STEPS = tuple(map(Decimal, ("1", "1.2", "1.5", "2", "2.5", "3", "4", "5", "6", "8")))
#: Ten steps a decade, from 10**-6 quote units on.
EDGES = tuple(step * Decimal(10) ** decade for decade in range(-6, 11) for step in STEPS)


def quantile(prior: Sequence[Order], share: Decimal) -> Decimal | None:
    """The lowest edge below which at least the share of the orders lies; the last one where none does."""
    if not prior:
        return None
    least = Fraction(share) * len(prior)
    notionals = sorted(order.notional for order in prior)
    for edge in EDGES:
        if bisect_left(notionals, edge) >= least:  # so many lie below it
            return edge
    return EDGES[-1]


def by_decade(found: Sequence[Order]) -> dict[Decimal, list[Order]]:
    """Orders by the power of ten that their notional value reaches; what reaches none of them under 0."""
    result: dict[Decimal, list[Order]] = {}
    powers = EDGES[::10]
    for order in found:
        reached = max((power for power in powers if power <= order.notional), default=Decimal(0))
        result.setdefault(reached, []).append(order)
    return result


# --- order flow in time ---


def vpin(
    volumes: Sequence[tuple[Fraction, Fraction]], bucket: Fraction, count: int
) -> tuple[Fraction | None, int]:
    """VPIN over the last full buckets, and how many were filled. What crosses an edge is split."""
    buckets = [[Fraction(0), Fraction(0)]]
    for buy, sell in volumes:
        left = Fraction(1)  # of this volume
        while left:
            room = bucket - sum(buckets[-1])
            part = min(left, room / (buy + sell))
            buckets[-1][0] += part * buy
            buckets[-1][1] += part * sell
            left -= part
            if sum(buckets[-1]) == bucket:
                buckets.append([Fraction(0), Fraction(0)])
    full = buckets[:-1]
    if len(full) < count:
        return None, len(full)
    return sum(abs(buy - sell) for buy, sell in full[-count:]) / (count * bucket), len(full)


def cvd(trades: Sequence[Trade], since_ms: int, at_ms: int) -> oracle.Flow:
    """The flow from a session's start up to, not including, a time: its delta is the CVD then."""
    return oracle.flow(within(trades, since_ms, at_ms))
