"""The contract of every warm store. An engine joins by one line in ``ENGINES`` and a fixture of that name."""

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, nullcontext
from decimal import Decimal
from functools import partial

import attrs
import msgspec
import pytest
from storage_samples import (
    EXCHANGE,
    FOREVER,
    NAME,
    START,
    SYMBOL,
    bar,
    bar_record,
    batch,
    book_record,
    gap_record,
    levels_record,
    one_of_each,
    order_flow_record,
    plain,
    plainly,
    profile_record,
    suspected_record,
    trades_at,
)

from actors.messages import BarRecord, Kind, LevelMark, OrderFlowRecord, ProfileRecord, TradeBatch
from actors.storage import engines
from actors.storage.errors import StorageError
from actors.storage.journal import wall_clock
from actors.storage.mongo.store import MongoStore
from actors.storage.runs import picked
from actors.storage.sql import SqlStore
from wadm.analytics.levels import LiquidityType
from wadm.analytics.order_flow import order_flow
from wadm.analytics.profile import profile
from wadm.bar import Bar, decode
from wadm.lifetimes import Lifetimes
from wadm.market import DAY, HOUR, MINUTE, IdKind, Trades
from wadm.numbers import to_decimal

EVER = (0, FOREVER)
LIFETIMES = Lifetimes(raw=HOUR, bars=7 * DAY, indicators=30 * DAY)


@pytest.fixture
def sqlite(tmp_path):
    return partial(SqlStore, engines.embedded_url(tmp_path))


@pytest.fixture
def postgresql(postgres_url):
    return partial(SqlStore, postgres_url)


@pytest.fixture
def mongodb(mongodb_url):
    return partial(MongoStore, mongodb_url)


#: Each is the name of a fixture that opens a store, which is the store's own name too.
ENGINES = [
    "sqlite",
    "postgresql",
    "mongodb",
]


@pytest.fixture(params=ENGINES)
def make(request):
    """Return a function that opens one more store on the same data; all are closed afterwards."""
    opened = []
    engine = request.getfixturevalue(request.param)

    def opener(follows="journal-1", **arguments):
        opened.append(engine(follows=follows, **{"lifetimes": LIFETIMES, **arguments}))
        assert opened[-1].name == request.param
        return opened[-1]

    yield opener
    for one in opened:
        one.close()


@pytest.fixture
def store(make):
    made = make()
    made.initialise()
    return made


def test_a_new_store_is_empty(store):
    assert store.cursor() == 0
    assert store.symbols() == []
    assert store.extent(*NAME) is None
    assert store.bars(*NAME, *EVER) == []
    assert store.profiles(*NAME, "1m", *EVER) == []
    assert store.order_flows(*NAME, "1m", *EVER) == []
    assert store.gaps(*NAME, *EVER) == []
    assert store.levels(*NAME) == []
    assert store.trades(*NAME, *EVER) == []
    assert store.books(*NAME, *EVER) == []
    assert store.ripe_days(FOREVER) == []
    assert store.expire(FOREVER) == 0
    assert store.forget_bars(*NAME, {START: 0}) == 0


def test_records_come_back_as_they_were(store):
    store.apply(one_of_each(), 5)
    assert store.cursor() == 5
    assert store.bars(*NAME, *EVER) == [bar()]
    assert plainly(store.profiles(*NAME, "1m", *EVER)) == plainly([profile_record()])
    assert plainly(store.order_flows(*NAME, "1m", *EVER)) == plainly([order_flow_record()])
    assert store.gaps(*NAME, *EVER) == [gap_record()]
    assert store.levels(*NAME) == list(levels_record().levels)


def test_windows_without_trades_come_back(store):
    entries = [bar_record(count=0), profile_record(empty=True), order_flow_record(empty=True)]
    store.apply(entries, 3)
    assert store.bars(*NAME, *EVER) == [bar(count=0)]
    assert plainly(store.profiles(*NAME, "1m", *EVER)) == [plain(entries[1])]
    assert plainly(store.order_flows(*NAME, "1m", *EVER)) == [plain(entries[2])]


def test_numbers_beyond_64_bits_stay_exact(store):
    huge = 10**40 + 1
    store.apply(
        [bar_record(quantity=huge), profile_record(quantity=huge), order_flow_record(quantity=huge)], 3
    )
    assert store.bars(*NAME, *EVER) == [bar(quantity=huge)]
    assert plainly(store.profiles(*NAME, "1m", *EVER)) == plainly([profile_record(quantity=huge)])
    assert plainly(store.order_flows(*NAME, "1m", *EVER)) == plainly([order_flow_record(quantity=huge)])


