"""Makes the collections and indexes of ``schema``, after it has seen that nothing is in their way."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import attrs
from pymongo import IndexModel
from pymongo.database import Database
from pymongo.errors import OperationFailure

from actors.storage.errors import StorageError
from actors.storage.mongo.schema import COLLECTIONS, META, SCHEMA, Collection, Index, TimeSeries
from actors.storage.mongo.values import Document

#: ``_id`` of the document that holds the schema's version.
_VERSION = "schema"

#: What an index may be made with that says which documents it holds, or how they are told apart.
_SPECIAL = ("sparse", "partialFilterExpression", "collation")
_OPTIONS = ("unique", "expireAfterSeconds", *_SPECIAL)

_NAMESPACE_EXISTS = 48

#: The first server that has all that is asked of it: fields with a dot in their names, ``$dateTrunc``.
OLDEST_SERVER = (5, 0)


def version_of(database: Database[Document], address: str) -> int | None:
    """Return the version of the schema found, None where nothing of ours is there.

    Raises StorageError where there are documents in collections of our names that we did not make.
    """
    found = _version(database)
    if found is not None:
        return found
    for name in (META, *COLLECTIONS):
        if database[name].find_one({}, {"_id": True}) is not None:
            found = _version(database)  # said before anything is stored: one of ours may have been faster
            if found is not None:
                return found
            raise StorageError(
                f"{address} has a collection {name} that another program made: name another database in "
                "MONGODB_URL, or rename that collection"
            )
    return None


def _version(database: Database[Document]) -> int | None:
    found = database[META].find_one({"_id": _VERSION})
    return int(found["version"]) if found is not None and isinstance(found.get("version"), int) else None


def check_server(database: Database[Document], address: str) -> None:
    """Raise StorageError if the server is too old."""
    found = database.client.server_info()
    if tuple(found["versionArray"][:2]) < OLDEST_SERVER:
        oldest = ".".join(map(str, OLDEST_SERVER))
        raise StorageError(f"{address} is MongoDB {found['version']}: upgrade it to {oldest} or newer")


def set_version(database: Database[Document], version: int) -> None:
    """Note that the database has this version of the schema."""
    database[META].update_one({"_id": _VERSION}, {"$set": {"version": version}}, upsert=True)


def make(database: Database[Document], wanted: Iterable[Collection | TimeSeries], address: str) -> None:
    """Make what is missing of collections, validators and indexes. May be repeated.

    Raises StorageError, before anything was made, where a collection or an index is in the way.
    """
    there = {one["name"]: one for one in database.list_collections()}
    plans = [_plan(database, one, there.get(one.name), address) for one in wanted]
    if META not in there:
        # Said first, so that a database that is left half made is known as ours.
        set_version(database, SCHEMA)
    for plan in plans:
        plan.carry_out(database)


@attrs.frozen
class _Plan:
    """What is to be done for one collection."""

    collection: Collection | TimeSeries
    create: bool
    validate: bool
    indexes: tuple[Index, ...]

    def carry_out(self, database: Database[Document]) -> None:
        name, options = self.collection.name, self.collection.options
        if self.create:
            try:
                database.create_collection(name, check_exists=False, **options)
            except OperationFailure as error:  # another program of ours was faster
                if error.code != _NAMESPACE_EXISTS:
                    raise
        if self.validate:
            database.command("collMod", name, validator=options["validator"])
        if self.indexes:
            database[name].create_indexes(
                [IndexModel(list(index.keys), **index.options) for index in self.indexes]
            )


def _plan(
    database: Database[Document],
    wanted: Collection | TimeSeries,
    there: Mapping[str, Any] | None,
    address: str,
) -> _Plan:
    if there is None:
        return _Plan(wanted, create=True, validate=False, indexes=wanted.indexes)
    kind = "collection" if isinstance(wanted, Collection) else "timeseries"
    if there["type"] != kind:
        raise StorageError(
            f"{address} has {wanted.name} as a {there['type']} where the settings ask for a {kind}: "
            "change WADM_MONGODB_TIME_SERIES back, or drop it"
        )
    found = {one["name"]: one for one in database[wanted.name].list_indexes()}
    for conflict in _conflicts(wanted, found):
        raise StorageError(f"{address} cannot be used: {conflict}; drop that index, then start again")
    missing = tuple(index for index in wanted.indexes if index.name not in found)
    validator = wanted.options.get("validator")
    return _Plan(wanted, False, there["options"].get("validator") != validator, missing)


def _conflicts(wanted: Collection | TimeSeries, found: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    """Yield what is wrong with the indexes found, as a part of a sentence."""
    for index in wanted.indexes:
        keys, options = dict(index.keys), index.options
        for name, other in found.items():
            same_keys = list(other["key"].items()) == list(index.keys)
            same = same_keys and _chosen(other, _OPTIONS) == _chosen(options, _OPTIONS)
            if name == index.name and not same:
                yield (
                    f"the index {name} of {wanted.name} is {_shown(other['key'], other)}, "
                    f"and {_shown(keys, options)} is wanted"
                )
            elif name != index.name and same_keys and not _chosen(other, _SPECIAL):
                yield (
                    f"{wanted.name} has an index {name} of the keys {_shown(keys, {})}, "
                    f"which is wanted under the name {index.name}"
                )


def _chosen(options: Mapping[str, Any], names: Iterable[str]) -> dict[str, Any]:
    return {name: options[name] for name in names if name in options}


def _shown(keys: Mapping[str, int], options: Mapping[str, Any]) -> str:
    return str({**keys, **_chosen(options, _OPTIONS)})
