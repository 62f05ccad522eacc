"""``overview``: where a market stands, in one answer: price, profile, flow, activity, contract, book."""

from collections.abc import Mapping

from wadm import depth, views
from wadm.analytics.vwap import vwap
from wadm.answers import derivatives, large_trades, order_flow, profile
from wadm.answers.activity import turnover
from wadm.answers.change import base_volume, change
from wadm.answers.parameters import AUTO_ROW_SIZE, HOURS, METHOD, VALUE_AREA
from wadm.answers.question import Material, Needs, Question, Span, Values
from wadm.instants import iso
from wadm.market import HOUR, MINUTE
from wadm.numbers import plain, plain_or_none, plain_scaled, ratio
from wadm.orderbook import OrderBook

ALGORITHM = "overview/1"
_LAST_HOUR = "last_hour"


def _until(span: Span) -> int:
    """Return where what is known of the window ends: the present minute counts as a whole one."""
    return max(span.start, min(span.end, -(-span.market_time // MINUTE) * MINUTE))


def _needs(span: Span, values: Values) -> Needs:
    """Ask for the session, the last hour, the day before the window, and the book."""
    until = _until(span)
    merged = {
        **order_flow.QUESTION.needs(span, values).merged,
        **large_trades.QUESTION.needs(span, values).merged,
        _LAST_HOUR: (max(0, until - HOUR), until),
    }
    return Needs(merged=merged, book=True)


def _answer(material: Material, values: Values) -> Mapping[str, object]:
    bar = material.bar
    made = profile.of(bar, material.instrument, values)
    mean, session = vwap(bar), material.merged[order_flow.SESSION]
    share = ratio(bar.buy_volume, bar.buy_volume + bar.sell_volume)
    return {
        **views.candle(bar),
        "turnover": turnover(bar),
        **change(bar),
        "vwap": None if mean is None else plain(mean.vwap),
        "row_size": plain(made.row_size),
        **views.value_area(made),
        "buy_share": plain_or_none(share),
        "cvd": plain_scaled(session.delta, session.quantity_decimals),
        "cvd_since": iso(session.start),
        "large_trades": _large(material),
        "last_hour": _last_hour(material),
        "now": {**derivatives.ticker(material.ticker), "book": _book(material)},
    }


def _large(material: Material) -> dict[str, object]:
    """Return how many orders reach the threshold that ``large-trades`` has where none is asked for."""
    asked = {one.name: one.default for one in large_trades.QUESTION.parameters}
    found = large_trades.QUESTION.answer(material, asked)
    known = found["threshold"] is not None
    names = ("buy_count", "sell_count", "buy_volume", "sell_volume")
    return {
        "threshold": found["threshold"],
        "prior_orders": found["prior_orders"],
        **{name: found[name] if known else None for name in names},
    }


def _last_hour(material: Material) -> dict[str, object]:
    """Return the last hour beside the average one since the minute of the window's first trade.

    No comparison where that minute is less than an hour ago.
    """
    bar, last = material.bar, material.merged[_LAST_HOUR]
    times = None
    if bar.open is not None:
        known = _until(material.span) - (bar.open[0] - bar.open[0] % MINUTE)
        average = base_volume(bar) * HOUR / known
        if known >= HOUR and average:
            over = base_volume(last) / average
            times = ratio(over.numerator, over.denominator)
    return {
        "start": iso(last.start),
        "end": iso(last.end),
        "trades": last.buy_trades + last.sell_trades,
        "volume": plain_scaled(last.buy_volume + last.sell_volume, last.quantity_decimals),
        "delta": plain_scaled(last.delta, last.quantity_decimals),
        "over_average_hour": plain_or_none(times),
    }


def _book(material: Material) -> dict[str, object] | None:
    """Return best bid and ask; null where no book is followed, or it is out of step."""
    found = material.book
    if found is None:
        return None
    return {
        "synced": found.synced,
        "age_ms": found.age_ms,
        **depth.best(found.book if found.synced else OrderBook()),
    }


QUESTION = Question(
    name="overview",
    path="market-overview",
    title="Market overview: price, profile, order flow, large trades, last hour; contract and book as of now",
    algorithm=ALGORITHM,
    parameters=(HOURS, AUTO_ROW_SIZE, VALUE_AREA, METHOD),
    answer=_answer,
    needs=_needs,
)
