"""``candles``: a window as bars, without their rows."""

from collections.abc import Mapping

from wadm import views
from wadm.answers import steps
from wadm.answers.question import Material, Question, Values
from wadm.instants import iso

ALGORITHM = "candles/1"


def _answer(material: Material, values: Values) -> Mapping[str, object]:
    cut = steps.within(material, values)
    return {
        "candles": [
            {
                "start": iso(bar.start),
                "end": iso(bar.end),
                **views.candle(bar),
                "closed": bar.end <= material.span.market_time and not bar.partial,
            }
            for bar in cut
        ]
    }


QUESTION = Question(
    name="candles",
    path="candles",
    title="Candles: open, high, low, close, volume by side and delta of each bar",
    algorithm=ALGORITHM,
    parameters=(steps.BAR,),
    answer=_answer,
    table="candles",
    needs=steps.needs,
    default_timeframe="4h",
)
