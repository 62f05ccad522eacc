import sqlite3
from contextlib import closing

import pytest
from sqlalchemy.dialects import postgresql
from storage_samples import NAME, bar, bar_record, batch

from actors.storage import engines, tables
from actors.storage.errors import DiskFull, StorageError
from actors.storage.sql import SqlStore


@pytest.fixture
def url(tmp_path):
    return engines.embedded_url(tmp_path)


def opened(url, **arguments):
    return closing(SqlStore(url, "journal", **arguments))


@pytest.mark.parametrize(
    ("url", "sentence"),
    [
        ("nonsense", "cannot be read"),
        ("nosuch://user:secret@host/name", "cannot be read"),
        ("sqlite://", "names no file"),
        ("sqlite:///:memory:", "names no file"),
        ("postgresql+pg8000://user:secret@host/name", "needs the Python package pg8000"),
    ],
)
def test_a_url_of_no_use_is_refused_without_its_password(url, sentence):
    with pytest.raises(StorageError, match=sentence) as caught:
        SqlStore(url, "journal")
    assert "secret" not in str(caught.value)


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


def test_a_newer_schema_is_refused(tmp_path, url):
    with opened(url) as store:
        store.initialise()
    with closing(sqlite3.connect(tmp_path / engines.EMBEDDED)) as db, db:
        db.execute("UPDATE wadm_meta SET value = '2'")
    with opened(url) as store, pytest.raises(StorageError, match="has schema 2, this version reads 1"):
        store.initialise()


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
    statement = str(tables.upsert("postgresql", tables.bars).compile(dialect=dialect))
    assert "ON CONFLICT (exchange, symbol, timeframe, start_time) DO UPDATE" in statement
    assert "WHERE excluded.revision > bars.revision" in statement
    assert tables.bars.c.open.type.compile(dialect) == "NUMERIC"
    assert tables.volume_profiles.c.nodes.type.compile(dialect) == "JSONB"


def test_trades_are_the_journals_business(url):
    with opened(url) as store:
        assert not store.keeps_trades
        store.apply([batch(1)], 1)
        assert store.symbols() == []
