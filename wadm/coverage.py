"""Coverage: which part of what was asked an answer rests on, and what is missing from it."""

from collections.abc import Sequence

import attrs

from wadm.exchanges.base import Filled, Gap
from wadm.exchanges.contiguity import Missing
from wadm.instants import iso
from wadm.market import IdKind


@attrs.define
class Gaps:
    """The known gaps of one symbol's stream of ids: open until every id in them has come."""

    open: list[Gap] = attrs.field(factory=list)

    def opened(self, gap: Gap) -> None:
        """Note a gap."""
        self.open.append(gap)

    def filled(self, filled: Filled) -> list[Gap]:
        """Take late ids out of the gaps that were waiting for them; return what was filled."""
        done: list[Gap] = []
        left: list[Gap] = []
        for gap in self.open:
            first, last = max(gap.first, filled.first), min(gap.last, filled.last)
            if gap.id_kind != filled.id_kind or first > last:
                left.append(gap)
                continue
            done.append(attrs.evolve(gap, first=first, last=last))
            if gap.first < first:
                left.append(attrs.evolve(gap, last=first - 1))
            if last < gap.last:
                left.append(attrs.evolve(gap, first=last + 1))
        self.open = left
        return done

    def within(self, id_kind: IdKind, ids: Missing) -> list[Gap]:
        """Return the parts of open gaps that lie in a range of ids."""
        return [
            attrs.evolve(gap, first=max(gap.first, ids.first), last=min(gap.last, ids.last))
            for gap in self.open
            if gap.id_kind == id_kind and gap.first <= ids.last and ids.first <= gap.last
        ]

    def between(self, start: int, end: int) -> list[Gap]:
        """Return the gaps noticed in ``[start, end)`` (µs)."""
        return [gap for gap in self.open if start <= gap.at < end]


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
    gaps: Sequence[Gap]
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
            "gaps": [gap_answer(gap) for gap in self.gaps],
            "sources": list(self.sources),
            "epoch": self.epoch,
            "warming": self.warming,
        }


def gap_answer(gap: Gap, state: str = "open") -> dict[str, object]:
    """Return a gap as it stands in answers."""
    return {
        "exchange": gap.exchange,
        "symbol": gap.symbol,
        "id_kind": str(gap.id_kind),
        "first": gap.first,
        "last": gap.last,
        "missing": gap.missing,
        "noticed": iso(gap.at),
        "state": state,
    }
