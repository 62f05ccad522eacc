"""What is recorded of windows, against what the questions answer of the same windows from the same bars."""

import random
import threading
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import attrs
import pytest
import trio
from spine import BITCOIN, FakeExchange, plan_of, recorded, spine, until
from structlog.testing import capture_logs

from actors.answers.stored import Stored
from actors.gaps import soundness
from actors.memory import SymbolMemory
from actors.messages import (
    BarRecord,
    Entry,
    GapRecord,
    LevelsRecord,
    MarketTime,
    OrderFlowRecord,
    ProfileRecord,
)
from actors.storage.errors import StorageError
from actors.storage.journal import Journal
from actors.storage.journal_view import JournalView
from actors.storage.reader import DataReader
from actors.window_records import BACKLOG, MOST_DUE, WindowRecords
from wadm.analytics.profile import Profile
from wadm.answers import records
from wadm.answers.registry import QUESTIONS
from wadm.bar import Bar
from wadm.exchanges.base import Gap
from wadm.instants import iso
from wadm.market import DAY, HOUR, MINUTE, SECOND, IdKind, Instrument, Trades
from wadm.numbers import plain
from wadm.series import ClosedBars
from wadm.timeframes import TIMEFRAMES

#: 2024-08-09T00:00:00Z: every timeframe ends here
END = 1_723_161_600_000_000
NAME = ("binance", "BTCUSDT")
GRACE = 2 * SECOND


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    made = Journal(tmp_path)
    yield made
    made.close()


