"""The connection actor against an exchange that is made up, on a clock that jumps."""

from collections.abc import Callable

import attrs
import pytest
import trio
import trio.testing
from bench import Bench, ids, some
from scripted import START
from spine import BITCOIN, CONNECTION, ETHER, FakeExchange, trade, until

from actors.connections.connection import ExchangeDisconnected
from actors.messages import GapRecord, MarketTime, TradeBatch
from supervision import Context
from wadm.exchanges.base import Acknowledged, Heartbeat, Reply
from wadm.market import MINUTE, SECOND

LOST = (1006, "the server hung up")


async def test_every_batch_goes_to_the_writer_and_to_its_aggregator_numbered_from_one() -> None:
    bench = Bench(FakeExchange([*some(60), *some(50, symbol="ETHUSDT")]), playback=True)
    await bench.run()
    assert ids(bench.batches()) == list(range(1, 61))
    assert [batch.number for batch in bench.batches()] == [1, 2]
    assert [batch.number for batch in bench.batches(ETHER.key)] == [1, 2]
    assert {batch.incarnation for batch in bench.written()} == {3_000_001}
    assert len(bench.written()) == 4
    assert bench.memory.state == "ended"
    assert bench.memory.ended.is_set()
    assert bench.memory.trades == 110


async def test_the_streams_are_subscribed_and_the_answer_makes_it_connected() -> None:
    exchange = FakeExchange([], hold=trio.Event(), ends_with=LOST)
    bench = Bench(exchange)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(bench.run)
        await until(lambda: bench.memory.state == "connected")
        assert exchange.sockets[0].sent == [
            '{"method":"SUBSCRIBE","params":["btcusdt@trade","ethusdt@trade"],"id":1}'
        ]
        nursery.cancel_scope.cancel()
    assert bench.memory.state == "disconnected"


@pytest.mark.parametrize(
    ("ends_with", "why"),
    [
        (LOST, r"ws://made.up: the server hung up \(WebSocket code 1006\)"),
        ((1000, "maintenance"), r"ws://made.up: closed by the exchange \(1000 maintenance\)"),
        ((1000, "end of capture"), r"ws://made.up: closed by the exchange \(1000 end of capture\)"),
    ],
)
async def test_an_end_is_a_disconnect_that_says_why(ends_with: tuple[int, str], why: str) -> None:
    bench = Bench(FakeExchange(some(3), ends_with=ends_with))
    with pytest.raises(ExchangeDisconnected, match=why):
        await bench.run()
    assert bench.memory.state == "disconnected"
    assert bench.memory.reason in why.replace("\\", "")
    assert ids(bench.batches()) == [1, 2, 3]


async def test_a_new_life_counts_from_one_under_a_new_name_and_first_hands_over_what_was_left(
    autojump_clock: trio.testing.MockClock,
) -> None:
    bench = Bench(FakeExchange(some(100), sizes=lambda: 50, ends_with=LOST), room=2, patience=None)
    with trio.move_on_after(1):  # the second batch waits for room
        await bench.run()
    assert [len(batch.trades) for batch in bench.batches()] == [50]
    assert bench.outbox.waiting() == {BITCOIN.key: 50}
    bench.exchange.frames = [*bench.exchange.frames, *some(7, 101)]
    mailbox = bench.aggregators[BITCOIN.key]
    async with trio.open_nursery() as nursery:
        nursery.start_soon(_swallow, bench.run)
        seen = []
        with trio.move_on_after(5):
            async for message in mailbox:
                seen += [message] if isinstance(message, TradeBatch) else []
    numbers = [(batch.incarnation, batch.number, len(batch.trades)) for batch in seen]
    assert numbers == [(3_000_001, 1, 50), (3_000_001, 2, 50), (3_000_002, 1, 7)]
    assert ids(seen) == ids(bench.written()) == list(range(1, 108))


async def _swallow(run: Callable[[], object]) -> None:
    with pytest.raises(ExchangeDisconnected):
        await run()  # type: ignore[misc]


# --- full mailboxes ---


