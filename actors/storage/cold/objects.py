"""Objects: named bytes in a folder or in a bucket of an S3-compatible server."""

import errno
import os
import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, unquote, urlsplit

import attrs

from actors.storage.errors import DiskFull, StorageError

if TYPE_CHECKING:
    from obstore.store import ObjectStore

#: Seconds within which a server must take a connection, send something more, and have sent or taken it all.
CONNECT, QUIET, WHOLE = 5.0, 15.0, 120.0

#: Seconds for which a server that could not be reached is not asked again to read from it: somebody waits.
AVOIDED = 60.0


class Unreachable(StorageError):  # the state of a server or disk: callers wait it out
    """The folder or server cannot be used at all, now; of what it holds nothing is known."""


#: " in 103.4ms, after 1 retries, max_retries: 1, retry_timeout: 15s  - "
_TRIED = re.compile(r" in [\d.]+\w+(, after [^-]*)? +- ")

#: A name and password before a host.
_USER = re.compile(r"//[^/@\s]*@")


@attrs.define(eq=False)
class Objects:
    """Reads, writes and lists objects by their path. Any number of threads may use it at once.

    ``url`` is a folder, ``file:///folder`` or ``s3://bucket/prefix?option=value``, with the options of
    obstore's S3 store (endpoint, region, access_key_id …), which it also takes from ``AWS_…`` environment
    variables. Raises StorageError where it is none of these. Nothing is connected before the first use.
    """

    url: str = attrs.field(repr=False)
    _folder: Path | None = attrs.field(default=None, init=False)
    _options: dict[str, str] = attrs.field(factory=dict, init=False, repr=False)
    _store: "ObjectStore | None" = attrs.field(default=None, init=False, repr=False)
    _opening: threading.Lock = attrs.field(factory=threading.Lock, init=False, repr=False)
    _avoided: tuple[float, str] = attrs.field(default=(0.0, ""), init=False, repr=False)

    def __attrs_post_init__(self) -> None:
        parts = urlsplit(self.url)
        if not parts.scheme:
            self._folder = Path(self.url).absolute()
        elif parts.scheme == "file" and parts.netloc in ("", "localhost") and parts.path:
            self._folder = Path(unquote(parts.path))
        elif parts.scheme == "s3" and parts.hostname and "@" not in parts.netloc:
            self._options = _options(parts.query)
        else:
            raise StorageError(
                f"storage.cold_url is {_shown(self.url)!r}; expected a folder, file:///folder or "
                "s3://bucket/prefix (keys in AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY)"
            )

    @property
    def address(self) -> str:
        """Where the objects are, for a person."""
        return _shown(self.url) if self._folder is None else str(self._folder)

    def read(self, path: str) -> tuple[bytes, str] | None:
        """Return an object and its version (its ETag), None where there is no such object."""
        with self._asked():
            store = self._open()
            if store is None:
                return None
            try:
                found = store.get(path)
                return bytes(found.bytes()), str(found.meta["e_tag"])
            except FileNotFoundError as error:
                if _no_bucket(error):
                    raise
                return None

    def listed(self, prefix: str) -> dict[str, str]:
        """Return the version of every object under a prefix (whole segments), by path."""
        with self._asked():
            store = self._open()
            pages = () if store is None else store.list(prefix, chunk_size=1_000)
            return {str(one["path"]): str(one["e_tag"]) for page in pages for one in page}

    def folders(self, prefix: str) -> list[str]:
        """Return the paths of the folders right under a prefix."""
        with self._asked():
            store = self._open()
            return [] if store is None else list(store.list_with_delimiter(prefix)["common_prefixes"])

    def write(self, path: str, data: bytes, replaced: str | None) -> None:
        """Write an object, all or nothing, over the version ``replaced`` only (None: over none).

        On a server that knows no conditions, and in a folder, it replaces whatever version there is; an
        object that ought to be new is never written over another. On return it is on the disk.
        """
        with self._explained(f"{self.address}/{path}"):
            store = self._open(make=True)
            assert store is not None
            mode: Any = "create" if replaced is None else {"e_tag": replaced}
            if replaced is not None and self._folder is not None:
                mode = "overwrite"  # folders know no conditions
            if self._folder is not None:
                _clear(self._folder / path)
            store.put(path, data, mode=mode, use_multipart=False)
            self._avoided = (0.0, "")
            if self._folder is not None:
                _sync(self._folder, path)

    def remove(self, path: str) -> None:
        """Remove an object."""
        with self._explained(f"{self.address}/{path}"):
            store = self._open()
            if store is not None:
                store.delete(path)

    def _open(self, *, make: bool = False) -> "ObjectStore | None":
        """Return the store; None for a folder not yet made."""
        if self._folder is not None and not make and not self._folder.is_dir():
            return None
        from obstore.store import LocalStore, S3Store  # noqa: PLC0415  # a folder never made needs none

        if self._folder is not None:
            return LocalStore(self._folder, mkdir=make)
        with self._opening:
            if self._store is None:
                endpoint = self._options.get("endpoint", os.environ.get("AWS_ENDPOINT_URL", ""))
                options: Any = dict(self._options)
                self._store = S3Store.from_url(
                    self.url.partition("?")[0],
                    config=options,
                    client_options={
                        "allow_http": endpoint.startswith("http://"),
                        "connect_timeout": timedelta(seconds=CONNECT),
                        "read_timeout": timedelta(seconds=QUIET),
                        "timeout": timedelta(seconds=WHOLE),
                    },
                    retry_config={"max_retries": 1, "retry_timeout": timedelta(seconds=QUIET)},
                )
            return self._store

    @contextmanager
    def _asked(self) -> Iterator[None]:
        """Read within the block, unless the place could not be reached a moment ago."""
        until, reason = self._avoided
        if time.monotonic() < until:
            raise Unreachable(reason)
        try:
            with self._explained(self.address):
                yield
        except Unreachable as error:
            if self._folder is None:
                self._avoided = (time.monotonic() + AVOIDED, str(error))
            raise

    @contextmanager
    def _explained(self, what: str) -> Iterator[None]:
        """Turn obstore's errors inside the block into StorageErrors about ``what``."""
        try:
            yield
        except Exception as error:
            if isinstance(error, OSError | NotImplementedError) or _is_obstores(error):
                raise self._error(error, what) from error
            raise

    def _error(self, error: Exception, what: str) -> StorageError:
        # What follows the first line is the error once more, for a programmer.
        text, kind = str(error), type(error).__name__
        if getattr(error, "errno", None) == errno.ENOSPC or "(os error 28)" in text:
            return DiskFull(
                f"no room left to write {what}: free space on its disk; archiving resumes by itself"
            )
        if kind in ("AlreadyExistsError", "PreconditionError"):
            return StorageError(
                f"{what} was changed by another program meanwhile: it is merged at the next try"
            )
        if kind == "UnknownConfigurationKeyError":
            return StorageError(
                f"storage.cold_url of {self.address} has an option that S3 does not have: {_first(text)}"
            )
        if _no_bucket(error):
            return Unreachable(
                f"there is no bucket at {self.address}: make it, or give another storage.cold_url"
            )
        if (
            kind in ("PermissionDeniedError", "UnauthenticatedError", "PermissionError")
            or "(os error 13)" in text
        ):
            return Unreachable(
                f"{what} refuses access: check who may read and write it, and a server's key and secret"
            )
        remedy = "check that its server runs and can be reached" if self._folder is None else "check its disk"
        return Unreachable(f"{what} cannot be used ({_first(text)}): {remedy}")


