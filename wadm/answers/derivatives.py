"""``derivatives``: what an exchange tells of a contract beside its trades.

Liquidations are those remembered since the daemon started, the latest of them only. While there are none at
all nothing is counted: they may not be followed, or not be sent. Where ``remembered_from`` lies within the
window, there may have been more before it.
"""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from fractions import Fraction

from wadm.answers.question import Material, Question, Values
from wadm.instants import iso
from wadm.market import Liquidation, PositionSide, Ticker
from wadm.numbers import plain, plain_or_none, ratio

ALGORITHM = "derivatives/1"

#: The last liquidations listed one by one.
LISTED = 20


def ticker(told: Ticker | None) -> dict[str, object]:
    """Return what the exchange last told of a contract; null where it told nothing.

    Basis is mark price minus index price, its percentage is of the index price. Open interest is in base
    units. ``told_at`` is the time of the last message, which need not have named every value anew.
    """
    one = told or Ticker("", "", 0)
    basis = share = None
    if one.mark_price is not None and one.index_price is not None:
        away = Fraction(one.mark_price) - Fraction(one.index_price)
        basis = _exact(away)
        part = away * 100 / Fraction(one.index_price) if one.index_price else None
        share = None if part is None else plain_or_none(ratio(part.numerator, part.denominator))
    return {
        "told_at": None if told is None else iso(told.at),
        "last_price": plain_or_none(one.last_price),
        "mark_price": plain_or_none(one.mark_price),
        "index_price": plain_or_none(one.index_price),
        "basis": basis,
        "basis_percent": share,
        "funding_rate": plain_or_none(one.funding_rate),
        "next_funding": None if one.next_funding_at is None else iso(one.next_funding_at),
        "open_interest": plain_or_none(one.open_interest),
    }


def _answer(material: Material, _values: Values) -> Mapping[str, object]:
    span = material.span
    known = sorted(material.liquidations, key=lambda one: one.at)
    return {"now": ticker(material.ticker), "liquidations": _liquidations(known, span.start, span.end)}


def _liquidations(known: Sequence[Liquidation], start: int, end: int) -> dict[str, object]:
    inside = [one for one in known if start <= one.at < end]
    sides = {str(side): [one for one in inside if one.position is side] for side in PositionSide}
    return {
        "remembered": len(known),
        "remembered_from": iso(known[0].at) if known else None,
        "count": len(inside) if known else None,
        **{name: _sum(found) if known else None for name, found in sides.items()},
        "largest": _listed(max(inside, key=_notional, default=None)),
        "last": [_listed(one) for one in inside[-LISTED:]],
    }


def _sum(found: Sequence[Liquidation]) -> dict[str, object]:
    return {
        "count": len(found),
        "volume": _exact(sum((Fraction(one.quantity) for one in found), Fraction())),
        "notional": _exact(sum(map(_notional, found), Fraction())),
    }


def _notional(one: Liquidation) -> Fraction:
    return Fraction(one.price) * Fraction(one.quantity)


def _listed(one: Liquidation | None) -> dict[str, object] | None:
    if one is None:
        return None
    return {
        "time": iso(one.at),
        "position": str(one.position),
        "price": plain(one.price),
        "quantity": plain(one.quantity),
        "notional": _exact(_notional(one)),
    }


def _exact(number: Fraction) -> str:
    """Return a sum or a product of decimals in full."""
    return plain(ratio(number.numerator, number.denominator, 40) or Decimal(0))


QUESTION = Question(
    name="derivatives",
    path="derivatives",
    title="Mark and index price, basis, funding, open interest; liquidations remembered in the window",
    algorithm=ALGORITHM,
    parameters=(),
    answer=_answer,
    default_timeframe="1d",
    stored=False,
)
