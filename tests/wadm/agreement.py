"""Where the product and the oracle are held against each other."""

from collections.abc import Sequence
from decimal import Decimal
from fractions import Fraction

import oracle
from generated import unscaled
from oracle import Trade

from wadm.analytics.profile import ValueAreaMethod, profile
from wadm.bar import Bar

SHARES = tuple(map(Decimal, ("0.5", "0.68", "0.7", "0.95", "1")))


def assert_same_volumes(bar: Bar, trades: Sequence[Trade]) -> None:
    """Everything that does not depend on the order of arrival."""
    expected = oracle.flow(trades)
    volume, price = bar.quantity_decimals, bar.price_decimals
    assert unscaled(bar.buy_volume, volume) == expected.buy
    assert unscaled(bar.sell_volume, volume) == expected.sell
    assert unscaled(bar.delta, volume) == expected.delta
    assert bar.buy_trades + bar.sell_trades == expected.trades
    assert bar.buy_trades == sum(trade.count for trade in trades if trade.buy)
    assert unscaled(bar.high, price) == expected.high
    assert unscaled(bar.low, price) == expected.low
    assert unscaled(bar.open and bar.open[2], price) == expected.open
    assert unscaled(bar.close and bar.close[2], price) == expected.close


def assert_same_path(bar: Bar, trades: Sequence[Trade]) -> None:
    """The extremes of the running delta, in the order given."""
    expected = oracle.flow(trades)
    assert unscaled(bar.delta_high, bar.quantity_decimals) == expected.delta_high
    assert unscaled(bar.delta_low, bar.quantity_decimals) == expected.delta_low


def assert_same_profile(
    bar: Bar, trades: Sequence[Trade], row_size: Decimal, shares: Sequence[Decimal] = SHARES
) -> None:
    """Rows, POC, value areas by both methods, and the digest."""
    lowest, rows = oracle.dense_rows(trades, row_size)
    poc = oracle.poc_position(rows)
    for method in ValueAreaMethod:
        for share in shares:
            made = profile(bar, row_size, share, method)
            area = oracle.value_area_positions(rows, share, method.value)
            if poc is None or area is None:
                assert (made.poc, made.vah, made.val) == (None, None, None)
            else:
                assert (made.poc, made.vah, made.val) == (lowest + poc, lowest + area[1], lowest + area[0])
                held = oracle.total(row.volume for row in rows[area[0] : area[1] + 1])
                assert unscaled(made.value_area_volume, made.quantity_decimals) == held
    made = profile(bar, row_size)
    assert made.sha256() == oracle.fingerprint(trades, row_size)
    assert {
        number: (
            unscaled(buy, made.quantity_decimals),
            unscaled(sell, made.quantity_decimals),
            buys + sells,
        )
        for number, (buy, sell, buys, sells) in made.rows.items()
    } == {lowest + at: tuple(row) for at, row in enumerate(rows) if row.count}


def assert_same_ratio(ratio: Decimal | None, expected: Fraction | None) -> None:
    """A ratio rounded half-even to 8 decimals."""
    if expected is None:
        assert ratio is None
    else:
        assert ratio is not None
        assert Fraction(ratio) == Fraction(round(expected * 10**8), 10**8)
