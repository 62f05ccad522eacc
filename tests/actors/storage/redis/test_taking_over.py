"""What of the hot tier is taken over into an empty journal, and what is not."""

import signal

import msgspec
import pytest
import trio
from storage_samples import EXCHANGE, KEY, NAME, START, SYMBOL, batch, gap_record, plainly, trades_at
from structlog.testing import capture_logs

from actors.gaps.standing import NOT_FOLLOWED
from actors.memory import TakenOver
from actors.messages import TradeBatch
from actors.plan import Plan
from actors.runtime import open_runtime
from actors.storage.journal import Journal
from actors.storage.redis import keys, warm_restart
from actors.storage.redis.warm_restart import WarmRestart
from wadm.market import MINUTE, SECOND, IdKind, Instrument
from wadm.sections import StorageSettings
from wadm.settings import Settings


@pytest.fixture
def restart_of(redis_server, tmp_path):
    """Make warm restarts into an empty journal."""
    journal = Journal(tmp_path)

    def make(since=START, within=10.0, kinds=None):
        known = {NAME: IdKind.AGG_TRADE} if kinds is None else kinds
        return WarmRestart(redis_server.url, journal, lambda *name: known.get(name), since, within)

    yield make
    journal.close()


def kept(restart):
    """Return the batches that a journal holds, as plain values."""
    return plainly(restart.journal.overlapping(EXCHANGE, SYMBOL, 0, 1 << 62))


# --- what is taken, and what is not ---


async def test_trades_come_in_the_order_of_their_minutes_each_once(restart_of, target):
    late = batch(3, START + 500_000, ids=[900])
    target.apply([batch(2, START + MINUTE, ids=[500]), batch(1), late], 3)
    # Another journal had the same trades in other runs.
    again = batch(9, START + 1_000_000, START + 1_001_000, START + 1_500_000, ids=[1_000_000, 1_001_000, 901])
    target.apply([again], 4)
    restart = restart_of()
    taken = await restart.run()
    assert taken == {KEY: TakenOver(9, 2, START + 500_000, START + MINUTE)}
    found = list(restart.journal.overlapping(*NAME, 0, 1 << 62))
    ids = [trade_id for one in found for trade_id in one.trades.ids]
    assert ids == [900, *batch(1).trades.ids, 901, 500]
    assert {one.incarnation for one in found} == {warm_restart.INCARNATION}
    assert [one.received_at for one in found] == [
        late.received_at, batch(1).received_at, again.received_at, START + MINUTE + 7
    ]  # fmt: skip


async def test_what_was_evicted_ends_the_stretch_that_is_taken(restart_of, target, redis):
    target.apply([batch(number, START + number * MINUTE) for number in range(5)], 5)
    redis.delete(keys.trades(*NAME, START + 2 * MINUTE))
    restart = restart_of()
    assert await restart.run() == {KEY: TakenOver(2, 0, START + 3 * MINUTE, START + 4 * MINUTE)}


async def test_minutes_received_before_are_not_taken(restart_of, target):
    target.apply([batch(number, START + number * MINUTE) for number in range(5)], 5)
    taken = await restart_of(since=START + 3 * MINUTE).run()
    assert taken == {KEY: TakenOver(2, 0, START + 3 * MINUTE, START + 4 * MINUTE)}


async def test_other_kinds_of_trades_and_other_exchanges_are_not_taken(restart_of, target):
    target.apply([batch(1)], 1)
    assert await restart_of(kinds={}).run() == {}
    restart = restart_of(kinds={NAME: IdKind.TRADE})
    assert await restart.run() == {}
    assert restart.journal.symbols() == []


async def test_a_journal_that_knows_trades_of_the_symbol_is_left_as_it_is(restart_of, target):
    target.apply([batch(1)], 1)
    restart = restart_of()
    restart.journal.append([batch(7)])
    assert await restart.run() == {}
    assert len(kept(restart)) == 1


async def test_gaps_that_were_noticed_since_come_along(restart_of, target):
    known = [
        gap_record(first=1, at=START + MINUTE),
        gap_record(first=5, last=9, state="filled", at=START + MINUTE),
    ]
    target.apply([gap_record(at=START - MINUTE), batch(1), *known], 4)
    restart = restart_of()
    await restart.run()
    assert sorted(restart.journal.gaps(*NAME), key=lambda one: one.gap.first) == known


async def test_bytes_of_no_sense_end_the_stretch(restart_of, target, redis):
    target.apply([batch(1), batch(2, START + MINUTE)], 2)
    redis.zadd(keys.trades(*NAME, START), {b"\xc1": 1})
    with capture_logs() as logs:
        taken = await restart_of().run()
    assert taken[KEY].first == START + MINUTE
    assert [one["event"] for one in logs if one["log_level"] == "warning"] == ["hot_tier_cut_short"]


async def test_without_time_nothing_is_taken_and_that_is_said(restart_of, target, monkeypatch):
    target.apply([batch(1)], 1)
    restart = restart_of()
    read = restart._read
    monkeypatch.setattr(
        WarmRestart, "_read", lambda self, *rest: (setattr(self, "_until", 0.0), read(*rest))[1]
    )
    with capture_logs() as logs:
        assert await restart.run() == {}
    assert logs[0]["reason"] == "there was no time left"


async def test_where_ids_are_names_the_pause_is_suspected_and_what_comes_again_is_a_duplicate(
    tmp_path, target, redis_server
):
    one = Instrument("bybit", "BTCUSDT")
    given = msgspec.structs.replace(
        trades_at(START, START + SECOND, ids=["a", "b"], exchange="bybit"), id_kind=IdKind.TRADE
    )
    now = warm_restart.wall_clock()
    target.apply([TradeBatch(given, 5, 1, now, 0.0, START + SECOND)], 1)
    what = Plan({one.key: one}, {one.key: IdKind.TRADE}, (), playback=False, rest={})
    settings = Settings(storage=StorageSettings(redis_url=redis_server.url))
    async with open_runtime(settings, what, tmp_path) as runtime:
        memory = runtime.symbols[one.key]
        assert (memory.received_to, memory.broken) == (START + SECOND, NOT_FOLLOWED)
        assert runtime.positions_of("bybit").of("BTCUSDT", IdKind.TRADE).knows("b")
        memory.note_received(msgspec.structs.replace(given, ids=["c"], times=[START + MINUTE]))
        (gap,) = memory.gaps.suspected
        assert (gap.gap.first, gap.gap.last) == (START + SECOND, START + MINUTE)


# --- trouble ---


@pytest.mark.parametrize(("patience", "within"), [(0.05, 5.0), (5.0, 0.05)])
async def test_a_redis_that_hangs_is_not_waited_for(tmp_path, private_redis, monkeypatch, patience, within):
    server = private_redis()
    monkeypatch.setattr(warm_restart, "PATIENCE", patience)
    journal = Journal(tmp_path)
    restart = WarmRestart(server.url, journal, lambda *_: IdKind.TRADE, 0, within)
    server.signal(signal.SIGSTOP)
    try:
        with capture_logs() as logs, trio.fail_after(60):
            assert await restart.run() == {}
    finally:
        server.signal(signal.SIGCONT)
        journal.close()
    assert [one["event"] for one in logs] == ["hot_tier_not_read"]
    assert "in time" in logs[0]["reason"] or "within" in logs[0]["reason"]


async def test_another_schema_is_left_alone(restart_of, target, redis):
    target.apply([batch(1)], 1)
    redis.set(keys.SCHEMA_KEY, 2)
    with capture_logs() as logs:
        assert await restart_of().run() == {}
    assert "has schema 2" in logs[0]["reason"]
