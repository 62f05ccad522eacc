"""The data manager over a recording: its numbers are those that the data directory itself answers."""

import fcntl
import uuid
from contextlib import closing, redirect_stdout
from decimal import Decimal
from io import StringIO
from pathlib import Path

import pytest
from mongo_world import NOW, batch_of, on, opened, planned
from storage_samples import (
    START,
    SYMBOL,
    bar_record,
    book_record,
    gap_record,
    levels_record,
    order_flow_record,
    plain,
    profile_record,
)

from actors.answers.stored import Stored
from actors.cli import main
from actors.messages import ProfileRecord
from actors.storage.errors import StorageError
from actors.storage.mongo.store import MongoStore
from actors.storage.reader import DataReader
from wadm.answers.registry import QUESTIONS
from wadm.instants import iso, parse_instant
from wadm.market import DAY, MINUTE
from wadm.questions import QuestionError, Unavailable

D = Decimal
CAPTURE = Path(__file__).parents[3] / "captures" / "hftbacktest" / "spot_ethusdt_20240808_trades.gz"
EXCHANGE, ETHER, TRADES = "binance", "ETHUSDT", 6_106
#: The recording goes over the end of a day, and of its session.
FIRST, LAST = parse_instant("2024-08-08T23:54:00Z"), parse_instant("2024-08-09T00:01:00Z")


@pytest.fixture(scope="module")
def directory(tmp_path_factory, worker_id):
    """Return a data directory as a replay left it; the workers share it, and only read it."""
    base = tmp_path_factory.getbasetemp()
    path = (base if worker_id == "master" else base.parent) / "replayed-for-the-data-manager"
    with path.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not path.exists():
            replay = ["replay", str(CAPTURE), "--exchange", EXCHANGE, "--data-dir", str(path), "--json"]
            with redirect_stdout(StringIO()):
                assert main(replay) == 0
    return path


@pytest.fixture(scope="module")
def stored(directory):
    """Return who answers from the data directory."""
    with closing(DataReader.open(directory)) as reader:
        yield Stored(reader)


@pytest.fixture(scope="module")
def manager(stored, mongod):
    """Return a manager of a database into which the recording's journal was carried."""
    journal, name = stored.reader.journal, f"wadm_{uuid.uuid4().hex[:12]}"
    with opened(f"{mongod.url}/{name}") as one:
        store = one.store
        found, place = journal.read(0, 1_000_000, store.keeps)
        store.apply([entry for _, entry in found], place)
        yield one
        store.connection.database.client.drop_database(name)


@pytest.fixture
def empty(mongodb_url):
    with opened(mongodb_url) as one:
        yield one


def asked(stored, name, start, end, **given):
    window = {"start": iso(start), "end": iso(end)} if end else {}
    named = {"exchange": EXCHANGE, "symbol": ETHER, **window, **given}
    return stored.ask(QUESTIONS[name], named)


def test_the_overview_is_the_daemons(manager, stored):
    expected = asked(stored, "overview", 0, 0, hours="24")
    assert manager.get_market_overview(ETHER) == expected
    assert manager.get_market_overview(ETHER, 24, EXCHANGE) == expected
    assert (expected["trades"], expected["poc"] is None) == (TRADES, False)


def test_an_overview_of_the_past_ends_where_it_was_asked_to(manager, stored):
    found = manager.get_market_overview(ETHER, 1, now=FIRST + 3 * MINUTE)
    assert found == asked(stored, "overview", FIRST + 3 * MINUTE - 60 * MINUTE, FIRST + 3 * MINUTE)
    assert 0 < found["trades"] < TRADES


def test_a_session_is_the_daemons(manager, stored):
    for start, end in ((FIRST, LAST), (FIRST + MINUTE, FIRST + 4 * MINUTE)):
        found = manager.get_trading_session_analysis(ETHER, start, end)
        assert found == asked(stored, "session", start, end)
    with pytest.raises(QuestionError, match="expected a whole minute"):
        manager.get_trading_session_analysis(ETHER, FIRST + 1, LAST)


