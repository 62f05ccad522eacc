"""``activity``: how much one symbol was traded; ``together`` puts the answers of several side by side."""

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any

from wadm import views
from wadm.answers.change import change
from wadm.answers.parameters import HOURS
from wadm.answers.question import Material, Question, Values
from wadm.bar import Bar
from wadm.instants import iso
from wadm.market import Instrument
from wadm.numbers import plain_or_none, plain_scaled, ratio

ALGORITHM = "activity/1"

#: What describes an answer to ``activity`` and is the same in every row.
_ABOUT = ("timeframe", "session", "algorithm", "volume_unit", "parameters")


def turnover(bar: Bar) -> str:
    """Return the sum of price times quantity of all trades, in quote units."""
    total = sum(price * (row[0] + row[1]) for price, row in bar.rows.items())
    return plain_scaled(total, bar.price_decimals + bar.quantity_decimals)


def _answer(material: Material, _values: Values) -> Mapping[str, object]:
    bar = material.bar
    share = ratio(bar.buy_volume, bar.buy_volume + bar.sell_volume)
    numbers = views.candle(bar)
    return {
        **numbers,
        "turnover": turnover(bar),
        "buy_share": plain_or_none(share),
        **change(bar),
        "last_trade": None if bar.close is None else iso(bar.close[0]),
    }


def each(given: Mapping[str, str], instruments: Iterable[Instrument]) -> list[dict[str, str]]:
    """Return the question about all symbols as one question a symbol; ``exchange`` may leave some out."""
    wanted = given.get("exchange")
    return [
        {**given, "exchange": one.exchange, "symbol": one.symbol}
        for one in instruments
        if wanted in (None, one.exchange)
    ]


def together(answers: Iterable[Mapping[str, Any]]) -> dict[str, object]:
    """Return whole answers to ``activity``, one a symbol, as rows: that of the largest turnover first.

    Turnovers are in each symbol's quote asset and compared as they are; of equal ones the order is that of
    exchange, then symbol. Every row keeps its window and its coverage.
    """
    ordered = sorted(
        answers, key=lambda one: (-Decimal(one["turnover"]), str(one["exchange"]), str(one["symbol"]))
    )
    parameters = ordered[0]["parameters"] if ordered else {}
    rows = [{name: value for name, value in one.items() if name not in _ABOUT} for one in ordered]
    return {"algorithm": ALGORITHM, "volume_unit": "base", "parameters": parameters, "symbols": rows}


QUESTION = Question(
    name="activity",
    path="activity",
    title="Activity of a symbol: trades, volume, turnover, buying share, change and range of price",
    algorithm=ALGORITHM,
    parameters=(HOURS,),
    answer=_answer,
)
