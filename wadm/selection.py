"""Which symbols of an exchange are followed: by name, by pattern, or as the first by turnover.

Decided anew whenever the exchange's list is read, so that what is new, ends, or rises and falls is followed
and left without a restart.
"""

import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from fnmatch import fnmatchcase

import attrs

from wadm.exchanges.base import Listed

#: What ``top:20`` ranks where it names no pattern.
USUAL_PATTERN = "*USDT"
#: One of the first N is left once it is not among the first 1.5 N, so that none comes and goes at the edge.
SLACK = Decimal("1.5")

#: A symbol's name has letters of any script, digits, ``_`` and ``-``.
_NAME = re.compile(r"[\w-]{1,40}")
_PATTERN = re.compile(r"[\w*?\[\]!-]{1,40}")
_TOP = re.compile(rf"top:([1-9][0-9]{{0,3}})(?::({_PATTERN.pattern}))?", re.IGNORECASE)


class ChoiceError(ValueError):
    """A text that chooses no symbols; ``str()`` says what was expected."""


@attrs.frozen
class Named:
    """One symbol."""

    symbol: str


@attrs.frozen
class Matching:
    """All symbols that trade and match a pattern (``*``, ``?``, ``[…]``)."""

    pattern: str


@attrs.frozen
class Top:
    """The first ``count`` by turnover of 24 hours of the symbols that trade and match a pattern.

    Turnover is in quote units: only symbols with the quote that most of them have are compared.
    """

    count: int
    pattern: str = USUAL_PATTERN


Choice = Named | Matching | Top


def read_choice(text: str) -> Choice:
    """Return what ``BTCUSDT``, ``*USDT``, ``top:20`` or ``top:20:*USDC`` chooses. Raises ChoiceError."""
    if _NAME.fullmatch(text):
        return Named(text.upper())
    if _PATTERN.fullmatch(text):
        return Matching(text.upper())
    if top := _TOP.fullmatch(text):
        return Top(int(top[1]), (top[2] or USUAL_PATTERN).upper())
    raise ChoiceError(
        f"{text[:80]!r} chooses no symbols; expected a name (BTCUSDT), a pattern (*USDT), "
        f"the first by turnover (top:20), or the first of a pattern (top:20:*USDC)"
    )


@attrs.frozen
class Wanted:
    """What is to be followed of an exchange: ``choices``, but for the symbols ``removed`` by hand."""

    choices: Sequence[Choice]
    removed: Collection[str] = ()

    @property
    def ranked(self) -> bool:
        """Whether turnover is needed to decide."""
        return any(isinstance(choice, Top) for choice in self.choices)


@attrs.frozen
class Followed:
    """What is followed of an exchange: ``seen`` were on its list once, ``missed`` were not the last time."""

    symbols: Collection[str] = ()
    seen: Collection[str] = ()
    missed: Collection[str] = ()


@attrs.frozen
class Decision:
    """What is to change: symbols to follow, in order, and to leave, each with its reason.

    ``unknown`` were asked for by name, but were never on the list: they are followed all the same. ``missed``
    were on it, and are left if they are not on the next one either.
    """

    follow: tuple[str, ...]
    leave: Mapping[str, str]
    unknown: tuple[str, ...]
    missed: tuple[str, ...]


def decide(
    asked: Wanted,
    listing: Mapping[str, Listed],
    turnover: Mapping[str, Decimal],
    followed: Followed,
) -> Decision:
    """Return what is to change for what is ``asked`` to hold, by an exchange's whole list.

    A symbol on the list that does not trade is left at once, one that is no longer on it at the second time:
    a list that was sent in part ends nothing.
    """
    removed, current = set(asked.removed), set(followed.symbols)
    wanted = dict.fromkeys(
        symbol
        for choice in asked.choices
        for symbol in _chosen(choice, listing, turnover, current)
        if symbol not in removed
    )
    absent = [symbol for symbol in current if symbol not in listing and symbol not in removed]
    named = {choice.symbol for choice in asked.choices if isinstance(choice, Named)} - removed
    unknown = [symbol for symbol in named if symbol not in listing and symbol not in followed.seen]
    missed = [symbol for symbol in absent if symbol not in unknown and symbol not in followed.missed]
    kept = {*wanted, *unknown, *missed}
    return Decision(
        follow=tuple(symbol for symbol in (*wanted, *sorted(unknown)) if symbol not in current),
        leave={symbol: _reason(symbol, listing, asked) for symbol in sorted(current) if symbol not in kept},
        unknown=tuple(sorted(unknown)),
        missed=tuple(sorted(missed)),
    )


def _chosen(
    choice: Choice,
    listing: Mapping[str, Listed],
    turnover: Mapping[str, Decimal],
    followed: Collection[str],
) -> Iterable[str]:
    match choice:
        case Named(symbol):
            return [symbol] if symbol in listing and listing[symbol].trading else []
        case Matching(pattern):
            return sorted(_trading(pattern, listing))
        case Top(count, pattern):
            ranked = _ranked(pattern, listing, turnover)
            edge = [symbol for symbol in ranked[count : int(count * SLACK)] if symbol in followed]
            return ranked[:count] + edge


def _trading(pattern: str, listing: Mapping[str, Listed]) -> Iterator[str]:
    return (symbol for symbol, one in listing.items() if one.trading and fnmatchcase(symbol, pattern))


def _ranked(pattern: str, listing: Mapping[str, Listed], turnover: Mapping[str, Decimal]) -> list[str]:
    matching = list(_trading(pattern, listing))
    quotes = Counter(listing[symbol].quote for symbol in matching)
    quote = max(sorted(quotes), key=lambda name: quotes[name], default="")
    comparable = [symbol for symbol in matching if listing[symbol].quote == quote and symbol in turnover]
    return sorted(comparable, key=lambda symbol: (-turnover[symbol], symbol))


def _reason(symbol: str, listing: Mapping[str, Listed], asked: Wanted) -> str:
    if symbol in asked.removed:
        return "it was removed by hand"
    if symbol not in listing:
        return "the exchange no longer lists it"
    if not listing[symbol].trading:
        return "it does not trade now"
    for choice in asked.choices:
        if isinstance(choice, Top) and fnmatchcase(symbol, choice.pattern):
            return f"it is no longer among the first {int(choice.count * SLACK)} by turnover"
    return "no setting asks for it"
