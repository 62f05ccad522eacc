"""Stretches of one symbol's trades in the order in which they were journalled, read within a transaction."""

import sqlite3
from contextlib import closing

import attrs

from actors.messages import TradeBatch
from actors.storage.payload import decode_batch

#: One connection may be ahead of another: of a time, so many of the first batches are looked at.
OVERLAP = 256

_BATCH = "SELECT seq, exchange, symbol, incarnation, number, payload FROM batches JOIN streams ON id = stream"


@attrs.frozen(eq=False)
class Stretch:
    """Batches of one symbol with their sequence numbers, ascending.

    ``before`` are batches that lie ahead of them, newest first. ``first_seq`` is the number of the oldest
    entry that the journal keeps, ``last_seq`` the last that it gave, both of all symbols.
    """

    batches: list[tuple[int, TradeBatch]]
    before: list[TradeBatch]
    first_seq: int
    last_seq: int


Found = list[tuple[int, TradeBatch]]


def following(db: sqlite3.Connection, stream: int, seq: int, count: int) -> Found:
    """Return batches from ``seq`` on, as many as it takes to have ``count`` trades."""
    return _until(db, "stream = ? AND seq >= ? ORDER BY seq", (stream, seq), count)


def preceding(db: sqlite3.Connection, stream: int, seq: int, count: int) -> Found:
    """Return the batches ahead of ``seq``, newest first, as many as it takes to have ``count`` trades."""
    return _until(db, "stream = ? AND seq < ? ORDER BY seq DESC", (stream, seq), count)


def newest(db: sqlite3.Connection, stream: int, count: int) -> Found:
    """Return the batches of the newest trades by the exchange's time, ascending by sequence number."""
    found = _until(db, "stream = ? ORDER BY last_time DESC", (stream,), count)
    return sorted(found, key=lambda one: one[0])


def seq_at(db: sqlite3.Connection, stream: int, at: int) -> int | None:
    """Return the first sequence number with trades at ``at`` (µs, exchange time) or later."""
    (found,) = db.execute(
        "SELECT min(seq) FROM (SELECT seq FROM batches WHERE stream = ? AND last_time >= ? "
        "ORDER BY last_time LIMIT ?)",
        (stream, at, OVERLAP),
    ).fetchone()
    return None if found is None else int(found)


def oldest_time(db: sqlite3.Connection, stream: int) -> int | None:
    """Return the exchange time (µs) of the oldest trade kept."""
    found = db.execute(
        "SELECT first_time FROM batches WHERE stream = ? ORDER BY last_time LIMIT 1", (stream,)
    ).fetchone()
    return None if found is None else int(found[0])


def _until(db: sqlite3.Connection, where: str, given: tuple[int, ...], count: int) -> Found:
    """Return the first batches that have ``count`` trades together; no batch is without any."""
    found: Found = []
    with closing(db.cursor()) as rows:
        for seq, *rest in rows.execute(f"{_BATCH} WHERE {where} LIMIT ?", (*given, count)):
            batch = decode_batch(*rest)
            found.append((seq, batch))
            count -= len(batch.trades)
            if count <= 0:
                break
    return found
