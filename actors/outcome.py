"""What came of a recording: the numbers that a replay prints and a drill compares."""

from typing import Any

from actors.daemon import Daemon


async def outcome(daemon: Daemon, row_size: str | None) -> dict[str, Any]:
    """Return the symbols with the digests of their profiles, the ledger, and the gaps that are left."""
    queries = daemon.queries
    asked = {} if row_size is None else {"row_size": row_size}
    symbols = {
        key: await queries.summary({"exchange": one.exchange, "symbol": one.symbol, **asked})
        for key, one in sorted(queries.instruments.items())
    }
    return {"symbols": symbols, "ledger": daemon.runtime.statement(), "gaps": queries.gaps()}
