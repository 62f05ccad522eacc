"""``delta-analysis``: delta bar by bar, its longest runs of one sign and its largest bars."""

from collections.abc import Mapping, Sequence

from wadm.analytics.delta import ALGORITHM, Run, largest, longest
from wadm.answers import steps
from wadm.answers.question import Material, Question, Values
from wadm.bar import Bar
from wadm.instants import iso
from wadm.numbers import plain_or_none, plain_scaled, ratio

#: How many of the largest bars are named.
LARGEST = 5


def _answer(material: Material, values: Values) -> Mapping[str, object]:
    cut = steps.within(material, values)
    decimals = max((bar.quantity_decimals for bar in cut), default=0)
    deltas = [bar.delta * 10 ** (decimals - bar.quantity_decimals) for bar in cut]
    return {
        **_of(material.bar),
        "bars_positive": sum(delta > 0 for delta in deltas),
        "bars_negative": sum(delta < 0 for delta in deltas),
        "longest_positive": _run(cut, longest(deltas, 1), decimals),
        "longest_negative": _run(cut, longest(deltas, -1), decimals),
        "largest": [
            {"start": iso(cut[at].start), "delta": plain_scaled(deltas[at], decimals)}
            for at in largest(deltas, LARGEST)
        ],
        "bars": [{"start": iso(bar.start), "end": iso(bar.end), **_of(bar)} for bar in cut],
    }


def _of(bar: Bar) -> dict[str, object]:
    volume = bar.buy_volume + bar.sell_volume
    share = ratio(bar.delta, volume)
    return {
        "volume": plain_scaled(volume, bar.quantity_decimals),
        "delta": plain_scaled(bar.delta, bar.quantity_decimals),
        "delta_high": plain_scaled(bar.delta_high, bar.quantity_decimals),
        "delta_low": plain_scaled(bar.delta_low, bar.quantity_decimals),
        "delta_path": "exact" if bar.exact_path else "inexact",
        "delta_over_volume": plain_or_none(share),
    }


def _run(cut: Sequence[Bar], run: Run | None, decimals: int) -> dict[str, object] | None:
    if run is None:
        return None
    return {
        "start": iso(cut[run.first].start),
        "end": iso(cut[run.last].end),
        "bars": run.bars,
        "delta": plain_scaled(run.delta, decimals),
    }


QUESTION = Question(
    name="delta-analysis",
    path="delta-analysis",
    title="Delta of each bar with its extremes, the longest runs of one sign, the largest bars",
    algorithm=ALGORITHM,
    parameters=(steps.BAR,),
    answer=_answer,
    table="bars",
    needs=steps.needs,
    default_timeframe="4h",
)
