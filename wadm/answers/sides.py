"""``volume-by-side``: what takers bought and sold, over a window and bar by bar."""

from collections.abc import Mapping

from wadm.answers import steps
from wadm.answers.question import Material, Question, Values
from wadm.bar import Bar
from wadm.instants import iso
from wadm.numbers import plain_or_none, plain_scaled, ratio


def _answer(material: Material, values: Values) -> Mapping[str, object]:
    cut = steps.within(material, values)
    return {
        **_of(material.bar),
        "bars": [{"start": iso(bar.start), "end": iso(bar.end), **_of(bar)} for bar in cut],
    }


def _of(bar: Bar) -> dict[str, object]:
    """Return volumes and trade counts of a bar by side, and the buying share of each (8 decimals)."""
    buy, sell, buys, sells = bar.buy_volume, bar.sell_volume, bar.buy_trades, bar.sell_trades
    return {
        "volume": plain_scaled(buy + sell, bar.quantity_decimals),
        "buy_volume": plain_scaled(buy, bar.quantity_decimals),
        "sell_volume": plain_scaled(sell, bar.quantity_decimals),
        "buy_share": _share(buy, buy + sell),
        "trades": buys + sells,
        "buy_trades": buys,
        "sell_trades": sells,
        "buy_trades_share": _share(buys, buys + sells),
    }


def _share(part: int, total: int) -> str | None:
    share = ratio(part, total)
    return plain_or_none(share)


QUESTION = Question(
    name="volume-by-side",
    path="volume-by-side",
    title="Volume and trades by the taker's side, over the window and bar by bar",
    algorithm="volume-by-side/1",
    parameters=(steps.BAR,),
    answer=_answer,
    table="bars",
    needs=steps.needs,
    default_timeframe="4h",
)
