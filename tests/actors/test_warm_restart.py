"""A daemon with an empty data directory takes its last hour over from Redis, and says that it did."""

import pytest
import trio
from spine import BITCOIN, FakeExchange, journalled, plan_of, recorded, spine, trade, until
from structlog.testing import capture_logs

from actors.answers.queries import Queries
from actors.plan import Plan
from actors.runtime import open_runtime
from wadm.answers.registry import QUESTIONS
from wadm.instants import iso
from wadm.market import MINUTE, SECOND, IdKind
from wadm.sections import StorageSettings
from wadm.settings import Settings

#: 2024-08-09T00:00:00Z
START = 1_723_161_600_000_000
LIVE = plan_of(playback=False)


@pytest.fixture
def with_redis(redis_server):
    return Settings(storage=StorageSettings(redis_url=redis_server.url))


def stored(server):
    """Return the raw trades that a Redis holds."""
    with server.client() as client:
        return {key: client.zrange(key, 0, -1) for key in client.keys("wadm:trades:*")}


async def played(directory, settings, frames):
    """Play frames to a daemon, and return what it then answers about the last hour."""
    async with spine(directory, FakeExchange(frames), settings=settings) as running:
        await running.complete()
        return await answers(running.runtime)


async def answers(runtime):
    """Return the last hour's profile and order flow, and the profile's coverage."""
    at = runtime.symbols[BITCOIN.key].market_time
    end = at - at % MINUTE + MINUTE
    asked = {"exchange": "binance", "symbol": "BTCUSDT", "start": iso(end - 60 * MINUTE), "end": iso(end)}
    found = [await Queries(runtime).ask(QUESTIONS[name], asked) for name in ("profile", "flow")]
    coverage = found[0]["coverage"]
    for one in found:
        del one["coverage"]
    # A recording's last minute is closed as it is, a live one is still open.
    del found[0]["partial"]
    return found, coverage


async def test_the_last_hour_is_answered_as_before(tmp_path, with_redis, redis_server):
    frames = recorded(3_000)
    with trio.fail_after(30):
        before, covered = await played(tmp_path / "lost", with_redis, frames)
        runs = stored(redis_server)
        async with spine(tmp_path / "new", plan=LIVE, settings=with_redis) as running:
            runtime = running.runtime
            await running.everything(BITCOIN.key)
            after, coverage = await answers(runtime)
            assert after == before
            assert coverage["sources"] == ["live", "hot"]
            assert (coverage["start"], coverage["gaps"]) == (covered["start"], [])
            assert not coverage["warming"]
            # Every trade is in the ledger once, and in the journal.
            statement = runtime.statement()
            assert statement["received"] == statement["hot"] == statement["applied"] == len(frames)
            assert statement["balanced"]
            ids = [journalled(runtime.journal, symbol) for symbol in ("BTCUSDT", "ETHUSDT")]
            assert sum(map(len, ids)) == len(frames)
            # The new journal's own sink carries them over again, which changes nothing.
            await runtime.settle()
            assert stored(redis_server) == runs


async def test_it_is_done_once_and_never_in_playback(tmp_path, with_redis):
    frames = recorded(500)
    with trio.fail_after(30):
        await played(tmp_path / "lost", with_redis, frames)
        async with open_runtime(with_redis, plan_of(), tmp_path / "played") as runtime:
            assert runtime.journal.symbols() == []
            assert runtime.ledger.total().received == 0
        async with open_runtime(with_redis, LIVE, tmp_path / "new") as runtime:
            assert runtime.ledger.total().hot == len(frames)
        async with open_runtime(with_redis, LIVE, tmp_path / "new") as runtime:
            assert runtime.epoch == 2
            assert runtime.ledger.total().received == 0
            assert len(journalled(runtime.journal, "BTCUSDT")) > 0


async def test_what_was_missed_between_the_last_kept_trade_and_the_first_live_one_is_a_known_gap(
    tmp_path, with_redis
):
    frames = [trade(number, START + number * SECOND) for number in range(100, 200)]
    with trio.fail_after(30):
        await played(tmp_path / "lost", with_redis, frames[:40])
        # Some are given again: they are duplicates. Then ten are missing.
        exchange = FakeExchange([*frames[30:40], *frames[50:]], hold=trio.Event())
        async with spine(tmp_path / "new", exchange, plan=LIVE, settings=with_redis) as running:
            runtime = running.runtime
            memory, total = runtime.symbols[BITCOIN.key], runtime.ledger.total()
            await until(lambda: exchange.position == 60 and not runtime.in_flight())
            await until(lambda: runtime.ledger.total().applied == 90)
            assert [(gap.first, gap.last) for gap in memory.gaps.open] == [(140, 149)]
            total = runtime.ledger.total()
            assert (total.received, total.hot, total.duplicate) == (100, 40, 10)
            assert running.balanced()
            answer = await running.everything(BITCOIN.key)
            assert answer.bars[""].buy_trades + answer.bars[""].sell_trades == 90


async def test_a_symbol_followed_later_has_its_last_hour_too(tmp_path, with_redis):
    frames = recorded(500)
    nothing_yet = Plan({}, {}, (), playback=False, rest={"binance": "http://127.0.0.1:1"})
    with trio.fail_after(30):
        await played(tmp_path / "lost", with_redis, frames)
        async with open_runtime(with_redis, nothing_yet, tmp_path / "new") as runtime:
            assert runtime.ledger.total().received == 0
            runtime.adopt(*runtime.remember(BITCOIN, IdKind.TRADE))
            count = len(journalled(runtime.journal, "BTCUSDT"))
            assert runtime.ledger.account(BITCOIN.key).hot == count > 0
            assert runtime.symbols[BITCOIN.key].taken_over.trades == count


async def test_without_a_redis_the_daemon_starts_without_it(tmp_path, private_redis):
    server = private_redis()
    settings = Settings(storage=StorageSettings(redis_url=server.url))
    server.kill()
    with capture_logs() as logs:
        async with open_runtime(settings, LIVE, tmp_path) as runtime:
            assert runtime.journal.symbols() == []
    (event,) = [one for one in logs if one["event"] == "hot_tier_not_read"]
    assert "cannot be reached" in event["reason"]
