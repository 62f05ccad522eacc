"""The book actor: in step with its exchange, or saying why it is not."""

import random
from collections.abc import Iterator

import pytest
import trio
import trio.testing
from book_world import BYBIT, SPOT, STREAM, FakeRest, World, of_each_second, world
from made_up_books import snapshot, update
from recorded_books import CAPTURES, snapshots, steps

from actors.books.book import Book
from actors.books.memory import BookMemory
from actors.messages import BookBatch, Reached
from actors.rest import NotEver, NotNow
from supervision import Backoff, ChildSpec, Intensity, Mailbox, Supervisor
from wadm.market import SECOND, BestQuote, BookRun, BookUpdate, Instrument
from wadm.orderbook import OrderBook

Clock = trio.testing.MockClock
BOOK = [(10, 1)], [(11, 1)]
DIFFS = "btcusdt@depth@100ms"


async def test_a_snapshot_is_asked_for_once_updates_come_and_they_go_on_top_of_it(
    autojump_clock: Clock,
) -> None:
    async with world(answers=[snapshot(100, *BOOK)]) as one:
        await trio.sleep(60)
        assert one.rest.asked == []  # it would be older than the first update
        one.put(update(99, 100), update(101, 101, [(10, 5)]))
        await one.until(lambda: one.memory.sync.synced)
        one.put(BestQuote(102, "10", "2", "11", "1"), update(102, 102, [(10, 2)]))
        one.put(BestQuote(103, "10", "2", "11", "1"))
        await one.folded()
        memory = one.memory
        assert (memory.sync.last, memory.sync.book.bids.best, len(one.rest.asked)) == (102, (10, 2), 1)
        assert (memory.received, memory.updated_at) == (3, 7)
        assert memory.counters() == {
            "updates": 2, "dropped_old": 0, "gaps": 0, "resyncs": 0, "pruned": 0, "crossed": 0,
            "book_ticker_checked": 1, "book_ticker_mismatches": 0, "recorded": 0, "not_recorded": 0,
        }  # fmt: skip
        await trio.sleep(2)
        assert memory.age_ms(trio.current_time()) == pytest.approx(2_000, abs=100)


async def test_errors_are_waited_out_longer_each_time_while_updates_are_held(autojump_clock: Clock) -> None:
    answers = [NotNow("busy"), NotNow("slow down", 20), NotNow("busy"), snapshot(90), snapshot(103, *BOOK)]
    async with world(answers=answers) as one:
        one.put(update(101, 101))
        await one.until(lambda: len(one.rest.asked) == 2)
        assert one.memory.sync.reason == "there is no snapshot: slow down"
        one.put(update(102, 103), update(104, 104, [(10, 9)]))
        await one.folded()
        assert one.memory.received == 3  # nothing stood still meanwhile
        await one.until(lambda: one.memory.sync.synced)
        waits = [round(later - at, 1) for at, later in zip(one.rest.asked, one.rest.asked[1:], strict=False)]
        assert waits == [0.5, 20, 2, 4]
        assert one.memory.sync.book.bids.best == (10, 9)


async def test_a_snapshot_that_is_refused_is_asked_for_again_a_minute_later(autojump_clock: Clock) -> None:
    async with world(answers=[NotEver("no such symbol"), snapshot(100, *BOOK)]) as one:
        one.put(update(101, 101))
        await one.until(lambda: one.memory.sync.synced)
        assert one.rest.asked[1] - one.rest.asked[0] == 60


async def test_where_no_rest_interface_is_known_the_reason_says_so(autojump_clock: Clock) -> None:
    async with world(answers=[snapshot(100)]) as one:
        one.rest.addresses.clear()
        one.put(update(101, 101))
        await one.until(lambda: "no REST interface of binance is known" in one.memory.sync.reason)
        assert one.rest.asked == []


async def in_step(one: World, last: int = 100) -> None:
    one.put(update(last, last))
    await one.until(lambda: one.memory.sync.synced)


async def test_a_gap_is_repaired_by_a_fresh_snapshot(autojump_clock: Clock) -> None:
    async with world(answers=[snapshot(100, *BOOK), snapshot(150, [(9, 1)], [(10, 1)])]) as one:
        await in_step(one)
        one.rest.hold = trio.Event()
        one.put(update(140, 150), update(151, 151, [(9, 3)]))
        await one.folded()
        assert (one.memory.sync.synced, one.memory.sync.reason) == (False, "updates 101 to 139 are missing")
        assert one.memory.sync.book.bids.top(9) == [(10, 1)]
        one.rest.hold.set()
        await one.until(lambda: one.memory.sync.synced)
        assert one.memory.sync.book.bids.top(9) == [(9, 3)]
        assert (one.memory.sync.gaps, one.memory.sync.resyncs, len(one.rest.asked)) == (1, 1, 2)


