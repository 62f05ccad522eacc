"""Gaps are kept in memory for about as long as bars are; older ones are counted, and told from the stores."""

from collections import Counter
from pathlib import Path
from typing import Any

import trio
from spine import BITCOIN, FakeExchange, Spine, plan_of, spine, trade

from actors.answers.queries import Queries
from actors.gaps import soundness
from actors.gaps.refill import Refill, Source
from wadm.answers.registry import QUESTIONS
from wadm.coverage import TOO_OLD
from wadm.exchanges.base import Gap
from wadm.exchanges.contiguity import Missing
from wadm.instants import iso
from wadm.market import HOUR, IdKind
from wadm.sections import StorageSettings
from wadm.settings import Settings

#: 2024-08-09T00:00:00Z
START = 1_723_161_600_000_000
KEY = BITCOIN.key
ONE = plan_of(instruments=[BITCOIN])

#: A trade an hour over three days, the id before each missing: the gaps of the last 26 hours are kept.
HOURS, KEPT = 72, 27
FRAMES = [trade(2 * number, START + number * HOUR) for number in range(HOURS + 1)]
TOTALS = {"open": KEPT, "unfillable": HOURS - KEPT, "suspected": 0, "ids_missing": HOURS}


async def told(running: Spine, start: int, end: int) -> list[dict[str, Any]]:
    asked = {"exchange": "binance", "symbol": "BTCUSDT", "start": iso(start), "end": iso(end)}
    answer: Any = await Queries(running.runtime).ask(QUESTIONS["profile"], asked)
    gaps: list[dict[str, Any]] = answer["coverage"]["gaps"]
    return gaps


async def test_gaps_older_than_memory_are_counted_and_told_from_the_stores(tmp_path: Path) -> None:
    with trio.fail_after(20):
        async with spine(tmp_path, FakeExchange(FRAMES), ONE) as running:
            await running.complete()
            memory = running.runtime.symbols[KEY]
            assert len(memory.gaps.known) == KEPT
            assert soundness.totals([memory]) == {KEY: TOTALS}
            assert memory.gaps_noted == {"open": HOURS, "unfillable": HOURS - KEPT}
            old = await told(running, START, START + 3 * HOUR)
            assert [(gap["first"], gap["state"], gap["reason"]) for gap in old] == [
                (1, "unfillable", TOO_OLD), (3, "unfillable", TOO_OLD),
            ]  # fmt: skip
            # Once gaps were let go, what is older is asked of the stores, whatever is known of the bars.
            for since, held_from in ((0, memory.gaps.since), (START + 71 * HOUR, START + 71 * HOUR)):
                memory.closed.since, kept = since, memory.closed.since
                assert memory.held_from == held_from
                memory.closed.since = kept
            new = await told(running, START + 70 * HOUR, START + 71 * HOUR)
            assert [(gap["first"], gap["state"]) for gap in new] == [(139, "open"), (141, "open")]
            everything = await Queries(running.runtime).gaps()
            assert Counter(gap["first"] for gap in everything) == Counter(range(1, 2 * HOURS, 2))
        # A start reads all of them from the stores, and lets the same go again.
        async with spine(tmp_path, None, ONE) as again:
            await again.everything(KEY)
            memory = again.runtime.symbols[KEY]
            assert len(memory.gaps.known) == KEPT
            assert soundness.totals([memory]) == {KEY: TOTALS}
            assert not memory.records


async def test_gaps_are_kept_among_the_raw_trades_that_are_kept(tmp_path: Path) -> None:
    settings = Settings(storage=StorageSettings(raw_retention_minutes=60 * HOURS))
    with trio.fail_after(20):
        async with spine(tmp_path, FakeExchange(FRAMES), ONE, settings) as running:
            await running.complete()
            assert len(running.runtime.symbols[KEY].gaps.known) == HOURS


async def test_while_the_stores_are_out_of_reach_no_gap_is_let_go(tmp_path: Path) -> None:
    with trio.fail_after(20):
        async with spine(tmp_path, None, ONE) as running:
            memory = running.runtime.symbols[KEY]
            await running.everything(KEY)
            memory.note_gap(Gap("binance", "BTCUSDT", IdKind.TRADE, 5, 9, START))
            for whole, kept in ((False, 1), (True, 0)):
                memory.closed.starts, memory.closed.whole = [START + 60 * HOUR], whole
                memory.let_gaps_go()
                assert len(memory.gaps.known) == kept
            memory.closed.starts = []


async def test_of_what_is_given_up_no_more_is_remembered_than_is_missing(tmp_path: Path) -> None:
    async with spine(tmp_path, None, ONE) as running:
        runtime = running.runtime
        runtime.send_as("test")
        refill = Refill(runtime, "binance", runtime.outboxes["test"])
        source = Source(BITCOIN, IdKind.TRADE)
        position = runtime.positions_of("binance").of("BTCUSDT", IdKind.TRADE)
        position.check(0)
        for number in range(10, 1_000, 10):
            position.check(number)
            refill._give_up(source, Missing(number - 9, number - 5), "gone")
            refill._give_up(source, Missing(number - 4, number - 1), "gone")
            assert list(refill.gaps()) == []
            position.close(Missing(0, number - 11))  # they came all the same
            assert len(refill._given_up[KEY]) <= 3
        position.check(1_005)
        assert [ids for _, ids in refill.gaps()] == [Missing(991, 1_004)]
