import sqlite3
import sys
from contextlib import closing
from decimal import Decimal

import pytest
from sqlalchemy.dialects import postgresql
from storage_samples import NAME, START, bar, bar_record, batch, book_record, order_flow_record

from actors.messages import Kind
from actors.storage import engines, statements, tables
from actors.storage.errors import DiskFull, StorageError
from actors.storage.migrations import SCHEMA
from actors.storage.sql import SLICE, SqlStore
from wadm.market import MINUTE


@pytest.fixture
def url(tmp_path):
    return engines.embedded_url(tmp_path)


def opened(url, **arguments):
    return closing(SqlStore(url, "journal", **arguments))


@pytest.mark.parametrize(
    ("url", "sentence"),
    [
        ("nonsense", "cannot be read"),
        ("postgresql://user:secret@host:port/name", "cannot be read"),
        ("nosuch://user:secret@host/name", "begins with nosuch://, which is not supported"),
        ("mysql://user:secret@host/name", "begins with mysql://, which is not supported"),
        ("sqlite+aiosqlite:///file", "write sqlite:///path"),
        ("sqlite://", "names no file"),
        ("sqlite:///:memory:", "names no file"),
        ("postgresql+pg8000://user:secret@host/name", r"write .* postgresql\+psycopg2://user"),
    ],
)
def test_a_url_of_no_use_is_refused_without_its_password(url, sentence):
    with pytest.raises(StorageError, match=sentence) as caught:
        SqlStore(url, "journal")
    assert "secret" not in str(caught.value)


def test_a_driver_that_is_not_installed_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "psycopg2", None)
    monkeypatch.delitem(sys.modules, "actors.storage.postgres", raising=False)
    with pytest.raises(StorageError, match="needs the Python package psycopg2: install psycopg2-binary"):
        SqlStore("postgresql://user:secret@host/name", "journal")


def test_neither_address_nor_repr_shows_a_password():
    url = "postgresql+psycopg2://me:secret@host/name?sslmode=require&password=secret"
    store = SqlStore(url, "journal")
    assert store.address == "postgresql+psycopg2://me:***@host/name"
    assert "secret" not in repr(store)


def test_an_address_hides_its_password():
    assert (
        engines.address("postgresql+psycopg2://me:secret@host/name")
        == "postgresql+psycopg2://me:***@host/name"
    )
    assert engines.address("sqlite:////data/warm.sqlite3") == "/data/warm.sqlite3"


def test_a_foreign_file_is_refused_and_left_as_it_was(tmp_path, url):
    path = tmp_path / engines.EMBEDDED
    with closing(sqlite3.connect(path)) as db:
        db.execute("CREATE TABLE bars(drink)")
    before = path.read_bytes()
    with (
        opened(url) as store,
        pytest.raises(StorageError, match=r"warm\.sqlite3 is a database of another program"),
    ):
        store.initialise()
    assert path.read_bytes() == before


def test_a_damaged_file_is_refused(tmp_path, url):
    (tmp_path / engines.EMBEDDED).write_bytes(b"not a database at all " * 100)
    with opened(url) as store, pytest.raises(StorageError, match=r"warm\.sqlite3 is damaged"):
        store.cursor()
    with opened(url, read_only=True) as store, pytest.raises(StorageError, match=r"warm\.sqlite3 is damaged"):
        store.cursor()


def test_a_bar_that_cannot_be_read_names_the_store(tmp_path, url):
    with opened(url) as store:
        store.apply([bar_record()], 1)
        with closing(sqlite3.connect(tmp_path / engines.EMBEDDED)) as db, db:
            db.execute("UPDATE bars SET packed = x'00'")
        with pytest.raises(StorageError, match=r"warm\.sqlite3 holds a bar of BTCUSDT that cannot be read"):
            store.bars(*NAME, 0, 1 << 62)


def test_a_full_disk_leaves_entries_and_cursor_as_they_were(url):
    with opened(url) as store:
        store.apply([bar_record()], 1)
        with store._engine.connect() as db:  # the pool hands the same connection out again
            pages = db.exec_driver_sql("PRAGMA page_count").scalar()
            db.exec_driver_sql(f"PRAGMA max_page_count = {pages}")
        run = [bar_record(symbol=f"S{number}", count=300) for number in range(100)]
        with pytest.raises(DiskFull, match=r"no room left to write .*warm\.sqlite3"):
            store.apply(run, 101)
        assert (store.cursor(), len(store.symbols())) == (1, 1)


