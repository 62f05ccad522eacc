"""What a PostgreSQL server can do to a store: a sentence without a password, and nothing half done."""

import os
import signal
import socket
import threading
from contextlib import closing
from decimal import Decimal

import psycopg2
import pytest
from psycopg2 import extensions
from server_postgres import PASSWORD, USER
from server_process import free_port
from sqlalchemy.exc import OperationalError
from storage_samples import NAME, START, bar, bar_record, gap_record

from actors.storage import postgres
from actors.storage.errors import DiskFull, StorageError
from actors.storage.sql import SqlStore
from actors.storage.sql_errors import explained
from wadm.market import MINUTE
from wadm.numbers import to_decimal

EVER = (0, 1 << 62)


@pytest.fixture
def store(postgres_url):
    with closing(SqlStore(postgres_url, "journal")) as made:
        yield made


def refusal(url, **arguments):
    """Return the sentence that a store of this URL says."""
    with closing(SqlStore(url, "journal", **arguments)) as store, pytest.raises(StorageError) as caught:
        store.initialise()
    sentence = str(caught.value)
    for secret in (PASSWORD, "p%40ss", "wrong"):
        assert secret not in sentence
    assert "\n" not in sentence
    return sentence


def test_money_is_numeric_in_it_and_exact(postgres_server, postgres_url, store):
    store.apply([bar_record(quantity=10**30 + 1)], 1)
    with postgres_server.connected() as db, db.cursor() as cursor:
        cursor.execute("SELECT open, high, buy_volume, pg_typeof(buy_volume)::text FROM bars")
        assert cursor.fetchone() == (
            Decimal(61000),
            Decimal("61000.2"),
            to_decimal(2 * (10**30 + 1), 3),
            "numeric",
        )


def test_the_short_form_of_a_url_will_do(postgres_url):
    with closing(SqlStore(postgres_url.replace("+psycopg2", ""), "journal")) as store:
        assert (store.name, store.cursor()) == ("postgresql", 0)
        assert store.address.startswith(f"postgresql://{USER}:***@127.0.0.1:")


def test_a_wrong_password_is_said(postgres_server):
    sentence = refusal(postgres_server.url("postgres", password="wrong"))
    assert f'password authentication failed for user "{USER}"' in sentence
    assert "check that its server runs, and the host, user, password and database" in sentence


def test_a_wrong_user_is_said(postgres_server):
    assert 'user "nobody"' in refusal(postgres_server.url("postgres", user="nobody"))


def test_a_wrong_database_is_said(postgres_server):
    assert 'database "nowhere" does not exist' in refusal(postgres_server.url("nowhere"))


def test_a_wrong_port_is_said():
    port = free_port()
    sentence = refusal(f"postgresql://wadm:wrong@127.0.0.1:{port}/wadm")
    assert f"the store at postgresql://wadm:***@127.0.0.1:{port}/wadm cannot be used" in sentence
    assert "Connection refused" in sentence


def test_a_wrong_host_is_said():
    assert "could not translate host name" in refusal("postgresql://wadm:wrong@no.such.host.invalid/wadm")


def test_a_server_that_is_another_program_is_said():
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def answer():
            peer, _ = listener.accept()
            with peer:
                peer.recv(100)
                peer.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

        speaker = threading.Thread(target=answer)
        speaker.start()
        sentence = refusal(f"postgresql://wadm:wrong@127.0.0.1:{listener.getsockname()[1]}/wadm")
        speaker.join()
    assert "cannot be used" in sentence


def test_a_server_that_is_silent_is_given_up(monkeypatch, postgres_server, postgres_url, store):
    store.apply([bar_record()], 1)
    monkeypatch.setattr(postgres, "CONNECT_TIMEOUT", 0.2)
    monkeypatch.setattr(postgres.Connection, "patience", 0.2)
    children = _backends(postgres_server)
    _signal(children, signal.SIGSTOP)
    postgres_server.signal(signal.SIGSTOP)
    try:
        with pytest.raises(StorageError, match=r"cannot be used \(no answer within 0\.2 s\)"):
            store.apply([bar_record(START + MINUTE)], 2)
        assert "no answer within 0.2 s" in refusal(postgres_url)
    finally:
        postgres_server.signal(signal.SIGCONT)
        _signal(children, signal.SIGCONT)
    monkeypatch.undo()
    assert store.cursor() == 1
    store.apply([bar_record(START + MINUTE)], 2)
    assert (store.cursor(), len(store.bars(*NAME, *EVER))) == (2, 2)


def _backends(server):
    with server.connected() as db, db.cursor() as cursor:
        cursor.execute("SELECT pid FROM pg_stat_activity WHERE backend_type = 'client backend'")
        return [pid for (pid,) in cursor.fetchall() if pid != db.get_backend_pid()]


