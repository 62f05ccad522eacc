"""The channels on a daemon's own actors: what they tell is what is stored, whole and once."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import trio
from made_up_books import snapshot
from spine import BITCOIN, ETHER, FakeExchange, Spine, journalled, recorded, spine, trade, until

from actors.answers.queries import Queries
from actors.front.openapi import describe
from actors.live.channels import NAMES
from actors.live.hub import Hub
from actors.live.session import Session
from wadm.answers.registry import QUESTIONS
from wadm.instants import iso
from wadm.market import MINUTE, SECOND
from wadm.questions import QuestionError

#: 2024-08-09T00:00:00Z
START = 1_723_161_600_000_000
ASKED = {"exchange": "binance", "symbol": "BTCUSDT"}
TRADES = {"channel": "trades", **ASKED}

Told = dict[str, Any]


@asynccontextmanager
async def listening(running: Spine, **wanted: str) -> AsyncIterator[Session]:
    """Subscribe to a channel of a running daemon, in a session of its own."""
    hub = Hub(Queries(running.runtime).channels)
    async with trio.open_nursery() as nursery:
        await nursery.start(hub.run)
        with hub.session("me") as session:
            session.subscribe(wanted)
            yield session
        nursery.cancel_scope.cancel()


async def told(session: Session) -> Told:
    with trio.fail_after(10):
        message: Told = json.loads((await session.next()).text)
    return message


async def trades_until(session: Session, last: int) -> tuple[list[int], str]:
    """Return the ids that are told up to one of them, and the cursor behind."""
    ids: list[int] = []
    while not ids or ids[-1] != last:
        message = await told(session)
        assert message["type"] in ("snapshot", "change")
        ids += [one["id"] for one in message["trades"]]
        cursor = message["cursor"]
    return ids, cursor


async def test_every_trade_is_told_once_and_in_the_order_of_the_journal(tmp_path: Path) -> None:
    hold = trio.Event()
    exchange = FakeExchange(recorded(3_000), hold=hold, hold_at=500)
    with trio.fail_after(30):
        async with spine(tmp_path, exchange) as running:
            await until(lambda: exchange.position >= 500)
            async with listening(running, **TRADES, limit="1000") as session:
                first = await told(session)
                # What was received before may still be committed now: then there is more behind it.
                assert (first["type"], first["missed"]) == ("snapshot", None)
                ids, seqs = [one["id"] for one in first["trades"]], []
                hold.set()
                await running.complete()
                stored = journalled(running.runtime.journal, "BTCUSDT")
                while not ids or ids[-1] != stored[-1]:
                    message = await told(session)
                    ids += [one["id"] for one in message["trades"]]
                    seqs += [message["seq"]] if message["type"] == "change" else []
            assert ids == stored
            # None, where the pages of what was there already reached to the end.
            begin = seqs[0] if seqs else 0
            assert seqs == list(range(begin, begin + len(seqs)))


async def test_one_who_comes_back_after_a_restart_goes_on_where_it_was(tmp_path: Path) -> None:
    frames = recorded(4_000)
    with trio.fail_after(30):
        async with spine(tmp_path, FakeExchange(frames[:2_000])) as first:
            await first.complete()
            stored = journalled(first.runtime.journal, "BTCUSDT")
            async with listening(first, **TRADES, limit="7") as session:
                ids, cursor = await trades_until(session, int(stored[-1]))
            assert ids == stored[-7:]
        async with spine(tmp_path, FakeExchange(frames)) as second:
            async with listening(second, **TRADES, cursor=cursor) as session:
                await second.complete()
                everything = journalled(second.runtime.journal, "BTCUSDT")
                later, _ = await trades_until(session, int(everything[-1]))
            assert ids + later == everything[len(stored) - 7 :]
            assert len(set(everything)) == len(everything)


async def test_one_who_catches_up_while_trades_come_gets_all_of_them_once(tmp_path: Path) -> None:
    hold = trio.Event()
    exchange = FakeExchange(recorded(6_000), hold=hold, hold_at=3_000, sizes=lambda: 7)
    with trio.fail_after(30):
        async with spine(tmp_path, exchange) as running:
            await until(lambda: exchange.position >= 3_000)
            await running.runtime.marks.wait_for(lambda _: not running.runtime.writer_mailbox.pending())
            hold.set()
            async with listening(running, **TRADES, start=iso(0)) as session:
                await running.complete()
                stored = journalled(running.runtime.journal, "BTCUSDT")
                ids, _ = await trades_until(session, int(stored[-1]))
            assert ids == stored


async def test_a_gap_is_told_with_the_trades_around_it(tmp_path: Path) -> None:
    frames = [trade(number, START + number * SECOND) for number in range(6) if number != 3]
    with trio.fail_after(20):
        async with spine(tmp_path, FakeExchange(frames, sizes=lambda: 1)) as running:
            await running.complete()
            async with listening(running, **TRADES) as session:
                first = await told(session)
            assert [(gap["first"], gap["last"]) for gap in first["gaps"]] == [(3, 3)]
            answer: Any = await Queries(running.runtime).trades(ASKED)
            assert [gap["missing"] for gap in answer["coverage"]["gaps"]] == [1]
            assert answer["coverage"]["start"] == iso(START)
            page: Any = await Queries(running.runtime).trades({**ASKED, "start": iso(START + 4 * SECOND)})
            assert [one["id"] for one in page["trades"]] == [4, 5]
            assert [gap["missing"] for gap in page["coverage"]["gaps"]] == [1]


async def test_bars_are_told_as_they_close_and_again_when_revised(tmp_path: Path) -> None:
    hold = trio.Event()
    frames = [trade(number, START + number * MINUTE // 2) for number in range(8)]
    frames.append(trade(9, START + 10 * SECOND, price="120"))  # late: its minute is closed again
    exchange = FakeExchange(frames, hold=hold, hold_at=4, sizes=lambda: 1)
    with trio.fail_after(20):
        async with spine(tmp_path, exchange) as running:
            memory = running.runtime.symbols[BITCOIN.key]
            await until(lambda: len(memory.closed.starts) == 1)
            async with listening(running, channel="bars", **ASKED) as session:
                first = await told(session)
                assert [bar["start"] for bar in first["bars"]] == [iso(START)]
                hold.set()
                await running.complete()
                bars: dict[str, Told] = {}
                while iso(START + 3 * MINUTE) not in bars or iso(START) not in bars:
                    bar = (await told(session))["bar"]
                    assert bar["revision"] >= bars.get(bar["start"], bar)["revision"]
                    bars[bar["start"]] = bar
            assert [(start, bars[start]["high"]) for start in sorted(bars)] == [
                (iso(START), "120"),
                (iso(START + MINUTE), "100"),
                (iso(START + 2 * MINUTE), "100"),
                (iso(START + 3 * MINUTE), "100"),
            ]
            assert bars[iso(START)]["revision"] >= 1
            assert bars[iso(START)]["delta"] == "3"
            assert bars[iso(START + 3 * MINUTE)]["partial"] is True
            assert not memory.bar_listeners


@pytest.mark.parametrize("channel", ["profile", "flow"])
async def test_what_develops_is_told_as_it_is_answered(tmp_path: Path, channel: str) -> None:
    hold = trio.Event()
    frames = recorded(1_000)
    exchange = FakeExchange(frames, hold=hold, hold_at=500)
    parameters = {"row_size": "5"} if channel == "profile" else {}
    with trio.fail_after(20):
        async with spine(tmp_path, exchange) as running:
            queries = Queries(running.runtime)
            async with listening(running, channel=channel, timeframe="1h", **ASKED, **parameters) as session:
                message = await told(session)
                assert (message["type"], message["timeframe"]) == ("snapshot", "1h")
                hold.set()
                await running.complete()
                answer = await queries.ask(QUESTIONS[channel], {**ASKED, "timeframe": "1h", **parameters})
                while message["trades"] != answer["trades"]:
                    message = await told(session)
                assert message["coverage"]["state"] == "provisional"
                same = {"coverage", *message} & answer.keys() - {"coverage"}
                assert {name: message[name] for name in same} == {name: answer[name] for name in same}
                assert same >= {"start", "end", "volume"}


async def test_a_symbol_that_is_followed_no_longer_ends_its_subscriptions(tmp_path: Path) -> None:
    with trio.fail_after(20):
        async with spine(tmp_path) as running:
            for wanted in ({"channel": "trades"}, {"channel": "flow", "timeframe": "1h"}):
                running.runtime.symbols.setdefault(ETHER.key, running.runtime.symbols[BITCOIN.key])
                async with listening(running, **wanted, exchange="binance", symbol="ETHUSDT") as session:
                    await told(session)
                    memory = running.runtime.symbols.pop(ETHER.key)
                    running.runtime.marks.publish(0, ())
                    ended = await told(session)
                    running.runtime.symbols[ETHER.key] = memory
                assert (ended["type"], ended["problem"]["code"]) == ("ended", "unknown_symbol")


async def test_a_book_is_told_when_it_changed(tmp_path: Path) -> None:
    async with spine(tmp_path) as running:
        memory = running.runtime.books[BITCOIN.key]
        (connection,) = running.runtime.connections.values()
        connection.carry(["btcusdt@depth@100ms"])
        async with listening(running, channel="depth", levels="2", **ASKED) as session:
            early = await told(session)
            assert (early["type"], early["synced"], early["levels"]) == ("snapshot", False, 2)
            memory.sync.snapshot(snapshot(100, [(10, 1), (9, 2), (8, 3)], [(12, 1)], at=START), START)
            memory.received += 1
            change = await told(session)
            assert (change["type"], change["seq"], change["synced"]) == ("change", 2, True)
            assert (change["bids"], change["asks"]) == ([["10", "1"], ["9", "2"]], [["12", "1"]])
            assert "counters" not in change


@pytest.mark.parametrize(
    ("wanted", "says"),
    [
        ({"channel": "trades", "cursor": "x"}, "cursor is 'x'; expected the cursor of an answer before."),
        ({"channel": "trades", "limit": "0"}, "limit is '0'; expected a whole number from 1 to 1000."),
        ({"channel": "bars", "limit": "x"}, "limit is 'x'; expected a whole number from 1 to 500."),
        ({"channel": "profile"}, "timeframe is missing"),
        ({"channel": "profile", "timeframe": "2h"}, "timeframe is '2h'; expected one of 1m"),
        ({"channel": "flow", "timeframe": "1h", "start": "x"}, "start is 'x'; expected one of"),
        ({"channel": "depth", "levels": "500"}, "levels is '500'; expected a whole number from 1 to 200."),
        ({"channel": "depth"}, "The order book of binance:BTCUSDT is not followed"),
    ],
)
async def test_a_mistake_is_told_as_everywhere(tmp_path: Path, wanted: dict[str, str], says: str) -> None:
    async with spine(tmp_path) as running, trio.open_nursery() as nursery:
        hub = Hub(Queries(running.runtime).channels)
        await nursery.start(hub.run)
        with hub.session("me") as session, pytest.raises(QuestionError) as raised:
            session.subscribe({**ASKED, **wanted})
        assert str(raised.value).startswith(says)
        nursery.cancel_scope.cancel()


async def test_a_cursor_of_another_journal_ends_the_subscription(tmp_path: Path) -> None:
    with trio.fail_after(20):
        async with (
            spine(tmp_path) as running,
            listening(running, **TRADES, cursor="0123abcd-1-0-0") as session,
        ):
            ended = await told(session)
            assert (ended["type"], ended["problem"]["parameter"]) == ("ended", "cursor")
            assert not session.listed()


@pytest.mark.parametrize(
    ("more", "says"),
    [
        ({"cursor": "nonsense"}, "cursor is 'nonsense'; expected the cursor of an answer before."),
        ({"cursor": "0123abcd-1-0-0"}, "cursor is '0123abcd-1-0-0'; expected a cursor of the data that"),
        ({"cursor": "0123abcd-1-0-0", "start": "2024-01-01"}, "start is '2024-01-01'; expected either"),
        ({"limit": "1001"}, "limit is '1001'; expected a whole number from 1 to 1000."),
        ({"start": "soon"}, "start is 'soon'; expected an ISO 8601 time"),
        ({"lmit": "1"}, "lmit is '1'; expected one of exchange, symbol, cursor, limit, start (did you mean"),
    ],
)
async def test_a_wrong_question_about_trades_is_refused(
    tmp_path: Path, more: dict[str, str], says: str
) -> None:
    async with spine(tmp_path) as running:
        with pytest.raises(QuestionError) as raised:
            await Queries(running.runtime).trades({**ASKED, **more})
        assert str(raised.value).startswith(says)


async def test_every_channel_is_described(tmp_path: Path) -> None:
    async with spine(tmp_path) as running:
        channels = Queries(running.runtime).channels
        assert tuple(channels) == NAMES
        described = {one["name"] for one in describe([])["paths"]["/api/v1/stream"]["get"]["parameters"]}
        own = {name for channel in channels.values() for name in channel.parameters}
        assert described == {"channel", "exchange", "symbol"} | own
