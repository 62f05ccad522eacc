"""Collections, indexes and validators are made as they are named, again and again, and never over others'."""

from functools import partial

import pytest
from bson.decimal128 import Decimal128
from bson.int64 import Int64
from pymongo.errors import DuplicateKeyError, WriteError
from storage_samples import START, one_of_each

from actors.storage.errors import StorageError
from actors.storage.journal import wall_clock
from actors.storage.mongo import making, migrations, schema
from actors.storage.mongo import store as store_module
from actors.storage.mongo.store import MongoStore
from wadm.market import MINUTE

#: Every index that other programs know by name, and its keys.
INDEXES = {
    "trades": {
        "symbol_exchange_timestamp": [("symbol", 1), ("exchange", 1), ("timestamp", -1)],
        "timestamp_desc": [("timestamp", -1)],
        "trade_id_exchange": [("exchange", 1), ("symbol", 1), ("id_kind", 1), ("trade_id", 1)],
    },
    "orderbooks": {
        "symbol_exchange_timestamp": [("symbol", 1), ("exchange", 1), ("timestamp", -1)],
        "symbol_exchange_sequence": [("symbol", 1), ("exchange", 1), ("sequence", -1)],
    },
    "volume_profiles": {
        "symbol_timeframe_time": [("symbol", 1), ("timeframe", 1), ("start_time", -1)],
        "symbol_poc_time": [("symbol", 1), ("poc_price", 1), ("start_time", -1)],
        "volume_profile_uniqueness": [("exchange", 1), ("symbol", 1), ("timeframe", 1), ("start_time", 1)],
    },
    "order_flow": {
        "symbol_timeframe_timestamp": [("symbol", 1), ("timeframe", 1), ("timestamp", -1)],
        "symbol_delta_timestamp": [("symbol", 1), ("delta", 1), ("timestamp", -1)],
        "symbol_cumulative_delta_timestamp": [("symbol", 1), ("cumulative_delta", 1), ("timestamp", -1)],
    },
    "liquidity_levels": {
        "symbol_type_strength": [("symbol", 1), ("liquidity_type", 1), ("strength", -1)],
        "symbol_strength_last_touch": [("symbol", 1), ("strength", -1), ("last_touch", -1)],
    },
}

EXPIRING = ["trades", "orderbooks", "volume_profiles", "order_flow", "liquidity_levels"]


@pytest.fixture
def opener(mongodb_url):
    """Return a function that opens a store of the database; all are closed afterwards."""
    opened = []

    def open_store(follows="journal-1", **arguments):
        opened.append(MongoStore(mongodb_url, follows, **arguments))
        return opened[-1]

    yield open_store
    for one in opened:
        one.close()


@pytest.fixture
def database(mongod, mongodb_url):
    with mongod.client() as client:
        yield client[mongodb_url.rpartition("/")[2]]


def indexes_of(database, name):
    return {one["name"]: one for one in database[name].list_indexes()}


def test_every_collection_has_its_indexes_by_their_names(opener, database):
    opener().initialise()
    assert set(database.list_collection_names()) == {*schema.COLLECTIONS, "wadm_meta"}
    for name, wanted in INDEXES.items():
        found = indexes_of(database, name)
        for index, keys in wanted.items():
            assert list(found[index]["key"].items()) == keys
    for name, index in (("trades", "trade_id_exchange"), ("volume_profiles", "volume_profile_uniqueness")):
        assert {one["name"] for one in indexes_of(database, name).values() if one.get("unique")} == {index}


def test_all_but_bars_and_gaps_expire_at_a_date_of_their_own(opener, database):
    opener().initialise()
    for name in schema.COLLECTIONS:
        expiring = [one for one in indexes_of(database, name).values() if "expireAfterSeconds" in one]
        if name in EXPIRING:
            (one,) = expiring
            assert (dict(one["key"]), one["expireAfterSeconds"]) == ({"expires_at": 1}, 0)
        else:
            assert (name in ("bars", "gaps"), expiring) == (True, [])


def test_making_them_again_changes_nothing(opener, database):
    opener().initialise()
    before = {name: indexes_of(database, name) for name in schema.COLLECTIONS}
    opener().initialise()
    assert {name: indexes_of(database, name) for name in schema.COLLECTIONS} == before


