"""Raw trades are forgotten after their retention, but never while a symbol may be rebuilt from them."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trio
from spine import BITCOIN, ETHER, FakeExchange, Spine, plan_of, recorded, spine, trade, until

from actors.messages import MarketTime
from actors.retention import Retention
from actors.runtime import Runtime
from actors.storage.errors import StorageError
from actors.storage.journal import Journal
from supervision import Context
from wadm.market import MINUTE

KEY = BITCOIN.key
#: 2024-08-09T00:00:00Z
START = 1_723_161_600_000_000
#: Minutes of retention after which a segment of the journal is over that was begun this minute.
OVER = -20


@pytest.fixture(autouse=True)
def _often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("actors.retention.PERIOD", 0.001)


@pytest.fixture
def looks(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Note how many entries went at each of the janitor's looks at the journal."""
    noted: list[int] = []
    trim = Journal.trim

    def noting(journal: Journal, before: int, passed: int) -> int:
        noted.append(trim(journal, before, passed))
        return noted[-1]

    monkeypatch.setattr(Journal, "trim", noting)
    return noted


@asynccontextmanager
async def janitor(runtime: Runtime, minutes: int) -> AsyncIterator[None]:
    """Run it for the length of the block."""
    async with trio.open_nursery() as nursery:
        nursery.start_soon(Retention(runtime, minutes, quota_mb=64).run, Context("retention", 1))
        yield
        nursery.cancel_scope.cancel()


async def leaves_it(looks: list[int]) -> None:
    """Give it many times its period; it must not even look."""
    with trio.move_on_after(0.05):
        await until(lambda: bool(looks))
    assert looks == []


def kept(runtime: Runtime) -> object:
    return runtime.journal.trades_extent("binance", "BTCUSDT")


async def pass_time(running: Spine, market_time: int) -> None:
    """Let every symbol's market time come this far."""
    for key in (KEY, ETHER.key):
        await running.runtime.aggregators[key].put(MarketTime(market_time))
        await running.everything(key)


async def test_raw_trades_are_forgotten_after_their_retention_but_not_while_a_symbol_is_rebuilt(
    tmp_path: Path, looks: list[int]
) -> None:
    frames = recorded(2_000)
    with trio.fail_after(20):
        async with spine(tmp_path, FakeExchange(frames)) as running:
            await running.complete()
            runtime, memory = running.runtime, running.runtime.symbols[KEY]
            await pass_time(running, memory.market_time)
            memory.warming = True
            async with janitor(runtime, OVER):
                await leaves_it(looks)
                assert kept(runtime) is not None
                memory.warming = False
                await until(lambda: kept(runtime) is None)
            assert len(running.bars(KEY)) > 1


async def test_an_open_bar_keeps_the_trades_it_would_be_rebuilt_from(
    tmp_path: Path, looks: list[int]
) -> None:
    exchange = FakeExchange([trade(1, START)], hold=trio.Event())
    with trio.fail_after(20):
        async with spine(tmp_path, exchange) as running:
            runtime, memory = running.runtime, running.runtime.symbols[KEY]
            await until(lambda: memory.open_from is not None)
            await runtime.settle()
            assert memory.open_from == START
            async with janitor(runtime, OVER):
                await leaves_it(looks)
                await pass_time(running, START + 2 * MINUTE)
                assert memory.open_from is None
                await until(lambda: kept(runtime) is None)
            # What it made of them is there, in memory and after a rebuild without them.
            assert running.root.kill(f"aggregators/aggregator:{KEY}")
            assert (await running.everything(KEY)).bars[""].buy_trades == 1


async def test_what_is_within_its_retention_stays(tmp_path: Path, looks: list[int]) -> None:
    with trio.fail_after(20):
        async with spine(tmp_path, FakeExchange([trade(1, START)])) as running:
            await running.complete()
            await pass_time(running, START + 2 * MINUTE)
            async with janitor(running.runtime, 60):
                await until(lambda: len(looks) > 1)
            assert set(looks) == {0}
            assert kept(running.runtime) is not None


async def test_after_a_start_the_trades_of_a_bar_that_never_closed_stay_until_it_does(
    tmp_path: Path, looks: list[int]
) -> None:
    exchange = FakeExchange([trade(1, START)], hold=trio.Event())
    with trio.fail_after(20):
        async with spine(tmp_path, exchange, plan_of(playback=False)) as running:
            await until(lambda: running.runtime.symbols[KEY].open_from is not None)
            await running.runtime.settle()
        async with spine(tmp_path) as again:
            runtime, memory = again.runtime, again.runtime.symbols[KEY]
            await until(lambda: not memory.warming)
            assert memory.open_from == START
            async with janitor(runtime, OVER):
                await leaves_it(looks)
                await pass_time(again, START + 2 * MINUTE)
                await until(lambda: kept(runtime) is None)
            assert (await again.everything(KEY)).bars[""].buy_trades == 1


async def test_over_its_quota_the_journal_lets_the_oldest_go_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("actors.retention.LEAST", -MINUTE)
    with trio.fail_after(20):
        async with spine(tmp_path, FakeExchange(recorded(2_000))) as running:
            await running.complete()
            runtime, upkeep = running.runtime, running.runtime.upkeep
            monkeypatch.setattr("actors.retention.LOG_LIMIT", 64 << 20)
            async with janitor(runtime, 60):
                await until(lambda: upkeep.shed_at is not None)
                await until(lambda: upkeep.first > runtime.marks.last_seq)
            assert kept(runtime) is None
            assert upkeep.over
            # The store had passed it all: nothing was lost.
            assert upkeep.losses == []
            assert runtime.journal.places() == {runtime.warm.name: runtime.warm.stored}


async def test_a_store_that_cannot_forget_is_shown_and_asked_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("actors.retention.EXPIRY", 0.001)
    asked: list[int] = []

    def expire(_: object, now: int) -> int:
        asked.append(now)
        if len(asked) < 3:
            raise StorageError("the store is down")
        return 1

    with trio.fail_after(20):
        async with spine(tmp_path) as running:
            monkeypatch.setattr(type(running.runtime.store), "expire", expire)
            failing = running.runtime.upkeep.failing
            async with janitor(running.runtime, 60):
                await until(lambda: len(asked) == 1)
                await until(lambda: len(asked) > 3)
                assert failing == {}