async def test_where_the_stream_itself_begins_with_a_snapshot_a_gap_renews_it(autojump_clock: Clock) -> None:
    async with world(BYBIT, streams=["orderbook.1.BTCUSDT", STREAM, "orderbook.50.ETHUSDT"]) as one:
        one.put(snapshot(5, *BOOK), update(6, 6, [(10, 2)]))
        await one.folded()
        assert one.memory.sync.synced
        one.put(update(8, 8))
        await one.until(lambda: one.connection.renewed == {STREAM})
        one.connection.renewed.clear()
        one.put(update(9, 9))
        await trio.sleep(4)
        assert not one.connection.renewed
        await one.until(lambda: one.connection.renewed == {STREAM})  # it did not begin anew
        one.put(snapshot(20, *BOOK))
        await one.folded()
        assert (one.memory.sync.synced, one.memory.sync.resyncs, one.rest.asked) == (True, 1, [])
        one.connection.renewed.clear()
        await trio.sleep(100)
        assert not one.connection.renewed


async def test_of_symbols_that_differ_in_digits_alone_only_its_own_stream_is_renewed(
    autojump_clock: Clock,
) -> None:
    streams = ["orderbook.200.1000PEPEUSDT", "orderbook.200.PEPEUSDT"]
    async with world(Instrument("bybit", "PEPEUSDT"), streams=streams) as one:
        one.put(snapshot(5, *BOOK), update(8, 8))
        await one.until(lambda: bool(one.connection.renewed))
        assert one.connection.renewed == {"orderbook.200.PEPEUSDT"}


async def test_a_book_that_no_open_connection_brings_is_not_in_step(autojump_clock: Clock) -> None:
    async with world(answers=[snapshot(100, *BOOK), snapshot(200, *BOOK)], streams=[DIFFS]) as one:
        await in_step(one)
        await trio.sleep(10)
        assert one.memory.sync.synced
        one.connection.connected_at = None
        await trio.sleep(1.5)
        assert not one.memory.sync.synced
        assert one.memory.sync.reason == "the connection that brings it was lost"
        one.connection.connected_at = 2
        one.put(update(200, 200))
        await one.until(lambda: one.memory.sync.synced)
        await trio.sleep(10)
        assert one.memory.sync.synced


async def test_a_recording_waits_for_its_snapshot(autojump_clock: Clock) -> None:
    async with world(answers=[NotNow("not yet"), snapshot(101, *BOOK)], playback=True) as one:
        one.rest.hold = trio.Event()
        one.put(update(100, 100))
        one.put(update(101, 101))
        one.put(update(102, 102, [(10, 7)]))
        await trio.sleep(1)
        assert (len(one.rest.asked), one.memory.received) == (1, 1)
        one.rest.hold.set()
        await one.folded()
        # The far side had none yet: it is not asked again at once, and the recording goes on.
        assert (len(one.rest.asked), one.memory.sync.synced) == (1, False)
        await trio.sleep(1)
        one.put(update(103, 103))
        await one.folded()
        assert (one.memory.sync.synced, one.memory.sync.last) == (True, 103)
        assert one.memory.sync.book.bids.best == (10, 7)


async def test_a_book_crossed_for_more_than_five_seconds_is_given_up_with_an_alarm(
    autojump_clock: Clock,
) -> None:
    async with world(answers=[snapshot(100, *BOOK), snapshot(200, *BOOK)]) as one:
        await in_step(one)
        one.put(update(101, 101, [(12, 1)]))
        await one.folded()
        await trio.sleep(4)
        assert (one.memory.sync.synced, one.memory.alarm) == (True, "")
        await trio.sleep(3)
        assert (one.memory.sync.synced, one.memory.crossing.count) == (False, 1)
        assert one.memory.alarm == "the book of binance:BTCUSDT was crossed for too long"
        assert one.memory.sync.reason == "the book was crossed for too long"
        one.put(update(102, 200))
        await one.until(lambda: one.memory.sync.synced)
        one.put(update(201, 201))
        await one.folded()
        assert (one.memory.alarm, one.memory.sync.resyncs) == ("", 1)


async def test_a_book_that_does_not_come_into_step_is_an_alarm_after_a_minute(autojump_clock: Clock) -> None:
    async with world(answers=[snapshot(100, *BOOK), snapshot(300, *BOOK)]) as one:
        one.rest.hold = trio.Event()
        one.put(update(101, 101))
        await one.folded()
        await trio.sleep(55)
        assert one.memory.alarm == ""
        await trio.sleep(10)
        assert one.memory.alarm.startswith("the book of binance:BTCUSDT is out of step: ")
        one.rest.hold.set()
        await one.until(lambda: one.memory.sync.synced)
        await trio.sleep(2)
        assert one.memory.alarm == ""