def test_what_was_dropped_is_made_again(opener, database):
    opener().initialise()
    database.trades.drop_index("timestamp_desc")
    database.gaps.drop()
    database.command("collMod", "bars", validator={})
    opener().initialise()
    assert "timestamp_desc" in indexes_of(database, "trades")
    assert "gap_uniqueness" in indexes_of(database, "gaps")
    (bars,) = database.list_collections(filter={"name": "bars"})
    assert bars["options"]["validator"] == schema.COLLECTIONS["bars"].options["validator"]


CONFLICTS = {
    "other keys": (
        "order_flow",
        [("symbol", 1)],
        {"name": "symbol_delta_timestamp"},
        "symbol_delta_timestamp",
    ),
    "another order of keys": (
        "trades",
        [("exchange", 1), ("symbol", 1), ("timestamp", -1)],
        {"name": "symbol_exchange_timestamp"},
        "symbol_exchange_timestamp",
    ),
    "another name": ("trades", [("timestamp", -1)], {"name": "newest"}, "newest"),
    "not unique": (
        "volume_profiles",
        [("exchange", 1), ("symbol", 1), ("timeframe", 1), ("start_time", 1)],
        {"name": "volume_profile_uniqueness"},
        "volume_profile_uniqueness",
    ),
    "another lifetime": (
        "trades",
        [("expires_at", 1)],
        {"name": "expires_at_ttl", "expireAfterSeconds": 3_600},
        "expires_at_ttl",
    ),
}


@pytest.mark.parametrize("conflict", CONFLICTS.values(), ids=CONFLICTS)
def test_an_index_in_the_way_is_named_before_anything_is_made(opener, database, conflict):
    collection, keys, options, named = conflict
    database[collection].create_index(keys, **options)
    with pytest.raises(StorageError) as refused:
        opener().initialise()
    sentence = str(refused.value)
    assert collection in sentence
    assert named in sentence
    assert "drop that index" in sentence
    assert database.list_collection_names() == [collection]
    assert len(indexes_of(database, collection)) == 2


def test_an_index_of_others_that_is_in_nobodys_way_stays(opener, database):
    database.trades.create_index([("price", 1)], name="theirs")
    opener().initialise()
    assert "theirs" in indexes_of(database, "trades")


def test_collections_of_others_are_left_alone(opener, database):
    database.recipes.insert_one({"name": "soup"})
    opener().initialise()
    assert database.recipes.count_documents({}) == 1


@pytest.mark.parametrize("name", ["trades", "wadm_meta"])
def test_a_collection_of_our_name_with_others_documents_is_refused(opener, database, name):
    database[name].insert_one({"price": 50_000.0})
    for call in (opener().initialise, opener().schema, partial(opener().apply, [], 1)):
        with pytest.raises(StorageError, match=f"a collection {name} that another program made"):
            call()
    assert database.list_collection_names() == [name]


def test_an_empty_database_has_no_schema_yet(opener, database):
    store = opener()
    assert store.schema() == (None, schema.SCHEMA)
    assert database.list_collection_names() == []
    store.migrate()
    assert store.schema() == (schema.SCHEMA, schema.SCHEMA)


def test_a_newer_schema_is_refused_and_left_as_it_is(opener, database):
    opener().apply(one_of_each(), 7)
    database.wadm_meta.update_one({"_id": "schema"}, {"$set": {"version": 99}})
    assert opener().schema() == (99, schema.SCHEMA)
    for call in (opener().initialise, opener().migrate, opener(read_only=True).symbols):
        with pytest.raises(StorageError, match="newer version \\(schema 99"):
            call()
    assert database.trades.count_documents({}) == 4


def test_an_older_schema_is_brought_to_this_one_step_by_step(opener, database, monkeypatch):
    opener().apply(one_of_each(), 7)
    steps = {
        1: lambda of: of.gaps.update_many({}, {"$set": {"reason": "one"}}),
        2: lambda of: of.gaps.update_many({"reason": "one"}, {"$set": {"reason": "two"}}),
    }
    for module in (schema, making, migrations, store_module.schema):
        monkeypatch.setattr(module, "SCHEMA", 3)
    monkeypatch.setattr(migrations, "STEPS", steps)
    with pytest.raises(StorageError, match="wadm storage migrate"):
        opener(read_only=True).symbols()
    opener().migrate()
    assert opener().schema() == (3, 3)
    assert database.gaps.find_one()["reason"] == "two"


