"""Whether a store that keeps raw trades has those of the journal: none missing, too many, or different."""

from collections.abc import Iterable, Iterator

from actors.messages import Kind, TradeBatch
from actors.storage.differing import Found
from actors.storage.journal_view import JournalView
from actors.storage.runs import within
from actors.storage.store import Store
from wadm.instants import iso
from wadm.market import MINUTE, IdKind, TradeId, Trades
from wadm.numbers import plain_scaled

#: Journal entries that are read at once.
PAGE = 500

Stream = tuple[str, str]
#: A trade's time, price and signed quantity as text, and whether the store must have it.
Told = tuple[tuple[str, str, str] | None, bool]

_ABSENT: Told = (None, True)


def compare(
    journal: JournalView, store: Store, stream: Stream, span: tuple[int, int], stored_since: int
) -> Iterator[tuple[int, int, list[Found]]]:
    """Yield, minute by minute, its start, how many trades were compared, and where they differ.

    Asked of the store is what it was given, and so late (``stored_since``, µs) that it cannot have forgotten
    it.
    """
    start, end = span
    to_come = _to_come(journal, stream, store.cursor())
    for minute in range(start - start % MINUTE, end, MINUTE):
        at, until = max(minute, start), min(minute + MINUTE, end)
        # The store first: what comes in between is then in the journal alone, and not asked for.
        theirs = _told((run, True) for run in store.trades(*stream, at, until))
        ours = _told(
            (within(one.trades, at, until), one.received_at >= stored_since and _name(one) not in to_come)
            for one in journal.overlapping(*stream, at, until)
        )
        found: list[Found] = []
        for name in sorted(ours.keys() | theirs.keys(), key=str):
            stored, (counted, asked_for) = theirs.get(name, _ABSENT)[0], ours.get(name, _ABSENT)
            if stored != counted and (stored is not None or asked_for):
                found.append((f"{name[0]} {name[1]}", stored, counted))
        yield at, len(ours), found


def _to_come(journal: JournalView, stream: Stream, cursor: int) -> set[tuple[int, int]]:
    """Return the batches of a symbol that the store does not have yet."""
    found, last, key = set[tuple[int, int]](), journal.last_seq(), ":".join(stream)
    while cursor < last:
        page, cursor = journal.read(cursor, PAGE, {Kind.TRADES})
        batches = (entry for _, entry in page if isinstance(entry, TradeBatch))
        found |= {_name(batch) for batch in batches if batch.trades.key == key}
    return found


def _name(batch: TradeBatch) -> tuple[int, int]:
    return batch.incarnation, batch.number


def _told(runs: Iterable[tuple[Trades, bool]]) -> dict[tuple[IdKind, TradeId], Told]:
    """Return trades by kind of id and id, each with what stands beside its run."""
    found: dict[tuple[IdKind, TradeId], Told] = {}
    for run, beside in runs:
        columns = (run.ids, run.times, run.prices, run.signed_quantities)
        for trade_id, time, price, signed in zip(*columns, strict=True):
            quantity = plain_scaled(signed, run.quantity_decimals)
            told = iso(time), plain_scaled(price, run.price_decimals), quantity
            found.setdefault((run.id_kind, trade_id), (told, beside))
    return found
