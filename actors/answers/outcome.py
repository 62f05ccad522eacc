"""What came of a recording: the numbers that a replay prints and a drill compares."""

from typing import Any

from actors.books.memory import BookMemory
from actors.daemon import Daemon
from wadm.depth import best


async def outcome(daemon: Daemon, row_size: str | None) -> dict[str, Any]:
    """Return symbols with the digests of their profiles, the ledger, gaps in trades left, and the books."""
    queries = daemon.queries
    asked = {} if row_size is None else {"row_size": row_size}
    symbols = {
        key: await queries.summary({"exchange": one.exchange, "symbol": one.symbol, **asked})
        for key, one in sorted(queries.instruments.items())
    }
    return {
        "symbols": symbols,
        "ledger": daemon.runtime.statement(),
        "gaps": await queries.gaps(),
        "books": {key: _book(book) for key, book in sorted(daemon.runtime.books.items()) if book.received},
    }


def _book(memory: BookMemory) -> dict[str, Any]:
    """Return where a book stands, and how it compares with the best bids and asks recorded beside it."""
    sync, counters = memory.sync, memory.counters()
    shown = best(sync.book) if sync.synced else {"bid": None, "ask": None}
    return {"synced": sync.synced, "bid": shown["bid"], "ask": shown["ask"], **counters}