def test_zones_near_a_price_are_the_daemons(manager, stored):
    window = {"start": LAST - DAY, "end": LAST, "bar": "5m"}
    expected = asked(stored, "zones", **window, within="1")
    assert manager.find_liquidity_zones(ETHER) == expected
    near = manager.find_liquidity_zones(ETHER, D("2680.5"), 0.25, EXCHANGE)
    assert near == asked(stored, "zones", **window, within="0.25", price="2680.5")
    assert (near["price"], len(expected["zones"]) > 0) == ("2680.5", True)


def test_activity_is_the_daemons(manager, stored):
    expected = stored.activity({"hours": "24"})["symbols"]
    assert manager.get_symbols_activity_summary() == expected
    assert [(one["symbol"], one["trades"]) for one in expected] == [(ETHER, TRADES)]
    assert manager.get_symbols_activity_summary(exchange="bybit") == []


def test_repositories_agree_with_the_daemons_answers(manager, stored):
    span = FIRST, LAST
    sides = asked(stored, "volume-by-side", *span)
    found = manager.trades.get_volume_by_side(ETHER, *span)
    for name in ("volume", "buy_volume", "sell_volume", "buy_share", "trades", "buy_trades", "sell_trades"):
        assert D(str(sides[name])) == found[name], name
    expected = asked(stored, "delta-analysis", *span, bar="1m")
    flow = manager.order_flow.get_delta_analysis(ETHER, 1, timeframe="1m")
    for name in ("volume", "delta", "delta_high", "delta_low", "delta_over_volume"):
        assert D(expected[name]) == flow[name], name
    for name in ("bars_positive", "bars_negative", "delta_path"):
        assert expected[name] == flow[name], name
    assert [(iso(one["start"]), one["delta"]) for one in flow["largest"]] == [
        (one["start"], D(one["delta"])) for one in expected["largest"]
    ]  # fmt: skip
    cvd = asked(stored, "cvd", *span, bar="1m")["bars"]
    trend = manager.order_flow.get_cumulative_delta_trend(ETHER, 1, timeframe="1m")
    assert [one["cumulative_delta"] for one in trend] == [D(one["cvd"]) for one in cvd]


def test_the_latest_profile_is_the_one_recorded(manager, stored):
    entries, _ = stored.reader.journal.read(0, 1_000_000)
    recorded = [one for _, one in entries if isinstance(one, ProfileRecord) and one.timeframe == "1m"]
    newest = max(recorded, key=lambda one: (one.start, one.revision))
    assert plain(manager.volume_profiles.get_latest_profile(ETHER, "1m")) == plain(newest)
    history = manager.volume_profiles.get_poc_history(ETHER, 1, timeframe="1m")
    assert history[-1]["poc_price"] == D(newest.profile.price(newest.profile.poc))


def test_questions_do_not_read_whole_collections(manager):
    with planned(manager) as plans:
        manager.get_market_overview(ETHER, 1)
        manager.get_symbols_activity_summary(1)
        manager.get_trading_session_analysis(ETHER, FIRST, FIRST + MINUTE)
        manager.find_liquidity_zones(ETHER)
    assert len(plans) > 10
    assert [plan for plan in plans if "COLLSCAN" in plan[1]] == []


@pytest.mark.parametrize("hours", [0, 169])
def test_hours_out_of_bounds_are_refused(manager, hours):
    with pytest.raises(
        QuestionError, match=f"hours_back is '{hours}'; expected a whole number from 1 to 168"
    ):
        manager.get_market_overview(ETHER, hours)


def test_a_symbol_that_is_not_there_or_on_two_exchanges(empty):
    with pytest.raises(Unavailable, match="no bar of it is stored"):
        empty.get_market_overview(SYMBOL)
    assert empty.get_symbols_activity_summary() == []
    empty.store.apply([bar_record(), on(bar_record(), "binance")], 2)
    with pytest.raises(QuestionError, match="exchange is missing; expected one of binance, binance_usdm"):
        empty.find_liquidity_zones(SYMBOL)
    assert empty.get_market_overview(SYMBOL, 1, "binance")["trades"] == 6
    assert len(empty.get_symbols_activity_summary(1)) == 2


