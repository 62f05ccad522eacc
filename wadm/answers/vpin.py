"""``vpin``: how one-sided the volume of the last buckets was."""

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from fractions import Fraction

import attrs

from wadm.analytics.tape import tape
from wadm.analytics.vpin import ALGORITHM, BUCKETS, vpin
from wadm.answers.asking import on_whole_minutes
from wadm.answers.parameters import number, whole
from wadm.answers.question import Material, Needs, Parameter, Question, Span, Values
from wadm.bar import Bar
from wadm.market import HOUR
from wadm.numbers import from_decimal, plain, plain_fraction, plain_or_none, ratio
from wadm.questions import QuestionError

#: Sessions before the window's own that the average daily volume is taken over, where they have data.
DAYS = 7
#: Windows up to this long (µs) are answered from raw trades where these are kept.
BY_TRADES = HOUR
#: More buckets in a window than this are refused.
MOST = 100_000
#: Decimals of the bucket that follows from the average daily volume, rounded half to even.
PLACES = 8

BUCKET = Parameter(
    "bucket_volume",
    "volume of a bucket, in base units; default: the average daily volume of the 7 sessions before, over 50",
    "a number above 0, of at most 18 decimals",
    number(Decimal(1).scaleb(-18)),
)
COUNT = Parameter(
    "count", "buckets that the value is taken over", "a whole number from 1 to 1000", whole(1, 1_000), BUCKETS
)


@attrs.frozen
class _Volumes:
    """The window's volumes ``(buy, sell)`` in their order, how they were told apart, and their scale."""

    resolution: str
    decimals: int
    volumes: Sequence[tuple[int, int]]


def _needs(span: Span, _values: Values) -> Needs:
    """Ask for the sessions before, and for trades or minutes: both where either may serve."""
    before = span.session.last(DAYS + 1, span.start)[:-1]
    by_trades = span.end - span.start <= BY_TRADES
    return Needs(
        minutes=(span.start, span.end) if on_whole_minutes(span) or not by_trades else None,
        merged={str(place): one for place, one in enumerate(before)},
        trades=by_trades,
    )


def _answer(material: Material, values: Values) -> Mapping[str, object]:
    days = [day for day in material.merged.values() if day.rows]
    average = _average(days)
    bucket = values["bucket_volume"] or _bucket(average)
    described = {
        "average_daily_volume": plain_fraction(average, PLACES),
        "days": len(days),
        "bucket_volume": plain_or_none(bucket),
        "bucket_from": "parameter" if values["bucket_volume"] else "average_daily_volume",
    }
    reason = None
    if bucket is None:
        reason = f"none of the {DAYS} sessions before has data: give bucket_volume"
    elif material.trades is None and not on_whole_minutes(material.span):
        reason = "the window is not of whole minutes, and its raw trades are no longer kept"
    if bucket is None or reason is not None:
        return {**described, "resolution": None, "vpin": None, "buckets_full": None, "reason": reason}
    found = _volumes(material)
    size, decimals = from_decimal(bucket)
    scale = max(decimals, found.decimals)
    whole_size, factor = size * 10 ** (scale - decimals), 10 ** (scale - found.decimals)
    held = sum(buy + sell for buy, sell in found.volumes) * factor // whole_size
    if held > MOST:
        raise QuestionError(
            "bucket_volume",
            plain(bucket),
            f"a larger volume: the window holds {held} buckets, not over {MOST}",
        )
    made = vpin(((buy * factor, sell * factor) for buy, sell in found.volumes), whole_size, values["count"])
    value = made.value
    return {
        **described,
        "resolution": found.resolution,
        "vpin": plain_fraction(value, PLACES),
        "buckets_full": made.full,
        "reason": None if value is not None else f"fewer than {values['count']} buckets are full",
    }


def _volumes(material: Material) -> _Volumes:
    if material.trades is not None:
        read = tape(material.trades)
        return _Volumes("trades", read.quantity_decimals, [_sides(signed) for _, _, signed, _ in read.trades])
    decimals = max((bar.quantity_decimals for bar in material.minutes), default=0)
    factors = (10 ** (decimals - bar.quantity_decimals) for bar in material.minutes)
    return _Volumes(
        "one-minute bars",
        decimals,
        [
            (bar.buy_volume * factor, bar.sell_volume * factor)
            for bar, factor in zip(material.minutes, factors, strict=True)
        ],
    )


def _sides(signed: int) -> tuple[int, int]:
    return (signed, 0) if signed > 0 else (0, -signed)


def _average(days: Iterable[Bar]) -> Fraction | None:
    """Return the mean volume of the days, None where there is none."""
    volumes = [Fraction(day.buy_volume + day.sell_volume, 10**day.quantity_decimals) for day in days]
    return sum(volumes, Fraction()) / len(volumes) if volumes else None


def _bucket(average: Fraction | None) -> Decimal | None:
    """Return a fiftieth of the average day, rounded to PLACES decimals, None where that is nothing."""
    if average is None:
        return None
    bucket = ratio(average.numerator, average.denominator * BUCKETS, PLACES)
    return bucket or None


QUESTION = Question(
    name="vpin",
    path="vpin",
    title="VPIN: how one-sided the volume of the last buckets of equal volume was",
    algorithm=ALGORITHM,
    parameters=(BUCKET, COUNT),
    answer=_answer,
    needs=_needs,
    default_timeframe="session",
)
