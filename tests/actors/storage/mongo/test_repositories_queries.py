"""The special queries of each repository, beside what the records say; none reads a whole collection."""

from contextlib import closing
from decimal import Decimal

import attrs
import pytest
from mongo_world import NOW, batch_of, on, opened, planned
from storage_samples import (
    EXCHANGE,
    START,
    SYMBOL,
    book_record,
    levels_record,
    order_flow_record,
    plain,
    profile_record,
)

from actors.messages import OrderFlowRecord, ProfileRecord
from actors.storage.mongo.repositories.levels import LiquidityLevel
from actors.storage.mongo.store import MongoStore
from actors.storage.mongo.values import date
from wadm.analytics.levels import LiquidityType
from wadm.analytics.order_flow import order_flow
from wadm.analytics.profile import profile
from wadm.bar import Bar
from wadm.market import DAY, HOUR, MINUTE, SECOND, IdKind, Trades
from wadm.questions import QuestionError

D = Decimal
OTHER = "binance"


@pytest.fixture
def manager(mongodb_url):
    with opened(mongodb_url) as one:
        yield one


@pytest.fixture
def traded(manager):
    """A minute of trades, one a second, on two exchanges, and of another symbol."""
    times = [START + second * SECOND for second in range(60)]
    manager.store.apply([
        batch_of(*times),
        batch_of(*(at + 500_001 for at in times), exchange=OTHER, price=70_000_0),
        batch_of(*times, symbol="ETHUSDT", price=1_0),
    ], 3)  # fmt: skip
    return manager.trades


def test_recent_trades_of_one_exchange_of_all_and_of_every_symbol(traded):
    assert [one.time_us for one in traded.find_recent(1, SYMBOL, EXCHANGE, limit=2)] == [
        START + 59 * SECOND, START + 58 * SECOND
    ]  # fmt: skip
    both = traded.find_recent(1, SYMBOL, limit=3)
    assert [(one.exchange, one.time_us - START) for one in both] == [
        (OTHER, 59_500_001), (EXCHANGE, 59_000_000), (OTHER, 58_500_001)
    ]  # fmt: skip
    assert {one.symbol for one in traded.find_recent(minutes=5)} == {SYMBOL, "ETHUSDT"}
    earlier = traded.find_recent(1, SYMBOL, OTHER, now=START + 10 * SECOND)
    assert [one.time_us - START for one in earlier] == [at * SECOND + 500_001 for at in range(9, -1, -1)]
    assert traded.find_recent(5, "NONE") == traded.find_recent(5, now=START - DAY) == []


