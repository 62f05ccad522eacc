"""The hot tier in a real Redis: what is there, how long, and what applying again does to it."""

import json
import re

import attrs
import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from storage_samples import (
    EXCHANGE,
    KEY,
    NAME,
    START,
    SYMBOL,
    bar_record,
    batch,
    book_record,
    gap_record,
    order_flow_record,
    profile_record,
    suspected_record,
    trades_at,
)

from actors.messages import Kind, TradeBatch
from actors.storage.errors import StorageError
from actors.storage.redis import keys, shapes
from wadm.market import HOUR, MINUTE, SECOND, IdKind, Trades

EVERYTHING = [batch(1), book_record(), profile_record(), order_flow_record(), gap_record()]


def contents(redis):
    """Return all that a Redis holds, but for the times of storing."""
    found = {}
    for key in redis.keys("*"):
        if redis.type(key) == b"string":
            found[key] = redis.get(key)
        elif key.startswith(b"wadm:trades:"):
            found[key] = redis.zrange(key, 0, -1, withscores=True)
        else:
            found[key] = {*redis.zrange(key, 0, -1)}
    return found


def batches(hot, exchange=EXCHANGE, symbol=SYMBOL):
    """Return the trades of all minutes, run by run."""
    found = hot.minutes(exchange, symbol, 0)
    return [run.trades(exchange, symbol) for minute in found for run in hot.runs(exchange, symbol, minute)]


def columns(trades):
    return [
        tuple(getattr(trades, name)) for name in ("ids", "times", "prices", "signed_quantities", "counts")
    ]


@pytest.fixture
def notices(redis):
    """Return what was published since the last call: (channel, payload)."""
    with redis.pubsub(ignore_subscribe_messages=False) as pubsub:
        pubsub.psubscribe("wadm:notices:*")
        assert pubsub.get_message(timeout=5)["type"] == "psubscribe"

        def published():
            redis.publish("wadm:notices:end", b"")
            found = []
            while (message := pubsub.get_message(timeout=5))["channel"] != b"wadm:notices:end":
                found.append((message["channel"].decode(), msgspec.msgpack.decode(message["data"])))
            return found

        yield published


# --- what is there ---


def test_it_keeps_what_the_hot_tier_is_for(target):
    kept = {Kind.TRADES, Kind.BOOK, Kind.PROFILE, Kind.ORDER_FLOW, Kind.GAP}
    assert (target.name, target.keeps) == ("redis", kept)


def test_raw_trades_lie_by_the_minute_in_the_order_in_which_they_were_received(target, hot, redis):
    late = batch(3, START + 1_500_000)
    target.apply([batch(1), batch(2, START + MINUTE - 1, START + MINUTE), late], 3)
    assert hot.symbols() == [NAME]
    assert hot.minutes(*NAME, 0) == [START, START + MINUTE]
    first, cut, last = hot.runs(*NAME, START)
    assert columns(first.trades(*NAME)) == columns(batch(1).trades)
    assert (first.received_at, first.market_time) == (batch(1).received_at, batch(1).market_time)
    assert [*last.times] == [START + MINUTE - 1]
    assert [*cut.times] == [START + 1_500_000]
    (second,) = hot.runs(*NAME, START + MINUTE)
    assert [*second.times] == [START + MINUTE]
    # As a program in another language sees it.
    (packed, *_), key = redis.zrange(f"wadm:trades:{EXCHANGE}:{SYMBOL}:{START}", 0, -1), b"price_decimals"
    assert key in packed
    assert msgspec.msgpack.decode(packed)["prices"] == [610_000, 610_001, 610_002, 610_003]


def test_numbers_beyond_64_bits_are_exact(target, hot):
    prices, signed_quantities = [10**30 + 1] * 4, [-(10**25) - 1] * 4
    huge = msgspec.structs.replace(batch(1).trades, prices=prices, signed_quantities=signed_quantities)
    target.apply([attrs.evolve(batch(1), trades=huge)], 1)
    assert columns(batches(hot)[0]) == columns(huge)


def test_the_newest_book_profile_and_order_flow_are_there(target, hot):
    target.apply([book_record(levels=60), profile_record(), order_flow_record()], 3)
    book, sample = hot.book(*NAME), book_record(levels=60)
    assert (book.at, book.sequence, len(book.bids), len(book.asks)) == (sample.at, sample.sequence, 50, 50)
    assert book.bids[0] == ("61000", "0.005")
    profile, made = hot.profile(*NAME, "1m"), profile_record().profile
    assert (profile.row_size, profile.poc, profile.value_area) == ("0.5", made.price(made.poc), "0.7")
    assert sum(row[3] + row[4] for row in profile.rows) == sum(sum(row[2:]) for row in made.rows.values())
    flow, source = hot.order_flow(*NAME, "1m"), order_flow_record().order_flow
    assert (flow.delta, flow.buy_volume) == ("0", "0.01")
    assert (flow.buy_trades, flow.sell_trades) == (source.buy_trades, source.sell_trades)
    assert (flow.start, flow.end, flow.partial) == (START, START + MINUTE, True)
    assert hot.profile(*NAME, "5m") is None


