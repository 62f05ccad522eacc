"""CVD divergence, a heuristic: price makes a further extreme and the aggressors do not follow.

A bar is a swing high where its high is strictly above those of the ``span`` (s) bars on either side, all of
which must be known; a swing low likewise. Of two consecutive swing highs, the later one higher in price and
lower in CVD is bearish; of two consecutive swing lows, the later one lower in price and higher in CVD is
bullish. CVD is taken at the swing bars' closes, and only the difference counts: the delta of the bars after
the earlier swing up to and with the later one, through any session's start in between. A swing is known only
``span`` bars after it.

Divergence is a chartist's notion; the swing is the fractal of B. Williams (*Trading Chaos*, 1995) with s
bars. It points at a place to look at, and is no fact.
"""

from collections.abc import Sequence
from itertools import accumulate, pairwise

import attrs

from wadm.bar import Bar

ALGORITHM = "cvd-divergence/1"


@attrs.frozen
class Divergence:
    """Two consecutive swings (places among the bars) on which price and CVD disagree.

    ``kind`` is bearish or bullish; ``prices`` (scaled by ``10**price_decimals``) are the extremes of the
    earlier and the later one, ``cvd_change`` (by ``10**quantity_decimals``) is the delta in between.
    ``confirmed`` is the place of the bar that confirmed the later one.
    """

    kind: str
    earlier: int
    later: int
    confirmed: int
    prices: tuple[int, int]
    cvd_change: int
    price_decimals: int
    quantity_decimals: int


def divergences(bars: Sequence[Bar], span: int) -> list[Divergence]:
    """Return the divergences of bars, ascending and each with a trade in it, by the later swing."""
    price_decimals = max((bar.price_decimals for bar in bars), default=0)
    decimals = max((bar.quantity_decimals for bar in bars), default=0)
    factors = [10 ** (price_decimals - bar.price_decimals) for bar in bars]
    cvd = list(accumulate(bar.delta * 10 ** (decimals - bar.quantity_decimals) for bar in bars))
    found = []
    for kind, sign in (("bearish", 1), ("bullish", -1)):
        # Upside down a low is a high, and a CVD that rose has fallen.
        heights = [
            sign * factor * (max(bar.rows) if sign > 0 else min(bar.rows))
            for bar, factor in zip(bars, factors, strict=True)
        ]
        for earlier, later in pairwise(swings(heights, span)):
            if heights[later] > heights[earlier] and sign * cvd[later] < sign * cvd[earlier]:
                prices = sign * heights[earlier], sign * heights[later]
                change = cvd[later] - cvd[earlier]
                found.append(
                    Divergence(kind, earlier, later, later + span, prices, change, price_decimals, decimals)
                )
    return sorted(found, key=lambda one: one.later)


def swings(heights: Sequence[int], span: int) -> list[int]:
    """Return the places strictly higher than the ``span`` places on either side of them."""
    return [
        at
        for at in range(span, len(heights) - span)
        if all(heights[at] > heights[other] for other in range(at - span, at + span + 1) if other != at)
    ]
