import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest
import sql_schema_1
from sqlalchemy import inspect, text
from storage_samples import (
    NAME,
    START,
    SYMBOL,
    bar,
    bar_record,
    gap_record,
    levels_record,
    order_flow_record,
    plainly,
    profile_record,
)

from actors.storage import engines, migrations, tables
from actors.storage.errors import StorageError
from actors.storage.migrations import SCHEMA
from actors.storage.sql import SqlStore
from wadm.market import DAY, MINUTE

EVER = (0, 1 << 62)
NOW = START + 400 * DAY


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request, tmp_path):
    if request.param == "sqlite":
        return engines.embedded_url(tmp_path)
    return request.getfixturevalue("postgres_url")


@pytest.fixture
def engine(url):
    made = engines.open_engine(url, read_only=False)
    yield made
    made.dispose()


@pytest.fixture
def store(url):
    with closing(SqlStore(url, "journal", clock=lambda: NOW)) as made:
        yield made


@pytest.fixture
def old(url, engine):
    """A store of version 1 with something of everything in it."""
    if engine.dialect.name == "sqlite":
        sql_schema_1.mark(Path(engines.address(url)))
    sql_schema_1.make(
        engine,
        [bar_record(), bar_record(START + MINUTE)],
        [profile_record(quantity=10**30)],
        [order_flow_record()],
        [gap_record()],
    )
    return engine


def shape(engine):
    """Return the tables, columns and indexes of a database."""
    looker = inspect(engine)
    return {
        name: (
            {
                column["name"]: (str(column["type"]), column["nullable"])
                for column in looker.get_columns(name)
            },
            {index["name"]: index["column_names"] for index in looker.get_indexes(name)},
            looker.get_pk_constraint(name)["constrained_columns"],
        )
        for name in looker.get_table_names()
    }


def test_postgresql_does_not_press_what_is_packed(postgres_url):
    storage = "SELECT attstorage FROM pg_attribute WHERE attrelid = 'bars'::regclass AND attname = 'packed'"
    engine = engines.open_engine(postgres_url, read_only=False)
    sql_schema_1.make(engine)
    with closing(SqlStore(postgres_url, "journal")) as store:
        for _ in ("migrated", "new"):
            store.migrate()
            assert execute(engine, storage) in ("e", b"e")
            with engine.begin() as db:
                tables.metadata.drop_all(db)
    engine.dispose()


def execute(engine, statement):
    with engine.begin() as db:
        result = db.execute(text(statement))
        return result.scalar() if result.returns_rows else result.rowcount


def test_version_1_becomes_this_one_and_loses_nothing(store, old):
    assert store.schema() == (1, SCHEMA)
    store.initialise()
    assert store.schema() == (SCHEMA, SCHEMA)
    assert store.cursor() == 41
    assert store.bars(*NAME, *EVER) == [bar(), bar(START + MINUTE)]
    assert plainly(store.profiles(*NAME, "1m", *EVER)) == plainly([profile_record(quantity=10**30)])
    assert plainly(store.order_flows(*NAME, "1m", *EVER)) == plainly([order_flow_record(counts=(None, None))])
    assert store.gaps(*NAME, *EVER) == [gap_record()]
    assert store.levels(*NAME) == []


def test_what_was_migrated_counts_as_stored_then(store, old):
    store.migrate()
    assert store.ripe_days(NOW) == []
    assert store.ripe_days(NOW + 1) == [(*NAME, START - START % DAY)]
    assert store.expire(NOW + store.lifetimes.indicators - 1) == 0
    assert store.expire(NOW + store.lifetimes.indicators) == 2


def test_what_was_migrated_is_revised_as_ever(store, old):
    revised = [
        bar_record(revision=1, quantity=9),
        order_flow_record(revision=1, counts=(4, 2)),
        levels_record(),
    ]
    store.apply(revised, 42)
    assert store.bars(*NAME, *EVER) == [bar(revision=1, quantity=9), bar(START + MINUTE)]
    assert plainly(store.order_flows(*NAME, "1m", *EVER)) == plainly(revised[1:2])
    assert store.levels(*NAME) == list(levels_record().levels)