def _signal(processes, number):
    for process in processes:
        os.kill(process, number)


def test_connections_of_others_are_left_as_patient_as_they_were(monkeypatch, postgres_server, store):
    store.initialise()
    assert extensions.get_wait_callback() is not None
    monkeypatch.setattr(postgres.Connection, "patience", 0.0)
    with postgres_server.connected() as db, db.cursor() as cursor:
        cursor.execute("SELECT pg_sleep(0.02)")


def test_a_statement_that_takes_too_long_is_ended(monkeypatch, postgres_url):
    monkeypatch.setattr(postgres, "STATEMENT_TIMEOUT", 0.1)
    with closing(SqlStore(postgres_url, "journal")) as store:
        store.initialise()
        with pytest.raises(StorageError, match=r"took too long to answer \(.*\): see what keeps"):
            _say(store, "SELECT pg_sleep(60)")
        assert store.cursor() == 0


def _say(store, statement):
    with explained(store.url), store._engine.connect() as db:
        db.exec_driver_sql(statement)


def test_what_is_locked_for_too_long_is_said_and_nothing_is_half_stored(
    monkeypatch, postgres_server, postgres_url
):
    monkeypatch.setattr(postgres, "LOCK_TIMEOUT", 0.1)
    with closing(SqlStore(postgres_url, "journal")) as store:
        store.apply([bar_record()], 1)
        with postgres_server.connected() as db, db.cursor() as cursor:
            cursor.execute("BEGIN; LOCK TABLE gaps IN EXCLUSIVE MODE")
            with pytest.raises(StorageError, match="was locked for too long by another program"):
                store.apply([bar_record(START + MINUTE), gap_record()], 2)
            cursor.execute("ROLLBACK")
        assert (store.cursor(), len(store.bars(*NAME, *EVER))) == (1, 1)


def test_a_server_killed_amid_a_transaction_loses_nothing_that_was_committed(postgres_server, store):
    store.apply([bar_record()], 1)
    try:
        with pytest.raises(StorageError, match="cannot be used"):
            _move_cursor(store, then=postgres_server.kill)
        with pytest.raises(StorageError, match="cannot be used"):
            store.cursor()
    finally:
        postgres_server.start()
    assert (store.cursor(), store.bars(*NAME, *EVER)) == (1, [bar()])


def _move_cursor(store, then):
    with store._writing() as db:
        db.exec_driver_sql("UPDATE sink_cursor SET seq = 99")
        then()


def test_a_connection_that_the_server_ended_is_replaced(postgres_server, store):
    store.apply([bar_record()], 1)
    postgres_server.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
        "WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()"
    )
    assert store.cursor() == 1


def test_a_server_that_comes_back_empty_gets_its_tables_again(postgres_server, store):
    store.apply([bar_record()], 7)
    postgres_server.execute("DROP SCHEMA public CASCADE; CREATE SCHEMA public")
    with pytest.raises(StorageError, match="has lost tables of the store"):
        store.cursor()
    store.initialise()
    assert (store.cursor(), store.symbols()) == (0, [])


def test_a_server_that_accepts_no_writes_is_said(postgres_url, store):
    store.apply([bar_record()], 1)
    standby = f"{postgres_url}?options=-c%20default_transaction_read_only%3Don"
    with (
        closing(SqlStore(standby, "journal")) as other,
        pytest.raises(StorageError, match=r"accepts no writes .*: name the primary server in the URL"),
    ):
        other.apply([bar_record(START + MINUTE)], 2)
    assert store.cursor() == 1


def test_a_user_who_may_not_make_tables_is_said(postgres_server, postgres_url, store):
    store.initialise()
    postgres_server.execute("DROP ROLE IF EXISTS guest; CREATE ROLE guest LOGIN PASSWORD 'wrong'")
    url = postgres_server.url("postgres", user="guest", password="wrong")
    assert "has no schema that the URL's user may use" in refusal(url)
    postgres_server.execute("GRANT USAGE ON SCHEMA public TO guest")
    assert "does not let the URL's user do that" in refusal(url)


def test_a_full_disk_is_told_from_other_troubles():
    class Full(psycopg2.OperationalError):
        pgcode = "53100"

    with (
        pytest.raises(DiskFull, match=r"no room left on its disk \(could not extend file\): free space"),
        explained("postgresql://wadm:secret@host/wadm"),
    ):
        raise OperationalError("INSERT", {}, Full("could not extend file\nHINT: buy a disk"))


def test_a_password_that_a_driver_repeats_is_hidden():
    with (
        pytest.raises(StorageError, match=r"\(invalid dsn: \*\*\*\)") as caught,
        explained("postgresql://wadm:s%40cret@host/wadm"),
    ):
        raise OperationalError("", {}, psycopg2.OperationalError("invalid dsn: s@cret"))
    assert "s@cret" not in str(caught.value)
