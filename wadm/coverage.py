"""Coverage: which part of what was asked an answer rests on, and what is missing from it."""

from collections import Counter
from collections.abc import Iterable, Sequence

import attrs

from wadm.exchanges.base import Filled, Gap
from wadm.exchanges.contiguity import Missing
from wadm.instants import iso
from wadm.market import IdKind

#: Why a gap stays that was still open when it was let go: no trade is folded into a bar that is not kept.
TOO_OLD = "the bars kept in memory begin after it"

_COUNTED = ("open", "unfillable", "suspected", "ids_missing")


@attrs.frozen
class SuspectedGap:
    """Trades of one symbol may be missing that nothing counts: its ids are names.

    ``first`` and ``last`` (µs, exchange time) are those of the trades before and after it.
    """

    exchange: str
    symbol: str
    first: int
    last: int

    @property
    def id_kind(self) -> None:
        """No ids tell of it."""
        return

    @property
    def at(self) -> int:
        """The exchange time (µs) of the trade that ended it."""
        return self.last


AnyGap = Gap | SuspectedGap


@attrs.frozen
class KnownGap:
    """A gap as it stands: ``open`` while it may still be filled, or ``unfillable``.

    ``reason`` says why it cannot be filled, and of a suspected one why it is suspected.
    """

    gap: AnyGap
    state: str = "open"
    reason: str = ""

    def answer(self) -> dict[str, object]:
        """Return the gap as it stands in answers."""
        gap = self.gap
        names = {"exchange": gap.exchange, "symbol": gap.symbol}
        reason = {"reason": self.reason} if self.reason else {}
        if isinstance(gap, SuspectedGap):
            span = {"from": iso(gap.first), "to": iso(gap.last)}
            return {"kind": "suspected", **names, **span, "state": self.state, **reason}
        return {
            "kind": "known",
            **names,
            "id_kind": str(gap.id_kind),
            "first": gap.first,
            "last": gap.last,
            "missing": gap.missing,
            "noticed": iso(gap.at),
            "state": self.state,
            **reason,
        }


@attrs.define
class Gaps:
    """The gaps of one symbol's stream of trades, until all that was missing has come.

    Those that ended before ``since`` (µs) were let go: only the stores have them, and ``gone`` counts them.
    """

    known: list[KnownGap] = attrs.field(factory=list)
    since: int = 0
    gone: Counter[str] = attrs.field(factory=Counter)

    @property
    def open(self) -> list[Gap]:
        """Those of known ids that may still be filled."""
        return [one.gap for one in self.known if one.state == "open" and isinstance(one.gap, Gap)]

    @property
    def suspected(self) -> list[KnownGap]:
        """Those that are suspected, whether they may still be filled or not."""
        return [one for one in self.known if isinstance(one.gap, SuspectedGap)]

    def opened(self, gap: AnyGap, reason: str = "") -> None:
        """Note a gap."""
        self.known.append(KnownGap(gap, "open", reason))

    def filled(self, filled: Filled) -> list[AnyGap]:
        """Take ids that came out of the gaps that missed them; return what was filled."""
        return [one.gap for one in self._cut(filled.id_kind, Missing(filled.first, filled.last))]

    def given_up(self, id_kind: IdKind, ids: Missing, reason: str, at: int | None = None) -> list[Gap]:
        """Hold ids for unfillable; return the gaps that became it.

        ``at`` (µs) is the exchange time of the trade behind them, where it came to be known.
        """
        lost = [one.gap for one in self._cut(id_kind, ids) if isinstance(one.gap, Gap)]
        if at is not None:
            lost = [attrs.evolve(gap, at=at) for gap in lost]
        self.known += [KnownGap(gap, "unfillable", reason) for gap in lost]
        return lost

    def covered(self, first: int, last: int) -> list[AnyGap]:
        """Take a span of time (µs) out of what is suspected; return what was in it."""
        return [one.gap for one in self._cut(None, Missing(first, last))]

    def not_covered(self, first: int, last: int, reason: str) -> list[KnownGap]:
        """Hold the trades of a span of time (µs) for unfillable where they are suspected to be missing."""
        lost = [
            KnownGap(one.gap, "unfillable", f"{one.reason}; {reason}")
            for one in self._cut(None, Missing(first, last))
        ]
        self.known += lost
        return lost

    def let_go(self, before: int) -> list[KnownGap]:
        """Forget the gaps that ended before a time (µs); return those given up with that: they were open."""
        old = [one for one in self.known if one.gap.at < before]
        self.since = max(self.since, before)
        if not old:
            return []
        given_up = [_given_up(one) for one in old if one.state == "open"]
        self.known = [one for one in self.known if one.gap.at >= before]
        self.gone += _counted([*(one for one in old if one.state != "open"), *given_up])
        return given_up

    def totals(self) -> dict[str, int]:
        """Return how many gaps there are, those let go included: by state, those suspected, and their ids."""
        counted = self.gone + _counted(self.known)
        return {name: counted[name] for name in _COUNTED}

    def _cut(self, id_kind: IdKind | None, span: Missing) -> list[KnownGap]:
        """Take a range out of every gap of a kind; return what was in it."""
        cut: list[KnownGap] = []
        left: list[KnownGap] = []
        for one in self.known:
            gap = one.gap
            first, last = max(gap.first, span.first), min(gap.last, span.last)
            if gap.id_kind != id_kind or first > last:
                left.append(one)
                continue
            cut.append(_part(one, first, last))
            if gap.first < first:
                left.append(_part(one, gap.first, first - 1))
            if last < gap.last:
                left.append(_part(one, last + 1, gap.last))
        self.known = left
        return cut


