"""Start-up after a death: closed bars from the stores, the rest from raw trades, and the hole is known."""

import subprocess
import sys
from pathlib import Path

import pytest
import trio
from spine import (
    BITCOIN,
    FakeExchange,
    folded,
    journalled,
    plainly,
    recorded,
    seeds,
    spine,
    trade,
    until,
)

from wadm.market import MINUTE

SPINE = Path(__file__).with_name("spine.py")
START = 1_723_161_600_000_000
KEY = BITCOIN.key


def die(directory: Path, seed: int) -> None:
    """Let a daemon die by SIGKILL in the middle of its work."""
    victim = subprocess.run(
        [sys.executable, "-P", str(SPINE), str(directory), str(seed)],
        check=False,
        capture_output=True,
        timeout=30,
    )
    assert victim.returncode == -9, victim.stderr.decode()


@pytest.mark.parametrize("seed", seeds(1))
async def test_after_a_sigkill_the_bars_are_those_of_the_journals_trades(tmp_path: Path, seed: int) -> None:
    await trio.to_thread.run_sync(die, tmp_path, seed)
    frames = recorded(6_000)
    exchange = FakeExchange(frames, hold=trio.Event())
    with trio.fail_after(20):
        async with spine(tmp_path) as alone:
            runtime = alone.runtime
            assert runtime.epoch == 2
            kept = {key: journalled(runtime.journal, key.split(":")[1]) for key in runtime.symbols}
            counts = {key: len(ids) for key, ids in kept.items()}
            assert 0 < sum(counts.values()) <= 4_560
            expected = folded(_first(frames, counts))
            for key, wanted in expected.items():
                assert len(set(kept[key])) == counts[key]
                answer = await alone.everything(key)
                assert answer.bars[""].buy_trades + answer.bars[""].sell_trades == counts[key]
                assert answer.bars[""].rows == alone.merged(wanted).rows
                assert runtime.symbols[key].last_trade_at is not None
            # What an earlier start of the daemon counted is not counted again.
            assert runtime.ledger.total().received == 0
            assert alone.balanced()

        # The exchange goes on where it is: what was missed meanwhile is a known gap, to the last id.
        exchange.position = 5_000
        async with spine(tmp_path, exchange) as again:
            runtime = again.runtime
            assert runtime.epoch == 3
            await until(lambda: exchange.position == len(frames) and not runtime.in_flight())
            for key, memory in runtime.symbols.items():
                missing = [(gap.first, gap.last) for gap in memory.gaps.open]
                (first, last) = _ids_between(frames, key, counts[key], 5_000)
                assert missing == [(first, last)]
                # Killed now, it comes back with what it had, batches of earlier starts among it.
                before = await again.everything(key)
                assert again.root.kill(f"aggregators/aggregator:{key}")
                after = await again.everything(key)
                assert after.bars == before.bars
            assert again.balanced()


def _ids(frames: list[bytes], key: str) -> list[int]:
    symbol = key.split(":")[1].encode()
    mine = (frame for frame in frames if b'"s":"' + symbol in frame)
    return [int(frame.split(b'"t":')[1].split(b",")[0]) for frame in mine]


def _first(frames: list[bytes], counts: dict[str, int]) -> list[bytes]:
    """Return the first frames of each symbol: what is kept is what came first."""
    left, kept = dict(counts), []
    for frame in frames:
        key = "binance:" + frame.split(b'"s":"')[1].split(b'"')[0].decode()
        if left[key]:
            left[key] -= 1
            kept.append(frame)
    return kept


def _ids_between(frames: list[bytes], key: str, kept: int, position: int) -> tuple[int, int]:
    ids = _ids(frames, key)
    following = _ids(frames[position:], key)
    return ids[kept], following[0] - 1


async def test_closed_bars_come_from_the_stores_when_raw_trades_are_gone(tmp_path: Path) -> None:
    frames = [trade(number, START + number * 20_000_000) for number in range(30)]
    with trio.fail_after(10):
        async with spine(tmp_path, FakeExchange(frames)) as first:
            await first.complete()
            before = first.bars(KEY)
            first.runtime.journal.trim(1 << 62, first.runtime.journal.last_seq())
        async with spine(tmp_path) as second:
            assert plainly(second.bars(KEY)) == plainly(before)
            memory = second.runtime.symbols[KEY]
            assert memory.covered_from == START
            assert not memory.warming


async def test_a_late_trade_whose_bar_was_not_journalled_again_makes_a_revision_at_the_next_start(
    tmp_path: Path,
) -> None:
    # A trade of the second minute comes when the fourth has closed it, after a start of the daemon.
    frames = [trade(number, START + number * MINUTE) for number in range(4)]
    late = trade(9, START + 3 * MINUTE // 2)
    with trio.fail_after(10):
        async with spine(tmp_path, FakeExchange(frames)) as first:
            await first.complete()
            assert [bar.revision for bar in first.bars(KEY)] == [0, 0, 0, 0]
        async with spine(tmp_path, FakeExchange([late])) as second:
            await second.complete()
            assert second.bars(KEY)[1].revision == 1
            (stored,) = second.runtime.store.bars("binance", "BTCUSDT", START + MINUTE, START + 2 * MINUTE)
            assert stored.revision == 1
            assert stored.buy_trades == 2


@pytest.mark.parametrize("kills", [1, 5])
async def test_a_kill_during_the_rebuild_starts_it_again(tmp_path: Path, kills: int) -> None:
    frames = recorded(2_000)
    with trio.fail_after(20):
        async with spine(tmp_path, FakeExchange(frames)) as first:
            await first.complete()
        async with spine(tmp_path) as second:
            for _ in range(kills):
                for key in second.runtime.symbols:
                    second.root.kill(f"aggregators/aggregator:{key}")
                await trio.sleep(0.001)
            for key, wanted in folded(frames).items():
                answer = await second.everything(key)
                assert answer.bars[""].rows == second.merged(wanted).rows
                assert not answer.warming


async def test_lives_of_senders_that_ended_long_ago_are_forgotten(tmp_path: Path) -> None:
    async with spine(tmp_path) as running:
        memory = running.runtime.symbols[KEY]
        for incarnation in range(1_000):
            memory.came_to(incarnation, 1)
        memory.came_to(999 - 200, 2)
        assert len(memory.applied) == 256
        assert list(memory.applied)[-1] == 799
        memory.applied.clear()
