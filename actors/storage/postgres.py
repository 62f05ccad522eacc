"""PostgreSQL connections that give up in time: libpq alone waits for ever for a server that hangs."""

import math
import select
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg2  # type: ignore[import-untyped]
from psycopg2 import extensions

#: Seconds for connecting, for one statement (the server ends it), and for a lock that another holds.
CONNECT_TIMEOUT = 5.0
STATEMENT_TIMEOUT = 30.0
LOCK_TIMEOUT = 10.0
#: Seconds without a word from the server after which it is given up: longer than it may take for a statement.
PATIENCE = 40.0

#: The advisory lock of whoever makes or migrates tables: "WADM" in ASCII.
_SCHEMA_LOCK = 0x5741444D


class Connection(extensions.connection):  # type: ignore[misc]
    """A connection that waits ``patience`` seconds for each answer, then closes itself."""

    patience: float = PATIENCE


def arguments(read_only: bool, options: str = "") -> dict[str, Any]:
    """Return what psycopg2 is told on connecting; ``options`` are the URL's own, which win."""
    ours = {
        "statement_timeout": round(STATEMENT_TIMEOUT * 1_000),
        "lock_timeout": round(LOCK_TIMEOUT * 1_000),
        "idle_in_transaction_session_timeout": 60_000,
        "default_transaction_read_only": "on" if read_only else "off",
    }
    # The callback is the process's, and leaves the connections of others as they were.
    extensions.set_wait_callback(_wait)
    return {
        "connection_factory": Connection,
        "options": " ".join([*(f"-c {name}={value}" for name, value in ours.items()), options]).strip(),
        "tcp_user_timeout": 10_000,
    }


def _wait(connection: Any) -> None:
    """Wait until the server has answered; raise OperationalError when it takes too long."""
    patience = getattr(connection, "patience", math.inf)
    if connection.status == extensions.STATUS_SETUP:
        patience = min(patience, CONNECT_TIMEOUT)
    deadline = time.monotonic() + patience
    while (state := connection.poll()) != extensions.POLL_OK:
        poll = select.poll()
        poll.register(connection.fileno(), select.POLLIN if state == extensions.POLL_READ else select.POLLOUT)
        remaining = deadline - time.monotonic()
        if not poll.poll(None if remaining == math.inf else max(0.0, remaining * 1_000)):
            raise psycopg2.OperationalError(f"no answer within {patience:g} s")


@contextmanager
def unhurried(connection: Any) -> Iterator[None]:
    """Let the statements of a migration take as long as they take, one migration at a time.

    ``connection`` is psycopg2's, in a transaction.
    """
    connection.patience = math.inf
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", (_SCHEMA_LOCK,))
            cursor.execute("SET LOCAL statement_timeout = 0")
        yield
    finally:
        del connection.patience  # that of its class holds again