def test_an_empty_window_has_no_point_of_control(target, hot):
    target.apply([profile_record(empty=True), order_flow_record(empty=True)], 2)
    assert (hot.profile(*NAME, "1m").poc, hot.profile(*NAME, "1m").rows) == (None, [])
    assert hot.order_flow(*NAME, "1m").imbalance_ratio is None


def test_gaps_come_back_in_the_order_in_which_they_were_stored(target_of, hot):
    now = iter(range(10**15, 10**15 + 9))
    target = target_of(clock=lambda: next(now))
    records = [gap_record(), suspected_record(), gap_record(state="filled")]
    for seq, record in enumerate(records, 1):
        target.apply([record], seq)
    assert hot.gaps(*NAME) == records


def test_every_key_expires(target, redis):
    target.apply(EVERYTHING, 5)
    found = {key: redis.pttl(key) for key in redis.keys("*")}
    assert len(found) == 9
    short = {key for key, left in found.items() if 0 < left <= 60 * 60_000}
    long = {key for key, left in found.items() if 29 * 86_400_000 < left <= 30 * 86_400_000}
    assert short | long == found.keys()
    assert sorted(key.split(b":")[1] for key in short) == [b"book", b"gaps", b"minutes", b"trades"]


def test_what_was_stored_long_ago_leaves_the_indexes(target_of, hot):
    now = [10 * HOUR]
    target = target_of(clock=lambda: now[0])
    target.apply([batch(1)], 1)
    now[0] += 61 * MINUTE
    target.apply([batch(2, START + HOUR)], 2)
    assert hot.minutes(*NAME, 0) == [START + HOUR]
    assert hot.minutes(*NAME, now[0]) == []


# --- applying again ---


def test_applied_twice_is_as_once(target, redis):
    target.apply(EVERYTHING, 5)
    once = contents(redis)
    target.apply(EVERYTHING, 5)
    assert contents(redis) == once


def test_an_older_window_revision_or_book_changes_nothing(target, hot, notices):
    newer = [profile_record(START + MINUTE, revision=1), order_flow_record(START + MINUTE, revision=1)]
    target.apply([*newer, book_record(at=START + SECOND)], 1)
    assert len(notices()) == 3
    older = [profile_record(START, revision=9), profile_record(START + MINUTE, quantity=9)]
    target.apply([*older, order_flow_record(START, revision=9), book_record(sequence=99)], 2)
    assert notices() == []
    assert hot.profile(*NAME, "1m").rank == hot.order_flow(*NAME, "1m").rank == (START + MINUTE, 1)
    assert hot.book(*NAME).at == START + SECOND
    target.apply([profile_record(START + MINUTE, revision=2)], 3)
    assert hot.profile(*NAME, "1m").revision == 2


def test_of_several_windows_in_one_run_the_newest_stays(target, hot, notices):
    target.apply([profile_record(START + index * MINUTE) for index in (1, 2, 0)], 1)
    assert hot.profile(*NAME, "1m").start == START + 2 * MINUTE
    assert len(notices()) == 1


def test_bytes_of_no_sense_are_replaced(target, hot, redis):
    redis.set(keys.window("profile", *NAME, "1m"), b"\xc1")
    target.apply([profile_record()], 1)
    assert hot.profile(*NAME, "1m").start == START


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=25)
@given(st.data())
def test_in_any_order_and_as_often_as_wished_the_same_comes_of_it(target_of, redis, hot, data):
    entries = [
        *(batch(number) for number in range(1, 4)),
        *(batch(number, START + number * MINUTE, incarnation=2) for number in range(4)),
        *(profile_record(START + index * MINUTE, revision=index % 2) for index in range(3)),
        *(book_record(at=START + index) for index in range(3)),
    ]
    redis.flushall()
    target_of("b" * 32).apply(entries, 9)
    expected = {key: value for key, value in contents(redis).items() if b"cursor" not in key}
    redis.flushall()
    mixed = data.draw(st.permutations([*entries, *entries]))
    target = target_of()
    for cut in range(0, len(mixed), 7):
        target.apply(mixed[cut : cut + 7], cut + 1)
    assert {key: value for key, value in contents(redis).items() if b"cursor" not in key} == expected


integers = st.integers(-(2**70), 2**70)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(
        st.tuples(
            st.one_of(st.integers(0, 2**62), st.uuids().map(str)),
            st.integers(START, START + 3 * MINUTE),
            integers,
            integers,
            st.integers(1, 2**40),
        ),
        min_size=1,
        max_size=20,
        unique_by=lambda row: row[0],
    ),
    st.tuples(st.integers(0, 18), st.integers(0, 18)),
)
def test_trades_come_back_as_they_were(target_of, redis, hot, rows, decimals):
    redis.flushall()
    columns_given = map(list, zip(*rows, strict=True))
    given_trades = Trades("bybit", "BTCUSDT", IdKind.TRADE, *decimals, *columns_given)
    target_of().apply([TradeBatch(given_trades, 1, 1, START + 7, 0.0, START + 9)], 1)
    found = batches(hot, "bybit")
    assert {(one.price_decimals, one.quantity_decimals, one.id_kind) for one in found} == {
        (*decimals, IdKind.TRADE)
    }
    came_back = [row for one in found for row in zip(*columns(one), strict=True)]
    assert came_back == sorted(rows, key=lambda row: row[1] - row[1] % MINUTE)


