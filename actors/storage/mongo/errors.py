"""What can go wrong with MongoDB, as sentences for a person. None repeats a URL: it may hold a password."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from bson.errors import BSONError
from pymongo.errors import (
    BulkWriteError,
    ConfigurationError,
    ConnectionFailure,
    DocumentTooLarge,
    InvalidName,
    NotPrimaryError,
    OperationFailure,
    PyMongoError,
)

from actors.storage.errors import DiskFull, StorageError

#: Codes of the server (its source: ``error_codes.yml``).
DUPLICATE_KEY = 11000
_OUT_OF_DISK_SPACE = 14031

_FULL = "no room left at {address}: free space on its disk; writing resumes by itself"
_NO_PRIMARY = (
    "{address} has no primary at the moment ({reason}): writing resumes by itself once its replica set has "
    "elected one"
)
_REFUSED = (
    "{address} refuses this user ({reason}): check user, password and authSource in MONGODB_URL, and that "
    "the user has the role readWrite on the database"
)
_UNCONFIRMED = (
    "{address} did not confirm a write by as many members as asked ({reason}): check the members of its "
    "replica set; writing resumes by itself"
)
_UNREACHED = (
    "{address} cannot be reached ({reason}): check that MongoDB runs there; writing resumes by itself"
)
_TOO_LONG = "{address} took too long ({reason}): check the load of the server; writing resumes by itself"
_MISFIT = (
    "{address} refuses an entry that does not fit its collection's validator ({reason}): another program has "
    "changed the database, or this is a bug"
)
_UNWRITABLE = "{address} cannot hold an entry ({reason}): this is a bug, please report it"
_URL = "{address} cannot be used by this URL ({reason}): check MONGODB_URL"
_OTHER = "{address} failed ({reason}): check the MongoDB server and its log"

_OF_CODES = {
    **dict.fromkeys((10107, 13435, 13436, 189, 91, 11600, 11602), _NO_PRIMARY),
    **dict.fromkeys((13, 18), _REFUSED),
    **dict.fromkeys((64, 79, 100), _UNCONFIRMED),
    **dict.fromkeys((50, 262), _TOO_LONG),
    121: _MISFIT,
}

_OF_CLASSES: tuple[tuple[type[Exception] | tuple[type[Exception], ...], str], ...] = (
    (NotPrimaryError, _NO_PRIMARY),
    (ConnectionFailure, _UNREACHED),
    ((ConfigurationError, InvalidName), _URL),
    ((DocumentTooLarge, BSONError, OverflowError), _UNWRITABLE),
)


@contextmanager
def explained(address: str) -> Iterator[None]:
    """Turn the driver's errors inside the block into StorageErrors about ``address``."""
    try:
        yield
    except (PyMongoError, BSONError, OverflowError) as error:
        raise explain(error, address) from error


def explain(error: Exception, address: str) -> StorageError:
    """Return what an error of the driver means for the database at ``address``."""
    if isinstance(error, OperationFailure):
        code, text = _said(error)
        if code == _OUT_OF_DISK_SPACE or "No space left" in text or "space quota" in text:
            return DiskFull(_FULL.format(address=address))
        return StorageError(_OF_CODES.get(code, _OTHER).format(address=address, reason=_reason(text)))
    meaning = next((text for classes, text in _OF_CLASSES if isinstance(error, classes)), _OTHER)
    if meaning is _UNREACHED and "Primary()" in str(error):
        meaning = _NO_PRIMARY
    return StorageError(meaning.format(address=address, reason=_reason(str(error))))


def _said(error: OperationFailure) -> tuple[int, str]:
    """Return the code and the text of what went wrong; of a bulk write, the first that was no duplicate."""
    found: Mapping[str, Any] = error.details or {}
    if isinstance(error, BulkWriteError):
        wrong = [one for one in found.get("writeErrors", ()) if one.get("code") != DUPLICATE_KEY]
        found = next(iter([*wrong, *found.get("writeConcernErrors", ())]), {})
    return int(found.get("code") or error.code or 0), str(found.get("errmsg") or error)


def _reason(text: str) -> str:
    """Return the part of an error's text that says why, without the driver's view of the servers."""
    return text.partition("\n")[0].partition(" (configured")[0].partition(", Timeout:")[0][:200]