def test_trades_of_a_span_to_the_microsecond(traded):
    def seconds(start, end, **kind):
        found = traded.find_between(SYMBOL, START + start, START + end, OTHER, **kind)
        return [(one.time_us - START) // SECOND for one in found]

    assert seconds(500_001, 2_500_001) == [0, 1]
    assert seconds(500_002, 2_500_002) == [1, 2]
    assert seconds(0, MINUTE, limit=3) == [0, 1, 2]
    with pytest.raises(QuestionError, match="timeframe is '1m'; expected none: trades has no timeframes"):
        traded.find_between(SYMBOL, 0, 1, timeframe="1m")


def test_trades_at_prices_both_ends_included(traded):
    found = traded.find_by_price_range(SYMBOL, D("61000.2"), D("61000.4"))
    assert [one.price for one in found] == [D("61000.4"), D("61000.3"), D("61000.2")]
    low = START + 3 * SECOND
    assert [one.price for one in traded.find_by_price_range(SYMBOL, D(0), D(61001), end=low, limit=2)] == [
        D("61000.2"), D("61000.1")
    ]  # fmt: skip
    assert traded.find_by_price_range(SYMBOL, D(70000), D(70001), EXCHANGE) == []
    with pytest.raises(QuestionError, match=r"min_price is '61000.2'; expected a Decimal"):
        traded.find_by_price_range(SYMBOL, 61000.2, D(1))


def test_large_trades(traded):
    large = traded.find_large_trades(SYMBOL, D("0.01"), EXCHANGE, start=START + 50 * SECOND)
    assert [(one.quantity, one.side) for one in large] == [(D("0.01"), "sell")] * 5
    assert traded.find_large_trades(SYMBOL, D("0.0101")) == []


def test_volume_by_side_is_what_the_trades_add_up_to(traded):
    span = START + 500_001, START + 30 * SECOND + 500_001
    found = traded.get_volume_by_side(SYMBOL, *span)
    trades = [one for name in (EXCHANGE, OTHER) for one in traded.find_between(SYMBOL, *span, name)]
    assert len(trades) == 60
    for side in ("buy", "sell"):
        assert found[f"{side}_volume"] == sum(one.quantity for one in trades if one.side == side)
        assert found[f"{side}_trades"] == sum(one.trade_count for one in trades if one.side == side)
    assert found["volume"] == found["buy_volume"] + found["sell_volume"] == D("0.45")
    assert (found["delta"], found["buy_share"]) == (D("-0.15"), D("0.33333333"))
    nothing = traded.get_volume_by_side(SYMBOL, 0, 1)
    assert (nothing["volume"], nothing["buy_share"], nothing["buy_trades_share"]) == (0, None, None)


def test_sums_beyond_what_a_float_holds_are_exact(manager):
    huge = Trades(EXCHANGE, SYMBOL, IdKind.TRADE, 0, 8, [1, 2, 3], [START] * 3, [1] * 3,
                  [10**27 + 1, 1, -(10**27)], [1] * 3)  # fmt: skip
    manager.store.apply([attrs.evolve(batch_of(START), trades=huge)], 1)
    found = manager.trades.get_volume_by_side(SYMBOL, START, START + 1)
    assert (found["buy_volume"], found["delta"]) == (D("10000000000000000000.00000002"), D("0.00000002"))


def windows(count, length=5 * MINUTE, timeframe="5m", exchange=EXCHANGE):
    """Return profiles and order flows of windows, bought in and sold in by turns of three."""
    session, made = Bar(START, START), []
    for index in range(count):
        start, sign = START + index * length, 1 if index % 6 < 3 else -1
        bar = Bar(start, start + length)
        bar.fold(Trades(exchange, SYMBOL, IdKind.TRADE, 1, 3, [index], [start], [61_000_0 + index * 10],
                        [sign * (index + 1)], [1]))  # fmt: skip
        session.absorb(bar)
        names = exchange, SYMBOL, timeframe, start, start + length, 0, False
        made.append(ProfileRecord(*names, profile(bar, D("0.5"))))
        made.append(OrderFlowRecord(*names, order_flow(bar, session)))
    return made


@pytest.fixture
def measured(manager):
    """A day of windows of five minutes, some of a minute, and three days of daily ones."""
    manager.store.apply([
        *windows(288), *windows(3, MINUTE, "1m"), *windows(3, DAY, "1d"),
        profile_record(START - MINUTE, empty=True), order_flow_record(START - MINUTE, empty=True),
    ], 1)  # fmt: skip
    return manager


def test_the_latest_profile(measured):
    profiles = measured.volume_profiles
    newest = windows(288)[-2]
    assert plain(profiles.get_latest_profile(SYMBOL, "5m")) == plain(newest)
    assert plain(profiles.get_latest_profile(SYMBOL, "5m", EXCHANGE)) == plain(newest)
    assert (
        profiles.get_latest_profile(SYMBOL, "4h") is profiles.get_latest_profile(SYMBOL, "5m", OTHER) is None
    )
    with pytest.raises(
        QuestionError, match=r"timeframe is '5min'; expected one of 1m, 5m, 15m, 1h, 4h, 1d .did you mean 5m"
    ):
        profiles.get_latest_profile(SYMBOL, "5min")


def test_a_profile_too_large_to_be_kept_whole_is_left_out(measured):
    profiles = measured.volume_profiles
    newest = measured.store.connection.database.volume_profiles
    newest.update_one(
        {"timeframe": "1d", "start_time": {"$gt": date(START + DAY)}}, {"$unset": {"packed": ""}}
    )
    assert profiles.get_latest_profile(SYMBOL, "1d").start == START + DAY
    assert [one["start_time"] for one in profiles.get_poc_history(SYMBOL, 9)][-1] == START + 2 * DAY


def test_the_history_of_the_poc(measured):
    history = measured.volume_profiles.get_poc_history(SYMBOL, 2)
    assert [(one["start_time"], one["poc_price"]) for one in history] == [
        (START + DAY, D(61001)), (START + 2 * DAY, D(61002))
    ]  # fmt: skip
    fine = measured.volume_profiles.get_poc_history(SYMBOL, 1, EXCHANGE, timeframe="5m", limit=2)
    assert [one["poc_price"] for one in fine] == [D(61286), D(61287)]
    assert fine[0].keys() >= {"vah_price", "val_price", "total_volume", "partial", "end_time"}
    # The window before START has no trade, and no POC.
    assert len(measured.volume_profiles.get_poc_history(SYMBOL, 1, timeframe="1m")) == 3


def test_windows_of_a_span_of_one_timeframe_or_of_all(measured):
    flows = measured.order_flow
    found = flows.find_between(SYMBOL, START, START + 10 * MINUTE, timeframe="5m")
    assert [plain(one) for one in found] == [plain(one) for one in windows(2)[1::2]]
    every = flows.find_between(SYMBOL, START, START + 5 * MINUTE)
    assert sorted((one.timeframe, one.start) for one in every) == [
        ("1d", START), ("1m", START), ("1m", START + MINUTE), ("1m", START + 2 * MINUTE), ("5m", START)
    ]  # fmt: skip
    assert [one.start for one in flows.find_recent(5, SYMBOL, timeframe="5m")] == [START + 287 * 5 * MINUTE]
    with pytest.raises(QuestionError, match="symbol is missing; expected a symbol: order_flow cannot be"):
        flows.find_recent(5)


def test_delta_of_the_last_hours(measured):
    found = measured.order_flow.get_delta_analysis(SYMBOL, 1)
    signs = [(1 if index % 6 < 3 else -1) * (index + 1) for index in range(276, 288)]
    assert (found["start"], found["end"]) == (START + DAY - HOUR, START + DAY)
    assert (found["delta"], found["bars"]) == (D(sum(signs)) / 1000, 12)
    assert found["volume"] == D(sum(map(abs, signs))) / 1000
    assert (found["bars_positive"], found["bars_negative"]) == (6, 6)
    assert found["longest_negative"] == {
        "start": START + 285 * 5 * MINUTE, "end": START + DAY, "bars": 3, "delta": D("-0.861")
    }  # fmt: skip
    assert found["largest"][0] == {"start": START + 287 * 5 * MINUTE, "delta": D("-0.288")}
    running = [sum(signs[: count + 1]) for count in range(12)]
    assert (found["delta_high"], found["delta_low"]) == (D(max(running)) / 1000, D(min(0, *running)) / 1000)
    assert found["delta_path"] == "exact"


def test_delta_where_there_is_none(measured):
    for empty in (
        measured.order_flow.get_delta_analysis("NONE"),
        measured.order_flow.get_delta_analysis(SYMBOL, 1, timeframe="4h"),
        measured.order_flow.get_delta_analysis(SYMBOL, 1, now=START - DAY),
    ):
        assert (empty["bars"], empty["delta"], empty["delta_over_volume"], empty["largest"]) == (
            0,
            0,
            None,
            [],
        )
    assert measured.order_flow.get_cumulative_delta_trend("NONE") == []


def test_a_symbol_on_two_exchanges_must_be_named_where_numbers_would_be_mixed(measured):
    measured.store.apply(windows(1, exchange=OTHER), 2)
    with pytest.raises(QuestionError, match="exchange is missing; expected one of binance, binance_usdm"):
        measured.order_flow.get_delta_analysis(SYMBOL)
    assert measured.order_flow.get_delta_analysis(SYMBOL, exchange=OTHER)["bars"] == 1


def test_the_trend_of_cvd(measured):
    trend = measured.order_flow.get_cumulative_delta_trend(SYMBOL, 24)
    deltas = [(1 if index % 6 < 3 else -1) * (index + 1) for index in range(288)]
    assert [one["delta"] for one in trend] == [D(delta) / 1000 for delta in deltas]
    assert [one["cumulative_delta"] for one in trend] == [
        D(sum(deltas[: at + 1])) / 1000 for at in range(288)
    ]
    assert trend[1] == {
        "exchange": EXCHANGE, "start_time": START + 5 * MINUTE, "end_time": START + 10 * MINUTE,
        "session_start": START, "delta": D("0.002"), "cumulative_delta": D("0.003"),
    }  # fmt: skip


def test_the_newest_book_and_those_of_a_span(manager):
    books = [book_record(START + second * SECOND, second) for second in range(5)]
    manager.store.apply([*books, on(books[0], OTHER)], 1)
    assert plain(manager.order_books.get_latest_book(SYMBOL)) == plain(books[-1])
    assert plain(manager.order_books.get_latest_book(SYMBOL, OTHER)) == plain(on(books[0], OTHER))
    assert manager.order_books.get_latest_book("NONE") is None
    found = manager.order_books.find_between(SYMBOL, START + 1, START + 3 * SECOND)
    assert [one.sequence for one in found] == [1, 2]
    manager.order_books.create(book_record(START + 9 * SECOND, 9))
    assert [one.sequence for one in manager.order_books.find_recent(1, SYMBOL, limit=2)] == [9, 4]


def test_levels_as_they_stand_and_the_strongest_ever(manager):
    older, newer = levels_record(), levels_record(START + 10 * MINUTE)
    newer = attrs.evolve(newer, levels=newer.levels[1:])
    manager.store.apply([older, newer, on(older, OTHER)], 1)
    levels = manager.liquidity_levels
    assert [(one.mark.kind, one.as_of) for one in levels.get_latest_levels(SYMBOL, EXCHANGE)] == [
        (LiquidityType.POC, newer.end)
    ]  # fmt: skip
    (poc,) = levels.get_latest_levels(SYMBOL, EXCHANGE)
    assert (poc.mark, poc.created_at) == (newer.levels[0], older.end)
    assert [one.exchange for one in levels.get_latest_levels(SYMBOL)] == [OTHER, OTHER, EXCHANGE]
    strongest = levels.find_strongest(SYMBOL, EXCHANGE)
    assert [one.mark.strength for one in strongest] == [D(100), D("31.5")]
    assert levels.find_strongest(SYMBOL, EXCHANGE, min_strength=D("31.6")) == [poc]
    assert [one.mark for one in levels.find_strongest(SYMBOL, kind=LiquidityType.SUPPORT, limit=1)] == [
        older.levels[0]
    ]  # fmt: skip
    assert levels.find_by_price_range(SYMBOL, D(61000), D("61000.5"), EXCHANGE) == [poc]


def test_a_level_of_a_program_comes_back_as_it_was(manager):
    level = LiquidityLevel(EXCHANGE, SYMBOL, levels_record().levels[1], START, START + HOUR, 3)
    manager.liquidity_levels.create(level)
    assert manager.liquidity_levels.find_one({"price": D("61000.5")}) == level


def test_no_query_reads_a_whole_collection(measured):
    times = [START + second * SECOND for second in range(200)]
    many = [batch_of(*times, symbol=name) for name in ("ETHUSDT", "SOLUSDT", "XRPUSDT")]
    books = [book_record(at, at, symbol=name) for at in times for name in ("ETHUSDT", SYMBOL)]
    measured.store.apply(
        [*many, batch_of(*times), *books, levels_record(), levels_record(symbol="ETHUSDT")], 2
    )
    trades, books, levels = measured.trades, measured.order_books, measured.liquidity_levels
    profiles, flows = measured.volume_profiles, measured.order_flow
    with planned(measured) as plans:
        trades.find_recent(1)
        for exchange in (None, EXCHANGE):
            trades.find_recent(1, SYMBOL, exchange, limit=10)
            trades.find_between(SYMBOL, START, START + 9 * SECOND, exchange)
            trades.find_by_price_range(SYMBOL, D(61000), D(61001), exchange)
            trades.find_large_trades(SYMBOL, D("0.01"), exchange, limit=10)
            trades.get_volume_by_side(SYMBOL, START, START + 9 * SECOND, exchange)
            books.get_latest_book(SYMBOL, exchange)
            books.find_recent(1, SYMBOL, exchange, limit=10)
            profiles.get_latest_profile(SYMBOL, "5m", exchange)
            profiles.get_poc_history(SYMBOL, 1, exchange)
            profiles.find_recent(5, SYMBOL, exchange)
            flows.get_delta_analysis(SYMBOL, 1, exchange)
            flows.get_cumulative_delta_trend(SYMBOL, 1, exchange)
            flows.find_recent(5, SYMBOL, exchange, timeframe="5m")
            levels.get_latest_levels(SYMBOL, exchange)
            levels.find_strongest(SYMBOL, exchange)
            levels.find_strongest(SYMBOL, exchange, kind=LiquidityType.POC)
            levels.find_by_price_range(SYMBOL, D(1), D(2), exchange)
    assert len(plans) >= 50
    assert {name for name, _, _ in plans} == {
        "trades", "orderbooks", "volume_profiles", "order_flow", "liquidity_levels"
    }  # fmt: skip
    assert [plan for plan in plans if "COLLSCAN" in plan[1]] == []
    # What is asked of one symbol does not look at the others: 800 trades, 400 books, 290 windows a timeframe.
    assert max(looked for name, _, looked in plans if name == "trades") <= 200
    assert max(looked for name, _, looked in plans if name == "orderbooks") <= 10
    assert max(looked for name, _, looked in plans if name in ("volume_profiles", "order_flow")) <= 13


def test_a_time_series_of_trades_answers_the_same(mongodb_url):
    times = [START + second * SECOND + 1 for second in range(60)]
    with closing(MongoStore(mongodb_url, "journal", time_series=True, clock=lambda: NOW)) as store:
        store.apply([batch_of(*times), batch_of(*times, exchange=OTHER)], 1)
    with opened(mongodb_url) as manager:
        trades = manager.trades
        assert [one.time_us - START for one in trades.find_recent(1, SYMBOL, EXCHANGE, limit=2)] == [
            59_000_001, 58_000_001
        ]  # fmt: skip
        assert len(trades.find_between(SYMBOL, START + 1, START + 10 * SECOND + 1)) == 20
        assert len(trades.find_large_trades(SYMBOL, D("0.01"), OTHER)) == 30
        assert [one.price for one in trades.find_by_price_range(SYMBOL, D(61000), D(61000), EXCHANGE)] == [
            D(61000)
        ]  # fmt: skip
        assert trades.get_volume_by_side(SYMBOL, START, START + MINUTE)["volume"] == D("0.9")
