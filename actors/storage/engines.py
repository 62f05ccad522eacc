"""SQLAlchemy engines from URLs: the one place that knows what a driver must be told."""

from pathlib import Path
from typing import Any
from urllib.parse import quote

from sqlalchemy import URL, Engine, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError

from actors.storage.errors import StorageError
from actors.storage.files import BUSY_TIMEOUT

#: The store inside a data directory, where no server is configured.
EMBEDDED = "warm.sqlite3"


def embedded_url(directory: Path) -> str:
    """Return the URL of the store inside a data directory."""
    return URL.create("sqlite", database=str(directory / EMBEDDED)).render_as_string(hide_password=False)


def address(text: str) -> str:
    """Return where a URL points, for a person: a file's path, or the URL without its password."""
    url = make_url(text)
    return str(url.database) if _is_file(url) else url.render_as_string(hide_password=True)


def open_engine(text: str, *, read_only: bool) -> Engine:
    """Return the engine of a URL; nothing is connected yet. Raises StorageError for a URL of no use."""
    try:
        url = make_url(text)
        if not _is_file(url):
            return create_engine(url, pool_pre_ping=True)
        if url.database in (None, "", ":memory:"):
            raise StorageError("a store's URL names no file: write sqlite:///path/to/file.sqlite3")
        engine = create_engine(_of_file(url, read_only), connect_args={"timeout": BUSY_TIMEOUT})
    except ArgumentError:
        # The text is not repeated: a password may stand in it.
        raise StorageError(
            "a store's URL cannot be read: write sqlite:///path/to/file.sqlite3 "
            "or postgresql+psycopg2://user:password@host/name"
        ) from None
    except ModuleNotFoundError as error:
        raise StorageError(f"a store's URL needs the Python package {error.name}: install it") from error
    event.listen(engine, "connect", _prepare)
    return engine


def _is_file(url: URL) -> bool:
    return url.get_backend_name() == "sqlite"


def _of_file(url: URL, read_only: bool) -> URL:
    if not read_only:
        return url
    return url.set(database=f"file:{quote(str(url.database))}", query={"mode": "ro", "uri": "true"})


def _prepare(connection: Any, _: object) -> None:
    connection.execute("PRAGMA synchronous = NORMAL")
