"""Coverage: which part of what was asked an answer rests on, and what is missing from it."""

from collections.abc import Sequence

import attrs

from wadm.exchanges.base import Filled, Gap
from wadm.exchanges.contiguity import Missing
from wadm.instants import iso
from wadm.market import IdKind


@attrs.frozen
class KnownGap:
    """A gap as it stands: ``open`` while it may still be filled, or ``unfillable`` for a reason."""

    gap: Gap
    state: str = "open"
    reason: str = ""

    def answer(self) -> dict[str, object]:
        """Return the gap as it stands in answers."""
        gap = self.gap
        return {
            "exchange": gap.exchange,
            "symbol": gap.symbol,
            "id_kind": str(gap.id_kind),
            "first": gap.first,
            "last": gap.last,
            "missing": gap.missing,
            "noticed": iso(gap.at),
            "state": self.state,
            **({"reason": self.reason} if self.reason else {}),
        }


@attrs.define
class Gaps:
    """The known gaps of one symbol's stream of ids, until every id in them has come."""

    known: list[KnownGap] = attrs.field(factory=list)

    @property
    def open(self) -> list[Gap]:
        """Those that may still be filled."""
        return [one.gap for one in self.known if one.state == "open"]

    def opened(self, gap: Gap) -> None:
        """Note a gap."""
        self.known.append(KnownGap(gap))

    def filled(self, filled: Filled) -> list[Gap]:
        """Take ids that came out of the gaps that missed them; return what was filled."""
        return self._cut(filled.id_kind, Missing(filled.first, filled.last))

    def given_up(self, id_kind: IdKind, ids: Missing, reason: str) -> list[Gap]:
        """Hold ids for unfillable; return the gaps that became it."""
        lost = self._cut(id_kind, ids)
        self.known += [KnownGap(gap, "unfillable", reason) for gap in lost]
        return lost

    def _cut(self, id_kind: IdKind, ids: Missing) -> list[Gap]:
        """Take a range of ids out of every gap; return what was in it."""
        cut: list[Gap] = []
        left: list[KnownGap] = []
        for one in self.known:
            gap = one.gap
            first, last = max(gap.first, ids.first), min(gap.last, ids.last)
            if gap.id_kind != id_kind or first > last:
                left.append(one)
                continue
            cut.append(attrs.evolve(gap, first=first, last=last))
            if gap.first < first:
                left.append(attrs.evolve(one, gap=attrs.evolve(gap, last=first - 1)))
            if last < gap.last:
                left.append(attrs.evolve(one, gap=attrs.evolve(gap, first=last + 1)))
        self.known = left
        return cut

    def between(self, start: int, end: int) -> list[KnownGap]:
        """Return the gaps that a trade of ``[start, end)`` (µs, exchange time) showed."""
        return [one for one in self.known if start <= one.gap.at < end]


@attrs.frozen
class Coverage:
    """What an answer about ``[start, end)`` rests on. Times in µs.

    ``covered`` is the part of the window for which trades were being received, None while that is no part;
    ``final`` says that the window has ended and its bars are closed; ``provable`` says that the exchange's
    ids count up by one, so that a gap would have been seen. ``epoch`` counts the daemon's starts on its data.
    """

    covered: tuple[int, int] | None
    final: bool
    provable: bool
    gaps: Sequence[KnownGap]
    sources: Sequence[str]
    epoch: int
    warming: bool

    def answer(self) -> dict[str, object]:
        """Return the coverage as it stands in every answer."""
        return {
            "start": iso(self.covered[0]) if self.covered else None,
            "end": iso(self.covered[1]) if self.covered else None,
            "state": "final" if self.final else "provisional",
            "completeness": "provable" if self.provable else "not provable",
            "gaps": [gap.answer() for gap in self.gaps],
            "sources": list(self.sources),
            "epoch": self.epoch,
            "warming": self.warming,
        }
