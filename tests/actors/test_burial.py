"""A batch that no aggregator survives is buried: skipped, counted, a gap that says so; no other is lost."""

from collections.abc import Sequence
from pathlib import Path

import pytest
import trio
from spine import BITCOIN, FakeExchange, Spine, folded, journalled, spine, trade, unordered, until

from actors.burial import NOT_JOURNALLED, bury
from actors.memory import SymbolMemory
from actors.messages import TradeBatch
from supervision import DeadLetters, Mailbox
from wadm.ledger import Ledger
from wadm.market import IdKind, Trades
from wadm.series import BarSeries, ClosedBars

#: 2024-08-09T00:00:00Z
START = 1_723_161_600_000_000
KEY = BITCOIN.key
AGGREGATOR = f"aggregators/aggregator:{KEY}"
BATCH = 10

#: The poison is the batch with this trade, the fourth.
DEADLY = 35
BURIED = range(31, 41)


@pytest.fixture
def deadly(monkeypatch: pytest.MonkeyPatch) -> set[object]:
    """Let whoever folds a trade of this set die of it."""
    ids: set[object] = {DEADLY}
    fold = BarSeries.fold

    def dying(series: BarSeries, trades: Trades) -> int:
        if ids.intersection(trades.ids):
            raise ZeroDivisionError("this batch is deadly")
        return fold(series, trades)

    monkeypatch.setattr(BarSeries, "fold", dying)
    return ids


def frames(count: int = 100) -> list[bytes]:
    return [trade(number, START + number * 1_000_000) for number in range(1, count + 1)]


def survivors(count: int = 100) -> list[bytes]:
    return [frame for number, frame in enumerate(frames(count), 1) if number not in BURIED]


def exchange(given: Sequence[bytes], **more: object) -> FakeExchange:
    return FakeExchange(given, sizes=lambda: BATCH, **more)  # type: ignore[arg-type]


def known(running: Spine) -> list[tuple[int, int, str, str]]:
    gaps = running.runtime.symbols[KEY].gaps.known
    return [(one.gap.first, one.gap.last, one.state, one.reason) for one in gaps]


async def test_after_the_second_crash_it_is_buried_and_all_others_are_right(
    tmp_path: Path, deadly: set[object]
) -> None:
    with trio.fail_after(20):
        async with spine(tmp_path, exchange(frames())) as running:
            await running.complete()
            account = running.runtime.ledger.account(KEY)
            assert (account.received, account.applied) == (100, 90)
            assert account.rejected == {"poison": 10}
            assert running.balanced()
            assert running.runtime.in_flight() == 0
            assert known(running) == [(31, 40, "unfillable", "poison")]
            (letter,) = running.root.dead_letters.list()
            assert list(letter.message.trades.ids) == list(BURIED)
            assert "this batch is deadly" in letter.cause
            deadly.clear()
            assert unordered(running.bars(KEY)) == unordered(folded(survivors())[KEY])
            # The exchange's own copies of them are known: they would come back the same.
            assert running.runtime.positions["binance"].missing() == {}


async def test_a_rebuild_passes_over_it(tmp_path: Path, deadly: set[object]) -> None:
    with trio.fail_after(20):
        async with spine(tmp_path, exchange(frames(50), hold=trio.Event())) as running:
            account = running.runtime.ledger.account(KEY)
            await until(lambda: account.applied == 40)
            for _ in range(3):
                assert running.root.kill(AGGREGATOR)
                assert (await running.everything(KEY)).bars[""].buy_trades == 40
            assert account.rejected == {"poison": 10}
            assert known(running) == [(31, 40, "unfillable", "poison")]


@pytest.mark.parametrize("mended", [False, True])
async def test_after_a_start_it_is_still_passed_over_and_its_gap_known(
    tmp_path: Path, deadly: set[object], mended: bool
) -> None:
    with trio.fail_after(20):
        async with spine(tmp_path, exchange(frames(50), hold=trio.Event())) as running:
            await until(lambda: running.runtime.ledger.account(KEY).applied == 40)
        if mended:
            deadly.clear()
        async with spine(tmp_path, exchange(frames()[50:])) as again:
            await again.complete()
            assert len(journalled(again.runtime.journal, "BTCUSDT")) == 100
            assert known(again) == [(31, 40, "unfillable", "poison")]
            assert again.balanced()
            deadly.clear()
            assert unordered(again.bars(KEY)) == unordered(folded(survivors())[KEY])
            stored = again.runtime.reader.gaps("binance", "BTCUSDT", 0, 1 << 62)
            assert [(one.gap.first, one.gap.last, one.state) for one in stored] == [(31, 40, "unfillable")]


async def test_a_batch_that_became_deadly_while_nobody_ran_does_not_keep_the_aggregator_down(
    tmp_path: Path, deadly: set[object]
) -> None:
    deadly.clear()
    with trio.fail_after(20):
        async with spine(tmp_path, exchange(frames(50), hold=trio.Event())) as running:
            await until(lambda: running.runtime.ledger.account(KEY).applied == 50)
        deadly.add(DEADLY)
        async with spine(tmp_path, exchange(frames()[50:])) as again:
            await again.complete()
            assert known(again) == [(31, 40, "unfillable", "poison")]
            assert again.balanced()
            deadly.clear()
            assert unordered(again.bars(KEY)) == unordered(folded(survivors())[KEY])


async def test_many_deadly_batches_are_buried_each_alone(tmp_path: Path, deadly: set[object]) -> None:
    deadly |= {12, 71, 95}
    with trio.fail_after(20):
        async with spine(tmp_path, exchange(frames())) as running:
            await running.complete()
            assert running.runtime.ledger.account(KEY).rejected == {"poison": 40}
            assert [gap[:2] for gap in known(running)] == [(11, 20), (31, 40), (71, 80), (91, 100)]
            assert running.balanced()


def test_what_the_writer_does_not_survive_is_a_gap_of_the_journal_and_stays_in_the_bars() -> None:
    ids = (7, 8, 10)
    trades = Trades(
        BITCOIN.exchange, BITCOIN.symbol, IdKind.TRADE, 0, 0, ids, [START] * 3, [1] * 3, [1] * 3, [1] * 3
    )
    memory, ledger = SymbolMemory(BITCOIN, ClosedBars(), IdKind.TRADE), Ledger()
    letters = DeadLetters()
    letters.keep(Mailbox("writer", 1), TradeBatch(trades, 1, 1, START, 0.0, START), "OverflowError", 0.0)
    for _ in range(2):
        bury(letters, {KEY: memory}, ledger)
    gaps = [(one.gap.first, one.gap.last, one.state, one.reason) for one in memory.gaps.known]
    assert gaps == [(7, 8, "unfillable", NOT_JOURNALLED), (10, 10, "unfillable", NOT_JOURNALLED)]
    assert not memory.poisoned
    assert not ledger.accounts