def test_a_read_only_store_never_writes(tmp_path, url):
    with opened(url, read_only=True) as store, pytest.raises(StorageError, match="cannot be opened"):
        store.cursor()
    assert not (tmp_path / engines.EMBEDDED).exists()
    with opened(url) as writer, opened(url, read_only=True) as store:
        writer.apply([bar_record()], 1)
        assert (store.cursor(), store.bars(*NAME, 0, 1 << 62)) == (1, [bar()])
        with pytest.raises(StorageError, match="cannot be opened"):
            store.apply([], 2)


def test_a_directory_with_a_strange_name_works(tmp_path):
    directory = tmp_path / "año 100%? #1"
    directory.mkdir()
    url = engines.embedded_url(directory)
    with opened(url) as store:
        store.apply([bar_record()], 1)
    with opened(url, read_only=True) as store:
        assert store.cursor() == 1
    assert (directory / engines.EMBEDDED).exists()


def test_postgresql_gets_the_same_upsert_and_exact_types():
    dialect = postgresql.dialect()
    statement = str(statements.upsert("postgresql", tables.bars).compile(dialect=dialect))
    assert "ON CONFLICT (exchange, symbol, timeframe, start_time) DO UPDATE" in statement
    assert "WHERE (excluded.revision) > (bars.revision)" in statement
    assert tables.bars.c.open.type.compile(dialect) == "NUMERIC"
    assert tables.volume_profiles.c.nodes.type.compile(dialect) == "JSONB"


def test_trades_and_books_are_the_journals_business(url):
    with opened(url) as store:
        assert not store.keeps & {Kind.TRADES, Kind.BOOK}
        store.apply([batch(1), book_record()], 1)
        assert store.symbols() == []
        assert store.trades(*NAME, 0, 1 << 62) == []
        assert store.books(*NAME, 0, 1 << 62) == []


def test_searchable_columns_are_exact(tmp_path, url):
    with opened(url) as store:
        store.apply([bar_record(quantity=10**25)], 1)
    with closing(sqlite3.connect(tmp_path / engines.EMBEDDED)) as db:
        (row,) = db.execute("SELECT open, high, low, close, volume, buy_volume, delta, trades FROM bars")
    assert row[:4] == ("61000", "61000.2", "61000", "61000.2")
    assert [Decimal(text) for text in row[4:7]] == [4 * 10**22, 2 * 10**22, 0]
    assert row[7] == 6


def test_looking_at_a_schema_makes_no_file(tmp_path, url):
    with opened(url) as store:
        assert store.schema() == (None, SCHEMA)
    assert list(tmp_path.iterdir()) == []


def test_ripe_days_reads_what_is_old_by_its_index(url):
    with opened(url) as store:
        store.initialise()
        question = statements.ripe_days(5).compile(store._engine, compile_kwargs={"literal_binds": True})
        with store._engine.connect() as db:
            plan = " ".join(row[-1] for row in db.exec_driver_sql(f"EXPLAIN QUERY PLAN {question}"))
    assert "SEARCH bars USING COVERING INDEX bars_by_storage (stored_at<?)" in plan
    assert "(exchange=? AND symbol=? AND timeframe=? AND start_time>? AND start_time<?)" in plan


def test_many_that_have_expired_go_in_slices(url):
    with opened(url, clock=lambda: 0) as store:
        flows = [order_flow_record(START + number * MINUTE) for number in range(2 * SLICE + 1)]
        store.apply(flows, 1)
        assert store.expire(store.lifetimes.indicators - 1) == 0
        assert store.expire(store.lifetimes.indicators) == 2 * SLICE + 1


def test_what_another_program_locks_for_too_long_is_said(monkeypatch, tmp_path, url):
    monkeypatch.setattr(engines, "BUSY_TIMEOUT", 0.01)
    with opened(url) as store:
        store.apply([], 1)
        with closing(sqlite3.connect(tmp_path / engines.EMBEDDED, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            with pytest.raises(StorageError, match=r"warm\.sqlite3 is locked by another program"):
                store.apply([], 2)
            assert store.cursor() == 1
