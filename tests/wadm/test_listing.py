"""The list of instruments is exact, and what is wrong in it is refused with its path and its value."""

from decimal import Decimal
from typing import Any

import pytest

from wadm.listing import read_listing
from wadm.market import Instrument
from wadm.settings import SettingsError

SIZE = 'expected a positive number in quotes, such as "0.01"'
FACTS = 'expected {tick: "…", step: "…"}'


def one(**facts: Any) -> dict[str, Any]:
    return {"binance": {"BTCUSDT": facts}}


def test_instruments_come_by_exchange_and_symbol() -> None:
    raw = {
        "binance": {"BTCUSDT": {"tick": "0.01", "step": "0.00001"}, "ethusdt": {"tick": "0.01"}},
        "bybit": {"SHIB1000USDT": {"tick": "0.000001", "step": "10"}},
    }
    assert read_listing(raw) == {
        "binance:BTCUSDT": Instrument("binance", "BTCUSDT", Decimal("0.01"), Decimal("0.00001")),
        "binance:ETHUSDT": Instrument("binance", "ETHUSDT", Decimal("0.01"), None),
        "bybit:SHIB1000USDT": Instrument("bybit", "SHIB1000USDT", Decimal("0.000001"), Decimal(10)),
    }


def test_a_tick_that_is_not_known_stays_unknown() -> None:
    assert read_listing(one()) == {"binance:BTCUSDT": Instrument("binance", "BTCUSDT")}


REFUSED = [
    (one(tick=0.1), f"binance.BTCUSDT.tick is 0.1; {SIZE}"),
    (one(tick=1), f"binance.BTCUSDT.tick is 1; {SIZE}"),
    (one(tick="0"), f"binance.BTCUSDT.tick is '0'; {SIZE}"),
    (one(tick="-0.1"), f"binance.BTCUSDT.tick is '-0.1'; {SIZE}"),
    (one(step="1e-3"), f"binance.BTCUSDT.step is '1e-3'; {SIZE}"),
    (one(step="nan"), f"binance.BTCUSDT.step is 'nan'; {SIZE}"),
    (one(step=""), f"binance.BTCUSDT.step is ''; {SIZE}"),
    (one(ticks="1"), f"binance.BTCUSDT is {{'ticks': '1'}}; {FACTS}"),
    ({"binance": {"BTCUSDT": "0.1"}}, f"binance.BTCUSDT is '0.1'; {FACTS}"),
    ({"binance": {"BTCUSDT": None}}, f"binance.BTCUSDT is None; {FACTS}"),
    ({"binance": {1000: {"tick": "1"}}}, "binance.1000: the symbol is 1000; expected text: put it in quotes"),
    ({"binance": None}, "binance is None; expected symbols with their tick and step"),
    ({"binance": ["BTCUSDT"]}, "binance is ['BTCUSDT']; expected symbols with their tick and step"),
]


@pytest.mark.parametrize(("raw", "problem"), REFUSED, ids=lambda value: str(value)[:40])
def test_what_is_wrong_in_a_listing_is_named(raw: dict[str, Any], problem: str) -> None:
    with pytest.raises(SettingsError) as refusal:
        read_listing(raw)
    assert refusal.value.problems == [problem]
