"""Whatever is killed, wherever it waits: the bars are as if nothing had happened, and the ledger balances.

The seed of a failure is in its name; `WADM_SEED=… pytest tests/actors/test_kills.py` tries it again.
"""

import random
from pathlib import Path

import pytest
import trio
from spine import CONNECTION, FakeExchange, Spine, folded, journalled, plainly, recorded, seeds, spine, until

ACTORS = ("aggregator:binance:BTCUSDT", "aggregator:binance:ETHUSDT", "writer", "warm", CONNECTION)
PATHS = {
    name: f"{'aggregators' if name.startswith('agg') else 'connections' if '#' in name else 'storage'}/{name}"
    for name in ACTORS
}


async def killing(running: Spine, chance: random.Random, names: tuple[str, ...], rests: float) -> int:
    """Kill actors until the exchange has ended; the ledger balances at every look."""
    kills = 0
    while not running.runtime.connections[CONNECTION].ended.is_set():
        await trio.sleep(chance.random() * rests)
        for _ in range(chance.choice((1, 1, 2, 5))):
            kills += running.root.kill(PATHS[chance.choice(names)])
        assert running.balanced()
    return kills


async def everything_is_there(running: Spine, frames: list[bytes]) -> None:
    runtime, expected = running.runtime, folded(frames)
    ledger = runtime.ledger.total()
    assert ledger.applied == len(frames)
    assert running.balanced()
    assert runtime.in_flight() == 0
    for key, wanted in expected.items():
        exchange, symbol = key.split(":")
        assert running.bars(key) == wanted, key
        ids = journalled(runtime.journal, symbol)
        assert len(ids) == len(set(ids)) == sum(bar.buy_trades + bar.sell_trades for bar in wanted)
        assert runtime.store.bars(exchange, symbol, 0, 1 << 62) == wanted


@pytest.mark.parametrize("seed", seeds(2))
@pytest.mark.parametrize(
    "names",
    [ACTORS, ACTORS[:1], ("writer",), ("warm",), (CONNECTION,), ("writer", ACTORS[1])],
    ids=["all", "aggregator", "writer", "sink", "connection", "writer and aggregator"],
)
async def test_kills_at_any_moment_change_nothing(tmp_path: Path, seed: int, names: tuple[str, ...]) -> None:
    chance = random.Random(seed)
    frames = recorded(3_000)
    exchange = FakeExchange(
        frames, sizes=lambda: chance.randint(1, 80), pause=lambda: chance.choice((0.0, 0.0, 0.002))
    )
    with trio.fail_after(30):
        async with spine(tmp_path, exchange) as running:
            assert await killing(running, chance, names, 0.004) > 3
            await running.complete()
            await everything_is_there(running, frames)


@pytest.mark.parametrize("seed", seeds(1))
async def test_what_comes_twice_after_a_reconnect_counts_once(tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)
    frames = recorded(3_000)
    exchange = FakeExchange(frames, overlap=40, sizes=lambda: 70, pause=lambda: 0.001)
    with trio.fail_after(30):
        async with spine(tmp_path, exchange) as running:
            assert await killing(running, chance, (CONNECTION,), 0.02) > 1
            await running.complete()
            await everything_is_there(running, frames)
            assert exchange.repeated > 0
            assert running.runtime.ledger.total().duplicate == exchange.repeated


async def test_an_aggregator_killed_before_its_first_trade_counts_that_trade(tmp_path: Path) -> None:
    frames = recorded(200)
    exchange = FakeExchange(frames, sizes=lambda: 5)
    with trio.fail_after(10):
        async with spine(tmp_path, exchange) as running:
            # The trades are in the journal and in the mailbox, and nothing is folded yet.
            running.root.kill(PATHS[ACTORS[0]])
            running.root.kill(PATHS[ACTORS[1]])
            await running.runtime.marks.wait_for(lambda marks: bool(marks.batches))
            await running.complete()
            await everything_is_there(running, frames)


async def test_the_same_batches_are_not_rebuilt_and_delivered(tmp_path: Path) -> None:
    """A rebuild that finds the first batches of this start in the journal leaves them to the mailbox."""
    frames = recorded(400)
    exchange = FakeExchange(frames, sizes=lambda: 20)
    with trio.fail_after(10):
        async with spine(tmp_path, exchange) as running:
            key = "binance:BTCUSDT"
            waiting = running.runtime.aggregators[key].pending
            while not (running.runtime.marks.batch(1_000_001, key) and waiting()):
                running.root.kill(PATHS[ACTORS[0]])
                await trio.lowlevel.checkpoint()
            await running.complete()
            await everything_is_there(running, frames)


async def test_a_stop_in_the_middle_keeps_all_that_was_received_for_the_next_start(tmp_path: Path) -> None:
    frames = recorded(3_000)
    exchange = FakeExchange(frames, sizes=lambda: 60, pause=lambda: 0.001)
    with trio.fail_after(20):
        async with spine(tmp_path, exchange) as first:
            await until(lambda: exchange.position >= 1_500)
        received = first.runtime.ledger.total().received
        async with spine(tmp_path, exchange) as second:
            kept = [journalled(second.runtime.journal, symbol) for symbol in ("BTCUSDT", "ETHUSDT")]
            assert sum(map(len, kept)) == received
            await second.complete()
            for key, wanted in folded(frames).items():
                assert plainly(second.bars(key)) == plainly(wanted)
                assert not second.runtime.symbols[key].gaps.open
