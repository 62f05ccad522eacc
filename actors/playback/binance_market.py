"""What tells Binance's two markets apart: limits and weights of their REST interfaces.

https://developers.binance.com/docs/binance-spot-api-docs/rest-api/market-data-endpoints and
https://developers.binance.com/docs/derivatives/usds-margined-futures/market-data/rest-api
"""

from bisect import bisect_left
from collections.abc import Mapping, Sequence

import attrs


@attrs.frozen
class Market:
    """A market's interface."""

    prefix: str
    #: The longest page of ``historicalTrades``; that of ``aggTrades`` is 1,000.
    most_trades: int
    most_candles: int
    #: Whether ``historicalTrades`` wants an API key.
    keyed: bool
    #: Whether a page longer than allowed is refused; else it is cut.
    strict: bool
    #: Whether trades tell if they were the best match.
    best_match: bool
    default_depth: int
    #: The deepest book, or the only depths there are.
    depths: Sequence[int]
    #: What a request weighs; for ``depth`` and ``klines``: (limit up to which, weight), ascending.
    weights: Mapping[str, int]
    depth_weights: Sequence[tuple[int, int]]
    candle_weights: Sequence[tuple[int, int]]
    #: What a request for all symbols' day weighs.
    all_days_weight: int

    def weight(self, endpoint: str, limit: int) -> int:
        """Return what a request for so many rows weighs."""
        steps = {"depth": self.depth_weights, "klines": self.candle_weights}.get(endpoint)
        if steps is None:
            return self.weights.get(endpoint, 1)
        return steps[min(bisect_left(steps, (limit, 0)), len(steps) - 1)][1]


SPOT = Market(
    "/api/v3/",
    most_trades=1000,
    most_candles=1000,
    keyed=False,
    strict=False,
    best_match=True,
    default_depth=100,
    depths=(5000,),
    weights={"exchangeInfo": 20, "historicalTrades": 25, "aggTrades": 4, "ticker/24hr": 2},
    depth_weights=((100, 5), (500, 25), (1000, 50), (5000, 250)),
    candle_weights=((1000, 2),),
    all_days_weight=80,
)
FUTURES = Market(
    "/fapi/v1/",
    most_trades=500,
    most_candles=1500,
    keyed=True,
    strict=True,
    best_match=False,
    default_depth=500,
    depths=(5, 10, 20, 50, 100, 500, 1000),
    weights={"historicalTrades": 20, "aggTrades": 20},
    depth_weights=((50, 2), (100, 5), (500, 10), (1000, 20)),
    candle_weights=((99, 1), (499, 2), (1000, 5), (1500, 10)),
    all_days_weight=40,
)
