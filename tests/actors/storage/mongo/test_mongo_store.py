"""The MongoDB store against a server that dies, refuses, forgets, and loses its primary."""

import time
from contextlib import contextmanager

import pytest
from server_mongod import PASSWORD, USER
from server_process import free_port
from storage_samples import (
    EXCHANGE,
    FOREVER,
    NAME,
    START,
    SYMBOL,
    bar,
    batch,
    levels_record,
    one_of_each,
    trades_at,
)

from actors.messages import BookRecord, TradeBatch
from actors.storage.errors import DiskFull, StorageError
from actors.storage.mongo.store import MongoStore
from actors.storage.opening import open_store
from wadm.lifetimes import Lifetimes
from wadm.market import HOUR, MINUTE, SECOND, IdKind, Trades
from wadm.sections import StorageSettings

EVER = (0, FOREVER)

#: Says quickly that no server is there, or no primary.
BRIEF = "timeoutMS=400"

#: Seconds within which a server must have done what it does by itself.
PATIENCE = 30.0


@pytest.fixture
def open_at():
    """Return a function that opens a store at a URL; all are closed afterwards."""
    opened = []

    def opener(url, follows="journal-1", **arguments):
        opened.append(MongoStore(url, follows, **arguments))
        return opened[-1]

    yield opener
    for one in opened:
        one.close()


@pytest.fixture
def store(open_at, mongodb_url):
    return open_at(mongodb_url)


@pytest.fixture
def database(mongod, mongodb_url):
    with mongod.client() as client:
        yield client[mongodb_url.rpartition("/")[2]]


