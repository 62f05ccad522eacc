"""Large trades: taker orders whose notional value stands out from those before them.

The threshold is the larger of an absolute notional value and a quantile of the *prior* orders (those of the
24 hours before the window), so that nothing is judged by what came after it. Orders are counted by size in
ten steps a decade (see ``orders``): the quantile is the lowest edge below which at least that share of the
prior orders lies, hence exact to a step.
"""

from bisect import bisect_left
from collections.abc import Mapping
from decimal import Decimal
from itertools import accumulate

from wadm.orders import EDGES, SIZE_DECIMALS, Order, Orders

ALGORITHM = "large-trades/1"

#: How far back the prior orders reach, µs.
PRIOR = 24 * 60 * 60 * 1_000_000


def by_size(orders: Orders) -> dict[int, int]:
    """Return how many orders there are of each size, by its number."""
    return {number: size[2] + size[3] for number, size in orders.sizes.items()}


def quantile(prior: Mapping[int, int], share: Decimal) -> int | None:
    """Return the edge (10**-8 quote units) below which ``share`` of the prior orders lie, None without any.

    ``prior`` are their numbers ``by_size``. A share that only the size above the last edge would reach gives
    that edge; a share of 0 the lowest.
    """
    sizes = sorted(prior.items())
    counts = list(accumulate(count for _, count in sizes))
    if not counts:
        return None
    numerator, denominator = share.as_integer_ratio()
    least = -(-counts[-1] * numerator // denominator)
    if not least:
        return EDGES[0]
    place = bisect_left(counts, least)
    # Size number n holds notional values from EDGES[n - 1] up to, and without, EDGES[n].
    return EDGES[min(sizes[place][0], len(EDGES) - 1)]


def at_least(orders: Orders, threshold: int, decimals: int) -> list[Order]:
    """Return the largest orders kept whose notional value (10**-8 quote units) reaches the threshold.

    ``decimals`` are those of the bar's prices and quantities together.
    """
    scale = 10**decimals
    return [one for one in orders.largest if one.notional * 10**SIZE_DECIMALS >= threshold * scale]


def counted(orders: Orders, threshold: int) -> tuple[int, int, int, int] | None:
    """Return ``(buy volume, sell volume, buy orders, sell orders)`` from a threshold on, exactly.

    None where the threshold is no edge of a size.
    """
    place = bisect_left(EDGES, threshold)
    if place == len(EDGES) or EDGES[place] != threshold:
        return None
    found = [size for number, size in orders.sizes.items() if number > place]
    return (
        sum(size[0] for size in found), sum(size[1] for size in found),
        sum(size[2] for size in found), sum(size[3] for size in found),
    )  # fmt: skip
