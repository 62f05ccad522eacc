"""The work of a sink that would hold up the loop: reading the journal, and storing what was read."""

import time

import attrs

from actors.storage.journal_view import JournalView
from actors.storage.store import Target

#: With nothing to store, the cursor is written only this many entries apart.
STRIDE = 10_000


@attrs.frozen
class Leg:
    """What is to be carried next: what follows ``place``, where the store is known to have ``stored``.

    At most ``entries`` entries, and about as many trades as ``trades``. ``settle`` asks for the place to be
    stored even if there is nothing else to store.
    """

    place: int
    stored: int
    entries: int
    trades: int
    settle: bool


@attrs.frozen
class Carried:
    """What came of a leg: the place reached, and the place that the store has, which may be less than it had.

    ``oldest`` is about when the entry after the place was committed (µs), ``seconds`` how long storing took;
    None where nothing was stored.
    """

    place: int
    stored: int
    oldest: int | None
    seconds: float | None


@attrs.define(eq=False)
class Carrier:
    """Carries from the journal into a target. It remembers nothing: any other one may do the next leg.

    It blocks, and raises StorageError. One call at a time.
    """

    journal: JournalView
    target: Target

    def open(self) -> int:
        """Make the target ready; return the place that it has."""
        self.target.initialise()
        return self.target.cursor()

    def carry(self, leg: Leg) -> Carried:
        """Store what comes next and its place, all or nothing."""
        found, place = self.journal.read(leg.place, leg.entries, self.target.keeps, leg.trades)
        entries = [entry for _, entry in found]
        if not entries and place - leg.stored < STRIDE and not (leg.settle and place > leg.stored):
            return Carried(place, leg.stored, self._oldest(place), None)
        known = self.target.cursor()
        if known < leg.stored:
            return Carried(known, known, self._oldest(known), None)
        began = time.perf_counter()
        self.target.apply(entries, place)
        return Carried(place, place, self._oldest(place), time.perf_counter() - began)

    def _oldest(self, place: int) -> int | None:
        return self.journal.written_at(place + 1)