def test_applying_again_changes_nothing(store):
    for _ in range(2):
        store.apply([*one_of_each(), *one_of_each()], 5)
    assert store.bars(*NAME, *EVER) == [bar()]
    assert len(store.profiles(*NAME, "1m", *EVER)) == 1
    assert len(store.order_flows(*NAME, "1m", *EVER)) == 1
    assert len(store.gaps(*NAME, *EVER)) == 1
    assert len(store.levels(*NAME)) == 2
    assert len(raw_trades(store)) == (4 if Kind.TRADES in store.keeps else 0)
    assert len(store.books(*NAME, *EVER)) == (1 if Kind.BOOK in store.keeps else 0)


@pytest.mark.parametrize("together", [True, False])
@pytest.mark.parametrize("order", [(0, 2, 1), (2, 1, 0), (0, 1, 2)])
def test_the_highest_revision_wins_in_any_order(store, order, together):
    revisions = [
        (bar_record(revision=r, quantity=r + 1), profile_record(revision=r, quantity=r + 1),
         order_flow_record(revision=r, quantity=r + 1))
        for r in order
    ]  # fmt: skip
    if together:
        store.apply([entry for entries in revisions for entry in entries], 1)
    else:
        for entries in revisions:
            store.apply(entries, 1)
    assert store.bars(*NAME, *EVER) == [bar(revision=2, quantity=3)]
    assert plainly(store.profiles(*NAME, "1m", *EVER)) == plainly([profile_record(revision=2, quantity=3)])
    assert plainly(store.order_flows(*NAME, "1m", *EVER)) == plainly(
        [order_flow_record(revision=2, quantity=3)]
    )


def test_of_equal_revisions_the_first_stays(store):
    store.apply([bar_record(quantity=1), bar_record(quantity=2)], 1)
    store.apply([bar_record(quantity=3)], 2)
    assert store.bars(*NAME, *EVER) == [bar(quantity=1)]


def test_a_gap_once_filled_is_not_opened_again(store):
    store.apply([gap_record()], 1)
    store.apply([gap_record(state="unfillable", reason="too old")], 2)
    assert store.gaps(*NAME, *EVER) == [gap_record(state="unfillable", reason="too old")]
    store.apply([gap_record(state="filled")], 3)
    store.apply([gap_record()], 4)
    assert store.gaps(*NAME, *EVER) == [gap_record(state="filled")]


def test_ranges_hold_their_start_and_not_their_end(store):
    starts = [START + index * MINUTE for index in (2, 0, 1, 3)]
    store.apply([bar_record(start) for start in starts], 4)
    store.apply([entry for start in starts for entry in (profile_record(start), order_flow_record(start))], 5)
    window = (START + MINUTE, START + 3 * MINUTE)
    wanted = [START + MINUTE, START + 2 * MINUTE]
    assert [one.start for one in store.bars(*NAME, *window)] == wanted
    assert [decode(packed) for _, packed in store.packed_bars(*NAME, *window)] == store.bars(*NAME, *window)
    assert [one.start for one in store.profiles(*NAME, "1m", *window)] == wanted
    assert [one.start for one in store.order_flows(*NAME, "1m", *window)] == wanted
    assert store.profiles(*NAME, "5m", *window) == []
    assert store.extent(*NAME) == (START, START + 4 * MINUTE)


def test_a_suspected_gap_comes_back_as_it_was_and_a_stronger_record_replaces_it(store):
    store.apply([suspected_record(), gap_record()], 1)
    assert sorted(store.gaps(*NAME, *EVER), key=str) == sorted([suspected_record(), gap_record()], key=str)
    store.apply([suspected_record(state="unfillable", reason="no older trades")], 2)
    store.apply([suspected_record()], 3)
    assert suspected_record(state="unfillable", reason="no older trades") in store.gaps(*NAME, *EVER)


def test_no_reason_of_a_gap_holds_up_what_follows(store):
    store.apply([gap_record(state="unfillable", reason="so says\0 a file")], 1)
    assert store.gaps(*NAME, *EVER)[0].reason.replace("\0", "") == "so says a file"


def test_gaps_are_found_by_when_they_were_noticed(store):
    store.apply([gap_record(first, first + 1, at=START + first) for first in (1, 4, 7)], 1)
    assert [one.gap.first for one in store.gaps(*NAME, START + 1, START + 7)] == [1, 4]