# --- the cursor ---


def test_the_cursor_never_moves_back_and_is_one_of_each_journal(target, target_of):
    assert target.cursor() == 0
    target.apply(EVERYTHING, 7)
    target.apply([batch(2)], 5)
    assert target.cursor() == 7
    assert target_of("b" * 32).cursor() == 0
    assert target_of().cursor() == 7


def test_after_a_lost_answer_the_cursor_says_what_was_done(target, target_of, hot):
    # EXEC was carried out, but nobody heard: another target of the same journal stands for that.
    target.apply([batch(1)], 1)
    target_of().apply([batch(2)], 2)
    assert target.cursor() == 2
    target.apply([batch(2), batch(3)], 3)
    assert [one.ids[0] for one in batches(hot)] == [batch(number).trades.ids[0] for number in (1, 2, 3)]


def test_a_redis_that_came_back_empty_says_so_instead_of_going_on(target, redis, hot):
    target.apply([batch(1)], 1)
    redis.flushall()
    with pytest.raises(StorageError, match=r"has less than it had \(its place went from 1 to 0\)"):
        target.apply([batch(2)], 2)
    assert redis.keys("*") == []
    target.initialise()
    assert target.cursor() == 0
    target.apply([batch(1), batch(2)], 2)
    assert len(batches(hot)) == 2


def test_a_redis_of_an_older_snapshot_says_so(target, redis):
    target.apply([batch(1)], 1)
    before = redis.dump(keys.cursor("a" * 32))
    target.apply([batch(2)], 2)
    redis.restore(keys.cursor("a" * 32), 0, before, replace=True)
    with pytest.raises(StorageError, match="from 2 to 1"):
        target.apply([batch(3)], 3)
    assert target.cursor() == 1


def test_what_another_program_changes_meanwhile_is_looked_at_again(target, hot, redis, monkeypatch):
    newer = shapes.pack(shapes.profile_shape(profile_record(START + MINUTE, revision=5)))
    interferences = iter([newer])
    put = type(target)._put

    def interfere(self, pipe, *rest):
        for value in interferences:
            redis.set(keys.window("profile", *NAME, "1m"), value)
        put(self, pipe, *rest)

    monkeypatch.setattr(type(target), "_put", interfere)
    target.apply([profile_record(), batch(1)], 1)
    assert hot.profile(*NAME, "1m").rank == (START + MINUTE, 5)
    assert target.cursor() == 1


# --- notices ---


def test_notices_say_what_changed(target_of, notices):
    target = target_of(clock=lambda: 77)
    target.apply([*EVERYTHING, batch(2)], 5)
    both = (batch(1).trades.times[0], batch(2).trades.times[-1])
    assert sorted(notices(), key=lambda one: one[0]) == [
        (f"wadm:notices:book:{KEY}", {"seq": 5, "time": 77, "at": book_record().at}),
        *(
            (
                f"wadm:notices:{what}:{KEY}",
                {
                    "seq": 5,
                    "time": 77,
                    "timeframe": "1m",
                    "start": START,
                    "end": START + MINUTE,
                    "revision": 0,
                },
            )
            for what in ("order_flow", "profile")
        ),
        (
            f"wadm:notices:trades:{KEY}",
            {"seq": 5, "time": 77, "count": 8, "first": both[0], "last": both[1]},
        ),
    ]


def test_the_place_alone_is_told_to_nobody(target, notices):
    target.apply([], 9)
    assert (target.cursor(), notices()) == (9, [])


def test_what_is_not_kept_is_passed_over(target, redis):
    target.apply([bar_record(), TradeBatch(trades_at(), 1, 1, START, 0.0, START)], 2)
    assert sorted(redis.keys("*")) == [b"wadm:cursor:" + b"a" * 32, b"wadm:schema"]


# --- what is written down of it ---


def examples():
    """Return the examples that the keys' documentation gives."""
    found = re.findall(r'{"[^{}]*}', keys.__doc__)
    return [json.loads(one) for one in found]


def test_the_examples_of_the_documentation_are_of_these_shapes():
    run, gap, book, profile, flow, *notices = examples()
    assert msgspec.convert(run, shapes.Run).trades(EXCHANGE, SYMBOL).key == KEY
    assert msgspec.convert(gap, shapes.GapShape).record(EXCHANGE, SYMBOL) == gap_record()
    for example, shape in (
        (book, shapes.BookShape),
        (profile, shapes.ProfileShape),
        (flow, shapes.OrderFlowShape),
    ):
        read = msgspec.convert(example, shape)
        assert json.loads(msgspec.json.encode(read)) == example
    assert [sorted(one) for one in notices] == [
        ["count", "first", "last", "seq", "time"],
        ["at", "seq", "time"],
        ["end", "revision", "seq", "start", "time", "timeframe"],
    ]
