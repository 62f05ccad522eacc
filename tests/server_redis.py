"""Private Redis servers for tests, without persistence: ``redis-server`` as Debian and others package it."""

import contextlib
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import attrs
import pytest
from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import AuthenticationError, RedisError
from redis.retry import Retry
from server_process import Server, found, free_port

REMEDY = "install it (apt-get install redis-server)"


@attrs.define(eq=False)
class RedisServer(Server):
    """A ``redis-server``; ``port`` is its port on the loopback."""

    port: int = attrs.field(kw_only=True)

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    @contextlib.contextmanager
    def client(self, **options: object) -> Iterator[Redis]:
        """Lend a client of its own, to look at what is there and to do harm."""
        once = Retry(NoBackoff(), 0)
        client = Redis(port=self.port, protocol=2, retry=once, socket_timeout=5, **options)  # type: ignore[arg-type]
        try:
            yield client
        finally:
            client.close()


def redis_server_of(directory: Path, *options: str) -> RedisServer:
    """Return a server, not started yet, that is told these options beside the usual ones."""
    port = free_port()
    usual = [
        "--port",
        str(port),
        "--bind",
        "127.0.0.1",
        "--dir",
        str(directory),
        "--save",
        "",
        "--appendonly",
        "no",
    ]
    command = [found("redis-server", REMEDY), *usual, *options]

    def ready() -> bool:
        try:
            with made.client() as client:
                return bool(client.ping())
        except AuthenticationError:
            return True
        except RedisError:
            return False

    made = RedisServer(command, ready, directory / "redis.log", port=port)
    return made


@contextlib.contextmanager
def _directory() -> Iterator[Path]:
    directory = Path(tempfile.mkdtemp(prefix="wadm-redis-"))
    try:
        yield directory
    finally:
        shutil.rmtree(directory, ignore_errors=True)


@pytest.fixture(scope="session")
def _shared_redis() -> Iterator[RedisServer]:
    with _directory() as directory, redis_server_of(directory).running() as server:
        yield server


@pytest.fixture
def redis_server(_shared_redis: RedisServer) -> RedisServer:
    """A Redis with nothing in it, which other tests use as well: not to be stopped or reconfigured."""
    with _shared_redis.client() as client:
        client.flushall()
    return _shared_redis


@pytest.fixture
def private_redis() -> Iterator[Callable[..., RedisServer]]:
    """Start a Redis of the test's own: ``private_redis("--requirepass", "secret")``."""
    with contextlib.ExitStack() as opened:

        def start(*options: str) -> RedisServer:
            directory = opened.enter_context(_directory())
            return opened.enter_context(redis_server_of(directory, *options).running())  # type: ignore[return-value]

        yield start