def test_an_older_schema_without_a_way_is_refused(opener, database):
    opener().apply(one_of_each(), 7)
    database.wadm_meta.update_one({"_id": "schema"}, {"$set": {"version": 0}})
    with pytest.raises(StorageError, match="schema 0, which this version"):
        opener().initialise()


def test_an_old_server_is_refused(opener, database, monkeypatch):
    monkeypatch.setattr(making, "OLDEST_SERVER", (99, 0))
    with pytest.raises(StorageError, match=r"is MongoDB \d.*: upgrade it to 99.0 or newer"):
        opener().initialise()
    assert database.list_collection_names() == []


# -- what the server refuses


WRONG = {
    "a price that is a double": ("trades", "price", 61_000.1),
    "a price that is a whole number": ("trades", "price", 61_000),
    "an unknown side": ("trades", "side", "both"),
    "a time that is a number": ("trades", "timestamp", START),
    "a book with doubles": ("orderbooks", "bids", [{"price": 1.5, "quantity": Decimal128("1")}]),
    "a profile with doubles": ("volume_profiles", "poc_price", 61_000.0),
    "rows with doubles": ("volume_profiles", "price_levels", {"61000.5": 1.5}),
    "nodes with doubles": ("volume_profiles", "nodes", [{"price_level": 1.5}]),
    "a delta that is a double": ("order_flow", "delta", 0.5),
    "a count that is a double": ("order_flow", "large_trades_count", 1.0),
    "a strength that is a double": ("liquidity_levels", "strength", 85.5),
    "an unknown state": ("gaps", "state", "lost"),
    "a bar with doubles": ("bars", "volume", 1.5),
}


def test_a_validator_refuses_wrong_types(opener, database):
    opener().apply(one_of_each(), 7)
    taken = []
    for name, (collection, field, value) in WRONG.items():
        document = database[collection].find_one()
        try:
            database[collection].update_one({"_id": document["_id"]}, {"$set": {field: value}})
            taken.append(name)
        except WriteError as error:
            if "failed validation" not in str(error):
                raise
    assert taken == []


def test_a_validator_refuses_a_document_that_lacks_something(opener, database):
    opener().apply(one_of_each(), 7)
    for name, collection in schema.COLLECTIONS.items():
        document = database[name].find_one()
        for field in set(collection.fields) - collection.optional:
            with pytest.raises(WriteError, match="failed validation"):
                database[name].update_one({"_id": document["_id"]}, {"$unset": {field: ""}})


def test_a_trade_id_is_unique_of_its_kind_and_symbol_only(opener, database):
    opener().apply(one_of_each(), 7)
    trade = database.trades.find_one()
    del trade["_id"]
    for other in (
        {"symbol": "ETHUSDT"},
        {"id_kind": "trade"},
        {"exchange": "binance"},
        {"trade_id": Int64(9)},
    ):
        database.trades.insert_one({**trade, **other})
    with pytest.raises(DuplicateKeyError):
        database.trades.insert_one({**trade, "timestamp": trade["expires_at"]})


def test_a_time_series_and_a_collection_are_not_taken_for_each_other(opener):
    opener().initialise()
    with pytest.raises(StorageError, match="WADM_MONGODB_TIME_SERIES"):
        opener(time_series=True).initialise()


def test_lifetimes_count_from_when_something_was_stored(opener, database):
    now = (
        wall_clock() + 60 * MINUTE
    )  # a replay, years later; and later than the server, which forgets by itself
    store = opener(clock=lambda: now)
    store.apply(one_of_each(), 7)
    spans = {
        name: int(database[name].find_one()["expires_at"].timestamp()) - now // 1_000_000 for name in EXPIRING
    }
    month = 30 * 24 * 3_600
    assert spans == dict.fromkeys(EXPIRING, month) | {"trades": 3_600, "orderbooks": 3_600}
