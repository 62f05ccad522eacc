"""One symbol's aggregator with a real journal: closing, revising, catching up, and recording windows."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import attrs
import pytest
import trio
from msgspec.structs import replace
from spine import BITCOIN, Spine, plan_of, spine, until

from actors.messages import (
    BarRecord,
    BarsAnswer,
    BarsQuery,
    EndOfCapture,
    Entry,
    Kind,
    MarketTime,
    OrderFlowRecord,
    ProfileRecord,
    TradeBatch,
)
from supervision import MailboxFull, ask
from wadm.bar import Bar
from wadm.market import DAY, MINUTE, SECOND, IdKind, Trades

#: 2024-08-09T00:00:00Z: every timeframe begins here
START = 1_723_161_600_000_000
KEY = BITCOIN.key
LIFE = 1_000_001


def trades(*at: int, first: int | None = None, price: int = 100_00) -> Trades:
    """Return a bought trade of 1 at each time, µs after the start."""
    count = len(at)
    lowest = at[0] // 1_000 if first is None else first
    return Trades(
        "binance", "BTCUSDT", IdKind.TRADE, 2, 5,
        list(range(lowest, lowest + count)), [START + one for one in at], [price] * count,
        [100_000] * count, [1] * count,
    )  # fmt: skip


def batch(number: int, *at: int, life: int = LIFE) -> TradeBatch:
    return TradeBatch(trades(*at), life, number, START, 0.0, START + max(at))


class Desk:
    """An aggregator, and what may be done to it."""

    def __init__(self, running: Spine) -> None:
        self.running, self.runtime = running, running.runtime
        self.memory = self.runtime.symbols[KEY]
        self.mailbox = self.runtime.aggregators[KEY]
        self.account = self.runtime.ledger.account(KEY)

    def receive(self, one: TradeBatch) -> TradeBatch:
        self.account.received += len(one.trades)
        return one

    async def post(self, one: TradeBatch) -> None:
        """Send a batch the usual way."""
        self.receive(one)
        await self.runtime.writer_mailbox.put(one)
        await self.mailbox.put(one)

    async def ask(self, start: int = START, end: int = START + DAY) -> BarsAnswer:
        """Ask for a span, the answer's bar of the name ""; a whole day by default."""
        answer: BarsAnswer = await ask(self.mailbox, BarsQuery({"": (start, end)}), deadline=5.0)
        return answer

    async def records(self, kind: type[Entry]) -> list[Entry]:
        """Return what was journalled of a kind, once everything is."""
        await self.ask()
        await self.runtime.settle()
        found, _ = self.runtime.journal.read(0, 10_000, frozenset(Kind) - {Kind.TRADES})
        return [entry for _, entry in found if type(entry) is kind and entry.symbol == "BTCUSDT"]

    async def bars(self) -> list[Bar]:
        return [record.bar for record in await self.records(BarRecord) if isinstance(record, BarRecord)]


@asynccontextmanager
async def at_desk(directory: Path, *, playback: bool = True) -> AsyncIterator[Desk]:
    with trio.fail_after(20):
        async with spine(directory, plan=plan_of(playback=playback)) as running:
            yield Desk(running)
            assert running.balanced()


async def test_market_time_closes_the_bar_of_a_quiet_symbol_after_its_grace(tmp_path: Path) -> None:
    async with at_desk(tmp_path) as desk:
        await desk.post(batch(1, 5 * SECOND))
        await desk.mailbox.put(MarketTime(START + MINUTE + 2 * SECOND - 1))
        assert (await desk.ask()).closed_until == START
        assert await desk.bars() == []
        await desk.mailbox.put(MarketTime(START + MINUTE + 2 * SECOND))
        (bar,) = await desk.bars()
        assert (bar.start, bar.revision, bar.partial, bar.buy_trades) == (START, 0, False, 1)


async def test_market_time_never_goes_back(tmp_path: Path) -> None:
    async with at_desk(tmp_path) as desk:
        await desk.mailbox.put(MarketTime(START + 5 * MINUTE))
        await desk.mailbox.put(MarketTime(START))
        assert (await desk.ask()).market_time == START + 5 * MINUTE