async def test_a_batch_for_an_aggregator_that_stays_full_is_left_to_the_journal(
    autojump_clock: trio.testing.MockClock,
) -> None:
    bench = Bench(FakeExchange(some(60), sizes=lambda: 20, ends_with=LOST), room=1)
    with pytest.raises(ExchangeDisconnected):
        await bench.run()
    assert ids(bench.written()) == list(range(1, 61))
    assert ids(bench.batches()) == list(range(1, 21))
    assert bench.symbols[BITCOIN.key].left == {(3_000_001, 2): 20, (3_000_001, 3): 20}
    assert bench.outbox.waiting() == {}


async def test_a_batch_for_a_journal_that_stays_behind_is_shed_counted_and_leaves_a_gap(
    autojump_clock: trio.testing.MockClock,
) -> None:
    bench = Bench(FakeExchange(some(60), sizes=lambda: 20, ends_with=LOST), writer_room=1)
    with pytest.raises(ExchangeDisconnected):
        await bench.run()
    assert ids(bench.written()) == ids(bench.batches()) == list(range(1, 21))
    account = bench.ledger.account(BITCOIN.key)
    assert account.shed == {"journal_behind": 40}
    assert account.received == 60
    gaps = bench.symbols[BITCOIN.key].gaps.open
    assert [(gap.first, gap.last) for gap in gaps] == [(21, 40), (41, 60)]
    assert all(START <= gap.at < START + SECOND for gap in gaps)
    records = [record for record in bench.symbols[BITCOIN.key].records if isinstance(record, GapRecord)]
    assert [record.gap for record in records] == gaps


async def test_however_many_batches_wait_reading_stops_for_the_patience_of_one(
    autojump_clock: trio.testing.MockClock,
) -> None:
    frames = [frame for pair in zip(some(30), some(30, symbol="ETHUSDT"), strict=True) for frame in pair]
    bench = Bench(FakeExchange(frames, sizes=lambda: 60, ends_with=LOST), writer_room=1)
    bench.writer.put_nowait("something big")
    began = trio.current_time()
    with pytest.raises(ExchangeDisconnected):
        await bench.run()
    # Two symbols, each to a mailbox without room: five seconds, not ten.
    assert trio.current_time() - began == pytest.approx(5.0, abs=0.1)
    assert bench.ledger.total().shed.total() == 60


async def test_playback_waits_for_room_without_limit(autojump_clock: trio.testing.MockClock) -> None:
    bench = Bench(FakeExchange(some(60), sizes=lambda: 20), playback=True, patience=None, room=2)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(bench.run)
        await trio.sleep(3_600)
        assert bench.memory.trades == 40
        seen: list[TradeBatch] = []
        with trio.move_on_after(1):
            async for message in bench.aggregators[BITCOIN.key]:
                seen += [message] if isinstance(message, TradeBatch) else []
    assert ids(seen) == list(range(1, 61))
    assert bench.ledger.total().shed == {}


# --- time ---


def told(bench: Bench, key: str) -> list[int]:
    pending = bench.aggregators[key].pending()
    return [message.market_time for message in pending if isinstance(message, MarketTime)]