def test_symbols_are_listed_once_and_sorted(store):
    store.apply([bar_record(START + index * MINUTE, symbol) for symbol in "CAB" for index in range(3)], 9)
    assert store.symbols() == [(EXCHANGE, symbol) for symbol in "ABC"]


def test_a_cursor_never_moves_back(store):
    store.apply([], 7)
    store.apply([], 3)
    assert store.cursor() == 7


def test_a_cursor_belongs_to_one_journal(store, make):
    store.apply([], 7)
    other = make(follows="journal-2")
    assert other.cursor() == 0
    other.apply([], 3)
    assert (other.cursor(), make().cursor(), make(follows="journal-2").cursor()) == (3, 7, 3)


def test_entries_and_cursor_are_stored_together_or_not_at_all(store):
    unstorable = gap_record(first=1 << 70, last=1 << 71)
    with pytest.raises((StorageError, OverflowError)):
        store.apply([bar_record(), unstorable], 5)
    assert (store.cursor(), store.bars(*NAME, *EVER)) == (0, [])


def test_trades_may_be_handed_over_in_any_case(store):
    store.apply([batch(1), bar_record()], 2)
    assert store.cursor() == 2


def test_everything_is_there_after_reopening(store, make):
    store.apply(one_of_each(), 5)
    store.close()
    again = make()
    again.initialise()
    again.initialise()
    assert (again.cursor(), again.bars(*NAME, *EVER)) == (5, [bar()])


def test_a_store_initialises_itself_where_nobody_did(make):
    assert make().symbols() == []


def test_a_closed_store_may_be_used_again(store):
    store.apply([], 2)
    store.close()
    assert store.cursor() == 2


def test_order_flow_stored_before_its_events_were_counted_comes_back(store):
    record = order_flow_record(counts=(None, None))
    store.apply([record], 1)
    assert plainly(store.order_flows(*NAME, "1m", *EVER)) == [plain(record)]


# -- exactness


def figures_of(price, quantity, price_decimals=0, quantity_decimals=0, row_size="1"):
    """Return the bar, profile and order flow of two trades, a buy and a sell of twice as much."""
    made = Bar(START, START + MINUTE)
    prices, quantities = [price, price + 1], [quantity, -2 * quantity]
    made.fold(
        Trades(
            EXCHANGE, SYMBOL, IdKind.AGG_TRADE, price_decimals, quantity_decimals,
            [1, 2], [START, START + 1], prices, quantities, [1, 1],
        )
    )  # fmt: skip
    window = EXCHANGE, SYMBOL, "1m", START, START + MINUTE, 0, False
    return (
        BarRecord(EXCHANGE, SYMBOL, made),
        ProfileRecord(*window, profile(made, Decimal(row_size))),
        OrderFlowRecord(*window, order_flow(made, made)),
    )


@pytest.mark.parametrize(
    "figures",
    [
        pytest.param((10**37 + 1, 10**37 + 3), id="38 digits"),
        pytest.param((10**37 + 1, 10**37 + 3, 18, 18, "1E-18"), id="38 digits, 18 of them decimals"),
        pytest.param((123_456, 1, 18, 18, "1E-18"), id="steps of 1e-18"),
        pytest.param((1, 1, 0, 18, "0.5"), id="whole prices, tiny quantities"),
    ],
)
def test_figures_stay_exact(store, figures):
    records = figures_of(*figures)
    store.apply(records, 1)
    assert store.bars(*NAME, *EVER) == [records[0].bar]
    assert plainly(store.profiles(*NAME, "1m", *EVER)) == [plain(records[1])]
    assert plainly(store.order_flows(*NAME, "1m", *EVER)) == [plain(records[2])]


@pytest.mark.parametrize(
    "price", ["61000.123456789012345678", "0.000000000000000001", "12345678901234567890"]
)
def test_levels_stay_exact(store, price):
    mark = LevelMark(LiquidityType.VAH, Decimal(price), Decimal("99.9"), Decimal(price), 3, START)
    store.apply([attrs.evolve(levels_record(), levels=(mark,))], 1)
    assert store.levels(*NAME) == [mark]


# -- windows and ranges


def test_a_range_that_is_empty_or_backwards_holds_nothing(store):
    store.apply(one_of_each(), 1)
    for window in ((START, START), (START + MINUTE, START)):
        assert store.bars(*NAME, *window) == []
        assert store.profiles(*NAME, "1m", *window) == []
        assert store.order_flows(*NAME, "1m", *window) == []
        assert store.gaps(*NAME, *window) == []
        assert store.trades(*NAME, *window) == []
        assert store.books(*NAME, *window) == []