def test_a_migrated_schema_is_that_of_a_new_store(store, old):
    store.migrate()
    migrated = shape(old)
    with old.begin() as db:
        tables.metadata.drop_all(db)
    store.migrate()
    assert shape(old) == migrated


def test_migrating_again_changes_nothing(store, old):
    store.migrate()
    before = shape(old)
    store.migrate()
    assert shape(old) == before


def test_a_migration_that_fails_leaves_the_store_as_it_was(monkeypatch, store, old):
    before = shape(old)

    def half_way(db, now, lifetimes):
        migrations._from_1(db, now, lifetimes)
        execute_badly = text("INSERT INTO bars (exchange) VALUES (NULL)")
        db.execute(execute_badly)

    monkeypatch.setitem(migrations._STEPS, 1, half_way)
    with pytest.raises(StorageError):
        store.initialise()
    assert store.schema() == (1, SCHEMA)
    assert shape(old) == before
    monkeypatch.undo()
    store.initialise()
    assert len(store.bars(*NAME, *EVER)) == 2


def test_several_may_migrate_at_once(url, old):
    together = threading.Barrier(3)

    def migrate(_):
        with closing(SqlStore(url, "journal")) as store:
            together.wait()
            store.initialise()
            return store.cursor()

    with ThreadPoolExecutor(3) as pool:
        assert list(pool.map(migrate, range(3))) == [41] * 3


def test_a_store_that_is_read_only_does_not_migrate(url, old):
    before = shape(old)
    with closing(SqlStore(url, "journal", read_only=True)) as store:
        assert store.schema() == (1, SCHEMA)
        with pytest.raises(
            StorageError, match="has schema 1, this version reads 2: run `wadm storage migrate`"
        ):
            store.cursor()
        with pytest.raises(StorageError, match="reading only"):
            store.migrate()
    assert shape(old) == before


def test_a_newer_schema_is_refused_and_left_as_it_was(url, store, engine):
    store.apply([bar_record()], 1)
    execute(engine, "UPDATE wadm_meta SET value = '3'")
    before = shape(engine)
    for read_only in (False, True):
        with (
            closing(SqlStore(url, "journal", read_only=read_only)) as other,
            pytest.raises(StorageError, match=r"newer version \(schema 3, this one reads 2\): upgrade"),
        ):
            other.initialise()
    assert store.schema() == (3, SCHEMA)
    with pytest.raises(StorageError, match="newer"):
        store.migrate()
    assert shape(engine) == before


def test_a_schema_that_no_step_leads_from_is_refused(store, engine):
    store.initialise()
    execute(engine, "UPDATE wadm_meta SET value = '0'")
    with pytest.raises(StorageError, match="has schema 0, which this version cannot migrate"):
        store.initialise()


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ("UPDATE wadm_meta SET value = 'two'", "names no version of a schema"),
        ("DELETE FROM wadm_meta", "names no version of a schema"),
        ("ALTER TABLE wadm_meta RENAME COLUMN value TO text", "names no version of a schema"),
        ("DROP TABLE wadm_meta", "has a table bars of another program"),
    ],
)
def test_tables_that_are_not_ours_are_refused_and_left_as_they_were(store, engine, change, sentence):
    store.apply([bar_record()], 1)
    execute(engine, change)
    before = shape(engine)
    for method in (store.initialise, store.migrate, store.schema):
        with pytest.raises(StorageError, match=sentence):
            method()
    assert shape(engine) == before
    assert execute(engine, f"DELETE FROM bars WHERE symbol = '{SYMBOL}'") == 1


def test_other_tables_of_a_server_do_no_harm(postgres_url):
    with closing(SqlStore(postgres_url, "journal")) as store:
        engine = engines.open_engine(postgres_url, read_only=False)
        execute(engine, "CREATE TABLE drinks (name TEXT)")
        engine.dispose()
        store.initialise()
        assert store.cursor() == 0
