"""Order flow: who was the aggressor, and by how much.

Delta is taker-buy minus taker-sell volume; CVD is its running sum since the session's start (00:00 UTC
where no other is asked for); the imbalance ratio is taker-buy over taker-sell volume, and has no value over
zero.
"""

from decimal import Decimal

import attrs

from wadm.bar import Bar
from wadm.numbers import ratio

ALGORITHM = "order-flow/1"


@attrs.frozen
class OrderFlow:
    """The order flow of a span. Volumes are scaled by ``10**quantity_decimals``.

    ``cvd`` is the delta from ``session_start`` (µs) to the span's end; delta's high and low are extremes
    within the span and count from the span's own start. ``exact_path`` False: see ``Bar``.
    """

    quantity_decimals: int
    buy_volume: int
    sell_volume: int
    buy_trades: int
    sell_trades: int
    delta: int
    delta_high: int
    delta_low: int
    cvd: int
    session_start: int
    imbalance_ratio: Decimal | None
    exact_path: bool

    @property
    def volume(self) -> int:
        """Everything traded."""
        return self.buy_volume + self.sell_volume


def order_flow(bar: Bar, session: Bar) -> OrderFlow:
    """Return the order flow of ``bar``, with the CVD of ``session``: from session start to its end."""
    decimals = max(bar.quantity_decimals, session.quantity_decimals)
    factor = 10 ** (decimals - bar.quantity_decimals)
    buy, sell = bar.buy_volume * factor, bar.sell_volume * factor
    return OrderFlow(
        quantity_decimals=decimals,
        buy_volume=buy,
        sell_volume=sell,
        buy_trades=bar.buy_trades,
        sell_trades=bar.sell_trades,
        delta=bar.delta * factor,
        delta_high=bar.delta_high * factor,
        delta_low=bar.delta_low * factor,
        cvd=session.delta * 10 ** (decimals - session.quantity_decimals),
        session_start=session.start,
        imbalance_ratio=ratio(buy, sell),
        exact_path=bar.exact_path,
    )
