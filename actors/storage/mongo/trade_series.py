"""Raw trades as a time series: smaller on the disk, for who keeps many of them.

The server packs an instrument's trades of one lifetime into buckets. There is no unique index in a time
series, so what is there already is asked for before a run is stored: the ids of the same instrument within
the run's span of time. That rests on there being one writer, which the lock of the data directory sees to.

Its documents do not expire one by one (the server would count from the exchange's time, and forget what is
replayed at once), and they can only be deleted by what they have in common: ``source``, with when they
expire, rounded up to ten minutes.
"""

from collections.abc import Iterable, Iterator, Sequence

from pymongo.collection import Collection

from actors.storage.mongo.schema import SERIES_META
from actors.storage.mongo.values import Document, date
from actors.storage.runs import picked
from wadm.market import MINUTE, Trades

#: Trades that expire within as many µs of one another do so together.
STEP = 10 * MINUTE


def tail(run: Trades, expires_at: int) -> Document:
    """Return what the documents of a run have in common."""
    rounded = -(-expires_at // STEP) * STEP
    return {SERIES_META: {"instrument": run.key, "expires_at": date(rounded)}}


def absent(collection: Collection[Document], runs: Sequence[Trades]) -> Iterator[Trades]:
    """Yield what is not stored yet of some runs, and once. Raises what the driver raises."""
    seen = set(_stored(collection, runs))
    for run in runs:
        fresh = []
        for index, trade_id in enumerate(run.ids):
            name = run.key, str(run.id_kind), trade_id
            if name not in seen:
                seen.add(name)
                fresh.append(index)
        if fresh:
            yield run if len(fresh) == len(run) else picked(run, fresh)


def _stored(collection: Collection[Document], runs: Iterable[Trades]) -> Iterator[tuple[str, str, int | str]]:
    spans: dict[str, tuple[int, int]] = {}
    for run in runs:
        first, last = spans.get(run.key, (min(run.times), max(run.times)))
        spans[run.key] = min(first, *run.times), max(last, *run.times)
    asked = [
        {f"{SERIES_META}.instrument": key, "timestamp": {"$gte": date(first), "$lte": date(last)}}
        for key, (first, last) in spans.items()
    ]
    wanted = {"_id": False, f"{SERIES_META}.instrument": True, "id_kind": True, "trade_id": True}
    for found in collection.find({"$or": asked}, wanted) if asked else ():
        trade_id = found["trade_id"]
        yield (
            found[SERIES_META]["instrument"],
            found["id_kind"],
            trade_id if isinstance(trade_id, str) else int(trade_id),
        )


def forget_expired(collection: Collection[Document], now: int) -> int:
    """Delete what has expired at ``now`` (µs); return how many trades that were."""
    return collection.delete_many({f"{SERIES_META}.expires_at": {"$lte": date(now)}}).deleted_count
