"""Trades for tests: strategies that make them, and their two forms (the oracle's and the product's)."""

from collections.abc import Sequence
from decimal import Decimal
from itertools import pairwise

from hypothesis import strategies as st
from oracle import WIDE, Trade

from wadm.bar import Bar
from wadm.market import IdKind, Trades
from wadm.numbers import MAX_DECIMALS

MINUTE_MS = 60_000


def decimals_of(number: Decimal) -> int:
    """How many decimals a number needs."""
    exponent = number.normalize(WIDE).as_tuple().exponent
    assert isinstance(exponent, int)
    return max(0, -exponent)


def scaled(number: Decimal, decimals: int) -> int:
    result = int(number.scaleb(decimals, WIDE))
    assert Decimal(result).scaleb(-decimals, WIDE) == number, "a scale too coarse for this number"
    return result


def unscaled(number: int | None, decimals: int) -> Decimal | None:
    return None if number is None else Decimal(number).scaleb(-decimals, WIDE)


def run_of(
    trades: Sequence[Trade], finer_price: int = 0, finer_quantity: int = 0, *, named: bool = False
) -> Trades:
    """The product's form of a run of trades, at scales finer than needed if asked; `named` ids are text."""
    price_decimals = max((decimals_of(trade.price) for trade in trades), default=0) + finer_price
    quantity_decimals = max((decimals_of(trade.quantity) for trade in trades), default=0) + finer_quantity
    return Trades(
        exchange="binance",
        symbol="BTCUSDT",
        id_kind=IdKind.TRADE,
        price_decimals=price_decimals,
        quantity_decimals=quantity_decimals,
        ids=[f"{trade.id:012d}" if named else trade.id for trade in trades],
        times=[trade.at_ms * 1000 for trade in trades],
        prices=[scaled(trade.price, price_decimals) for trade in trades],
        signed_quantities=[
            scaled(trade.quantity, quantity_decimals) * (1 if trade.buy else -1) for trade in trades
        ],
        counts=[trade.count for trade in trades],
    )


def bar_of(trades: Sequence[Trade], start_ms: int = 0, end_ms: int = MINUTE_MS) -> Bar:
    """A bar of trades folded in one run."""
    bar = Bar(start_ms * 1000, end_ms * 1000)
    bar.fold(run_of(trades))
    return bar


def numbers(most: int, decimals: int = 4) -> st.SearchStrategy[Decimal]:
    """Positive numbers, most of them small and alike, so that rows meet and tie."""
    return st.builds(
        lambda units, places: Decimal(units).scaleb(-places),
        st.integers(1, most),
        st.integers(0, decimals),
    )


huge = st.builds(
    lambda units, places: Decimal(units).scaleb(-places, WIDE),
    st.integers(1, 10**30),
    st.integers(0, MAX_DECIMALS - 4),
)


@st.composite
def trade_lists(
    draw: st.DrawFn,
    *,
    least: int = 0,
    most: int = 24,
    start_ms: int = 0,
    end_ms: int = MINUTE_MS,
    quantities: st.SearchStrategy[Decimal] = numbers(30),  # noqa: B008 -- strategies never change
    prices: st.SearchStrategy[Decimal] = numbers(40, 2),  # noqa: B008
) -> list[Trade]:
    """Trades of `[start, end)`, in the order of (time, id), each id once."""
    times = sorted(
        draw(st.lists(st.integers(start_ms, end_ms - 1) | st.just(start_ms), min_size=least, max_size=most))
    )
    return [
        Trade(
            at_ms, number, draw(prices), draw(quantities), draw(st.booleans()), draw(st.sampled_from([1, 7]))
        )
        for number, at_ms in enumerate(times, start=draw(st.integers(0, 10**9)))
    ]


@st.composite
def batches(draw: st.DrawFn, trades: Sequence[Trade], *, named: bool = False) -> list[Trades]:
    """The trades cut anywhere into runs, each at scales of its own; there may be empty runs."""
    cuts = sorted(draw(st.lists(st.integers(0, len(trades)), max_size=6)))
    edges = [0, *cuts, len(trades)]
    finer = st.integers(0, 3)
    return [
        run_of(trades[first:last], draw(finer), draw(finer), named=named) for first, last in pairwise(edges)
    ]
