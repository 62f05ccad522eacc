"""What a verification came to: how much was checked, and what was not as it should be."""

import attrs

from wadm.instants import iso

#: Differences told one by one; the rest are counted.
TOLD = 1_000


@attrs.frozen
class Difference:
    """A field that is stored otherwise than it comes out when it is counted again."""

    symbol: str
    what: str
    start: int
    field: str
    stored: object
    recounted: object

    def answer(self) -> dict[str, object]:
        """Return it as plain values."""
        return attrs.asdict(self) | {"start": iso(self.start)}


@attrs.define
class Verdict:
    """What was checked, how often it was right, and what was not.

    ``bars`` could be counted again from raw trades, ``bars_only_read`` are those whose trades are no longer
    kept; likewise windows, some of which are of an ``outdated`` revision: their bars have changed since, and
    a daemon records them anew. ``trades`` were compared with a store that keeps them.
    """

    bars: int = 0
    bars_only_read: int = 0
    windows: int = 0
    windows_outdated: int = 0
    trades: int = 0
    cold_days: int = 0
    differences: int = 0
    told: list[Difference] = attrs.field(factory=list)
    problems: list[str] = attrs.field(factory=list)

    @property
    def sound(self) -> bool:
        """Whether nothing was found to be wrong."""
        return not self.differences and not self.problems

    def differs(self, found: Difference) -> None:
        """Note a difference."""
        self.differences += 1
        if len(self.told) < TOLD:
            self.told.append(found)

    def wrong(self, sentence: str) -> None:
        """Note a problem, once."""
        if sentence not in self.problems:
            self.problems.append(sentence)
