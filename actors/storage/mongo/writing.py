"""Entries into collections: each once, by its natural key, the highest revision staying.

Two writers may write the same at once, and the same may be written again. A trade or a book is inserted, and
"there already" is no error. Whatever has revisions is replaced where its revision is lower; where it is not,
nothing matches, the server tries to insert it, and that is refused by the natural key: there already again.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from bson.raw_bson import RawBSONDocument
from pymongo import InsertOne, ReplaceOne, UpdateOne
from pymongo.collection import Collection
from pymongo.errors import BulkWriteError

from actors.messages import (
    BarRecord,
    BookRecord,
    Entry,
    GapRecord,
    LevelsRecord,
    OrderFlowRecord,
    ProfileRecord,
)
from actors.storage.mongo import documents, schema
from actors.storage.mongo.errors import DUPLICATE_KEY
from actors.storage.mongo.trade_documents import trade_documents
from actors.storage.mongo.values import Document
from wadm.lifetimes import Lifetimes
from wadm.market import Trades

Operation = InsertOne[Document] | ReplaceOne[Document] | UpdateOne

#: Trades that are sent at once: more are hardly faster.
RUN = 5_000

#: Records that are sent at once.
SLICE = 1_000

#: Of each kind of record: its collection, and what makes its document with the time it is stored or expires.
_RECORDS: Mapping[type, tuple[str, Callable[[Any, int], Document]]] = {
    BookRecord: (schema.ORDERBOOKS, documents.book_document),
    BarRecord: (schema.BARS, documents.bar_document),
    ProfileRecord: (schema.VOLUME_PROFILES, documents.profile_document),
    OrderFlowRecord: (schema.ORDER_FLOW, documents.order_flow_document),
    GapRecord: (schema.GAPS, lambda record, _: documents.gap_document(record)),
}

#: What makes one document of a natural key newer than another; a book is never another.
_RANKS = {schema.LIQUIDITY_LEVELS: ("as_of", "revision"), schema.ORDERBOOKS: ()}
_REVISION = ("revision",)


def document_lists(entries: Iterable[Entry], now: int, lifetimes: Lifetimes) -> dict[str, list[Document]]:
    """Return the documents of all entries but trades, by collection: one of each natural key, the newest.

    Raises StorageError for what cannot be stored.
    """
    indicators = now + lifetimes.indicators
    times = {schema.ORDERBOOKS: now + lifetimes.raw, schema.BARS: now}
    chosen: dict[str, dict[tuple[str, ...], Document]] = {}
    for entry in entries:
        if isinstance(entry, LevelsRecord):
            name, made = schema.LIQUIDITY_LEVELS, documents.level_documents(entry, indicators)
        elif type(entry) in _RECORDS:
            name, to_document = _RECORDS[type(entry)]
            made = [to_document(entry, times.get(name, indicators))]
        else:
            continue
        for document in made:
            _choose(chosen.setdefault(name, {}), name, document)
    return {name: list(of_key.values()) for name, of_key in chosen.items()}


def _choose(chosen: dict[tuple[str, ...], Document], name: str, document: Document) -> None:
    # A Decimal128 is no key of a dictionary. Prices are made without trailing zeros: equal ones look alike.
    key = tuple(str(document[field]) for field in schema.COLLECTIONS[name].natural_key)
    other = chosen.get(key)
    if other is None:
        chosen[key] = document
        return
    newer, older = (document, other) if _rank(name, document) > _rank(name, other) else (other, document)
    if "created_at" in newer:
        newer["created_at"] = min(newer["created_at"], older["created_at"])
    chosen[key] = newer


def _rank(name: str, document: Document) -> tuple[Any, ...]:
    return tuple(document[field] for field in _RANKS.get(name, _REVISION))


def write_records(collection: Collection[Document], made: Sequence[Document]) -> None:
    """Store documents that replace what is older of the same natural key. Raises what the driver raises."""
    operations = [_operation(collection.name, document) for document in made]
    for first in range(0, len(operations), SLICE):
        with _once():
            collection.bulk_write(operations[first : first + SLICE], ordered=False)


def _operation(name: str, document: Document) -> Operation:
    key = {field: document[field] for field in schema.COLLECTIONS[name].natural_key}
    if name == schema.ORDERBOOKS:
        return InsertOne(document)
    if name == schema.LIQUIDITY_LEVELS:
        return _renewal(key, document)
    return ReplaceOne({**key, "revision": {"$lt": document["revision"]}}, document, upsert=True)


def _renewal(key: Document, document: Document) -> Operation:
    """Return what renews a level and leaves it the time when it was first one."""
    as_of, revision = _rank(schema.LIQUIDITY_LEVELS, document)
    older = [{"as_of": {"$lt": as_of}}, {"as_of": as_of, "revision": {"$lt": revision}}]
    changes: Document = {
        "$set": {field: value for field, value in document.items() if field != "created_at"},
        "$min": {"created_at": document["created_at"]},
    }
    if "exact" not in document:
        changes["$unset"] = {"exact": ""}
    return UpdateOne({**key, "$or": older}, changes, upsert=True)


def write_trades(
    collection: Collection[Document], runs: Iterable[Trades], tail: Callable[[Trades], Document]
) -> None:
    """Store trades, each document ending with the ``tail`` of its run. Raises what the driver raises."""
    waiting: list[RawBSONDocument] = []
    for run in runs:
        waiting += trade_documents(run, tail(run))
        while len(waiting) >= RUN:
            _insert(collection, waiting[:RUN])
            del waiting[:RUN]
    if waiting:
        _insert(collection, waiting)


def _insert(collection: Collection[Document], made: Sequence[RawBSONDocument]) -> None:
    with _once():
        collection.insert_many(made, ordered=False)


@contextmanager
def _once() -> Iterator[None]:
    """Pass over what is there already."""
    try:
        yield
    except BulkWriteError as error:
        details = error.details or {}
        wrong = (one for one in details.get("writeErrors", ()) if one.get("code") != DUPLICATE_KEY)
        if details.get("writeConcernErrors") or any(wrong):
            raise
