"""The journal's entries, carried into a target at once: what a sink does while a daemon runs."""

from actors.storage.journal_view import JournalView
from actors.storage.store import Target

#: Entries applied in one transaction at most.
BATCH = 1_000


def carry_over(journal: JournalView, target: Target) -> int:
    """Apply all that the target does not have yet; return how many entries that were. Raises StorageError."""
    carried, place = 0, target.cursor()
    while True:
        found, reached = journal.read(place, BATCH, target.keeps)
        if reached == place:
            return carried
        target.apply([entry for _, entry in found], reached)
        carried, place = carried + len(found), reached