def test_what_is_not_there_is_empty(store):
    store.apply(one_of_each(), 1)
    for name in ((EXCHANGE, "NONE"), ("nowhere", SYMBOL), ("", "")):
        assert store.bars(*name, *EVER) == []
        assert store.extent(*name) is None
        assert store.gaps(*name, *EVER) == []
        assert store.levels(*name) == []
        assert store.trades(*name, *EVER) == []
        assert store.books(*name, *EVER) == []
    assert store.profiles(*NAME, "4h", *EVER) == []


def test_symbols_with_strange_names_are_kept_apart_and_sorted(store):
    names = ["1000PEPEUSDT", "BTC-26DEC25", "BTCUSDT", "BTC_USDT", "btcusdt", "币安人生USDT"]
    store.apply([bar_record(symbol=name) for name in reversed(names)], 1)
    assert store.symbols() == [(EXCHANGE, name) for name in sorted(names)]
    assert [len(store.bars(EXCHANGE, name, *EVER)) for name in names] == [1] * len(names)


# -- liquidity levels


def levels_at(*prices, end=START, revision=0):
    marks = tuple(
        LevelMark(LiquidityType.SUPPORT, Decimal(price), Decimal(50), Decimal(1), 1, end) for price in prices
    )
    return attrs.evolve(levels_record(), start=end - DAY, end=end, revision=revision, levels=marks)


def prices_of(store):
    return [int(mark.price) for mark in store.levels(*NAME)]


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 2, 0)])
@pytest.mark.parametrize("together", [True, False])
def test_the_newest_levels_are_known_in_any_order(store, order, together):
    records = [levels_at(3, 2, 1), levels_at(2, 5, end=START + HOUR), levels_at(7, 2, end=START + 2 * HOUR)]
    runs = [[records[index] for index in order]] if together else [[records[index]] for index in order]
    for run in runs:
        store.apply(run, 1)
    assert prices_of(store) == [2, 7]
    assert {mark.last_touch for mark in store.levels(*NAME)} == {START + 2 * HOUR}


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_a_revision_takes_levels_away(store, order):
    records = [levels_at(1, 2, 3), levels_at(2, revision=1)]
    for index in order:
        store.apply([records[index]], 1)
    assert prices_of(store) == [2]


def test_a_record_without_levels_leaves_those_last_known(store):
    store.apply([levels_at(1), levels_at(end=START + HOUR)], 1)
    assert prices_of(store) == [1]


def test_levels_of_one_price_are_told_apart_by_kind(store):
    marks = tuple(LevelMark(kind, Decimal(9), Decimal(1), Decimal(1), 0, None) for kind in LiquidityType)
    store.apply([attrs.evolve(levels_record(), levels=marks)], 1)
    assert store.levels(*NAME) == sorted(marks, key=lambda mark: mark.kind)


# -- raw trades and order books: only where they are kept


def raw_trades(store, *window):
    """Return (id, time, price, signed quantity, count) of the raw trades."""
    return [
        (
            trade_id, at,
            to_decimal(price, run.price_decimals), to_decimal(quantity, run.quantity_decimals), count,
        )
        for run in store.trades(*NAME, *(window or EVER))
        for trade_id, at, price, quantity, count in zip(
            run.ids, run.times, run.prices, run.signed_quantities, run.counts, strict=True
        )
    ]  # fmt: skip


def rows_of(trades):
    return [
        (one[0], one[1], to_decimal(one[2], 1), to_decimal(one[3], 3), one[4])
        for one in zip(
            trades.ids, trades.times, trades.prices, trades.signed_quantities, trades.counts, strict=True
        )
    ]


def batch_of(trades):
    return TradeBatch(trades, 1, 1, START, 0.0, START)


def test_raw_trades_come_back_once_and_in_order(store):
    whole, early = trades_at(START, START + 1, START + 3), trades_at(START, START + 1)
    late = picked(whole, [1, 2])
    store.apply([batch_of(late)], 1)
    store.apply([batch_of(early), batch_of(late)], 2)
    expected = rows_of(whole) if Kind.TRADES in store.keeps else []
    assert raw_trades(store) == expected
    assert raw_trades(store, START + 1, START + 3) == expected[1:2]