async def test_a_late_trade_makes_a_revision_of_the_bar_and_of_its_windows(tmp_path: Path) -> None:
    async with at_desk(tmp_path) as desk:
        await desk.post(batch(1, 5 * SECOND))
        await desk.post(batch(2, 6 * MINUTE))
        await desk.post(batch(3, 7 * SECOND))
        bars = [bar for bar in await desk.bars() if bar.start == START]
        assert [(bar.revision, bar.buy_trades) for bar in bars] == [(0, 1), (1, 2)]
        for kind in (ProfileRecord, OrderFlowRecord):
            windows = [(one.timeframe, one.start, one.revision) for one in await desk.records(kind)]  # type: ignore[union-attr]
            of_first = [(timeframe, revision) for timeframe, start, revision in windows if start == START]
            assert of_first == [("1m", 0), ("5m", 0), ("1m", 1), ("5m", 1)]
        (stored,) = desk.runtime.store.bars("binance", "BTCUSDT", START, START + MINUTE)
        assert stored == bars[1]


async def test_the_path_of_a_minute_revised_late_is_made_exact_from_its_raw_trades(tmp_path: Path) -> None:
    async with at_desk(tmp_path) as desk:
        for number, at, signed in ((1, 5, 3), (2, 9, -5), (3, 360, 1), (4, 7, 4)):
            one = batch(number, at * SECOND)
            await desk.post(attrs.evolve(one, trades=replace(one.trades, signed_quantities=[signed])))
        await desk.ask()
        await until(lambda: not desk.memory.crooked)
        bar = [bar for bar in await desk.bars() if bar.start == START][-1]
        # In time: 3, then 4, then -5: the delta went up to 7, and never below nothing.
        assert (bar.delta, bar.delta_high, bar.delta_low, bar.exact_path) == (2, 7, 0, True)
        await desk.mailbox.put(EndOfCapture(START + 6 * MINUTE))
        await desk.memory.ended.wait()
        flow = [one for one in await desk.records(OrderFlowRecord) if one.start == START][-1]  # type: ignore[union-attr]
        assert isinstance(flow, OrderFlowRecord)
        assert (flow.order_flow.delta_high, flow.order_flow.exact_path) == (7, True)


async def test_the_end_of_a_capture_stores_what_is_open_and_marks_it_partial(tmp_path: Path) -> None:
    async with at_desk(tmp_path) as desk:
        await desk.post(batch(1, 5 * SECOND))
        await desk.post(batch(2, MINUTE + 5 * SECOND))
        await desk.mailbox.put(EndOfCapture(START + MINUTE + 5 * SECOND))
        await desk.memory.ended.wait()
        assert [(bar.start - START, bar.partial) for bar in await desk.bars()] == [(0, False), (MINUTE, True)]
        flows = await desk.records(OrderFlowRecord)
        windows = {(one.timeframe, one.start - START): one.partial for one in flows}  # type: ignore[union-attr]
        assert windows == {
            ("1m", 0): False, ("1m", MINUTE): True, ("5m", 0): True, ("15m", 0): True, ("1h", 0): True,
            ("4h", 0): True, ("1d", 0): True,
        }  # fmt: skip
        again = await desk.ask(START + MINUTE, START + 2 * MINUTE)
        assert again.bars[""].partial
        assert again.closed_until <= START + MINUTE


async def test_a_minute_is_closed_once_it_has_ended_and_its_grace(tmp_path: Path) -> None:
    async with at_desk(tmp_path) as desk:
        await desk.post(batch(1, 5 * SECOND))
        for ahead, closed in ((MINUTE, 0), (MINUTE + 2 * SECOND, MINUTE)):
            await desk.mailbox.put(MarketTime(START + ahead))
            answer = await desk.ask(START, START + MINUTE)
            assert answer.closed_until == START + closed
            assert answer.bars[""].buy_trades == 1


async def test_a_number_seen_again_is_dropped(tmp_path: Path) -> None:
    async with at_desk(tmp_path) as desk:
        first = batch(1, 5 * SECOND)
        await desk.post(first)
        await desk.mailbox.put(first)
        await desk.post(batch(2, 6 * SECOND))
        await desk.mailbox.put(first)
        assert (await desk.ask()).bars[""].buy_trades == 2
        assert desk.account.applied == 2


