"""``session``: a trading session as market profile looks at it.

Initial balance is the range of the window's first hour (J. Steidlmayer; Dalton, *Mind Over Markets*). The
halves are those of the time that has passed of the window, parted at a whole minute; hours are counted from
the window's start. All profiles are at one row size. Of equally busy minutes the first is named.
"""

from collections.abc import Mapping

from wadm import bar as bars
from wadm import views
from wadm.analytics.levels import row_of
from wadm.analytics.profile import Profile
from wadm.analytics.vwap import vwap
from wadm.answers import profile
from wadm.answers.change import base_volume, change
from wadm.answers.parameters import AUTO_ROW_SIZE, METHOD, VALUE_AREA
from wadm.answers.question import Material, Needs, Question, Span, Values
from wadm.bar import Bar
from wadm.instants import iso
from wadm.market import DAY, HOUR, MINUTE
from wadm.numbers import plain, plain_scaled
from wadm.questions import QuestionError

ALGORITHM = "session/1"

#: The longest window that is gone through minute by minute.
LONGEST = 7 * DAY


def _needs(span: Span, _values: Values) -> Needs:
    """Ask for the window's minutes. Raises QuestionError where it is too long."""
    if span.end - span.start > LONGEST:
        raise QuestionError("end", iso(span.end), "a window of at most 7 days")
    return Needs(minutes=(span.start, span.end))


def _answer(material: Material, values: Values) -> Mapping[str, object]:
    bar, span = material.bar, material.span
    size = profile.row_size_of(values["row_size"], material.instrument, bar)
    values = {**values, "row_size": size}
    made = profile.of(bar, material.instrument, values)
    mean = vwap(bar)
    first = _part(material, span.start, min(span.start + HOUR, span.end))
    return {
        **views.candle(bar),
        **change(bar),
        "vwap": None if mean is None else plain(mean.vwap),
        "row_size": plain(size),
        **views.value_area(made),
        "close_to_value_area": _location(bar, made),
        "initial_balance": {**_range(first), "complete": _is_whole_hour(material)},
        **_halves(material, values),
        "hours": [_hour(one) for one in _hours(material)],
        "busiest_minute": _busiest(material),
    }


def _part(material: Material, start: int, end: int) -> Bar:
    return bars.merge((one for one in material.minutes if start <= one.start < end), start, end)


def _location(bar: Bar, made: Profile) -> str | None:
    """Say where the close's row lies; VAH's and VAL's own rows are inside."""
    if bar.close is None or made.vah is None or made.val is None:
        return None
    row = row_of(bar.close[2], bar.price_decimals, made.row_size)
    return "above" if row > made.vah else "below" if row < made.val else "inside"


def _range(bar: Bar) -> dict[str, object]:
    spread = None if bar.high is None or bar.low is None else bar.high - bar.low
    return {
        "start": iso(bar.start),
        "end": iso(bar.end),
        "high": views.candle(bar)["high"],
        "low": views.candle(bar)["low"],
        "range": None if spread is None else plain_scaled(spread, bar.price_decimals),
    }


def _is_whole_hour(material: Material) -> bool:
    """Say whether the first hour is over, and its trades were received from its beginning to its end."""
    start, covered = material.span.start, material.coverage.covered
    return covered is not None and covered[0] <= start and start + HOUR <= covered[1]


def _halves(material: Material, values: Values) -> dict[str, object]:
    """Return the profiles of the halves, and where the POC went from one to the other."""
    span = material.span
    until = min(span.end, -(-span.market_time // MINUTE) * MINUTE)
    middle = span.start + max(0, until - span.start) // (2 * MINUTE) * MINUTE
    parts = [_part(material, span.start, middle), _part(material, middle, max(until, middle))]
    made = [profile.of(one, material.instrument, values) for one in parts]
    return {
        "halves": [
            {
                "start": iso(bar.start),
                "end": iso(bar.end),
                "volume": plain_scaled(bar.buy_volume + bar.sell_volume, bar.quantity_decimals),
                **views.value_area(one),
            }
            for bar, one in zip(parts, made, strict=True)
        ],
        "poc_migration": _migration(*made),
    }


def _migration(earlier: Profile, later: Profile) -> dict[str, object] | None:
    if earlier.poc is None or later.poc is None:
        return None
    went = later.poc - earlier.poc
    direction = "up" if went > 0 else "down" if went < 0 else "unchanged"
    return {"change": later.price(went), "rows": went, "direction": direction}


def _hours(material: Material) -> list[Bar]:
    span = material.span
    grouped: dict[int, list[Bar]] = {}
    for one in material.minutes:
        if one.rows:
            grouped.setdefault(one.start - (one.start - span.start) % HOUR, []).append(one)
    return [bars.merge(parts, at, min(at + HOUR, span.end)) for at, parts in grouped.items()]


def _hour(bar: Bar) -> dict[str, object]:
    return {
        "start": iso(bar.start),
        "end": iso(bar.end),
        "trades": bar.buy_trades + bar.sell_trades,
        "volume": plain_scaled(bar.buy_volume + bar.sell_volume, bar.quantity_decimals),
        "delta": plain_scaled(bar.delta, bar.quantity_decimals),
    }


def _busiest(material: Material) -> dict[str, object] | None:
    traded = [one for one in material.minutes if one.rows]
    most = max(traded, key=lambda one: (base_volume(one), -one.start), default=None)
    return None if most is None else _hour(most)


QUESTION = Question(
    name="session",
    path="session-analysis",
    title="A trading session: range, profile, initial balance, close against value, POC migration, hours",
    algorithm=ALGORITHM,
    parameters=(AUTO_ROW_SIZE, VALUE_AREA, METHOD),
    answer=_answer,
    table="hours",
    needs=_needs,
    default_timeframe="session",
)