def test_ids_of_another_kind_or_symbol_are_other_trades(store):
    trades = trades_at(START)
    others = [
        msgspec.structs.replace(trades, id_kind=IdKind.TRADE),
        msgspec.structs.replace(trades, symbol="ETHUSDT"),
    ]
    store.apply([batch_of(one) for one in (trades, *others)], 1)
    kept = Kind.TRADES in store.keeps
    assert len(raw_trades(store)) == (2 if kept else 0)
    assert {run.id_kind for run in store.trades(*NAME, *EVER)} == (
        {IdKind.TRADE, IdKind.AGG_TRADE} if kept else set()
    )


def test_raw_trades_with_huge_numbers_and_ids_of_letters_stay_exact(store):
    trades = trades_at(START, ids=["2290000000068683805"], price=10**30 + 1, quantity=10**31 + 3)
    store.apply([batch_of(trades)], 1)
    assert raw_trades(store) == (rows_of(trades) if Kind.TRADES in store.keeps else [])


def book_of(record):
    scales = record.price_decimals, record.quantity_decimals
    sides = [
        [(to_decimal(price, scales[0]), to_decimal(quantity, scales[1])) for price, quantity in side]
        for side in (record.bids, record.asks)
    ]
    return record.at, record.sequence, *sides


def test_order_books_come_back_in_order(store):
    records = [book_record(at=START + second * 1_000_000, sequence=second) for second in (2, 0, 1)]
    store.apply([*records, records[0]], 3)
    kept = Kind.BOOK in store.keeps
    expected = sorted(book_of(one) for one in records) if kept else []
    assert [book_of(one) for one in store.books(*NAME, *EVER)] == expected
    window = START + 1_000_000, START + 2_000_000
    assert [book_of(one) for one in store.books(*NAME, *window)] == expected[1:2]


# -- lifetimes


def wait_until_forgotten(store: object, holds: Callable[[], bool]) -> None:
    """Have what expired forgotten: at once where ``expire`` does it, soon where the database does."""
    deadline = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < deadline
        if not store.expire(wall_clock()):
            time.sleep(0.05)


def windows(store):
    return len(store.profiles(*NAME, "1m", *EVER)), len(store.order_flows(*NAME, "1m", *EVER))


def test_what_is_made_of_bars_expires_a_lifetime_after_it_was_stored(make):
    now = wall_clock()
    old = make(clock=lambda: now - LIFETIMES.indicators - HOUR)
    old.apply([bar_record(), profile_record(), order_flow_record(), gap_record(), levels_at(1)], 1)
    young = make(clock=lambda: now - LIFETIMES.indicators + HOUR)
    later = START + MINUTE
    young.apply([profile_record(later), order_flow_record(later)], 2)
    young.apply([levels_at(2, end=START - DAY)], 3)
    wait_until_forgotten(young, lambda: (windows(young), prices_of(young)) == ((1, 1), [2]))
    assert young.expire(now) == 0
    assert (len(young.bars(*NAME, *EVER)), young.cursor()) == (1, 3)
    assert young.gaps(*NAME, *EVER) == [gap_record()]  # as long as its bars: what they lack stays known


def test_replayed_data_of_2024_lives_as_long_as_live_data(store):
    store.apply(one_of_each(), 1)
    assert store.expire(wall_clock() + LIFETIMES.raw - MINUTE) == 0
    assert windows(store) == (1, 1)
    assert store.levels(*NAME)
    assert store.gaps(*NAME, *EVER)


@pytest.fixture
def without_expiry(make, request):
    """Return a context in which nothing is forgotten, not even by a database that does so by itself."""
    if "mongodb" not in request.node.callspec.id:
        return nullcontext

    @contextmanager
    def paused():
        with request.getfixturevalue("mongod").client() as client:
            client.admin.command("setParameter", 1, ttlMonitorEnabled=False)
            try:
                yield
            finally:
                client.admin.command("setParameter", 1, ttlMonitorEnabled=True)

    return paused


def test_a_revision_lives_anew_and_what_is_applied_again_does_not(make, without_expiry):
    now = wall_clock()
    old = make(clock=lambda: now - LIFETIMES.indicators - HOUR)
    fresh = make()
    with without_expiry():
        old.apply([profile_record(), profile_record(START + MINUTE), order_flow_record()], 1)
        fresh.apply([profile_record(revision=1), profile_record(START + MINUTE), order_flow_record()], 1)
    wait_until_forgotten(fresh, lambda: windows(fresh) == (1, 0))
    assert [one.revision for one in fresh.profiles(*NAME, "1m", *EVER)] == [1]


# -- days that have ripened for the cold tier