# --- catching up ---


def leave(desk: Desk, one: TradeBatch) -> None:
    desk.receive(one)
    desk.memory.left[one.incarnation, one.number] = len(one.trades)


async def test_a_missing_number_is_read_from_the_journal(tmp_path: Path) -> None:
    async with at_desk(tmp_path) as desk:
        await desk.post(batch(1, 5 * SECOND))
        for one in (batch(2, 6 * SECOND), batch(3, 7 * SECOND, 8 * SECOND)):
            leave(desk, one)
            await desk.runtime.writer_mailbox.put(one)
        assert desk.running.balanced()
        await desk.post(batch(4, 9 * SECOND))
        assert (await desk.ask()).bars[""].buy_trades == 5
        assert desk.memory.left == {}


async def test_the_last_batch_left_to_the_journal_needs_no_other_to_come_after_it(tmp_path: Path) -> None:
    async with at_desk(tmp_path) as desk:
        await desk.post(batch(1, 5 * SECOND))
        last = batch(2, 6 * SECOND)
        leave(desk, last)
        await desk.runtime.writer_mailbox.put(last)
        await desk.runtime.marks.wait_for_batch(LIFE, KEY, 2)
        await desk.mailbox.put(MarketTime(START + 10 * SECOND))
        assert (await desk.ask()).bars[""].buy_trades == 2
        assert desk.memory.left == {}


async def test_what_an_ended_connection_left_is_found_when_the_next_one_goes_on(tmp_path: Path) -> None:
    async with at_desk(tmp_path) as desk:
        await desk.post(batch(1, 5 * SECOND))
        last = batch(2, 6 * SECOND)
        leave(desk, last)
        await desk.runtime.writer_mailbox.put(last)
        await desk.runtime.marks.wait_for_batch(LIFE, KEY, 2)
        await desk.post(batch(1, 7 * SECOND, life=LIFE + 1))
        assert (await desk.ask()).bars[""].buy_trades == 3


async def test_a_number_that_was_shed_is_passed_over(tmp_path: Path) -> None:
    async with at_desk(tmp_path) as desk:
        await desk.post(batch(1, 5 * SECOND))
        await desk.post(batch(4, 9 * SECOND))
        assert (await desk.ask()).bars[""].buy_trades == 2


async def test_a_batch_that_was_left_is_applied_once_though_it_also_waits_in_the_mailbox(
    tmp_path: Path,
) -> None:
    async with at_desk(tmp_path) as desk:
        both, last = batch(1, 5 * SECOND), batch(2, 6 * SECOND)
        await desk.runtime.writer_mailbox.put(desk.receive(both))
        await desk.runtime.writer_mailbox.put(last)
        await desk.runtime.marks.wait_for_batch(LIFE, KEY, 2)
        leave(desk, last)
        desk.mailbox.put_nowait(MarketTime(START))
        desk.mailbox.put_nowait(both)
        await until(lambda: desk.account.applied == 2)
        assert (await desk.ask()).bars[""].buy_trades == 2
        assert desk.running.balanced()


async def test_poison_is_passed_over_in_the_journal_as_well(tmp_path: Path) -> None:
    async with at_desk(tmp_path) as desk:
        await desk.post(batch(1, 5 * SECOND))
        poison = batch(2, 6 * SECOND)
        await desk.runtime.writer_mailbox.put(poison)
        desk.memory.poisoned.add((LIFE, 2))
        await desk.post(batch(3, 7 * SECOND))
        assert (await desk.ask()).bars[""].buy_trades == 2
        assert desk.running.root.kill(f"aggregators/aggregator:{KEY}")
        assert (await desk.ask()).bars[""].buy_trades == 2


# --- killed ---


async def checkpointed(desk: Desk) -> None:
    """Have a checkpoint taken: what comes after it is folded again whenever the aggregator is killed."""
    await desk.post(batch(1, *range(0, 500_000, 1_000)))
    await desk.ask()
    assert desk.memory.checkpoint is not None


def kill(desk: Desk) -> bool:
    return desk.running.root.kill(f"aggregators/aggregator:{KEY}")


