"""``levels`` and ``zones``: the liquidity levels of a window, and the zones of them near a price."""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from fractions import Fraction

import attrs

from wadm.analytics.levels import ALGORITHM, ZONES, Level, Zone, gathered, levels, row_of, zones
from wadm.analytics.profile import Profile
from wadm.answers import profile, steps
from wadm.answers.nodes import PROMINENCE, SMOOTHING
from wadm.answers.parameters import AUTO_ROW_SIZE, METHOD, VALUE_AREA, number, whole
from wadm.answers.question import Material, Parameter, Question, Values
from wadm.bar import Bar
from wadm.instants import iso
from wadm.market import Instrument
from wadm.numbers import plain, plain_or_none, ratio, to_decimal
from wadm.questions import QuestionError
from wadm.timeframes import TIMEFRAMES

COUNT = Parameter(
    "count", "most levels of support and of resistance each", "a whole number from 1 to 50", whole(1, 50), 5
)
PRICE = Parameter(
    "price", "price near which zones are looked for, in quote units; default: the last one traded",
    "a number above 0", number(Decimal(1).scaleb(-18)),
)  # fmt: skip
WITHIN = Parameter(
    "within", "how far from the price, in percent of it", "a percentage from 0 to 100, such as 1",
    number(Decimal(0), Decimal(100)), Decimal(1),
)  # fmt: skip
_SHARED = (steps.BAR, AUTO_ROW_SIZE, VALUE_AREA, METHOD, SMOOTHING, PROMINENCE, COUNT)

#: The parameters' values where none are given.
DEFAULTS: Values = {parameter.name: parameter.default for parameter in _SHARED}


@attrs.frozen
class Found:
    """The levels of a window, its profile, and the bars that touched them."""

    made: Profile
    bars: Sequence[Bar]
    levels: Sequence[Level]
    last_price: Decimal | None

    def answer(self, one: Level) -> dict[str, object]:
        """Return one of the levels as it stands in answers."""
        first, last = one.touches.first, one.touches.last
        return {
            "liquidity_type": str(one.kind),
            "price": self.made.price(one.row),
            "strength": plain(one.strength),
            "volume": self.made.volume(one.volume),
            "touches": one.touches.count,
            "created_at": None if first is None else iso(self.bars[first].start),
            "last_touch": None if last is None else iso(self.bars[last].start),
        }


def find(instrument: Instrument, bar: Bar, minutes: Sequence[Bar], values: Values) -> Found:
    """Return the levels of ``bar``. Of its one-minute bars only spans and ranges of prices are looked at.

    Raises QuestionError where the rows are so small that the profile has too many.
    """
    made = profile.of(bar, instrument, values)
    bars = steps.clipped(steps.cut(minutes, TIMEFRAMES[values["bar"]]), bar.start, bar.end)
    close = bar.close
    if close is None:
        return Found(made, bars, [], None)
    try:
        rows = gathered(made, values["smoothing"], values["prominence"])
    except ValueError as error:
        raise QuestionError("row_size", plain(made.row_size), f"larger rows, or auto: {error}") from error
    decimals = bar.price_decimals
    last = row_of(close[2], decimals, made.row_size)
    return Found(made, bars, levels(made, bars, rows, last, values["count"]), to_decimal(close[2], decimals))


def _levels(material: Material, values: Values) -> Mapping[str, object]:
    found = find(material.instrument, material.bar, material.minutes, values)
    return {
        "heuristic": True,
        "row_size": plain(found.made.row_size),
        "last_price": plain_or_none(found.last_price),
        "levels": [found.answer(one) for one in found.levels],
    }


def _zones(material: Material, values: Values) -> Mapping[str, object]:
    found = find(material.instrument, material.bar, material.minutes, values)
    price = found.last_price if values["price"] is None else values["price"]
    answers = []
    if price is not None:
        near = _near(zones(found.made, found.levels), found.made, price, values["within"])
        answers = [_zone(found, one, Fraction(price)) for one in near]
    return {
        "heuristic": True,
        "row_size": plain(found.made.row_size),
        "price": plain_or_none(price),
        "zones": answers,
        "nearest_below": next((one for one in answers[::-1] if one["position"] == "below"), None),
        "nearest_above": next((one for one in answers if one["position"] == "above"), None),
    }


def _near(found: Sequence[Zone], made: Profile, price: Decimal, within: Decimal) -> list[Zone]:
    """Return the zones that reach into ``within`` percent of the price."""
    away = Fraction(price) * Fraction(within) / 100
    lowest, highest = Fraction(price) - away, Fraction(price) + away
    size = Fraction(made.row_size)
    return [one for one in found if one.low * size <= highest and (one.high + 1) * size > lowest]


def _zone(found: Found, one: Zone, price: Fraction) -> dict[str, object]:
    """Return a zone: from its lower edge up to, and without, its upper one."""
    low, high = Fraction(found.made.row_size) * one.low, Fraction(found.made.row_size) * (one.high + 1)
    position = "below" if price >= high else "above" if price < low else "at"
    away = max(low - price, price - high, Fraction(0)) / price * 100
    distance = ratio(away.numerator, away.denominator)
    return {
        "low": found.made.price(one.low),
        "high": found.made.price(one.high + 1),
        "position": position,
        "distance_percent": plain_or_none(distance),
        "volume": found.made.volume(one.volume),
        "strength": plain(one.strength),
        "types": sorted({str(level.kind) for level in one.levels}),
        "levels": [found.answer(level) for level in one.levels],
    }


QUESTION = Question(
    name="levels",
    path="liquidity-levels",
    title="Liquidity levels, by a heuristic: POC, VAH, VAL, support and resistance with strength and touches",
    algorithm=ALGORITHM,
    parameters=_SHARED,
    answer=_levels,
    table="levels",
    needs=steps.needs,
    default_timeframe="1d",
)
NEAR = Question(
    name="zones",
    path="liquidity-zones",
    title="Liquidity zones near a price, by a heuristic: levels next to each other taken together",
    algorithm=ZONES,
    parameters=(PRICE, WITHIN, *_SHARED),
    answer=_zones,
    table="zones",
    needs=steps.needs,
    default_timeframe="1d",
)
