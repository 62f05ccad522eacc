"""What every repository does, shown with trades: exact numbers, exact times, one sentence for a mistake."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from mongo_world import NOW, opened
from server_process import free_port

from actors.storage.errors import StorageError
from actors.storage.mongo.repositories.trades import Trade
from wadm.market import HOUR, IdKind
from wadm.questions import QuestionError

D = Decimal
#: 2024-08-08T23:55:00.000300Z: dates end before its last digits.
AT = 1_723_161_300_000_300
WHEN = datetime(2024, 8, 8, 23, 55, tzinfo=UTC) + timedelta(microseconds=300)


@pytest.fixture
def manager(mongodb_url):
    with opened(mongodb_url) as one:
        yield one


@pytest.fixture
def trades(manager):
    return manager.trades


def trade(number=1, at=AT, price="61000.10", quantity="0.005", side="buy", **kind):
    return Trade("binance", "BTCUSDT", number, D(price), D(quantity), side, at, **kind)


def test_a_record_comes_back_as_it_was(trades):
    for one in (
        trade(),
        trade(2, price="0.000000000000000001", quantity="123456789012345678"),
        trade(3, price="12345678901234567890.123456789012345678", side="sell", trade_count=7),
        Trade("bybit", "BTCUSDT", "a-name", D(1), D(2), "sell", AT, IdKind.TRADE),
    ):
        trades.create(one)
        found = trades.find_one({"exchange": one.exchange, "trade_id": one.trade_id})
        assert (found, found.is_buyer_maker) == (one, one.side == "sell")
    assert trades.find_one({"trade_id": 99}) is None


def test_what_is_stored_expires_after_its_lifetime_counted_from_its_storing(trades):
    trades.create(trade())
    assert trades.aggregate([{"$project": {"_id": 0, "expires_at": 1}}]) == [{"expires_at": NOW + HOUR}]


def test_a_record_that_is_there_is_refused_one_by_one_and_passed_over_among_many(trades):
    trades.create(trade())
    with pytest.raises(StorageError, match=r"trades has exchange binance, .* trade_id 1 already"):
        trades.create(trade(price="1"))
    assert len(trades.create_many([trade(2), trade(1), trade(3)])) == 2
    assert trades.create_many([]) == []
    assert [one.trade_id for one in trades.find_many({}, sort=[("trade_id", 1)])] == [1, 2, 3]
    assert trades.find_one({"trade_id": 1}).price == D("61000.1")


def test_what_is_no_trade_is_refused_among_many(trades):
    with pytest.raises(QuestionError, match="side is 'long'; expected buy or sell"):
        trades.create_many([trade(), trade(2, side="long")])
    with pytest.raises(StorageError, match="cannot hold an entry"):
        trades.create_many([trade(trade_count=1 << 64), trade(2)])


@pytest.mark.parametrize(
    ("given", "ids"),
    [
        ({"price": D("61000.1")}, [1, 2]),
        ({"price": {"$gt": D("61000.1"), "$lte": D(62000)}}, [3]),
        ({"price": {"$in": [D(62000), D(1)]}}, [3]),
        ({"timestamp": AT}, [1]),
        ({"timestamp": WHEN}, [1]),
        ({"timestamp": {"$gte": AT + 1}}, [2, 3]),
        ({"timestamp": {"$gt": WHEN}}, [2, 3]),
        ({"timestamp": {"$lte": AT}}, [1]),
        ({"timestamp": {"$lt": AT + 100}}, [1]),
        ({"timestamp": {"$gte": AT, "$lt": AT + 101}}, [1, 2]),
        ({"$or": [{"timestamp": AT}, {"price": D(62000)}]}, [1, 3]),
        ({"expires_at": {"$gt": NOW + HOUR - 1}}, [1, 2, 3]),
        ({"expires_at": {"$lt": NOW + HOUR + 1}}, [1, 2, 3]),
        ({"expires_at": {"$gte": NOW + HOUR + 1}}, []),
        ({"expires_at": {"$lte": NOW + HOUR - 1}}, []),
    ],
)
def test_filters_are_exact_to_the_digit_and_to_the_microsecond(trades, given, ids):
    trades.create_many([trade(1), trade(2, at=AT + 100), trade(3, at=AT + 5_000, price="62000")])
    assert [one.trade_id for one in trades.find_many(given, sort=[("trade_id", 1)])] == ids


def test_limit_and_sort(trades):
    trades.create_many([trade(number, at=AT + number) for number in range(150)])
    assert len(trades.find_many({})) == 100
    newest = trades.find_many({}, limit=2, sort=[("time_us", -1)])
    assert [one.trade_id for one in newest] == [149, 148]


@pytest.mark.parametrize("limit", [0, -1, 10_001])
def test_a_limit_out_of_bounds_is_refused(trades, limit):
    with pytest.raises(QuestionError, match=f"limit is '{limit}'; expected a whole number from 1 to 10000"):
        trades.find_many({}, limit=limit)


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"price": 61000.1}, "price is '61000.1'; expected a Decimal: a binary float is not exact"),
        ({"price": {"$in": [D(1), 0.5]}}, "price is '0.5'; expected a Decimal"),
        ({"price": D("NaN")}, "price is 'NaN'; expected a finite number of at most 18 decimals"),
        ({"timestamp": datetime(2024, 8, 8)}, "timestamp is .* expected a datetime with a zone"),
        ({"timestamp": {"$gte": "yesterday"}}, "timestamp is 'yesterday'; expected a datetime with a zone"),
    ],
)
def test_what_is_not_exact_is_refused(trades, given, sentence):
    with pytest.raises(QuestionError, match=sentence):
        trades.find_many(given)


def test_an_update_changes_one_and_keeps_both_forms_of_a_time(trades):
    trades.create_many([trade(1), trade(2)])
    assert trades.update_one({"trade_id": 2}, {"$set": {"price": D("1.5"), "timestamp": AT + 2_001}})
    assert trades.find_one({"timestamp": AT + 2_001}) == trade(2, at=AT + 2_001, price="1.5")
    assert trades.find_one({"trade_id": 1}) == trade(1)
    assert not trades.update_one({"trade_id": 9}, {"$set": {"price": D(1)}})
    with pytest.raises(QuestionError, match="expected operators, such as"):
        trades.update_one({"trade_id": 1}, {"price": D(1)})


def test_delete_counts_and_never_empties_a_collection_by_mistake(trades):
    trades.create_many([trade(number) for number in range(5)])
    assert trades.delete_many({"trade_id": {"$gte": 3}}) == 2
    with pytest.raises(QuestionError, match="an empty filter would delete everything"):
        trades.delete_many({})
    assert len(trades.find_many({})) == 3


def test_an_aggregation_is_exact_and_bounded_and_only_reads(trades):
    trades.create_many([
        trade(1, quantity="12345678901234567890.12345678"), trade(2, quantity="0.1"),
        trade(3, quantity="0.2"), trade(4, at=AT + HOUR, quantity="9"),
    ])  # fmt: skip
    total = {"$group": {"_id": "$symbol", "sum": {"$sum": "$quantity"}, "first": {"$min": "$timestamp"}}}
    found = trades.aggregate([{"$match": {"timestamp": {"$lt": WHEN + timedelta(hours=1)}}}, total])
    assert found == [{"_id": "BTCUSDT", "sum": D("12345678901234567890.42345678"), "first": AT - 300}]
    assert len(trades.aggregate([{"$project": {"price": 1}}], limit=2)) == 2
    for stage in ({"$out": "elsewhere"}, {"$merge": {"into": "elsewhere"}}):
        with pytest.raises(QuestionError, match="expected stages that only read"):
            trades.aggregate([stage])


def test_a_server_that_is_not_there_is_a_sentence():
    url = f"mongodb://someone:secret@127.0.0.1:{free_port()}/x?timeoutMS=100"
    with pytest.raises(StorageError, match="cannot be reached") as caught, opened(url):
        pass
    assert "secret" not in str(caught.value)