async def closed_once(desk: Desk) -> Bar:
    await desk.mailbox.put(MarketTime(START + 2 * MINUTE))
    (bar,) = await desk.bars()
    return bar


async def test_a_rebuild_folds_what_several_senders_sent_in_the_order_in_which_it_was_folded(
    tmp_path: Path,
) -> None:
    async with at_desk(tmp_path) as desk:
        await checkpointed(desk)
        await desk.post(batch(2, 5 * SECOND))
        await desk.post(batch(1, 6 * SECOND, life=LIFE + 1))
        await desk.post(batch(3, 7 * SECOND))
        await desk.ask()
        await desk.runtime.settle()
        assert kill(desk)
        bar = await closed_once(desk)
        assert (bar.revision, bar.exact_path, bar.buy_trades) == (0, True, 503)


async def test_a_rebuild_folds_uncommitted_batches_before_later_ones_that_are_committed(
    tmp_path: Path,
) -> None:
    async with at_desk(tmp_path) as desk:
        await checkpointed(desk)
        # As if the writer had come so far while the journal was read, one sender's batches after another's.
        await desk.mailbox.put(desk.receive(batch(2, 5 * SECOND)))
        await desk.post(batch(1, 6 * SECOND, life=LIFE + 1))
        await desk.ask()
        await desk.runtime.marks.wait_for_batch(LIFE + 1, KEY, 1)
        assert kill(desk)
        bar = await closed_once(desk)
        assert (bar.revision, bar.exact_path, bar.buy_trades) == (0, True, 502)


async def test_a_path_is_made_exact_though_its_aggregator_is_killed_meanwhile(tmp_path: Path) -> None:
    async with at_desk(tmp_path) as desk:
        await desk.post(batch(1, 5 * SECOND))
        await desk.post(batch(2, 6 * MINUTE))
        await desk.ask()
        await desk.runtime.settle()
        threads, holders = trio.to_thread.current_default_thread_limiter(), list[object]()
        while threads.available_tokens:
            holders.append(object())
            threads.acquire_on_behalf_of_nowait(holders[-1])
        await desk.post(batch(3, 3 * SECOND))
        await until(lambda: desk.account.applied == 3)
        assert kill(desk)  # it waits for a thread, to read the minute's trades
        for holder in holders:
            threads.release_on_behalf_of(holder)
        await desk.ask()
        await until(lambda: not desk.memory.crooked)
        first = [bar for bar in await desk.bars() if bar.start == START]
        assert [(bar.revision, bar.exact_path) for bar in first] == [(0, True), (1, False), (2, True)]


# --- a writer that is behind ---


async def test_while_a_live_writer_is_behind_answers_go_on_and_records_wait(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with at_desk(tmp_path, playback=False) as desk:
        await desk.post(batch(1, 5 * SECOND))
        await desk.runtime.settle()
        with monkeypatch.context() as full:
            full.setattr(desk.runtime.writer_mailbox, "put_nowait", _refuse)
            await desk.mailbox.put(MarketTime(START + 2 * MINUTE))
            began = trio.current_time()
            for _ in range(3):
                assert (await desk.ask()).bars[""].buy_trades == 1
            assert trio.current_time() - began < 2.0
            await until(lambda: len(desk.memory.records) == 3)
            assert desk.running.root.snapshot().children[1].children[0].restarts == 0
        assert [bar.buy_trades for bar in await desk.bars()] == [1]
        assert not desk.memory.records


def _refuse(_message: object) -> None:
    raise MailboxFull("full")


async def test_a_stop_hands_on_every_record_that_waits(tmp_path: Path) -> None:
    with trio.fail_after(10):
        async with spine(tmp_path) as running:
            desk = Desk(running)
            await desk.post(batch(1, 5 * SECOND))
            await desk.ask()
            # Noted by a connection after the aggregator's last message.
            desk.memory.records.append(BarRecord("binance", "BTCUSDT", Bar(START - MINUTE, START)))
        async with spine(tmp_path) as later:
            found, _ = later.runtime.journal.read(0, 100, frozenset(Kind) - {Kind.TRADES})
            assert [entry.bar.start for _, entry in found if isinstance(entry, BarRecord)] == [START - MINUTE]
