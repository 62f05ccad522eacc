from decimal import Decimal

from wadm.contract import contract
from wadm.market import HOUR, Liquidation, PositionSide, Ticker

NOON = 1_723_118_400_000_000  # 2024-08-08T12:00:00Z


def _liquidation(at: int, position: PositionSide = PositionSide.LONG) -> Liquidation:
    return Liquidation("binance_usdm", "BTCUSDT", at, position, Decimal("61000.10"), Decimal("0.5000"))


def test_what_was_never_told_is_none() -> None:
    assert contract(None, [], NOON) == {
        "mark_price": None,
        "index_price": None,
        "funding_rate": None,
        "next_funding": None,
        "open_interest": None,
        "liquidations": {"count": 0, "last": None},
    }


def test_numbers_are_plain_text() -> None:
    ticker = Ticker(
        "bybit",
        "BTCUSDT",
        NOON,
        mark_price=Decimal("61683.50"),
        index_price=Decimal("61690"),
        funding_rate=Decimal("-1E-7"),
        next_funding_at=NOON + 4 * HOUR,
        open_interest=Decimal("60000.120"),
    )
    told = contract(ticker, [], NOON)
    told.pop("liquidations")
    assert told == {
        "mark_price": "61683.5",
        "index_price": "61690",
        "funding_rate": "-0.0000001",
        "next_funding": "2024-08-08T16:00:00Z",
        "open_interest": "60000.12",
    }


def test_liquidations_are_counted_from_a_time_on_and_the_last_one_is_shown() -> None:
    came = [_liquidation(NOON), _liquidation(NOON + 9, PositionSide.SHORT), _liquidation(NOON - 1)]
    assert contract(None, came, NOON)["liquidations"] == {
        "count": 2,
        "last": {
            "at": "2024-08-08T12:00:00.000009Z",
            "position": "short",
            "price": "61000.1",
            "quantity": "0.5",
        },
    }
    assert contract(None, came, NOON + HOUR)["liquidations"]["count"] == 0  # type: ignore[index]
