"""``sweeps``: aggressive trades that ran through several prices in one go. A heuristic."""

from collections.abc import Mapping
from decimal import Decimal
from fractions import Fraction
from heapq import nlargest

from wadm.analytics.sweeps import ALGORITHM, Sweep, sweeps
from wadm.analytics.tape import Tape, tape
from wadm.answers.parameters import number, whole
from wadm.answers.question import Material, Needs, Parameter, Question, Span, Values
from wadm.instants import iso
from wadm.market import HOUR, MILLISECOND
from wadm.numbers import plain_or_none, plain_scaled, ratio
from wadm.questions import QuestionError

#: The longest window whose raw trades are gone through, and the most sweeps listed one by one.
LONGEST = 4 * HOUR
MOST = 200

GAP = Parameter(
    "gap", "most time from one trade of a sweep to the next, in ms", "a whole number from 0 to 10000",
    whole(0, 10_000), 10,
)  # fmt: skip
LEVELS = Parameter(
    "levels", "least number of distinct prices", "a whole number from 2 to 1000", whole(2, 1_000), 5
)
LEAST = Parameter(
    "least", "least volume of a sweep, in base units", "a number of 0 or more", number(Decimal(0)), Decimal(0)
)


def _needs(span: Span, _values: Values) -> Needs:
    """Ask for the raw trades. Raises QuestionError where the window holds too many to go through."""
    if span.end - span.start > LONGEST:
        raise QuestionError(
            "timeframe" if span.timeframe else "end",
            span.timeframe or iso(span.end),
            "a window of at most 4 hours, for raw trades are gone through",
        )
    return Needs(trades=True)


def _answer(material: Material, values: Values) -> Mapping[str, object]:
    if material.trades is None:
        return {
            "heuristic": True,
            "available": False,
            "reason": "the raw trades of this window are no longer kept",
            "count": None,
            "buy_volume": None,
            "sell_volume": None,
            "more_than_listed": None,
            "sweeps": None,
        }
    read = tape(material.trades)
    least = Fraction(values["least"]) * 10**read.quantity_decimals
    found = [
        one
        for one in sweeps(read.trades, values["gap"] * MILLISECOND, values["levels"])
        if one.volume >= least
    ]
    listed = nlargest(MOST, found, key=lambda one: (one.volume, -one.start))
    return {
        "heuristic": True,
        "available": True,
        "reason": None,
        "count": len(found),
        "buy_volume": _volume(read, [one for one in found if one.side == "buy"]),
        "sell_volume": _volume(read, [one for one in found if one.side == "sell"]),
        "more_than_listed": len(found) > MOST,
        "sweeps": [_sweep(read, one) for one in sorted(listed, key=lambda one: one.start)],
    }


def _volume(read: Tape, found: list[Sweep]) -> str:
    return plain_scaled(sum(one.volume for one in found), read.quantity_decimals)


def _sweep(read: Tape, one: Sweep) -> dict[str, object]:
    average = ratio(one.notional, one.volume * 10**read.price_decimals)
    return {
        "start": iso(one.start),
        "end": iso(one.end),
        "duration_ms": (one.end - one.start) // MILLISECOND,
        "side": one.side,
        "first_price": plain_scaled(one.first_price, read.price_decimals),
        "last_price": plain_scaled(one.last_price, read.price_decimals),
        "average_price": plain_or_none(average),
        "levels": one.levels,
        "trades": one.trades,
        "volume": plain_scaled(one.volume, read.quantity_decimals),
        "notional": plain_scaled(one.notional, read.price_decimals + read.quantity_decimals),
    }


QUESTION = Question(
    name="sweeps",
    path="sweeps",
    title="Sweeps, by a heuristic: trades of one side that ran through several prices in one go",
    algorithm=ALGORITHM,
    parameters=(GAP, LEVELS, LEAST),
    answer=_answer,
    table="sweeps",
    needs=_needs,
    default_timeframe="15m",
)
