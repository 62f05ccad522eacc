"""``large-trades`` and ``trade-sizes``: taker orders that stand out, and the volume of each size."""

from collections.abc import Mapping
from decimal import Decimal

from wadm.analytics.large_trades import ALGORITHM, PRIOR, at_least, by_size, counted, quantile
from wadm.answers.parameters import number
from wadm.answers.question import Material, Needs, Parameter, Question, Span, Values
from wadm.bar import Bar
from wadm.instants import iso
from wadm.market import MINUTE
from wadm.numbers import from_decimal, plain_or_none, plain_scaled, ratio
from wadm.orders import EDGES, LARGEST, SIZE_DECIMALS, Order, Orders

QUANTILE = Parameter(
    "quantile", "share of the prior orders that are smaller", "a share from 0 to 1, such as 0.99",
    number(Decimal(0), Decimal(1)), Decimal("0.99"),
)  # fmt: skip
LEAST = Parameter(
    "least", "least notional value, in quote units, whatever the quantile", "a number of 0 or more",
    number(Decimal(0)), Decimal(0),
)  # fmt: skip
#: How fills are taken together; see ``orders``.
MERGED_BY = "aggregate trades as the exchange merged them; single trades by time and side (an approximation)"


def prior_to(start: int) -> tuple[int, int]:
    """Return ``[start, end)`` (µs) of the orders that set the threshold of a window which starts then."""
    return start - start % MINUTE - PRIOR, start


def count(orders: Orders, prior: Mapping[int, int]) -> int | None:
    """Return how many orders are large, as the question counts them where nothing else is asked for.

    ``prior`` are the numbers of the prior orders by size; None where there were none.
    """
    threshold = quantile(prior, QUANTILE.default)
    found = None if threshold is None else counted(orders, threshold)
    return None if found is None else found[2] + found[3]


def _needs(span: Span, _values: Values) -> Needs:
    return Needs(merged={"prior": prior_to(span.start)})


def _answer(material: Material, values: Values) -> Mapping[str, object]:
    bar, prior = material.bar, by_size(material.merged["prior"].orders)
    found = quantile(prior, values["quantile"])
    least = _in_sizes(values["least"])
    threshold = max(found or 0, least)
    large = at_least(bar.orders, threshold, bar.price_decimals + bar.quantity_decimals) if threshold else []
    return {
        "threshold": plain_scaled(threshold, SIZE_DECIMALS) if threshold else None,
        "prior_orders": sum(prior.values()),
        "merged_by": MERGED_BY,
        "volume_without_orders": _unsized(bar),
        **_counts(bar, threshold, large),
        "trades": [_order(bar, one) for one in large],
    }


def _counts(bar: Bar, threshold: int, large: list[Order]) -> dict[str, object]:
    """Count what reaches the threshold; where it is no edge of a size, only what is kept one by one.

    Without a threshold nothing is large or small, and nothing is counted.
    """
    if not threshold:
        names = ("buy_volume", "sell_volume", "buy_count", "sell_count")
        return {**dict.fromkeys(names), "more_than_kept": False}
    exact = counted(bar.orders, threshold)
    # Counted among the kept, there may be more of them than are kept; counted by size, all are known.
    more = len(large) == LARGEST if exact is None else exact[2] + exact[3] > len(large)
    if exact is None:
        bought, sold = ([one for one in large if (one.signed_quantity > 0) is side] for side in (True, False))
        exact = (
            sum(one.signed_quantity for one in bought), -sum(one.signed_quantity for one in sold),
            len(bought), len(sold),
        )  # fmt: skip
    buy, sell, buys, sells = exact
    return {
        "buy_volume": plain_scaled(buy, bar.quantity_decimals),
        "sell_volume": plain_scaled(sell, bar.quantity_decimals),
        "buy_count": buys,
        "sell_count": sells,
        "more_than_kept": more,
    }


def _unsized(bar: Bar) -> str:
    """Return the volume of minutes stored before taker orders were: it is in no size and no list."""
    sized = sum(size[0] + size[1] for size in bar.orders.sizes.values())
    return plain_scaled(bar.buy_volume + bar.sell_volume - sized, bar.quantity_decimals)


def _order(bar: Bar, one: Order) -> dict[str, object]:
    quantity = abs(one.signed_quantity)
    average = ratio(one.notional, quantity * 10**bar.price_decimals)
    return {
        "time": iso(one.time),
        "side": "buy" if one.signed_quantity > 0 else "sell",
        "quantity": plain_scaled(quantity, bar.quantity_decimals),
        "average_price": plain_or_none(average),
        "notional": plain_scaled(one.notional, bar.price_decimals + bar.quantity_decimals),
        "fills": one.fills,
    }


def _in_sizes(number_of: Decimal) -> int:
    """Return a notional value in the units that sizes are told apart by, rounded up."""
    scaled, decimals = from_decimal(number_of)
    return int(-(-scaled * 10**SIZE_DECIMALS // 10**decimals))


def _sizes(material: Material, _values: Values) -> Mapping[str, object]:
    bar = material.bar
    decades: dict[int, list[int]] = {}
    for size_number, size in sorted(bar.orders.sizes.items()):
        # Ten steps a decade: size number n begins at EDGES[n - 1].
        total = decades.setdefault((size_number - 1) // 10, [0, 0, 0, 0])
        for place, value in enumerate(size):
            total[place] += value
    return {
        "merged_by": MERGED_BY,
        "volume_without_orders": _unsized(bar),
        "sizes": [
            {
                "from": "0" if decade < 0 else plain_scaled(EDGES[10 * decade], SIZE_DECIMALS),
                "to": plain_scaled(EDGES[10 * decade + 10], SIZE_DECIMALS)
                if 10 * decade + 10 < len(EDGES)
                else None,
                "buy_volume": plain_scaled(buy, bar.quantity_decimals),
                "sell_volume": plain_scaled(sell, bar.quantity_decimals),
                "buy_orders": buys,
                "sell_orders": sells,
            }
            for decade, (buy, sell, buys, sells) in decades.items()
        ],
    }


QUESTION = Question(
    name="large-trades",
    path="large-trades",
    title="Large trades: taker orders above a quantile of those of the 24 hours before",
    algorithm=ALGORITHM,
    parameters=(QUANTILE, LEAST),
    answer=_answer,
    table="trades",
    needs=_needs,
    default_timeframe="1h",
)
SIZES = Question(
    name="trade-sizes",
    path="trade-sizes",
    title="Volume and orders by notional size of the taker's order, in decades of the quote asset",
    algorithm="trade-sizes/1",
    parameters=(),
    answer=_sizes,
    table="sizes",
    default_timeframe="1h",
)
