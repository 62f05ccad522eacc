"""A private PostgreSQL server for tests, with a password, and a fresh database for each of them."""

import contextlib
import getpass
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import attrs
import psycopg2
import pytest
from server_process import Server, found, free_port

REMEDY = "install PostgreSQL (Debian: apt install postgresql), or put its initdb and postgres on the PATH"

USER, PASSWORD = "wadm", "p@ss/word"

#: Fast and small: its data outlives its own death, and need not outlive a power failure.
_OPTIONS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "fsync": "off",
    "full_page_writes": "off",
    "autovacuum": "off",
    "shared_buffers": "32MB",
    "max_connections": "60",
}


@attrs.define(eq=False)
class Postgres(Server):
    """A PostgreSQL server on a port of its own."""

    port: int = 0

    def url(self, database: str, user: str = USER, password: str = "p%40ss%2Fword") -> str:
        """Return the URL of a database of it, as a setting has it."""
        return f"postgresql+psycopg2://{user}:{password}@127.0.0.1:{self.port}/{database}"

    @contextlib.contextmanager
    def connected(self, database: str = "postgres") -> Iterator[Any]:
        """Yield a connection of the test's own, in autocommit."""
        with contextlib.closing(_connect(self.port, database)) as db:
            db.autocommit = True
            yield db

    def execute(self, statement: str, database: str = "postgres") -> None:
        """Do one thing in it."""
        with self.connected(database) as db, db.cursor() as cursor:
            cursor.execute(statement)

    def stop(self) -> None:
        """End it in order, without waiting for its clients."""
        if self._process is not None:
            self.signal(signal.SIGINT)
        super().stop()

    def kill(self) -> None:
        """End it and its children at once, as a power failure would."""
        if self._process is not None:
            self.signal(signal.SIGQUIT)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(20)
        super().kill()


def _connect(port: int, database: str) -> Any:
    return psycopg2.connect(
        host="127.0.0.1",
        port=port,
        user=USER,
        password=PASSWORD,
        dbname=database,
        options="-c lock_timeout=20s",  # a connection that a test left open is told of, not waited for
    )


def _answers(port: int) -> bool:
    try:
        _connect(port, "postgres").close()
    except psycopg2.OperationalError:
        return False
    return True


def _other_user() -> str | None:
    """Return whom to be instead of root, who may not run a PostgreSQL server."""
    if os.geteuid() != 0:
        return None
    names = {entry.pw_name for entry in pwd.getpwall()}
    return "postgres" if "postgres" in names else "nobody"


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[Postgres]:
    """Run one server for all the tests of a run. A test that stops it starts it again."""
    places = [str(path) for path in sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)]
    initdb, postgres = (found(program, REMEDY, *places) for program in ("initdb", "postgres"))
    user = _other_user()
    # Not below pytest's directory, which nobody else may enter.
    directory = Path(tempfile.mkdtemp(prefix="wadm-postgres-"))
    try:
        secret = directory / "password"
        secret.write_text(PASSWORD)
        for path in (directory, secret):
            shutil.chown(path, user or getpass.getuser())
        data = directory / "data"
        subprocess.run(
            [
                initdb, "--pgdata", data, "--username", USER, "--pwfile", secret, "--auth=md5",
                "--encoding=UTF8", "--no-locale", "--no-sync", "--no-instructions",
            ],
            user=user, cwd=directory, check=True, capture_output=True,
        )  # fmt: skip
        port = free_port()
        options = [word for name, value in _OPTIONS.items() for word in ("-c", f"{name}={value}")]
        command = [postgres, "-D", str(data), "-p", str(port), *options]
        server = Postgres(command, lambda: _answers(port), directory / "log", user, port=port)
        with server.running():
            yield server
    finally:
        shutil.rmtree(directory)


@pytest.fixture
def postgres_url(postgres_server: Postgres) -> Iterator[str]:
    """Return the URL of an empty database; what it holds goes after the test."""
    # A database of its own for each test would be some thousand files to make and to remove.
    yield postgres_server.url("postgres")
    postgres_server.execute("DROP SCHEMA public CASCADE; CREATE SCHEMA public")
