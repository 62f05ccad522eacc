"""Looking after a MongoDB database: what is in it, what is old in it, and what makes it quicker.

Every function takes a connection and may raise StorageError.
"""

from collections.abc import Mapping
from typing import Any, TypedDict

import attrs
import pymongo
from pymongo.errors import OperationFailure

from actors.storage.mongo import errors, schema
from actors.storage.mongo.connection import Connection
from actors.storage.mongo.making import version_of
from actors.storage.mongo.values import Document, date, micros
from wadm.lifetimes import Lifetimes

#: Documents deleted at a time.
SLICE = 10_000

#: Seconds that the server has to compact one collection.
COMPACTING = 600.0

#: How long each kind of documents is kept. Gaps are no data but what is known to be missing from it: they go
#: by their own date alone. Bars leave once they were seen in the cold tier.
_LIFETIMES: Mapping[str, str] = {
    schema.TRADES: "raw",
    schema.ORDERBOOKS: "raw",
    schema.VOLUME_PROFILES: "indicators",
    schema.ORDER_FLOW: "indicators",
    schema.LIQUIDITY_LEVELS: "indicators",
}


class CollectionStats(TypedDict):
    """One collection; sizes in bytes. ``oldest`` and ``newest`` (µs) only where an index tells them at once.

    They are exchange times of trades, and for bars when they were stored.
    """

    documents: int
    size: int
    storage_size: int
    indexes: dict[str, int]
    oldest: int | None
    newest: int | None


class DatabaseStats(TypedDict):
    """A database: where it is, its versions, its collections, and what all of them take on disk (bytes)."""

    address: str
    server: str
    schema: int | None
    collections: dict[str, CollectionStats]
    total_size: int


class CollectionOptimization(TypedDict):
    """What was done to a collection. ``note`` says why it was not compacted; ``freed`` is in bytes.

    ``index_uses`` counts how often each index was used since the server knows of it.
    """

    compacted: bool
    freed: int | None
    note: str
    index_uses: dict[str, int]
    indexes_unused: list[str]
    indexes_not_ours: list[str]


def clean_up(connection: Connection, lifetimes: Lifetimes, before: int) -> dict[str, int]:
    """Delete what was stored or last revised before ``before`` (µs); return how many by collection.

    The date that a document expires at says when it was stored: ``lifetimes`` are those it was stored under.
    Bars are counted among the collections, and never deleted.
    """
    deleted = {
        name: _delete(connection, name, before + getattr(lifetimes, kind))
        for name, kind in _LIFETIMES.items()
    }
    return {**deleted, schema.BARS: 0}


def _delete(connection: Connection, name: str, expires_before: int) -> int:
    expired = {"$lt": date(expires_before)}
    if is_time_series(connection, name):
        # A time series is deleted from by what its measurements have in common, and by nothing else.
        with connection.explained():
            found = connection.database[name].delete_many({f"{schema.SERIES_META}.expires_at": expired})
            return found.deleted_count
    deleted = 0
    while True:
        with connection.explained():
            collection = connection.database[name]
            ids = [one["_id"] for one in collection.find({"expires_at": expired}, {"_id": 1}, limit=SLICE)]
            if not ids:
                return deleted
            deleted += collection.delete_many({"_id": {"$in": ids}}).deleted_count


def is_time_series(connection: Connection, name: str) -> bool:
    """Return whether a collection is there, and is a time series."""
    with connection.explained():
        found = connection.database.list_collections(filter={"name": name})
        return any(one["type"] == "timeseries" for one in found)


def stats(connection: Connection) -> DatabaseStats:
    """Return what is in the database."""
    with connection.explained():
        database = connection.database
        server = str(database.client.server_info()["version"])
        version = version_of(database, connection.address)
        there = set(database.list_collection_names())
    collections = {name: _collection_stats(connection, name) for name in schema.COLLECTIONS if name in there}
    total = sum(one["storage_size"] + sum(one["indexes"].values()) for one in collections.values())
    return {
        "address": connection.address,
        "server": server,
        "schema": version,
        "collections": collections,
        "total_size": total,
    }


def _collection_stats(connection: Connection, name: str) -> CollectionStats:
    with connection.explained():
        collection = connection.database[name]
        # A sharded collection tells its stats shard by shard.
        parts = [one["storageStats"] for one in collection.aggregate([{"$collStats": {"storageStats": {}}}])]
        documents = collection.estimated_document_count()
    indexes: dict[str, int] = {}
    for part in parts:
        for index, size in part["indexSizes"].items():
            indexes[index] = indexes.get(index, 0) + int(size)
    return {
        "documents": documents,
        "size": sum(int(part["size"]) for part in parts),
        "storage_size": sum(int(part["storageSize"]) for part in parts),
        "indexes": indexes,
        "oldest": _outermost(connection, name, 1),
        "newest": _outermost(connection, name, -1),
    }


def _outermost(connection: Connection, name: str, direction: int) -> int | None:
    """Return the first or the last time of a collection, by an index that begins with it."""
    at = {schema.TRADES: "timestamp", schema.BARS: "stored_at"}.get(name)
    if at is None:
        return None
    with connection.explained():
        found = connection.database[name].find_one({}, {"_id": 0, at: 1}, sort=[(at, direction)])
    return None if found is None else micros(found[at])


def optimize(connection: Connection) -> dict[str, CollectionOptimization]:
    """Compact what may be compacted, and report which indexes are used.

    To compact gives unused space back to the disk; reading and writing go on meanwhile. The server refuses it
    on a replica set's primary and on a sharded cluster: there the note says so, and each member is compacted
    by who administers it. Other than that nothing is done: indexes are only reported.
    """
    with connection.explained():
        there = set(connection.database.list_collection_names())
    return {name: _optimize(connection, name) for name in schema.COLLECTIONS if name in there}


def _optimize(connection: Connection, name: str) -> CollectionOptimization:
    done = _compact(connection, name)
    uses = _index_uses(connection, name)
    ours = {index.name for index in schema.COLLECTIONS[name].indexes}
    never_asked = {index.name for index in schema.COLLECTIONS[name].indexes if index.expires or index.unique}
    return {
        "compacted": done.compacted,
        "freed": done.freed,
        "note": done.note,
        "index_uses": uses,
        # What keeps documents apart, or removes them, is of use though nobody asks by it.
        "indexes_unused": sorted(index for index in ours - never_asked if uses.get(index) == 0),
        "indexes_not_ours": sorted(set(uses) - ours - {"_id_"}),
    }


@attrs.frozen
class _Compacted:
    compacted: bool
    freed: int | None
    note: str


def _compact(connection: Connection, name: str) -> _Compacted:
    with errors.explained(connection.address), pymongo.timeout(COMPACTING):
        try:
            answer: Document = connection.database.command("compact", name)
        except OperationFailure as error:
            details: Mapping[str, Any] = error.details or {}
            return _Compacted(False, None, f"the server refused: {details.get('errmsg', error)}")
    freed = answer.get("bytesFreed")
    return _Compacted(True, None if freed is None else int(freed), "")


def _index_uses(connection: Connection, name: str) -> dict[str, int]:
    if is_time_series(connection, name):
        return {}  # its indexes are those of its buckets, under other names
    uses: dict[str, int] = {}
    with connection.explained():
        for one in connection.database[name].aggregate([{"$indexStats": {}}]):
            uses[one["name"]] = uses.get(one["name"], 0) + int(one["accesses"]["ops"])
    return uses