def _given_up(one: KnownGap) -> KnownGap:
    reason = f"{one.reason}; {TOO_OLD}" if one.reason else TOO_OLD
    return attrs.evolve(one, state="unfillable", reason=reason)


def _counted(gaps: Iterable[KnownGap]) -> Counter[str]:
    counted = Counter[str]()
    for one in gaps:
        if isinstance(one.gap, SuspectedGap):
            counted["suspected"] += 1
        else:
            counted[one.state] += 1
            counted["ids_missing"] += one.gap.missing
    return counted


def _part(one: KnownGap, first: int, last: int) -> KnownGap:
    return attrs.evolve(one, gap=attrs.evolve(one.gap, first=first, last=last))


@attrs.frozen
class Unreadable:
    """A span (µs) of what is stored that could not be read, and why: where that says so, it was lost."""

    start: int
    end: int
    reason: str

    def answer(self) -> dict[str, object]:
        """Return the span as it stands in answers."""
        return {"start": iso(self.start), "end": iso(self.end), "reason": self.reason}


@attrs.frozen
class Coverage:
    """What an answer about ``[start, end)`` rests on. Times in µs.

    ``covered`` is the part of the window for which trades were being received, None while that is no part;
    ``final`` says that the window has ended and its bars are closed; ``provable`` says that the exchange's
    ids count up by one, so that a gap would have been seen. ``epoch`` counts the daemon's starts on its data,
    None where none runs. ``earlier`` says, of an answer that rests on more than its window, from when on, and
    since when within that trades are known (None: not at all); gaps are told of all of it. An answer is not
    final while some of what it rests on is ``unreadable``.
    """

    covered: tuple[int, int] | None
    final: bool
    provable: bool
    gaps: Sequence[KnownGap]
    sources: Sequence[str]
    epoch: int | None
    warming: bool
    earlier: tuple[int, int | None] | None = None
    unreadable: Sequence[Unreadable] = ()

    def answer(self) -> dict[str, object]:
        """Return the coverage as it stands in every answer."""
        return {
            "start": iso(self.covered[0]) if self.covered else None,
            "end": iso(self.covered[1]) if self.covered else None,
            "state": "final" if self.final and not self.unreadable else "provisional",
            "completeness": "provable" if self.provable else "not provable",
            "gaps": [gap.answer() for gap in self.gaps],
            "sources": list(self.sources),
            "epoch": self.epoch,
            "warming": self.warming,
            **({} if self.earlier is None else {"earlier": _earlier(*self.earlier)}),
            **({"unreadable": [one.answer() for one in self.unreadable]} if self.unreadable else {}),
        }


def _earlier(start: int, covered_from: int | None) -> dict[str, object]:
    """Return what an answer rests on of the time before its window."""
    return {"from": iso(start), "covered_from": None if covered_from is None else iso(covered_from)}