def history(first: int, last: int, every: int = 9 * MINUTE, seed: int = 5) -> list[Bar]:
    """Return a walk of bars, one of so many minutes, whose last ends at ``last``."""
    dice, price, made = random.Random(seed), 6_000_000, []
    for start in range(last - MINUTE - (last - MINUTE - first) // every * every, last, every):
        count = dice.randint(1, 9)
        prices = [price := price + dice.randint(-900, 900) for _ in range(count)]
        sizes = [dice.randint(1, 40) ** 3 * dice.choices((1, 30), (300, 1))[0] for _ in range(count)]
        signed = [dice.choice((-1, 1)) * size for size in sizes]
        times = sorted(start + dice.randrange(MINUTE) for _ in range(count))
        ids = range(start // 1_000, start // 1_000 + count)
        bar = Bar(start, start + MINUTE)
        bar.fold(Trades(*NAME, IdKind.TRADE, 2, 5, list(ids), times, prices, signed, [1] * count))
        bar.settle()
        made.append(bar)
    return made


@attrs.define
class Made:
    """One symbol's memory with the newest bars, beside a journal with all of them."""

    memory: SymbolMemory
    journal: Journal
    windows: WindowRecords

    @property
    def records(self) -> list[Entry]:
        return list(self.memory.records)

    def of(self, kind: type[Entry]) -> dict[str, Any]:
        return {one.timeframe: one for one in self.records if type(one) is kind}  # type: ignore[union-attr]


def made_of(journal: Journal, bars: list[Bar], keep: int = DAY + HOUR, ended: int = END) -> Made:
    journal.append([BarRecord(*NAME, bar) for bar in bars])
    memory = SymbolMemory(BITCOIN, ClosedBars(keep), IdKind.TRADE)
    for bar in bars:
        if bar.start >= ended - keep:
            memory.closed.put(bar)
    memory.market_time = ended + GRACE
    memory.due.noted(ended - MINUTE)
    reader = DataReader(journal, None)
    return Made(memory, journal, WindowRecords(memory, reader, GRACE, trio.CapacityLimiter(1)))


def answered(journal: JournalView, name: str, start: int, end: int, **given: str) -> dict[str, Any]:
    window = {"exchange": NAME[0], "symbol": NAME[1], "start": iso(start), "end": iso(end)}
    return Stored(DataReader(journal, None)).ask(QUESTIONS[name], window | given)


# --- each record is the answer of its question ---


def assert_answered(journal: JournalView, one: Entry) -> None:
    match one:
        case ProfileRecord(start=start, end=end, profile=made):
            answer = answered(journal, "profile", start, end, row_size="auto")
            assert answer["row_size"] == plain(made.row_size)
            assert answer["profile_sha256"] == made.sha256()
            marked = [made.price(row) if row is not None else None for row in (made.poc, made.vah, made.val)]
            assert [answer["poc"], answer["vah"], answer["val"]] == marked
        case OrderFlowRecord(timeframe=timeframe, start=start, end=end, order_flow=flow):
            answer = answered(journal, "flow", start, end)
            told = (answer[name] for name in ("buy_volume", "sell_volume", "delta", "cvd"))
            assert [Decimal(number).scaleb(flow.quantity_decimals) for number in told] == [
                flow.buy_volume, flow.sell_volume, flow.delta, flow.cvd
            ]  # fmt: skip
            assert answer["cvd_since"] == iso(flow.session_start)
            answer = answered(journal, "large-trades", start, end)
            counts = answer["buy_count"], answer["sell_count"]
            assert one.large_trades == (None if None in counts else sum(counts))
            bar = {"bar": "1m"} if timeframe == "1m" else {}
            answer = answered(journal, "signals", start, end, kinds="absorption", **bar)
            assert one.absorption_events == len(answer["signals"])
        case LevelsRecord(start=start, end=end, levels=levels):
            assert end - start == DAY
            answer = answered(journal, "levels", start, end)
            assert answer["levels"] == [
                {
                    "liquidity_type": str(level.kind),
                    "price": plain(level.price),
                    "strength": plain(level.strength),
                    "volume": plain(level.volume),
                    "touches": level.touches,
                    "created_at": told["created_at"],
                    "last_touch": None if level.last_touch is None else iso(level.last_touch),
                }
                for level, told in zip(levels, answer["levels"], strict=True)
            ]


@pytest.mark.parametrize("keep", [50 * HOUR, 25 * HOUR, 2 * HOUR])
async def test_records_are_the_answers_whether_their_bars_are_in_memory_or_in_the_stores(
    journal: Journal, keep: int
) -> None:
    made = made_of(journal, history(END - 50 * HOUR, END), keep)
    await made.windows.record()
    flows, profiles = made.of(OrderFlowRecord), made.of(ProfileRecord)
    assert list(flows) == list(profiles) == list(TIMEFRAMES)
    assert sum(isinstance(one, LevelsRecord) for one in made.records) == 1
    for one in made.records:
        assert_answered(journal, one)
    assert flows["1d"].large_trades > 0
    assert flows["1d"].absorption_events > 0


async def test_every_record_of_a_recording_is_the_answer(tmp_path: Path) -> None:
    with trio.fail_after(30):
        async with spine(tmp_path, FakeExchange(recorded(5_000))) as running:
            await running.complete()
            journal = running.runtime.journal
            newest = {
                (type(one), getattr(one, "timeframe", ""), one.start): one
                for _, one in journal.read(0, 10_000)[0]
                if isinstance(one, ProfileRecord | OrderFlowRecord | LevelsRecord) and one.symbol == "BTCUSDT"
            }
            assert {kind for kind, _, _ in newest} == {ProfileRecord, OrderFlowRecord, LevelsRecord}
            for one in newest.values():
                assert_answered(journal, one)


async def test_without_orders_before_it_nothing_in_a_window_is_large(journal: Journal) -> None:
    made = made_of(journal, history(END - 10 * MINUTE, END, 2 * MINUTE))
    await made.windows.record()
    known = [name for name, one in made.of(OrderFlowRecord).items() if one.large_trades is not None]
    assert known == ["1m", "5m"]


async def test_levels_are_recorded_of_the_last_hour_only(journal: Journal) -> None:
    made = made_of(journal, history(END - 3 * HOUR, END))
    for hour in (1, 2):
        made.memory.due.noted(END - hour * HOUR - MINUTE)
    await made.windows.record()
    hours = [one.start for one in made.records if isinstance(one, ProfileRecord) and one.timeframe == "1h"]
    assert hours == [END - 3 * HOUR, END - 2 * HOUR, END - HOUR]
    assert [one.end for one in made.records if isinstance(one, LevelsRecord)] == [END]


async def test_an_hour_that_was_recorded_need_not_be_merged_again(journal: Journal) -> None:
    made = made_of(journal, history(END - 3 * HOUR, END))
    await made.windows.record()
    assert list(made.memory.closed.hours) == [END - HOUR]
    made.memory.closed.put(history(END - 20 * MINUTE, END, 2 * MINUTE)[0])
    assert not made.memory.closed.hours


# --- what is left for later, and what is given up ---


async def test_a_window_in_hand_stays_due_where_its_recording_is_cut_off(journal: Journal) -> None:
    made = made_of(journal, history(END - 3 * HOUR, END))
    with trio.CancelScope() as scope:
        async with trio.open_nursery() as nursery:
            made.windows.turns.acquire_on_behalf_of_nowait(journal)
            nursery.start_soon(made.windows.record)
            await until(lambda: len(made.of(ProfileRecord)) == 2)
            await until(lambda: made.windows.turns.statistics().tasks_waiting == 1)
            scope.cancel()
    made.windows.turns.release_on_behalf_of(journal)
    assert len(made.memory.due) == 4
    await made.windows.record()
    assert list(made.of(ProfileRecord)) == list(TIMEFRAMES)


async def test_a_window_that_cannot_be_recorded_holds_up_no_other(
    journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(_instrument: object, bars: list[Bar]) -> int:
        return 1 // (len(bars) - 1)

    monkeypatch.setattr(records, "absorptions", broken)
    made = made_of(journal, history(END - 3 * HOUR, END))
    with capture_logs() as logs:
        await made.windows.record()
    assert [(one["event"], one["window"][0]) for one in logs] == [
        ("window_not_recorded", "1m"), ("window_not_recorded", "5m"),
    ]  # fmt: skip
    assert list(made.of(ProfileRecord)) == ["15m", "1h", "4h", "1d"]
    assert (made.memory.unrecorded, len(made.memory.due)) == (2, 0)


async def test_stores_that_are_away_leave_a_count_open_and_nothing_else(
    journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = made_of(journal, history(END - 3 * HOUR, END))

    def away(*_: object) -> list[Bar]:
        raise StorageError("the store is down")

    monkeypatch.setattr(DataReader, "bars", away)
    monkeypatch.setattr(DataReader, "packed_bars", away)
    await made.windows.record()
    flows = made.of(OrderFlowRecord)
    assert [one.large_trades for one in flows.values()] == [None] * 6
    assert list(made.of(ProfileRecord)) == list(TIMEFRAMES)


async def test_windows_whose_bars_are_out_of_reach_wait_until_they_are_known(journal: Journal) -> None:
    made = made_of(journal, history(END - 8 * MINUTE, END, 2 * MINUTE))
    made.memory.closed.whole = False
    await made.windows.record()
    assert list(made.of(ProfileRecord)) == ["1m", "5m"]
    assert not made.windows.wanted
    made.memory.closed.whole = True
    assert made.windows.wanted
    await made.windows.record()
    assert list(made.of(ProfileRecord)) == list(TIMEFRAMES)


async def test_while_the_writer_is_behind_no_more_is_recorded(journal: Journal) -> None:
    made = made_of(journal, history(END - 3 * HOUR, END))
    waiting = [GapRecord(Gap(*NAME, IdKind.TRADE, number, number, END), "open") for number in range(BACKLOG)]
    made.memory.records.extend(waiting)
    await made.windows.record()
    assert len(made.memory.due) == 6
    alarm = "500 records of binance:BTCUSDT wait for the journal"
    assert soundness.alarms([made.memory]) == [alarm]
    made.memory.unrecorded = 3
    assert soundness.alarms([made.memory]) == [f"{alarm}, 3 were given up"]
    made.memory.records.popleft()
    assert soundness.alarms([made.memory]) == []
    await made.windows.record()
    assert len(made.memory.due) == 5


async def test_windows_that_wait_for_longer_than_bars_are_kept_are_given_up(journal: Journal) -> None:
    made = made_of(journal, history(END - 3 * HOUR, END))
    due = made.memory.due
    made.memory.records.extend([GapRecord(Gap(*NAME, IdKind.TRADE, 1, 1, END), "open")] * BACKLOG)
    for minute in range(MOST_DUE + 60):
        due.noted(END + minute * MINUTE)
    await made.windows.record()
    assert len(due) == MOST_DUE
    assert made.memory.unrecorded > 60


def test_records_that_wait_are_bounded_and_bars_go_before_gaps() -> None:
    memory = SymbolMemory(BITCOIN, ClosedBars(), IdKind.TRADE)
    gaps = [GapRecord(Gap(*NAME, IdKind.TRADE, number, number, END), "open") for number in range(4)]
    bars = [BarRecord(*NAME, Bar(END + at * MINUTE, END + (at + 1) * MINUTE)) for at in range(4)]
    memory.records.extend([*gaps[:2], *bars, *gaps[2:]])
    memory.bound_records(8)
    assert (len(memory.records), memory.unrecorded) == (8, 0)
    memory.bound_records(5)
    assert list(memory.records) == [*gaps[:2], bars[3], *gaps[2:]]
    memory.bound_records(2)
    assert (list(memory.records), memory.unrecorded) == (gaps[2:], 6)


# --- beside the fold ---


async def test_a_live_aggregator_answers_while_a_long_window_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, go_on, made_of_it = threading.Event(), threading.Event(), records.profile_of

    def slow(instrument: Instrument, bar: Bar) -> Profile:
        if bar.end - bar.start == HOUR:
            begun.set()
            go_on.wait(10)
        return made_of_it(instrument, bar)

    monkeypatch.setattr(records, "profile_of", slow)
    with trio.fail_after(20):
        async with spine(tmp_path, plan=plan_of(playback=False)) as running:
            runtime = running.runtime
            memory, mailbox = runtime.symbols[BITCOIN.key], runtime.aggregators[BITCOIN.key]
            for bar in history(END - 2 * HOUR, END):
                memory.closed.put(bar)
            memory.due.noted(END - MINUTE)
            await mailbox.put(MarketTime(END + GRACE))
            await until(begun.is_set)
            assert (await running.everything(BITCOIN.key)).bars[""].rows
            go_on.set()
            # The last window is still in the making when nothing is due any more.
            await until(lambda: bool(runtime.store.profiles(*NAME, "1d", END - DAY, END)))
            await until(lambda: bool(runtime.store.levels(*NAME)))
