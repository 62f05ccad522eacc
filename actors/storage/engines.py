"""SQLAlchemy engines from URLs: the one place that knows what a driver must be told."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError

from actors.storage.errors import StorageError
from actors.storage.files import BUSY_TIMEOUT

#: The store inside a data directory, where no server is configured.
EMBEDDED = "warm.sqlite3"

#: As many as threads ask at once; a few stay open.
_POOL = {"pool_size": 10, "max_overflow": 40}

#: The schemes that are understood, and the dialects behind them.
_SCHEMES = ("sqlite", "sqlite+pysqlite", "postgresql", "postgresql+psycopg2")
_WANTED = "write sqlite:///path/to/file.sqlite3 or postgresql+psycopg2://user:password@host/name"


def embedded_url(directory: Path) -> str:
    """Return the URL of the store inside a data directory."""
    return URL.create("sqlite", database=str(directory / EMBEDDED)).render_as_string(hide_password=False)


def address(text: str) -> str:
    """Return where a URL points, for a person: a file's path, or the URL without its password and options."""
    url = make_url(text)
    return str(url.database) if _is_file(url) else url.set(query={}).render_as_string(hide_password=True)


def secrets(text: str) -> list[str]:
    """Return the passwords in a URL, for what must not show them."""
    url = make_url(text)
    given = (url.password, url.query.get("password"))
    return [one for one in given if isinstance(one, str) and one]


def open_engine(text: str, *, read_only: bool) -> Engine:
    """Return the engine of a URL; nothing is connected yet. Raises StorageError for a URL of no use."""
    url = _understood(text)
    if not _is_file(url):
        return _of_server(url, read_only)
    if url.database in (None, "", ":memory:"):
        raise StorageError("a store's URL names no file: write sqlite:///path/to/file.sqlite3")
    engine = create_engine(_of_file(url, read_only), connect_args={"timeout": BUSY_TIMEOUT}, **_POOL)
    event.listen(engine, "connect", _prepare)
    event.listen(engine, "begin", _begin)
    return engine


def _understood(text: str) -> URL:
    try:
        url = make_url(text)
    except (ArgumentError, ValueError):
        # The text is not repeated: a password may stand in it.
        raise StorageError(f"a store's URL cannot be read: {_WANTED}") from None
    if url.drivername not in _SCHEMES:
        raise StorageError(
            f"a store's URL begins with {url.drivername}://, which is not supported: {_WANTED}"
        )
    return url


def _is_file(url: URL) -> bool:
    return url.get_backend_name() == "sqlite"


def _of_file(url: URL, read_only: bool) -> URL:
    if not read_only:
        return url
    return url.set(database=f"file:{quote(str(url.database))}", query={"mode": "ro", "uri": "true"})


def _prepare(connection: Any, _: object) -> None:
    # The driver would begin transactions late, and none for a change of tables: ``_begin`` does it instead.
    connection.isolation_level = None
    connection.execute("PRAGMA synchronous = NORMAL")


def _begin(connection: Connection) -> None:
    # A transaction that reads before it writes might find that another has written meanwhile.
    writes = connection.get_execution_options().get("writes", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def _of_server(url: URL, read_only: bool) -> Engine:
    try:
        from actors.storage import postgres  # noqa: PLC0415 - only where it is asked for

        options = url.query.get("options", "")
        arguments = postgres.arguments(read_only, options if isinstance(options, str) else " ".join(options))
        driven = url.set(drivername="postgresql+psycopg2")
        return create_engine(
            driven,
            connect_args=arguments,
            pool_pre_ping=True,
            executemany_mode="values_plus_batch",  # not a round trip for each row
            **_POOL,
        )
    except ModuleNotFoundError as error:
        raise StorageError(
            f"a store's URL needs the Python package {error.name}: install psycopg2-binary"
        ) from error


@contextmanager
def writing(engine: Engine) -> Iterator[Connection]:
    """Commit what the block did, or nothing of it."""
    with engine.connect().execution_options(writes=True) as db, db.begin():
        yield db


@contextmanager
def migrating(engine: Engine) -> Iterator[Connection]:
    """Like ``writing``, and one at a time, however many programs try; statements may take long."""
    with writing(engine) as db:
        if engine.dialect.name == "sqlite":
            yield db
            return
        from actors.storage import postgres  # noqa: PLC0415 - only where it is asked for

        with postgres.unhurried(db.connection.dbapi_connection):
            yield db
