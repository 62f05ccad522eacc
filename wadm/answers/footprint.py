"""``footprint``: each bar's buying and selling by row, its diagonal imbalances and their stacks."""

from collections.abc import Mapping
from decimal import Decimal
from fractions import Fraction
from math import ceil

from wadm import bar as bars
from wadm import views
from wadm.analytics.footprint import ALGORITHM, imbalances, stacked
from wadm.analytics.profile import Profile
from wadm.answers import profile, steps
from wadm.answers.parameters import AUTO_ROW_SIZE, METHOD, VALUE_AREA, number, whole
from wadm.answers.question import Material, Parameter, Question, Values
from wadm.bar import Bar
from wadm.instants import iso
from wadm.numbers import plain

RATIO = Parameter(
    "ratio", "how many times the other side's volume makes an imbalance", "a number of 1 or more, such as 3",
    number(Decimal(1)), Decimal(3),
)  # fmt: skip
MINIMUM = Parameter(
    "minimum", "least volume of the stronger side, in base units", "a number of 0 or more",
    number(Decimal(0)), Decimal(0),
)  # fmt: skip
STACKED = Parameter(
    "stacked", "rows in a row that make a stack", "a whole number from 2 to 20", whole(2, 20), 3
)


def _answer(material: Material, values: Values) -> Mapping[str, object]:
    span = material.span
    everything = bars.merge(material.minutes, span.start, span.end)
    size = profile.row_size_of(values["row_size"], material.instrument, everything)
    cut = steps.within(material, values)
    return {
        "row_size": plain(size),
        "bars": [_bar(material, {**values, "row_size": size}, one) for one in cut],
    }


def _bar(material: Material, values: Values, bar: Bar) -> dict[str, object]:
    made = profile.of(
        bar, material.instrument, {**values, "value_area": VALUE_AREA.default, "method": METHOD.default}
    )
    least = ceil(Fraction(values["minimum"]) * 10**made.quantity_decimals)
    found = imbalances(made.rows, values["ratio"], least)
    return {
        "start": iso(bar.start),
        "end": iso(bar.end),
        **views.candle(bar),
        "poc": None if made.poc is None else made.price(made.poc),
        "rows": views.rows(made, sorted(made.rows)),
        "buy_imbalances": [made.price(row) for row in found.buy],
        "sell_imbalances": [made.price(row) for row in found.sell],
        "stacked": [
            _stack(made, *(one.side, one.low, one.high)) for one in stacked(found, values["stacked"])
        ],
    }


def _stack(made: Profile, side: str, low: int, high: int) -> dict[str, object]:
    return {"side": side, "low": made.price(low), "high": made.price(high), "rows": high - low + 1}


QUESTION = Question(
    name="footprint",
    path="footprint",
    title="Footprint: buying and selling by row of each bar, diagonal and stacked imbalances",
    algorithm=ALGORITHM,
    parameters=(steps.BAR, AUTO_ROW_SIZE, RATIO, MINIMUM, STACKED),
    answer=_answer,
    table="bars",
    needs=steps.needs,
    default_timeframe="1h",
)
