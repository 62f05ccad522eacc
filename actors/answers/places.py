"""Places in the journal as askers hold them: the text of a cursor."""

import re
from typing import Self

import attrs

from wadm.market import SECOND

_TEXT = re.compile(r"([0-9a-f]{8})-([0-9a-f]{1,15})-([0-9a-f]{1,8})-([0-9a-f]{1,12})")


class CursorError(ValueError):
    """Text that is no cursor of these trades; ``str()`` says which would be."""


@attrs.frozen
class Place:
    """Where trades go on: with the one numbered ``index`` in batch ``seq``, or with what comes behind it.

    ``journal`` is the beginning of the journal's name, ``time`` (µs, to the second) the exchange's time so
    far: 0 where there was no trade yet.
    """

    journal: str
    seq: int
    index: int = 0
    time: int = 0

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a cursor. Raises CursorError."""
        found = _TEXT.fullmatch(text)
        if found is None:
            raise CursorError("the cursor of an answer before")
        seq, index, seconds = (int(part, 16) for part in found.groups()[1:])
        return cls(found[1], seq, index, seconds * SECOND)

    def check(self, journal: str, last_seq: int) -> None:
        """Raise CursorError unless the place lies in the journal of this name, which goes so far."""
        if self.journal != journal or self.seq > last_seq + 1:
            raise CursorError("a cursor of the data that is kept now: begin anew without a cursor")

    def precedes(self, seq: int, index: int) -> bool:
        """Say whether a trade lies behind the place."""
        return (self.seq, self.index) <= (seq, index)

    def at(self, span: tuple[int, int] | None) -> Self:
        """Return the place behind trades of these times (µs), if there were any."""
        return self if span is None else attrs.evolve(self, time=span[1])

    def __str__(self) -> str:
        return f"{self.journal}-{self.seq:x}-{self.index:x}-{self.time // SECOND:x}"
