"""From an older schema to the one of this version, step by step."""

from collections.abc import Callable, Mapping

from pymongo.database import Database

from actors.storage.errors import StorageError
from actors.storage.mongo.making import set_version, version_of
from actors.storage.mongo.schema import SCHEMA
from actors.storage.mongo.values import Document

#: By the version that a step starts from. A step may be cut short: it is then done again from its beginning.
STEPS: Mapping[int, Callable[[Database[Document]], None]] = {}


def check_version(found: int, address: str) -> None:
    """Raise StorageError unless data of this version can be read, or brought to where it can."""
    if found > SCHEMA:
        raise StorageError(
            f"{address} was written by a newer version (schema {found}, this one reads {SCHEMA}): upgrade, "
            "or name another database in MONGODB_URL"
        )
    unknown = [version for version in range(found, SCHEMA) if version not in STEPS]
    if unknown:
        raise StorageError(
            f"{address} has schema {found}, which this version (schema {SCHEMA}) cannot migrate: "
            "use the version that wrote it, or name another database in MONGODB_URL"
        )


def migrate(database: Database[Document], address: str) -> None:
    """Bring a database of an older schema to this one; one that holds nothing of ours is left alone."""
    found = version_of(database, address)
    if found is None:
        return
    check_version(found, address)
    for version in range(found, SCHEMA):
        STEPS[version](database)
        set_version(database, version + 1)
