"""``anomalies``: minutes that stand out against the symbol's own recent past, and a book that is amiss."""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from fractions import Fraction

from wadm import depth
from wadm.analytics.anomalies import ALGORITHM, LEAST, Judged, Kind, judged
from wadm.answers.parameters import number, whole
from wadm.answers.question import Book, Material, Needs, Parameter, Question, Span, Values
from wadm.bar import Bar
from wadm.instants import iso
from wadm.market import MINUTE
from wadm.numbers import plain_fraction, plain_scaled
from wadm.questions import QuestionError

#: Minutes of one window beyond which it is refused.
MOST = 1_500

PRIOR = Parameter(
    "prior", "minutes before each minute that it is compared with", "a whole number from 60 to 1440",
    whole(60, 1_440), 240,
)  # fmt: skip
THRESHOLD = Parameter(
    "threshold", "how many median absolute deviations above the median a value must lie",
    "a number of 1 or more, such as 15", number(Decimal(1)), Decimal(15),
)  # fmt: skip


def _needs(span: Span, values: Values) -> Needs:
    """Ask for the window's minutes and those before it, one more for its jump. Raises QuestionError."""
    count = -(-(span.end - span.start) // MINUTE)
    if count > MOST:
        raise QuestionError(
            "timeframe" if span.timeframe else "end",
            span.timeframe or iso(span.end),
            f"a window of at most {MOST} minutes; this one holds {count}",
        )
    return Needs(minutes=(max(0, span.start - (values["prior"] + 1) * MINUTE), span.end), book=True)


def _answer(material: Material, values: Values) -> Mapping[str, object]:
    span = material.span
    minutes = [
        bar for bar in material.minutes if bar.rows and bar.end <= span.market_time and not bar.partial
    ]
    threshold = Fraction(values["threshold"])
    inside = [one for one in judged(minutes, values["prior"]) if minutes[one.at].start >= span.start]
    found = [one for one in inside if one.score is not None and one.score >= threshold]
    volume_decimals = max((bar.quantity_decimals for bar in minutes), default=0)
    decimals = {
        Kind.VOLUME: volume_decimals,
        Kind.DELTA: volume_decimals,
        Kind.TRADES: 0,
        Kind.JUMP: max((bar.price_decimals for bar in minutes), default=0),
    }
    counted = sum(bar.start >= span.start for bar in minutes)
    return {
        "heuristic": True,
        "least_prior": LEAST,
        "minutes": counted,
        "judged": {
            str(kind): sum(one.kind is kind and one.score is not None for one in inside) for kind in Kind
        },
        "anomalies": [
            _anomaly(minutes, one, decimals[one.kind])
            for one in sorted(found, key=lambda one: (one.at, list(Kind).index(one.kind)))
        ],
        "now": {"book": None if material.book is None else _book(material.book)},
    }


def _anomaly(minutes: Sequence[Bar], one: Judged, decimals: int) -> dict[str, object]:
    bar = minutes[one.at]
    return {
        "kind": str(one.kind),
        "start": iso(bar.start),
        "end": iso(bar.end),
        "direction": _direction(minutes, one),
        "value": plain_scaled(one.value, decimals),
        "median": plain_fraction(one.median / 10**decimals),
        "mad": plain_fraction(one.mad / 10**decimals),
        "score": plain_fraction(one.score, 4),
        "prior_minutes": one.prior,
    }


def _direction(minutes: Sequence[Bar], one: Judged) -> str | None:
    """Return which way delta or price went: buy or sell, up or down."""
    bar, before = minutes[one.at], minutes[one.at - 1]
    if one.kind is Kind.DELTA:
        return "buy" if bar.delta > 0 else "sell"
    if one.kind is not Kind.JUMP or bar.close is None or before.close is None:
        return None
    rose = bar.close[2] * 10**before.price_decimals > before.close[2] * 10**bar.price_decimals
    return "up" if rose else "down"


def _book(found: Book) -> dict[str, object]:
    """Say whether the book as it stands is crossed or lacks a side; of one out of step nothing is said."""
    book = found.book
    state = None
    if found.synced:
        lacking = [name for name, side in (("bids", book.bids), ("asks", book.asks)) if not side]
        state = "crossed" if book.crossed else f"no {' and no '.join(lacking)}" if lacking else "sound"
    return {
        "synced": found.synced,
        "age_ms": found.age_ms,
        "state": state,
        "bid": depth.best(book)["bid"] if found.synced else None,
        "ask": depth.best(book)["ask"] if found.synced else None,
    }


QUESTION = Question(
    name="anomalies",
    path="anomalies",
    title="Anomalies, by a heuristic: minutes whose volume, delta, trades or price jump stand out; the book",
    algorithm=ALGORITHM,
    parameters=(PRIOR, THRESHOLD),
    answer=_answer,
    table="anomalies",
    needs=_needs,
    default_timeframe="4h",
)
