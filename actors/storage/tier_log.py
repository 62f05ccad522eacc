"""What the journal remembers of those who follow it: how far each has come, and what each has lost."""

import sqlite3
from collections.abc import Mapping

import attrs

TABLES = (
    "CREATE TABLE IF NOT EXISTS places(target TEXT PRIMARY KEY, seq INTEGER NOT NULL) WITHOUT ROWID",
    "CREATE TABLE IF NOT EXISTS losses(target TEXT NOT NULL, first_seq INTEGER NOT NULL, "
    "last_seq INTEGER NOT NULL, first_at INTEGER, last_at INTEGER, trades INTEGER, records INTEGER, "
    "noted_at INTEGER NOT NULL, PRIMARY KEY(target, first_seq)) WITHOUT ROWID",
)

_PUT_PLACE = (
    "INSERT INTO places(target, seq) VALUES (?, ?) ON CONFLICT(target) DO UPDATE SET seq = excluded.seq"
)
_PUT_LOSS = (
    "REPLACE INTO losses(target, first_seq, last_seq, first_at, last_at, trades, records, noted_at) "
    "VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
)


@attrs.frozen
class Loss:
    """Entries that the journal let go before a target had them.

    They were committed between ``first_at`` and ``last_at`` (µs; None: no longer known). ``trades`` and
    ``records`` count what the target would have kept, None where that is not known: a target that came back
    empty had it once.
    """

    target: str
    first_seq: int
    last_seq: int
    first_at: int | None
    last_at: int | None
    trades: int | None
    records: int | None
    noted_at: int

    def grown(self, later: "Loss") -> "Loss":
        """Return this loss together with the one that follows it."""
        return attrs.evolve(
            self,
            last_seq=later.last_seq,
            last_at=later.last_at,
            trades=_sum(self.trades, later.trades),
            records=_sum(self.records, later.records),
            noted_at=later.noted_at,
        )


def _sum(one: int | None, other: int | None) -> int | None:
    return None if one is None or other is None else one + other


def places(db: sqlite3.Connection) -> dict[str, int]:
    """Return how far each target had come when that was last noted."""
    return dict(db.execute("SELECT target, seq FROM places").fetchall()) if _has(db, "places") else {}


def note_places(db: sqlite3.Connection, found: Mapping[str, int]) -> None:
    """Note how far targets have come, also where that is further back than before."""
    db.executemany(_PUT_PLACE, list(found.items()))


def losses(db: sqlite3.Connection, target: str | None = None) -> list[Loss]:
    """Return what was lost, of one target or of all, in the order of the journal."""
    if not _has(db, "losses"):
        return []
    chosen, values = ("", ()) if target is None else ("WHERE target = ?", (target,))
    query = (
        "SELECT target, first_seq, last_seq, first_at, last_at, trades, records, noted_at "
        f"FROM losses {chosen} ORDER BY target, first_seq"
    )
    return [Loss(*row) for row in db.execute(query, values)]


def note_loss(db: sqlite3.Connection, loss: Loss) -> None:
    """Note a loss; one that goes on where the target's last one ended is the same loss."""
    known = losses(db, loss.target)
    if any(one.first_seq <= loss.first_seq and loss.last_seq <= one.last_seq for one in known):
        return
    before = known[-1] if known and known[-1].last_seq + 1 == loss.first_seq else None
    db.execute(_PUT_LOSS, attrs.astuple(loss if before is None else before.grown(loss)))


def _has(db: sqlite3.Connection, table: str) -> bool:
    return bool(db.execute("SELECT count(*) FROM sqlite_master WHERE name = ?", (table,)).fetchone()[0])
