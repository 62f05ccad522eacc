from decimal import Decimal, localcontext

from generated import bar_of, trade_lists
from hypothesis import given
from oracle import Trade

from wadm.analytics.vwap import Vwap, vwap
from wadm.bar import Bar
from wadm.market import MINUTE


def test_the_average_weighs_by_volume() -> None:
    # 1 at 10 and 3 at 14: (10 + 42) / 4 = 13; variance (1·9 + 3·1) / 4 = 3, its root 1.7321
    trades = [Trade(0, 1, Decimal(10), Decimal(1), buy=True), Trade(1, 2, Decimal(14), Decimal(3), buy=False)]
    found = vwap(bar_of(trades))
    assert found is not None
    assert (found.vwap, found.deviation) == (Decimal(13), Decimal("1.7321"))
    assert found.band(Decimal(2)) == (Decimal("9.5358"), Decimal("16.4642"))


def test_a_band_is_not_rounded_however_long_its_numbers() -> None:
    # 31 digits: beyond the 28 that Decimal keeps by itself
    found = Vwap(Decimal("98765.123456780001"), Decimal("1.000000000001"))
    lower, upper = found.band(Decimal("1.000000000000000001"))
    assert str(lower) == "98764.123456779999999998999999999999"
    assert str(upper) == "98766.123456780002000001000000000001"


def test_one_price_has_no_deviation_and_no_trade_no_average() -> None:
    found = vwap(bar_of([Trade(0, 1, Decimal("61.55"), Decimal("0.001"), buy=True)]))
    assert found is not None
    assert (found.vwap, found.deviation) == (Decimal("61.55"), 0)
    assert vwap(Bar(0, MINUTE)) is None


@given(trade_lists(least=1))
def test_it_is_the_average_of_the_trades(trades: list[Trade]) -> None:
    found = vwap(bar_of(trades))
    assert found is not None
    with localcontext(prec=60):
        volume = sum(trade.quantity for trade in trades)
        mean = sum(trade.price * trade.quantity for trade in trades) / volume
        variance = sum(trade.quantity * (trade.price - mean) ** 2 for trade in trades) / volume
        step = Decimal("0.00005")
        assert abs(found.vwap - mean) <= step
        assert abs(found.deviation - variance.sqrt()) <= step
