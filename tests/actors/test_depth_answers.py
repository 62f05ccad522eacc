"""What is answered of an order book, from never followed to in step and out of it again."""

from pathlib import Path

import attrs
import pytest
import trio
import trio.testing
from book_world import SPOT
from made_up_books import snapshot, update
from spine import BITCOIN, plan_of, spine

from actors.answers.queries import Queries
from actors.messages import BookBatch
from actors.runtime import Runtime
from wadm.market import BookRun
from wadm.questions import NotFollowed, UnknownSymbol

ASKED = {"exchange": "binance", "symbol": "BTCUSDT", "levels": "2"}
BOOK = [(10, 1), (9, 2), (8, 3)], [(12, 1), (13, 1)]


def following(runtime: Runtime) -> None:
    (connection,) = runtime.connections.values()
    connection.carry(["btcusdt@depth@100ms"])


async def test_a_book_is_answered_as_it_stands(tmp_path: Path) -> None:
    async with spine(tmp_path) as running:
        runtime, queries = running.runtime, Queries(running.runtime)
        memory = runtime.books[BITCOIN.key]
        with pytest.raises(NotFollowed, match=r"add book to exchanges\.binance\.streams in the settings\.$"):
            await queries.depth(ASKED)
        with pytest.raises(UnknownSymbol):
            await queries.depth({**ASKED, "symbol": "NOPE"})

        following(runtime)
        early = await queries.depth(ASKED)
        assert (early["synced"], early["reason"]) == (False, "no snapshot has come yet")
        assert (early["bids"], early["asks"], early["spread"], early["age_ms"]) == ([], [], None, None)
        assert early["coverage"] == {"sources": ["live"], "epoch": runtime.epoch, "warming": True}

        memory.sync.snapshot(snapshot(100, *BOOK, at=1_723_161_600_000_000), 1_723_161_600_500_000)
        memory.updated_clock = trio.current_time()
        told = await queries.depth(ASKED)
        assert (told["synced"], told["reason"], told["update_id"]) == (True, None, 100)
        assert (told["bids"], told["asks"]) == ([["10", "1"], ["9", "2"]], [["12", "1"], ["13", "1"]])
        assert (told["bid"], told["ask"], told["spread"], told["mid"]) == ("10", "12", "2", "11")
        assert (told["totals"], told["known_to"]) == (
            {"bids": "3", "asks": "2"},
            {"bids": None, "asks": None},
        )
        assert told["exchange_time"] == "2024-08-09T00:00:00Z"
        assert told["synced_at"] == "2024-08-09T00:00:00.500000Z"
        assert isinstance(told["age_ms"], int)

        memory.sync.take(update(110, 110), 0)
        stale = await queries.depth(ASKED)
        assert (stale["synced"], stale["reason"]) == (False, "updates 101 to 109 are missing")
        assert stale["bids"] == told["bids"]  # as it was, and said to be so

        memory.sync.whole = False
        assert (await queries.depth(ASKED))["bids"] == []


async def test_status_and_health_tell_of_books(tmp_path: Path) -> None:
    async with spine(tmp_path, plan=plan_of(instruments=[BITCOIN])) as running:
        runtime, queries = running.runtime, Queries(running.runtime)
        memory = runtime.books[BITCOIN.key]
        assert await _book(queries) is None
        following(runtime)
        memory.sync.snapshot(snapshot(100, *BOOK), 0)
        assert await _book(queries) == {
            "synced": True, "reason": None, "crossed": False, "bid": "10", "ask": "12", "spread": "2",
            "mid": "11", "age_ms": None,
            "updates": 0, "gaps": 0, "resyncs": 0,
        }  # fmt: skip
        memory.alarm = "the book of binance:BTCUSDT was crossed for too long"
        reasons = queries.health()["reasons"]
        assert isinstance(reasons, list)
        assert memory.alarm in reasons


async def _book(queries: Queries) -> object:
    symbols = (await queries.status(fresh=True))["symbols"]
    assert isinstance(symbols, list)
    return symbols[0]["book"]


async def test_a_recording_is_complete_when_its_books_have_come_to_their_end(tmp_path: Path) -> None:
    async with spine(tmp_path, plan=plan_of(instruments=[BITCOIN])) as running:
        runtime = running.runtime
        for connection in runtime.connections.values():
            connection.ended.set()
        for symbol in runtime.symbols.values():
            symbol.ended.set()
        mailbox = runtime.book_mailboxes[SPOT.key]
        mailbox.put_nowait(BookBatch(BookRun("binance", "BTCUSDT", [update(1, 1)]), 0))
        complete = False

        async def wait() -> None:
            nonlocal complete
            await runtime.complete()
            complete = True

        async with trio.open_nursery() as nursery:
            nursery.start_soon(wait)
            await trio.testing.wait_all_tasks_blocked()
            assert not complete
            assert len(mailbox.pending()) == 2
            await mailbox.receive()
            mailbox.ack()
            last = await mailbox.receive()
            assert attrs.has(type(last))
            last.event.set()
        assert complete