async def test_market_time_goes_on_while_nothing_is_traded(autojump_clock: trio.testing.MockClock) -> None:
    bench = Bench(FakeExchange(some(3), hold=trio.Event()))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(bench.run)
        await trio.sleep(200.5)
        nursery.cancel_scope.cancel()
    newest = START + 3_000
    minutes = [(at - 2 * SECOND) // MINUTE - START // MINUTE for at in told(bench, ETHER.key)]
    assert minutes == [-1, 0, 1, 2, 3]
    # Never ahead of the clock, and at most a second behind the moment a bar may close.
    for at, minute in zip(told(bench, BITCOIN.key)[1:], range(4), strict=True):
        closes = START + minute * MINUTE + 2 * SECOND
        assert closes <= at <= max(closes + SECOND, newest + 2 * SECOND)


async def test_market_time_goes_on_over_frames_that_are_no_trades(
    autojump_clock: trio.testing.MockClock,
) -> None:
    frames = [*some(1), *[b'{"result":null,"id":7}'] * 30]
    bench = Bench(FakeExchange(frames, sizes=lambda: 1, pause=lambda: 9.0, hold=trio.Event()))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(bench.run)
        await trio.sleep(200)
        nursery.cancel_scope.cancel()
    assert len(told(bench, BITCOIN.key)) >= 3


async def test_playback_has_no_other_time_than_its_own(autojump_clock: trio.testing.MockClock) -> None:
    bench = Bench(FakeExchange(some(3), hold=trio.Event()), playback=True)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(bench.run)
        await trio.sleep(1_000)
        nursery.cancel_scope.cancel()
    assert told(bench, BITCOIN.key) == [START + 3_000]


async def test_a_full_mailbox_is_told_the_time_when_it_has_room(
    autojump_clock: trio.testing.MockClock,
) -> None:
    bench = Bench(FakeExchange(some(3), hold=trio.Event()), room=1)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(bench.run)
        await trio.sleep(100)
        assert told(bench, BITCOIN.key) == []
        bench.aggregators[BITCOIN.key].ack()
        assert isinstance(await bench.aggregators[BITCOIN.key].receive(), TradeBatch)
        bench.aggregators[BITCOIN.key].ack()
        await trio.sleep(10)
        assert len(told(bench, BITCOIN.key)) == 1
        nursery.cancel_scope.cancel()


async def test_a_connection_without_a_frame_for_too_long_is_made_again(
    autojump_clock: trio.testing.MockClock,
) -> None:
    bench = Bench(FakeExchange(some(3), hold=trio.Event()), quiet_after=60.0)
    began = trio.current_time()
    with pytest.raises(ExchangeDisconnected, match="no frame for 60 s"):
        await bench.run()
    assert trio.current_time() - began == pytest.approx(60.0, abs=1.0)


async def test_a_wait_for_room_is_not_silence(autojump_clock: trio.testing.MockClock) -> None:
    bench = Bench(
        FakeExchange(some(60), sizes=lambda: 20), playback=True, patience=None, room=1, quiet_after=5.0
    )
    with trio.move_on_after(100) as waiting:
        await bench.run()
    assert waiting.cancelled_caught


# --- what is not a trade ---


def untrue(number: int) -> bytes:
    return trade(number, START + number * 1_000).replace(b'"m":false', b'"m":false,"X":"INSURANCE_FUND"')


async def test_a_gap_is_noted_journalled_and_noticed_and_what_fills_it_too() -> None:
    frames = [*some(5), *some(5, 11), *some(2, 7)]
    bench = Bench(FakeExchange(frames, sizes=lambda: 20), playback=True)
    await bench.run()
    memory = bench.symbols[BITCOIN.key]
    assert [(gap.first, gap.last) for gap in memory.gaps.open] == [(6, 6), (9, 10)]
    states = [
        (one.state, one.gap.first, one.gap.last) for one in memory.records if isinstance(one, GapRecord)
    ]
    assert states == [("open", 6, 10), ("filled", 7, 8)]


async def test_in_playback_a_gap_is_noted_at_the_time_of_the_recording() -> None:
    bench = Bench(FakeExchange([*some(5), *some(5, 11)], sizes=lambda: 5), playback=True)
    await bench.run()
    (gap,) = bench.symbols[BITCOIN.key].gaps.open
    assert START <= gap.at < START + SECOND


async def test_another_execution_than_of_the_market_is_rejected_and_leaves_no_gap() -> None:
    frames = [*some(5), untrue(6), *some(5, 7)]
    bench = Bench(FakeExchange(frames), playback=True)
    await bench.run()
    assert bench.ledger.account(BITCOIN.key).rejected == {"not_market": 1}
    assert bench.symbols[BITCOIN.key].gaps.open == []
    assert 6 not in ids(bench.batches())


async def test_a_refused_request_is_remembered_by_its_streams_and_no_longer_than_its_connection(
    autojump_clock: trio.testing.MockClock,
) -> None:
    refusal = b'{"code":2,"msg":"no such stream","id":%d}'
    # The greeting answers request 1 for both streams; then one of them is renewed and refused.
    exchange = FakeExchange([refusal % 3, *some(1)], sizes=lambda: 1, hold=trio.Event(), hold_at=0)
    bench = Bench(exchange, playback=True)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(bench.run)
        await until(lambda: bench.memory.state == "connected")
        bench.memory.renew("ethusdt@trade")
        await until(lambda: len(exchange.sockets[0].sent) == 2)
        exchange.frames = [b'{"result":null,"id":2}', *exchange.frames]
        assert exchange.hold is not None
        exchange.hold.set()
    assert exchange.sockets[0].sent[1:] == [
        '{"method":"UNSUBSCRIBE","params":["ethusdt@trade"],"id":2}',
        '{"method":"SUBSCRIBE","params":["ethusdt@trade"],"id":3}',
    ]
    assert bench.memory.refused == {"ethusdt@trade": "no such stream"}
    bench.exchange.frames = [*exchange.frames, *some(1, 2)]
    await bench.run()
    assert bench.memory.refused == {}


@attrs.define
class Chatty:
    """A codec that has something to say."""

    heartbeat: Heartbeat | None = None
    answers: list[object] = attrs.field(factory=list)
    heard: dict[str, int] = attrs.field(factory=dict)

    def subscribe(self, streams: list[str]) -> list[tuple[str, str]]:
        return [("1", "subscribe")]

    def receive(self, frames: list[bytes], at: int) -> list[object]:
        return [Acknowledged("1"), *self.answers]


async def test_a_heartbeat_is_sent_at_its_interval(autojump_clock: trio.testing.MockClock) -> None:
    codec = Chatty(Heartbeat(lambda: "ping", 20.0))
    exchange = FakeExchange(some(100), sizes=lambda: 1, pause=lambda: 8.0)
    bench = Bench(exchange, make_codec=lambda: codec)
    with trio.move_on_after(70):
        await bench.run()
    assert exchange.sockets[0].sent == ["subscribe", *["ping"] * 3]


async def test_a_heartbeat_that_nothing_follows_ends_the_connection(
    autojump_clock: trio.testing.MockClock,
) -> None:
    codec = Chatty(Heartbeat(lambda: "ping", 20.0))
    bench = Bench(FakeExchange([], hold=trio.Event()), make_codec=lambda: codec)
    with pytest.raises(ExchangeDisconnected, match="nothing has followed a ping for 10 s"):
        await bench.run()
    assert trio.current_time() == pytest.approx(30.0, abs=0.1)


async def test_what_cannot_be_sent_any_more_does_not_cost_the_frames_that_have_come(
    autojump_clock: trio.testing.MockClock,
) -> None:
    codec = Chatty(Heartbeat(lambda: "ping", 5.0), [Reply("pong")])
    exchange = FakeExchange(some(10), sizes=lambda: 1, pause=lambda: 3.0, deaf=True, ends_with=LOST)
    bench = Bench(exchange, make_codec=lambda: codec)
    with pytest.raises(ExchangeDisconnected, match="the server hung up"):
        await bench.run()
    assert exchange.position == 10
    assert bench.memory.frames == 11


async def test_asked_to_stop_it_hands_over_what_it_has_received(
    autojump_clock: trio.testing.MockClock,
) -> None:
    bench = Bench(FakeExchange(some(60), sizes=lambda: 20), room=2, patience=None, playback=True)
    context = Context(CONNECTION, 1)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(bench.connection.run, context)
        await trio.sleep(1)
        context.stopping.set()
        nursery.cancel_scope.cancel()
        with trio.CancelScope(shield=True):
            mailbox = bench.aggregators[BITCOIN.key]
            seen = []
            with trio.move_on_after(0.2):
                async for message in mailbox:
                    seen += [message] if isinstance(message, TradeBatch) else []
    assert ids(seen) == list(range(1, bench.memory.trades + 1))
    assert bench.outbox.waiting() == {}


async def test_asked_to_stop_it_does_not_wait_for_a_full_mailbox_for_long(
    autojump_clock: trio.testing.MockClock,
) -> None:
    bench = Bench(FakeExchange(some(60), sizes=lambda: 20), room=2, patience=None, playback=True)
    context = Context(CONNECTION, 1)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(bench.connection.run, context)
        await trio.sleep(1)
        context.stopping.set()
        nursery.cancel_scope.cancel()
    assert trio.current_time() == pytest.approx(1.5, abs=0.1)