def one_of_each(shift):
    return [
        batch_of(START + shift, ids=[shift]), book_record(START + shift), bar_record(START + shift),
        profile_record(START + shift), order_flow_record(START + shift), gap_record(at=START + shift),
        levels_record() if shift else levels_record(symbol="ETHUSDT"),
    ]  # fmt: skip


@pytest.mark.parametrize("series", [False, True], ids=["documents", "time series"])
def test_old_data_goes_by_when_it_was_stored_and_bars_never(mongodb_url, series):
    for stored_at, shift in ((NOW - 3 * DAY, 0), (NOW - DAY, MINUTE)):
        store = MongoStore(mongodb_url, "journal", time_series=series, clock=lambda at=stored_at: at)
        with closing(store):
            store.apply(one_of_each(shift), 1)
    with opened(mongodb_url) as manager:
        assert manager.cleanup_old_data(4) == dict.fromkeys(manager.cleanup_old_data(4), 0)
        assert manager.cleanup_old_data(2) == {
            "trades": 1, "orderbooks": 1, "volume_profiles": 1, "order_flow": 1, "liquidity_levels": 2,
            "bars": 0,
        }  # fmt: skip
        left = {name: one["documents"] for name, one in manager.get_database_stats()["collections"].items()}
        assert left == {
            "trades": 1, "orderbooks": 1, "volume_profiles": 1, "order_flow": 1, "liquidity_levels": 2,
            "gaps": 1, "bars": 2,
        }  # fmt: skip
        assert manager.cleanup_old_data(0, now=NOW + 1)["trades"] == 1
        with pytest.raises(QuestionError, match="days_to_keep is '-1'"):
            manager.cleanup_old_data(-1)


def test_statistics(manager, mongod):
    found = manager.get_database_stats()
    assert found["address"].startswith(f"{mongod.url}/wadm_")
    assert (found["schema"], found["server"].count(".")) == (1, 2)
    trades = found["collections"]["trades"]
    assert (trades["oldest"], trades["newest"]) == (
        manager.trades.find_between(ETHER, 0, LAST, limit=1)[0].time_us // 1000 * 1000,
        manager.trades.find_recent(limit=1)[0].time_us // 1000 * 1000,
    )  # fmt: skip
    assert set(trades["indexes"]) > {"symbol_exchange_timestamp", "timestamp_desc", "trade_id_exchange"}
    assert found["collections"]["bars"]["documents"] == 7
    assert found["total_size"] > trades["storage_size"] > 0


def test_optimising_says_what_it_did(manager):
    database = manager.store.connection.database
    database.trades.create_index([("side", 1)], name="of_somebody_else")
    database.trades.drop_index("timestamp_desc")
    manager.trades.find_recent(1, ETHER, limit=1)
    done = manager.optimize_database()
    assert set(done) == {
        "trades", "orderbooks", "volume_profiles", "order_flow", "liquidity_levels", "gaps", "bars"
    }  # fmt: skip
    trades = done["trades"]
    assert (trades["compacted"], trades["note"], trades["freed"] is None) == (True, "", False)
    assert trades["indexes_not_ours"] == ["of_somebody_else"]
    assert trades["index_uses"]["symbol_exchange_timestamp"] > 0
    assert trades["indexes_unused"] == ["timestamp_desc"]  # made anew, and of no use yet


def test_a_server_that_will_not_compact_says_why(replica_set):
    name = f"wadm_{uuid.uuid4().hex[:12]}"
    with opened(f"{replica_set.url}/{name}?directConnection=true") as manager:
        done = manager.optimize_database()["bars"]
        assert (done["compacted"], done["freed"]) == (False, None)
        assert "primary" in done["note"]
        manager.store.connection.database.client.drop_database(name)


def test_a_reader_makes_nothing(mongodb_url):
    with pytest.raises(StorageError, match="is empty"):
        opened(mongodb_url, read_only=True)
    with opened(mongodb_url) as writer:
        writer.store.apply([bar_record()], 1)
    with opened(mongodb_url, read_only=True) as reader:
        assert reader.get_market_overview(SYMBOL)["trades"] == 6
