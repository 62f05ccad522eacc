"""What the journal lets go of: entries by their numbers, and what that means for those who follow it."""

import sqlite3

import attrs

from actors.messages import Kind
from actors.storage import tier_log
from actors.storage.journal_view import written_at
from actors.storage.payload import count_trades


@attrs.frozen
class Follower:
    """Someone who follows the journal: its name, how far it has come, and which kinds it keeps."""

    target: str
    place: int
    keeps: frozenset[Kind]


def next_seq(db: sqlite3.Connection, seq: int, last: int) -> int:
    """Return the first number from ``seq`` on that an entry has: a leap leaves out a million, or more."""
    firsts = [
        db.execute(f"SELECT min(seq) FROM {table} WHERE seq BETWEEN ? AND ?", (seq, last)).fetchone()[0]
        for table in ("batches", "records")
    ]
    return min((one for one in firsts if one is not None), default=last + 1)


def delete(db: sqlite3.Connection, first: int, last: int) -> int:
    """Delete the entries numbered from first to last; return how many there were."""
    gone = [
        db.execute(f"DELETE FROM {table} WHERE seq BETWEEN ? AND ?", (first, last)).rowcount
        for table in ("batches", "records", "moments")
    ]
    return sum(gone[:2])


def loss_of(
    db: sqlite3.Connection, follower: Follower, first: int, last: int, now: int
) -> tier_log.Loss | None:
    """Return what a follower loses with the entries numbered from first to last, None if nothing."""
    first = max(first, follower.place + 1)
    if first > last:
        return None
    trades = 0
    if Kind.TRADES in follower.keeps:
        payloads = db.execute("SELECT payload FROM batches WHERE seq BETWEEN ? AND ?", (first, last))
        trades = sum(count_trades(payload) for (payload,) in payloads)
    kinds = sorted({*follower.keeps} - {Kind.TRADES})
    marks = ",".join("?" * len(kinds))
    (records,) = db.execute(
        f"SELECT count(*) FROM records WHERE seq BETWEEN ? AND ? AND kind IN ({marks})", (first, last, *kinds)
    ).fetchone()
    if not trades and not records:
        return None
    at = [written_at(db, seq) for seq in (first, last)]
    return tier_log.Loss(follower.target, first, last, at[0], at[1], trades, records, now)
