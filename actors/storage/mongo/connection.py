"""The connection to MongoDB: the one place that knows what the driver must be told."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import attrs
import pymongo
from bson.codec_options import DatetimeConversion
from pymongo import MongoClient
from pymongo.database import Database
from pymongo.errors import PyMongoError
from pymongo.uri_parser import parse_uri

from actors.storage.errors import StorageError
from actors.storage.mongo import errors
from actors.storage.mongo.values import Document

#: The database where the URL names none.
DATABASE = "wadm"

#: What the driver is told unless the URL says otherwise. ``timeoutMS`` is what one question or one write may
#: take in all: waiting for a server or a primary, connecting, tries and answers. A write is done once a
#: majority of the members have it in their journals: it is then neither rolled back nor lost with one server.
_DEFAULTS: dict[str, Any] = {
    "appname": "wadm",
    "timeoutMS": 10_000,
    "connectTimeoutMS": 5_000,
    "w": "majority",
    "journal": True,
}

_SCHEMES = ("mongodb", "mongodb+srv")


@attrs.define(eq=False)
class Connection:
    """One database behind a URL; ``address`` is where it is, for a person, without user and options.

    It connects when it is first used, and again when it is used after ``close``. Any thread may use it.
    """

    url: str = attrs.field(repr=False)
    address: str = attrs.field(init=False)
    _name: str = attrs.field(init=False, repr=False)
    _client: "MongoClient[Document] | None" = attrs.field(default=None, init=False, repr=False)
    _turn: threading.Lock = attrs.field(factory=threading.Lock, init=False, repr=False)

    def __attrs_post_init__(self) -> None:
        """Read the URL. Raises StorageError for one of no use, without repeating it."""
        self.address, self._name = _read(self.url)

    @property
    def database(self) -> Database[Document]:
        """The database. What is done with it belongs into ``explained``."""
        with self._turn:
            if self._client is None:
                self._client = _client(self.url)
            return self._client[self._name]

    @contextmanager
    def explained(self) -> Iterator[None]:
        """Turn the driver's errors inside the block into StorageErrors."""
        with errors.explained(self.address):
            yield

    def close(self) -> None:
        """Let go of every connection."""
        with self._turn:
            client, self._client = self._client, None
        if client is not None:
            with pymongo.timeout(1):  # it says goodbye to a server that may not listen
                client.close()


def _read(url: str) -> tuple[str, str]:
    """Return the address of a URL and the name of its database."""
    scheme, found, _ = url.partition("://")
    if not found or scheme not in _SCHEMES:
        raise StorageError(
            "MONGODB_URL does not begin with mongodb:// or mongodb+srv://: write "
            "mongodb://user:password@host:27017/database"
        )
    try:
        if scheme == "mongodb":  # the other kind is looked up in the DNS, once it is connected
            parse_uri(url)
        parts = urlsplit(url)
    except (PyMongoError, ValueError):
        raise StorageError(
            "MONGODB_URL cannot be read: write mongodb://user:password@host:27017/database, with signs such "
            "as @ and / in the password as %40 and %2F, and only options that MongoDB knows"
        ) from None
    if ("w", "0") in parse_qsl(parts.query):
        raise StorageError(
            "MONGODB_URL has w=0, by which no write is confirmed: leave it out, or write w=majority"
        )
    name = parts.path.strip("/") or DATABASE
    host = parts.netloc.rpartition("@")[2]
    return f"{scheme}://{host}/{name}", name


def _client(url: str) -> "MongoClient[Document]":
    said = {name.lower() for name, _ in parse_qsl(urlsplit(url).query, keep_blank_values=True)}
    if said & {"w", "journal"}:
        said |= {"w", "journal"}
    options = {name: value for name, value in _DEFAULTS.items() if name.lower() not in said}
    # A date may lie outside the years that Python knows.
    dates = DatetimeConversion.DATETIME_AUTO
    return MongoClient(url, connect=False, tz_aware=True, datetime_conversion=dates, **options)
