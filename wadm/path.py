"""A bar's path: how far its running delta went, made exact again from the bar's raw trades.

A bar folds trades as they come. Where one came late, the extremes of its running delta are those of the order
of arrival, and the bar says so (``exact_path``). From all of its trades, put in their order, they are exact.
"""

from collections.abc import Sequence

import attrs

from wadm.analytics.tape import tape
from wadm.bar import Bar
from wadm.market import Trades


def straightened(bar: Bar, runs: Sequence[Trades]) -> Bar | None:
    """Return the next revision of a bar with an exact path, None where ``runs`` are not all its trades."""
    trades = tape(runs)
    decimals = max(trades.quantity_decimals, bar.quantity_decimals)
    ours, theirs = 10 ** (decimals - bar.quantity_decimals), 10 ** (decimals - trades.quantity_decimals)
    signed = [quantity * theirs for _, _, quantity, _ in trades.trades]
    bought, sold = sum(one for one in signed if one > 0), -sum(one for one in signed if one < 0)
    if (bought, sold) != (bar.buy_volume * ours, bar.sell_volume * ours):
        return None
    delta = high = low = 0
    for quantity in signed:
        delta += quantity
        high, low = max(high, delta), min(low, delta)
    return attrs.evolve(
        bar, delta_high=high // ours, delta_low=low // ours, exact_path=True, revision=bar.revision + 1
    )
