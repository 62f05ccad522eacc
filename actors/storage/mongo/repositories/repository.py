"""The base of every repository: one collection's documents, made, found, changed and deleted as records.

For programs on the same database as the daemon. Every method blocks (call it in a thread from trio), reads no
more documents than ``limit`` says, and raises StorageError where the database cannot be used, QuestionError
where an argument cannot: a sentence each. Money is Decimal and times are µs, in and out; datetimes with a
zone are taken too.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, ClassVar, Generic, TypeVar

import attrs
from pymongo.collection import Collection
from pymongo.errors import BulkWriteError, DuplicateKeyError

from actors.storage.errors import StorageError
from actors.storage.mongo import schema
from actors.storage.mongo.connection import Connection
from actors.storage.mongo.errors import DUPLICATE_KEY
from actors.storage.mongo.values import Document
from actors.storage.mongo.wording import Wording, stored, told
from wadm.questions import QuestionError

T = TypeVar("T")

Sort = Sequence[tuple[str, int]]

#: Documents given at once at most.
MOST = 10_000


@attrs.frozen(eq=False)
class Repository(ABC, Generic[T]):
    """One collection. ``lifetime`` (µs) is how long what is created here is kept, by ``clock`` (µs)."""

    #: the collection's name, and the fields that no record is made of
    name: ClassVar[str]
    unread: ClassVar[Sequence[str]] = ("_id", "expires_at")

    connection: Connection
    lifetime: int
    clock: Callable[[], int]

    @abstractmethod
    def _document(self, record: T, expires_at: int) -> Document:
        """Return a record's document."""

    @abstractmethod
    def _record(self, found: Document) -> T:
        """Return a document's record."""

    def create(self, record: T) -> str:
        """Store a record; return its ``_id`` as text. Raises StorageError where it is stored already."""
        document = self._document(record, self.clock() + self.lifetime)
        with self._explained():
            try:
                return str(self._collection.insert_one(document).inserted_id)
            except DuplicateKeyError:
                key = ", ".join(f"{name} {told(document[name])}" for name in self._schema.natural_key)
                raise StorageError(f"{self.name} has {key} already: change it with update_one") from None

    def create_many(self, records: Sequence[T]) -> list[str]:
        """Store those records that are not stored already; return the ``_id`` of each as text."""
        expires_at = self.clock() + self.lifetime
        documents = [self._document(record, expires_at) for record in records]
        if not documents:
            return []
        refused: set[int] = set()
        with self._explained():
            try:
                self._collection.insert_many(documents, ordered=False)
            except BulkWriteError as error:
                errors = (error.details or {}).get("writeErrors", [])
                if any(one["code"] != DUPLICATE_KEY for one in errors):
                    raise
                refused = {one["index"] for one in errors}
        return [str(one["_id"]) for at, one in enumerate(documents) if at not in refused]

    def find_one(self, given: Mapping[str, Any], sort: Sort = ()) -> T | None:
        """Return the first record that a filter of field names finds, None where there is none."""
        return next(iter(self._found(self._wording.condition(given), 1, sort)), None)

    def find_many(self, given: Mapping[str, Any], limit: int = 100, sort: Sort = ()) -> list[T]:
        """Return the records that a filter of field names finds, the first ``limit`` as ``sort`` has them.

        ``sort`` is (field, 1 or -1), …; a query is quick where an index begins with the fields it names.
        """
        return self._found(self._wording.condition(given), limit, sort)

    def update_one(self, given: Mapping[str, Any], update: Mapping[str, Any]) -> bool:
        """Change one document by operators such as ``$set``; return whether there was one.

        What a record is read from where it is ``packed`` (profiles, order flow) does not change with the
        fields beside it: the daemon stores such a record anew, with a higher revision.
        """
        condition, change = self._wording.condition(given), self._wording.update(update)
        with self._explained():
            return self._collection.update_one(condition, change).matched_count == 1

    def delete_many(self, given: Mapping[str, Any]) -> int:
        """Delete what a filter finds; return how many. An empty filter is refused."""
        condition = self._wording.condition(given)
        if not condition:
            raise QuestionError("filter", "{}", "at least one field: an empty filter would delete everything")
        with self._explained():
            return self._collection.delete_many(condition).deleted_count

    def aggregate(self, pipeline: Sequence[Mapping[str, Any]], limit: int = MOST) -> list[Document]:
        """Return the first ``limit`` documents of a pipeline, Decimal128 as Decimal and dates as µs.

        In ``$match`` it takes what ``find_many`` does. It only reads: ``$out`` and ``$merge`` are refused.
        """
        stages = [self._stage(stage) for stage in pipeline]
        with self._explained():
            return [told(one) for one in self._collection.aggregate([*stages, {"$limit": _checked(limit)}])]

    def _stage(self, stage: Mapping[str, Any]) -> Document:
        for writing in ("$out", "$merge"):
            if writing in stage:
                raise QuestionError("pipeline", writing, "stages that only read")
        if "$match" in stage:
            return {"$match": self._wording.condition(stage["$match"])}
        return {name: stored(name, value) for name, value in stage.items()}

    @property
    def _schema(self) -> schema.Collection:
        return schema.COLLECTIONS[self.name]

    @property
    def _wording(self) -> Wording:
        return Wording(self._schema)

    @property
    def _collection(self) -> Collection[Document]:
        return self.connection.database[self.name]

    def _explained(self) -> AbstractContextManager[None]:
        return self.connection.explained()

    def _found(self, condition: Mapping[str, Any], limit: int, sort: Sort = ()) -> list[T]:
        """Return the records of a filter that MongoDB understands."""
        return [self._record(one) for one in self._documents(condition, limit, sort)]

    def _documents(
        self, condition: Mapping[str, Any], limit: int, sort: Sort = (), without: Sequence[str] = ()
    ) -> list[Document]:
        """Return documents as they are, without some fields."""
        unread = dict.fromkeys((*self.unread, *without), 0)
        with self._explained():
            return list(self._collection.find(condition, unread, limit=_checked(limit), sort=list(sort)))


def _checked(limit: int) -> int:
    if not 1 <= limit <= MOST:
        raise QuestionError("limit", str(limit), f"a whole number from 1 to {MOST}")
    return limit