def _shown(url: str) -> str:
    """Return an address without what may be secret in it: options, and names before a host."""
    scheme, slashes, rest = url.partition("?")[0].partition("://")
    return f"{scheme}{slashes}{rest.rpartition('@')[2]}" if slashes else scheme


def _options(query: str) -> dict[str, str]:
    return {name.lower().removeprefix("aws_"): value for name, value in parse_qsl(query)}


def _is_obstores(error: Exception) -> bool:
    # Told by name: obstore is imported only where a folder or bucket is there to be read.
    return type(error).__module__ == "obstore.exceptions"


def _no_bucket(error: Exception) -> bool:
    return "NoSuchBucket" in str(error)


def _first(text: str) -> str:
    """Return what a person needs of an error: its first line, without how often and where it was tried."""
    line = _TRIED.sub(": ", text.partition("\n")[0].partition(": <?xml")[0])
    line = _USER.sub("//", line)
    return line[:300].removeprefix("Generic S3 error: ").rstrip(". ")


def _clear(place: Path) -> None:
    """Remove what a process that died while writing left beside an object: others would take it for data."""
    for left in place.parent.glob(f"{place.name}#*"):
        left.unlink()


def _sync(folder: Path, path: str) -> None:
    """Return once a file and its names are on the disk: what is warm is forgotten for it."""
    place = folder / path
    while True:
        handle = os.open(place, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
        if place == folder:
            return
        place = place.parent