def soon(condition):
    """Wait for what the server does by itself."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


@contextmanager
def failing(client, command, mode="alwaysOn", **how):
    """Have the server fail a command."""
    point = {"configureFailPoint": "failCommand"}
    client.admin.command({**point, "mode": mode, "data": {"failCommands": [command], **how}})
    try:
        yield
    finally:
        client.admin.command({**point, "mode": "off"})


def numbered(*numbers):
    """Return batches, each of four trades with ids of their own."""
    return [batch(number) for number in numbers]


def ids_of(store):
    return [trade_id for run in store.trades(*NAME, *EVER) for trade_id in run.ids]


def ids_in(batches):
    return [trade_id for one in batches for trade_id in one.trades.ids]


# -- addresses


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("mongodb://localhost", "mongodb://localhost/wadm"),
        (
            "mongodb://me:secret@one:27017,two:27018/market?replicaSet=rs0",
            "mongodb://one:27017,two:27018/market",
        ),
        ("mongodb+srv://me:secret@cluster0.example.net/", "mongodb+srv://cluster0.example.net/wadm"),
    ],
)
def test_an_address_has_the_database_and_no_password(open_at, url, address):
    store = open_at(url)
    assert store.address == address
    assert "secret" not in repr(store)


@pytest.mark.parametrize(
    "url",
    [
        "localhost:27017",
        "postgresql://me:secret@localhost/wadm",
        "mongodb://me:sec/ret@localhost/wadm",
        "mongodb://me:secret@localhost:port/wadm",
        "mongodb://me:secret@localhost/wadm?w=-1",
        "mongodb://",
    ],
)
def test_a_url_of_no_use_is_refused_without_repeating_it(open_at, url):
    with pytest.raises(StorageError, match="write mongodb://user:password@host:27017/database") as refused:
        open_at(url)
    assert "sec" not in str(refused.value).replace("second", "")


def test_writes_that_nobody_confirms_are_refused(open_at):
    with pytest.raises(StorageError, match="w=0, by which no write is confirmed"):
        open_at("mongodb://me:secret@localhost/wadm?retryWrites=true&w=0")


def test_the_settings_choose_it(tmp_path, mongodb_url):
    settings = StorageSettings(
        mongodb_url=mongodb_url, mongodb_time_series=True, raw_retention_minutes=90, db_url="sqlite:///x"
    )
    store = open_store(settings, tmp_path, "journal-1")
    assert (store.name, store.time_series, store.lifetimes.raw) == ("mongodb", True, 90 * MINUTE)
    store.close()


def test_no_server_is_a_sentence(open_at):
    store = open_at(f"mongodb://me:secret@127.0.0.1:{free_port()}/wadm?{BRIEF}")
    for call in (store.cursor, store.schema):
        with pytest.raises(
            StorageError, match=r"cannot be reached .*refused.*: check that MongoDB runs"
        ) as refused:
            call()
        assert "secret" not in str(refused.value)


# -- passwords


def test_a_user_who_may_read_and_write_is_all_it_needs(open_at, mongod_with_passwords):
    host = mongod_with_passwords.url.removeprefix("mongodb://")
    password = PASSWORD.replace("@", "%40").replace("/", "%2F")
    store = open_at(f"mongodb://{USER}:{password}@{host}/wadm?authSource=admin")
    store.apply(one_of_each(), 7)
    assert (store.cursor(), store.bars(*NAME, *EVER)) == (7, [bar()])


@pytest.mark.parametrize("user", [f"{USER}:wrong-secret@", ""])
def test_a_wrong_password_and_none_are_refused(open_at, mongod_with_passwords, user):
    host = mongod_with_passwords.url.removeprefix("mongodb://")
    store = open_at(f"mongodb://{user}{host}/wadm?authSource=admin")
    with pytest.raises(StorageError, match=r"refuses this user .*: check user, password") as refused:
        store.initialise()
    assert "wrong-secret" not in str(refused.value)


# -- failures of one client


def test_what_came_before_a_lost_cursor_is_not_stored_twice(store, database):
    store.initialise()
    entries = [*numbered(1, 2), *one_of_each()[1:]]
    # Bars, profiles, order flow, gaps and levels are five updates; the sixth is the cursor's.
    five = {"mode": {"skip": 5}, "closeConnection": True}
    with failing(database.client, "update", **five), pytest.raises(StorageError, match="cannot be reached"):
        store.apply(entries, 9)
    for cursor in (0, 9):
        assert store.cursor() == cursor
        assert ids_of(store) == ids_in(numbered(1, 2))
        assert store.bars(*NAME, *EVER) == [bar()]
        assert len(store.books(*NAME, *EVER)) == len(store.gaps(*NAME, *EVER)) == 1
        assert len(store.levels(*NAME)) == 2
        store.apply(entries, 9)


def test_a_database_that_was_emptied_is_noticed_before_anything_is_written(store, database):
    store.apply(numbered(1, 2), 2)
    database.client.drop_database(database.name)
    with pytest.raises(StorageError, match="was emptied"):
        store.apply(numbered(3), 3)
    assert database.list_collection_names() == []
    store.initialise()
    assert store.cursor() == 0
    store.apply(numbered(1, 2, 3), 3)
    assert ids_of(store) == ids_in(numbered(1, 2, 3))


FAILURES = {
    "disk full": ({"errorCode": 14031}, DiskFull, "no room left .* resumes by itself"),
    "not allowed": ({"errorCode": 13}, StorageError, "refuses this user"),
    "too slow": ({"errorCode": 50}, StorageError, "took too long"),
    "anything else": ({"errorCode": 8}, StorageError, "check the MongoDB server and its log"),
    "connection lost": ({"closeConnection": True}, StorageError, "cannot be reached"),
    "not confirmed": (
        {"writeConcernError": {"code": 64, "errmsg": "waiting for replication timed out"}},
        StorageError,
        r"did not confirm .*waiting for replication timed out",
    ),
}


@pytest.mark.parametrize("failure", FAILURES.values(), ids=FAILURES)
def test_what_the_server_says_becomes_a_sentence(store, database, failure):
    how, kind, sentence = failure
    store.apply(numbered(1), 1)
    with failing(database.client, "insert", **how), pytest.raises(StorageError, match=sentence) as refused:
        store.apply(numbered(1, 2), 2)
    assert type(refused.value) is kind
    assert store.cursor() == 1
    store.apply(numbered(1, 2), 2)
    assert ids_of(store) == ids_in(numbered(1, 2))


def test_without_a_primary_writes_wait_and_then_resume(open_at, replica_set):
    url = f"{replica_set.url}/stepping-down?replicaSet=rs0&{BRIEF}"
    store = open_at(url)
    store.apply(numbered(1), 1)
    with replica_set.client() as client:
        client.admin.command("replSetStepDown", 60, force=True)
        with pytest.raises(StorageError, match="has no primary at the moment"):
            store.apply(numbered(2), 2)
        client.admin.command("replSetFreeze", 0)  # it may be elected again
        soon(lambda: client.admin.command("hello")["isWritablePrimary"])
    store.apply(numbered(2), 2)
    assert (store.cursor(), ids_of(store)) == (2, ids_in(numbered(1, 2)))


def test_a_write_is_confirmed_by_a_majority_and_its_journals(open_at, mongodb_url):
    store = open_at(mongodb_url)
    assert store.connection.database.write_concern.document == {"w": "majority", "j": True}
    other = open_at(f"{mongodb_url}?w=1")
    assert other.connection.database.write_concern.document == {"w": 1}


def test_an_entry_that_cannot_be_stored_stores_nothing_of_its_batch(store):
    far = Trades(EXCHANGE, SYMBOL, IdKind.TRADE, 0, 0, [1], [START], [1], [1], [1])
    book = BookRecord(EXCHANGE, SYMBOL, START, 1 << 70, 1, 3, [], [])
    with pytest.raises(StorageError, match="64 bits"):
        store.apply([TradeBatch(far, 1, 1, START, 0.0, START), book], 2)
    assert (store.cursor(), ids_of(store)) == (0, [])


# -- lifetimes


def test_the_server_forgets_what_has_expired_and_no_bar(open_at, mongodb_url):
    """It does so by itself, once a second in tests (once a minute elsewhere)."""
    long_ago = time.time_ns() // 1_000 - 2 * HOUR
    old = open_at(mongodb_url, clock=lambda: long_ago)
    old.apply([*numbered(1), *one_of_each()[1:]], 8)
    new = open_at(mongodb_url, follows="journal-2")
    new.apply(numbered(2), 1)
    soon(lambda: ids_of(new) == ids_in(numbered(2)) and not new.books(*NAME, *EVER))
    assert new.bars(*NAME, *EVER) == [bar()]
    assert len(new.order_flows(*NAME, "1m", *EVER)) == 1
    assert new.expire(time.time_ns() // 1_000) == 0


def test_a_level_remembers_when_it_was_first_one(store, database):
    ends = [START + index * HOUR for index in (2, 1, 3)]
    for place, end in enumerate(ends):
        store.apply([levels_record(end)], place + 1)
    assert store.levels(*NAME) == sorted(levels_record(ends[2]).levels, key=lambda mark: mark.price)
    assert database.liquidity_levels.count_documents({}) == 2
    for found in database.liquidity_levels.find():
        assert int(found["created_at"].timestamp()) * SECOND == ends[0]
        assert int(found["as_of"].timestamp()) * SECOND == ends[2]


# -- trades as a time series


@pytest.fixture
def series(open_at, mongodb_url):
    lifetimes = Lifetimes(raw=HOUR, bars=HOUR, indicators=HOUR)
    return open_at(mongodb_url, time_series=True, lifetimes=lifetimes, clock=lambda: START + 100 * HOUR)


def test_a_time_series_keeps_every_trade_once(series, database):
    series.apply(numbered(1, 2), 2)
    series.apply(numbered(2, 3, 3), 5)
    assert ids_of(series) == ids_in(numbered(1, 2, 3))
    (one,) = database.list_collections(filter={"name": "trades"})
    assert one["type"] == "timeseries"


def test_in_a_time_series_late_trades_and_those_of_other_symbols_are_told_apart(series):
    other = TradeBatch(trades_at(START + SECOND, symbol="ETHUSDT", ids=[1_000_000]), 1, 1, 0, 0.0, 0)
    series.apply([*numbered(3), other], 2)
    series.apply([*numbered(1, 3), other], 3)
    assert ids_of(series) == ids_in(numbered(1, 3))
    assert [list(run.ids) for run in series.trades(EXCHANGE, "ETHUSDT", *EVER)] == [[1_000_000]]


def test_a_time_series_that_lost_its_cursor_doubles_nothing(series, database):
    series.initialise()
    with failing(database.client, "update", closeConnection=True), pytest.raises(StorageError):
        series.apply(numbered(1, 2), 2)
    series.apply(numbered(1, 2), 2)
    assert ids_of(series) == ids_in(numbered(1, 2))


def test_a_time_series_forgets_by_when_a_trade_was_stored(series):
    series.apply(numbered(1), 1)
    stored = START + 100 * HOUR
    assert series.expire(stored + HOUR - SECOND) == 0
    assert ids_of(series) == ids_in(numbered(1))
    series.expire(stored + HOUR + 10 * MINUTE)
    assert ids_of(series) == []
