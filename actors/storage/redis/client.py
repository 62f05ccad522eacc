"""The connection to Redis, and what its errors mean as sentences for a person."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import attrs
from redis import Redis
from redis.backoff import NoBackoff
from redis.connection import ConnectionPool, parse_url
from redis.exceptions import (
    AskError,
    AuthenticationError,
    AuthorizationError,
    BusyLoadingError,
    ClusterCrossSlotError,
    ClusterError,
    MasterDownError,
    NoPermissionError,
    OutOfMemoryError,
    ReadOnlyError,
    RedisError,
    ResponseError,
)
from redis.exceptions import ConnectionError as NotConnected
from redis.exceptions import TimeoutError as TooLate
from redis.retry import Retry

from actors.storage.errors import DiskFull, StorageError

#: What a connection is called in Redis's own list of clients.
CLIENT_NAME = "wadm"

#: Seconds to connect, and to wait for an answer.
CONNECT_TIMEOUT = 3.0
ANSWER_TIMEOUT = 5.0

#: Idle for so many seconds, a connection is tried before it is used.
HEALTH_CHECK = 30

_NO_URL = (
    "storage.redis_url (REDIS_URL) cannot be read{why}: write redis://user:password@host:6379/0, "
    "rediss://… for TLS, or unix:///path/to/socket"
)

#: Beginnings of Redis's answers that its driver has no class for.
_ANSWERS = {
    "DENIED": "is in protected mode: give it a password, or let it listen where only you can reach it",
    "MISCONF": "refuses writes, as it cannot save to its disk: see its log; writing resumes by itself",
    "WRONGTYPE": "has something else under a key of wadm's: delete it, or name another database (…/1)",
    "NOREPLICAS": "refuses writes, as too few of its replicas are there; writing resumes by itself",
    "BUSY": "is busy with a script; writing resumes by itself",
}

_MEANINGS: tuple[tuple[type[RedisError] | tuple[type[RedisError], ...], str], ...] = (
    (
        (AuthenticationError, AuthorizationError),
        "refuses the user or password ({error}): check storage.redis_url (REDIS_URL)",
    ),
    (
        NoPermissionError,
        "does not allow what wadm needs ({error}): give its user ~wadm:* &wadm:* +@all -@admin -@dangerous",
    ),
    (BusyLoadingError, "is still loading its data; writing resumes by itself"),
    (MasterDownError, "is a replica that has lost its master: name the master in storage.redis_url"),
    (ReadOnlyError, "is a read-only replica: name the master in storage.redis_url (REDIS_URL)"),
    (
        (ClusterError, AskError, ClusterCrossSlotError),
        "is part of a Redis Cluster ({error}): name a Redis of its own",
    ),
    (TooLate, "does not answer in time ({error}); writing resumes by itself"),
    (NotConnected, "cannot be reached ({error}): check that it runs there; writing resumes by itself"),
)


@attrs.frozen(eq=False)
class Client:
    """One Redis. ``address`` is where it is, for a person, without its password."""

    #: untyped: its driver says of every answer that it may be text, which is not so here
    redis: Any = attrs.field(repr=False)
    address: str

    @classmethod
    def open(cls, url: str, timeout: float = ANSWER_TIMEOUT) -> "Client":
        """Return the client of a URL; nothing is connected yet. Raises StorageError for a URL of no use."""
        try:
            named = parse_url(url)  # type: ignore[no-untyped-call]
        except ValueError as error:
            # The URL is not repeated: a password may stand in it. Nor is more of the error than its kind.
            why = " (no redis://, rediss:// or unix://)" if "schemes" in str(error) else ""
            raise StorageError(_NO_URL.format(why=why)) from None
        ours = {
            "socket_timeout": timeout,
            "socket_connect_timeout": min(timeout, CONNECT_TIMEOUT),
            "health_check_interval": HEALTH_CHECK,
            "client_name": CLIENT_NAME,
            "protocol": 2,  # what every server speaks
        }
        # A sink tries again by itself, and must know of each failure.
        fixed = {"retry": Retry(NoBackoff(), 0), "retry_on_error": [], "decode_responses": False}
        try:
            pool = ConnectionPool(**{**ours, **named, **fixed})
            pool.make_connection()
        except (TypeError, ValueError, RedisError):
            raise StorageError(
                _NO_URL.format(why=" (an option behind its ? is not known, or not its value)")
            ) from None
        return cls(Redis(connection_pool=pool), _address(named))

    def close(self) -> None:
        """Let go of every connection."""
        self.redis.connection_pool.disconnect()

    @contextmanager
    def explained(self) -> Iterator[None]:
        """Turn what goes wrong with Redis inside the block into StorageError."""
        try:
            yield
        except RedisError as error:
            raise explain(error, self.address) from error
        except (OSError, UnicodeError) as error:  # a host's name that is none, say
            raise StorageError(
                f"{self.address} cannot be reached ({error}): check storage.redis_url (REDIS_URL)"
            ) from error


def explain(error: RedisError, address: str) -> StorageError:
    """Return what an error means for the Redis at ``address``."""
    if isinstance(error, OutOfMemoryError):
        return DiskFull(
            f"{address} has used up its maxmemory: raise it, or shorten storage.raw_retention_minutes; "
            "writing resumes by itself"
        )
    for kind, meaning in _MEANINGS:
        if isinstance(error, kind):
            return StorageError(f"{address} {meaning.format(error=_what(error))}")
    for beginning, meaning in _ANSWERS.items():
        if beginning in str(error).split(" ", 1)[0] or f" {beginning} " in str(error):
            return StorageError(f"{address} {meaning}")
    kind_of_failure = "refused a command" if isinstance(error, ResponseError) else "failed"
    return StorageError(f"{address} {kind_of_failure} ({_what(error)}): see its log")


def _what(error: RedisError) -> str:
    """Return an error's text without the command, which may be long, and its data."""
    return str(error).rpartition(" caused error: ")[2][:200].rstrip(".")


def _address(named: dict[str, Any]) -> str:
    if "path" in named:
        return f"Redis at {named['path']}"
    where = f"{named.get('host', 'localhost')}:{named.get('port', 6379)}/{named.get('db', 0)}"
    secure = "connection_class" in named
    return f"Redis at {'rediss' if secure else 'redis'}://{where}"
