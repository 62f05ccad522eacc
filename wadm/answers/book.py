"""``book``: measures of the order book as it stands: imbalance, spread, depth near the mid, walls."""

from collections.abc import Mapping
from decimal import Decimal
from fractions import Fraction

from wadm import depth as told
from wadm.analytics.book import ALGORITHM, Wall, depth, imbalance, mid, spread_bps, walls
from wadm.answers.parameters import number, numbers, whole
from wadm.answers.question import Material, Needs, Parameter, Question, Span, Values
from wadm.numbers import plain, plain_or_none, plain_scaled, ratio
from wadm.orderbook import OrderBook, Side
from wadm.questions import MOST_LEVELS

LEVELS = Parameter(
    "levels", "best levels of each side that imbalance and walls are taken from",
    f"a whole number from 1 to {MOST_LEVELS}", whole(1, MOST_LEVELS), 20,
)  # fmt: skip
WITHIN = Parameter(
    "within", "distances from the mid within which depth is summed, in percent",
    "up to 5 positive numbers, such as 0.1,0.5,1", numbers(5), (Decimal("0.1"), Decimal("0.5"), Decimal(1)),
)  # fmt: skip
TIMES = Parameter(
    "times", "walls: how many times the median of its side's best levels a level must hold",
    "a number of 1 or more, such as 5", number(Decimal(1)), Decimal(5),
)  # fmt: skip

NOT_FOLLOWED = "no order book of this symbol is at hand: a running daemon that follows it has one"
NOT_SYNCED = "the order book is out of step with the exchange"
CROSSED = "the best bid is at the best ask or above it"


def _needs(_span: Span, _values: Values) -> Needs:
    return Needs(book=True)


def _answer(material: Material, values: Values) -> Mapping[str, object]:
    found = material.book
    at_hand = found.book if found is not None and found.synced else None
    return {
        "synced": found is not None and found.synced,
        "reason": _reason(material),
        "age_ms": None if found is None else found.age_ms,
        **told.best(at_hand or OrderBook()),
        "spread_bps": None,
        "crossed": None,
        "imbalance": None,
        "depth": [],
        "bids": None,
        "asks": None,
        **({} if at_hand is None else _measures(at_hand, values)),
    }


def _reason(material: Material) -> str | None:
    if material.book is None:
        return NOT_FOLLOWED
    if not material.book.synced:
        return NOT_SYNCED
    return CROSSED if material.book.book.crossed else None


def _measures(book: OrderBook, values: Values) -> dict[str, object]:
    middle = mid(book)
    return {
        "spread_bps": plain_or_none(spread_bps(book)),
        "crossed": book.crossed,
        "imbalance": plain_or_none(imbalance(book, values["levels"])),
        "depth": [] if middle is None else [_within(book, middle, one) for one in values["within"]],
        "bids": _side(book, book.bids, values),
        "asks": _side(book, book.asks, values),
    }


def _within(book: OrderBook, middle: Fraction, percent: Decimal) -> dict[str, object]:
    found = {
        "bids": depth(book, book.bids, middle, percent),
        "asks": depth(book, book.asks, middle, percent),
    }
    both = book.price_decimals + book.quantity_decimals
    return {
        "percent": plain(percent),
        **{
            name: {
                "volume": plain_scaled(one.quantity, book.quantity_decimals),
                "notional": plain_scaled(one.notional, both),
                "levels": one.levels,
                "complete": one.complete,
            }
            for name, one in found.items()
        },
    }


def _side(book: OrderBook, side: Side, values: Values) -> dict[str, object]:
    best = side.top(values["levels"])
    return {
        "levels": len(best),
        "volume": plain_scaled(sum(quantity for _, quantity in best), book.quantity_decimals),
        "walls": [_wall(book, one) for one in walls(side, values["levels"], values["times"])],
        "walls_are_heuristic": True,
    }


def _wall(book: OrderBook, one: Wall) -> dict[str, object]:
    return {
        "price": plain_scaled(one.price, book.price_decimals),
        "quantity": plain_scaled(one.quantity, book.quantity_decimals),
        "times_median": plain_or_none(ratio(one.times.numerator, one.times.denominator)),
    }


QUESTION = Question(
    name="book",
    path="book-measures",
    title="The order book measured: imbalance, spread, depth near the mid; walls by a heuristic",
    algorithm=ALGORITHM,
    parameters=(LEVELS, WITHIN, TIMES),
    answer=_answer,
    table="depth",
    needs=_needs,
    default_timeframe="1m",
    stored=False,
)
