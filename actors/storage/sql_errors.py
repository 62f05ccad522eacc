"""What can go wrong with a SQL store's driver or server, as sentences for a person."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from actors.storage import engines
from actors.storage.errors import DiskFull, StorageError, explain

#: PostgreSQL's SQLSTATEs that a person can act on: what happened, and what to do.
_STATES = {
    "25006": ("accepts no writes", "name the primary server in the URL"),
    "3F000": ("has no schema that the URL's user may use", "grant one, or name another user in the URL"),
    "42P01": ("has lost tables of the store", "restore a backup; else they are made anew by themselves"),
    "42501": ("does not let the URL's user do that", "grant it, or name another user in the URL"),
    "53100": ("has no room left on its disk", "free space there; writing resumes by itself"),
    "53200": ("is out of memory", "give its server more, or let it do less"),
    "53300": ("has too many connections", "end some, or raise max_connections"),
    "55P03": ("was locked for too long by another program", "end that program or its transaction"),
    "57014": ("took too long to answer", "see what keeps its server busy"),
    "57P01": ("is shutting down", "start its server; all goes on by itself"),
    "57P02": ("had a server that crashed", "start its server; all goes on by itself"),
    "57P03": ("is still starting or stopping", "wait for its server; all goes on by itself"),
}
_UNREACHED = (
    "cannot be used",
    "check that its server runs, and the host, user, password and database that its URL names",
)
_REFUSED = ("refused what it was told", "upgrade, or report this line as a fault of the program")


@contextmanager
def explained(url: str) -> Iterator[None]:
    """Turn SQLAlchemy's errors inside the block into StorageErrors about the store of a URL."""
    try:
        yield
    except SQLAlchemyError as error:
        cause = error.orig if isinstance(error, DBAPIError) else error
        if isinstance(cause, sqlite3.Error):
            raise explain(cause, engines.address(url)) from error
        raise _of_server(cause or error, url) from error


def _of_server(cause: BaseException, url: str) -> StorageError:
    state = getattr(cause, "pgcode", None)
    happened, remedy = _STATES.get(state or "", _REFUSED if state else _UNREACHED)
    words = " ".join(str(cause).partition("\n")[0].split())
    for secret in engines.secrets(url):
        words = words.replace(secret, "***")
    kind = DiskFull if state == "53100" else StorageError
    return kind(f"the store at {engines.address(url)} {happened} ({words}): {remedy}")
