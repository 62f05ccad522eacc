"""A database for repositories, and what the server says of how it found things."""

from contextlib import contextmanager

import attrs
from storage_samples import SYMBOL, trades_at

from actors.messages import TradeBatch
from actors.storage.mongo.data_manager import DataManager

#: When the tests store things: the server, which has a clock of its own, lets none of it expire.
NOW = 4_000_000_000_000_000


def batch_of(*times, incarnation=1, **kind):
    """Return trades at these times as a batch; ids count from 0 unless given."""
    trades = trades_at(*times, **kind)
    return TradeBatch(trades, incarnation, 1, max(times), 0.0, max(times))


def on(record, exchange, symbol=SYMBOL):
    """Return a record as of another exchange."""
    return attrs.evolve(record, exchange=exchange, symbol=symbol)


def opened(url, now=NOW, **options):
    """Open a data manager whose clock stands still."""
    return DataManager.open(url, clock=lambda: now, **options)


@contextmanager
def planned(manager):
    """Collect how the server found what the block asked for: (collection, plan, documents looked at)."""
    database = manager.store.connection.database
    database.command("profile", 2)
    plans = []
    try:
        yield plans
    finally:
        database.command("profile", 0)
        for one in database["system.profile"].find({"planSummary": {"$exists": True}}):
            name = one["ns"].partition(".")[2]
            if not name.startswith(("system.", "wadm_")):
                plans.append((name, one["planSummary"], one.get("docsExamined", 0)))
        database["system.profile"].drop()