async def test_in_a_recording_only_the_exchange_s_time_counts(autojump_clock: Clock) -> None:
    async with world(answers=[snapshot(100, *BOOK)], playback=True) as one:
        one.put(update(100, 100))
        one.put(update(101, 101, [(12, 1)], at=100 * SECOND))
        await one.folded()
        await trio.sleep(60)
        one.put(update(102, 102, at=105 * SECOND))
        await one.folded()
        assert one.memory.sync.synced
        one.put(update(103, 103, at=106 * SECOND))
        await one.folded()
        assert one.memory.alarm


@pytest.fixture
def crashes(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """Let the first application of update 101 fail, when half of it is applied."""
    seen: list[int] = []
    apply = OrderBook.apply

    def fail_once(book: OrderBook, diff: BookUpdate) -> None:
        if diff.last == 101 and not seen:
            seen.append(diff.last)
            book.bids.change(diff.bids)
            raise ZeroDivisionError
        apply(book, diff)

    with monkeypatch.context() as patched:
        patched.setattr(OrderBook, "apply", fail_once)
        yield seen


async def test_a_crash_in_the_middle_of_an_update_leaves_no_half_of_it(
    autojump_clock: Clock, crashes: list[int]
) -> None:
    async with world(answers=[snapshot(100, *BOOK)]) as rig:
        pass
    memory, mailbox = BookMemory(SPOT), Mailbox("book", 16)
    actor = Book(memory, rig.rest, {}, rig.writer)  # type: ignore[arg-type]
    root = Supervisor("root", [ChildSpec("book", actor.run, mailbox=mailbox)], intensity=Intensity(10, 10.0))
    async with trio.open_nursery() as nursery:
        await nursery.start(root.run)
        mailbox.put_nowait(BookBatch(BookRun("binance", "BTCUSDT", [update(100, 100)]), 1))
        await rig.until(lambda: memory.sync.synced)
        half = update(101, 101, [(10, 3)], [(11, 3)])
        rig.rest.hold = trio.Event()
        mailbox.put_nowait(BookBatch(BookRun("binance", "BTCUSDT", [half]), 1))
        await rig.until(lambda: bool(crashes) and memory.sync.wants_snapshot)
        assert (memory.sync.synced, memory.sync.whole) == (False, False)
        rig.rest.hold.set()
        await rig.until(lambda: memory.sync.synced)
        assert (memory.sync.book.bids.best, memory.sync.book.asks.best) == ((10, 3), (11, 3))
        root.stop()


async def test_kills_at_any_await_lose_no_update(autojump_clock: Clock) -> None:
    """A recorded book, with its actor killed at random: nothing is missing, nothing is applied twice."""
    found = list(steps(CAPTURES / "usdm_btcusdt_20240718.gz"))
    (first,) = snapshots(found)
    rest, chance = FakeRest([first]), random.Random(4)
    memory, mailbox = BookMemory(Instrument("binance_usdm", "BTCUSDT")), Mailbox("book", 64)
    rest.addresses["binance_usdm"] = ""
    writer = Mailbox("writer", 1_024)
    actor = Book(memory, rest, {}, writer, playback=True)  # type: ignore[arg-type]
    root = Supervisor(
        "root",
        [ChildSpec("book", actor.run, mailbox=mailbox)],
        intensity=Intensity(10_000, 1.0),
        backoff=Backoff(0.001, 0.002),
    )
    live = [step for step in found if step is not first]
    async with trio.open_nursery() as nursery:
        await nursery.start(root.run)
        for at in range(0, len(live), 20):
            await mailbox.put(BookBatch(BookRun("binance_usdm", "BTCUSDT", live[at : at + 20]), 1))
            if chance.random() < 0.2:
                await trio.sleep(chance.random() * 0.002)
                root.kill("book")
        last = Reached()
        await mailbox.put(last)
        await last.event.wait()
        assert root.snapshot().children[0].restarts > 20
        root.stop()
    assert (memory.sync.synced, memory.sync.applied, memory.sync.gaps) == (True, 3_321, 0)
    assert (memory.quotes.checked, memory.quotes.mismatches) == (1_712, 0)
    taken_down = [record.sequence for record in writer.pending()]
    assert taken_down == of_each_second(memory.sync.rule, first, live)


# --- audits ---


async def audited(one: World) -> dict[str, object]:
    one.memory.want_audit()
    await one.until(lambda: not one.memory.audit_wanted)
    assert one.memory.last_audit is not None
    return one.memory.last_audit


async def test_a_book_that_is_right_passes_its_audit(autojump_clock: Clock) -> None:
    async with world(answers=[snapshot(100, *BOOK), snapshot(100, [(10, 1), (9, 4)], [(11, 1)])]) as one:
        await in_step(one)
        one.rest.hold = trio.Event()
        one.memory.want_audit()
        await one.until(lambda: len(one.rest.asked) == 2)
        one.put(update(101, 101, [(9, 4)], [(11, 6)]))
        await one.folded()
        one.rest.hold.set()
        await one.until(lambda: not one.memory.audit_wanted)
        told = one.memory.last_audit
        assert told is not None
        assert (told["comparable"], told["update_id"], told["compared"], told["differing"]) == (
            True,
            101,
            3,
            0,
        )
        assert one.memory.sync.resyncs == 0


async def test_a_book_that_differs_is_replaced(autojump_clock: Clock) -> None:
    async with world(answers=[snapshot(100, *BOOK), snapshot(100, [(10, 2), (9, 1)], [(11, 1)])]) as one:
        await in_step(one)
        told = await audited(one)
        assert (told["differing"], told["compared"]) == (2, 3)
        assert told["examples"] == [
            {"side": "bids", "price": "10", "ours": "1", "theirs": "2"},
            {"side": "bids", "price": "9", "ours": "0", "theirs": "1"},
        ]
        assert one.memory.sync.book.bids.top(9) == [(10, 2), (9, 1)]
        one.put(update(101, 101, [(9, 0)]))
        await one.folded()
        assert (one.memory.sync.book.bids.top(9), one.memory.sync.resyncs) == ([(10, 2)], 1)


async def test_an_audit_of_which_nothing_came_says_why(autojump_clock: Clock) -> None:
    answers = [snapshot(100, *BOOK), NotNow("busy"), snapshot(120, *BOOK), snapshot(130, *BOOK)]
    async with world(answers=answers) as one:
        await in_step(one)
        assert (await audited(one))["reason"] == "busy"
        told = await audited(one)
        assert told["reason"] == "the book did not come to the snapshot's update within 60 s"
        one.memory.want_audit()
        await one.until(lambda: len(one.rest.asked) == 4)
        one.put(update(125, 126))
        await one.until(lambda: not one.memory.audit_wanted)
        assert one.memory.last_audit is not None
        assert one.memory.last_audit["reason"] == "the book was resynchronised meanwhile"
        assert one.memory.last_audit["comparable"] is False


async def test_a_book_of_a_stream_with_a_depth_of_its_own_is_renewed_where_it_differs(
    autojump_clock: Clock,
) -> None:
    async with world(BYBIT, [snapshot(5, [(10, 2)], [(11, 1)])]) as one:
        one.put(snapshot(5, *BOOK))
        await one.folded()
        assert (await audited(one))["differing"] == 1
        assert (one.memory.sync.synced, one.connection.renewed) == (False, {STREAM})
        assert one.memory.sync.book.bids.best == (10, 1)


async def test_a_stream_that_begins_anew_leaves_nothing_to_audit(autojump_clock: Clock) -> None:
    async with world(BYBIT, [snapshot(9, *BOOK)]) as one:
        one.put(snapshot(5, *BOOK))
        await one.folded()
        one.memory.want_audit()
        await one.until(lambda: len(one.rest.asked) == 1)
        one.put(snapshot(9, [(10, 8)], [(11, 1)]))
        await one.until(lambda: not one.memory.audit_wanted)
        assert one.memory.last_audit is not None
        assert one.memory.last_audit["reason"] == "the book was resynchronised meanwhile"


async def test_a_book_is_audited_every_ten_minutes_or_so(autojump_clock: Clock) -> None:
    async with world(answers=[snapshot(100, *BOOK)]) as one:
        await in_step(one)
        await trio.sleep(470)
        assert len(one.rest.asked) == 1
        await trio.sleep(260)
        assert len(one.rest.asked) == 2
        await trio.sleep(3_600)
        assert 2 + 4 <= len(one.rest.asked) <= 2 + 8


async def test_a_book_the_market_has_moved_away_from_is_refreshed_early(autojump_clock: Clock) -> None:
    cut = [(price, 1) for price in range(1, 1_001)], [(2_000, 1)]
    async with world(answers=[snapshot(100, *cut)]) as one:
        await in_step(one)
        one.put(update(101, 101, [(price, 0) for price in range(200, 1_001)]))
        await one.folded()
        await trio.sleep(55)
        assert len(one.rest.asked) == 1
        await trio.sleep(10)
        assert len(one.rest.asked) == 2