#: 2024-08-08T00:00:00Z
TODAY = START - START % DAY


def test_a_day_is_ripe_once_all_its_bars_were_stored_long_ago(make):
    early, late = make(clock=lambda: 100), make(clock=lambda: 200)
    early.apply([bar_record(TODAY), bar_record(TODAY - MINUTE), bar_record(TODAY, "ETHUSDT")], 1)
    late.apply([bar_record(TODAY + DAY - MINUTE)], 2)
    assert early.ripe_days(100) == []
    assert early.ripe_days(101) == [
        (EXCHANGE, SYMBOL, TODAY - DAY),
        (EXCHANGE, "ETHUSDT", TODAY),
    ]
    assert early.ripe_days(201) == [
        (EXCHANGE, SYMBOL, TODAY - DAY),
        (EXCHANGE, SYMBOL, TODAY),
        (EXCHANGE, "ETHUSDT", TODAY),
    ]


def test_a_revision_is_stored_anew_and_what_is_applied_again_is_not(make):
    early, late = make(clock=lambda: 100), make(clock=lambda: 200)
    early.apply([bar_record(), bar_record(START - DAY)], 1)
    late.apply([bar_record(revision=1), bar_record(START - DAY)], 2)
    assert late.ripe_days(101) == [(EXCHANGE, SYMBOL, TODAY - DAY)]


def test_bars_are_forgotten_at_their_revision_only(store):
    starts = [START + index * MINUTE for index in range(4)]
    store.apply([bar_record(start) for start in starts], 1)
    store.apply([bar_record(starts[1], revision=1), bar_record(starts[0], "ETHUSDT")], 2)
    assert store.forget_bars(*NAME, dict.fromkeys(starts[:3], 0)) == 2
    assert [one.start for one in store.bars(*NAME, *EVER)] == [starts[1], starts[3]]
    assert len(store.bars(EXCHANGE, "ETHUSDT", *EVER)) == 1
    assert store.forget_bars(*NAME, {}) == 0
    assert store.forget_bars(*NAME, {starts[1]: 1, starts[2]: 0}) == 1


def test_a_whole_day_is_forgotten_at_once(store):
    starts = range(TODAY, TODAY + DAY, MINUTE)
    store.apply([bar_record(start, count=1) for start in starts], 1)
    assert store.forget_bars(*NAME, dict.fromkeys(starts, 0)) == 1_440
    assert store.symbols() == []


# -- schema


def test_a_schema_is_made_once_and_looked_at_without_making_it(make):
    store = make()
    found, expected = store.schema()
    assert found is None
    assert make().schema() == (None, expected)
    store.migrate()
    assert make().schema() == (expected, expected)
    store.apply([bar_record()], 1)
    make().migrate()
    assert store.bars(*NAME, *EVER) == [bar()]


def test_a_store_that_is_read_only_reads_and_never_writes(make):
    reader = make(read_only=True)
    with pytest.raises(StorageError):
        reader.cursor()
    assert make().schema()[0] is None
    make().apply([bar_record()], 1)
    assert (reader.cursor(), reader.bars(*NAME, *EVER)) == (1, [bar()])
    for refused in (lambda: reader.apply([bar_record(revision=1)], 2), reader.migrate):
        with pytest.raises(StorageError):
            refused()
    assert (reader.cursor(), reader.bars(*NAME, *EVER)) == (1, [bar()])


# -- several at once


def test_several_may_initialise_at_once(make):
    stores = [make() for _ in range(4)]
    together = threading.Barrier(len(stores))

    def initialise(store):
        together.wait()
        store.initialise()
        return store.cursor()

    with ThreadPoolExecutor(len(stores)) as pool:
        assert list(pool.map(initialise, stores)) == [0] * len(stores)


def test_readers_find_all_that_the_cursor_says_while_entries_are_applied(store):
    ended = threading.Event()

    def read():
        seen, rounds = 0, 0
        while not ended.is_set() or not rounds:
            before = store.cursor()
            count = len(store.bars(*NAME, *EVER))
            assert before <= count
            # Where there are no transactions, entries may be seen for a moment before the cursor says so.
            assert seen <= before or store.name == "mongodb"
            seen, rounds = count, rounds + 1
        return rounds

    with ThreadPoolExecutor(3) as pool:
        readers = [pool.submit(read) for _ in range(3)]
        try:
            for number in range(30):
                store.apply([bar_record(START + number * MINUTE)], number + 1)
        finally:
            ended.set()
        assert all(reader.result() for reader in readers)
