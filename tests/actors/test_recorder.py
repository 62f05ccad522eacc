"""The recorder, its scribe and its snapshots against an exchange that is made up, on a clock that jumps."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import attrs
import pytest
import trio
import trio.testing
from scripted import Exchange

from actors.connections.connects import Connects
from actors.plan import PlannedConnection
from actors.recording.capture_files import CaptureFiles, RecordingError, Taken
from actors.recording.recorder import Recorder
from actors.recording.scribe import Scribe
from actors.recording.snapshots import Snapshots
from actors.recording.tape import CAPACITY, Tape
from actors.rest import NotEver, NotNow
from supervision import Context, Disconnected, Mailbox
from wadm.exchanges.base import Request

STREAMS = ("btcusdt@trade", "btcusdt@depth@100ms", "ethusdt@depth", "ethusdt@depth20@100ms")


def _tape(directory: Path, exchange: str = "binance", streams: tuple[str, ...] = STREAMS) -> Tape:
    planned = PlannedConnection(f"connection:{exchange}#1", exchange, "ws://made.up", streams, ())
    files = CaptureFiles(directory, f"{exchange}_1", seconds=60, size=1 << 30)
    return Tape(planned, files, Mailbox("scribe", CAPACITY))


def _frame(stream: str) -> bytes:
    return b'{"stream":"%s","data":{}}' % stream.encode()


@attrs.define
class _Rest:
    """A REST interface that answers what it is told to, and notes what it was asked."""

    outcomes: list[bytes | Exception]
    asked: list[Mapping[str, str]] = attrs.field(factory=list)

    async def get(self, exchange: str, request: Request) -> bytes:
        await trio.lowlevel.checkpoint()
        self.asked.append(request.query)
        outcome = self.outcomes.pop(0)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome


def test_order_books_are_told_from_views_of_their_best_levels(tmp_path: Path) -> None:
    assert _tape(tmp_path).books == {"BTCUSDT": "btcusdt@depth@100ms", "ETHUSDT": "ethusdt@depth"}
    topics = ("orderbook.50.BTCUSDT", "orderbook.1.BTCUSDT", "publicTrade.BTCUSDT", "tickers.ETHUSDT")
    assert _tape(tmp_path, "bybit", topics).books == {"BTCUSDT": "orderbook.50.BTCUSDT"}


def test_books_are_unseen_after_a_connection_and_in_every_file_but_the_first(tmp_path: Path) -> None:
    tape = _tape(tmp_path)
    tape.file_begun()
    assert tape.unseen == set()
    tape.connected()
    assert tape.unseen == {"BTCUSDT", "ETHUSDT"}
    assert tape.changing == []  # asked for too early, a book may be older than the first of its changes
    tape.heard["ethusdt@depth"] += 1
    assert tape.changing == ["ETHUSDT"]
    tape.connected()
    assert tape.changing == []
    tape.unseen.clear()
    tape.files.finished.append(tmp_path)
    tape.file_begun()
    assert tape.unseen == {"BTCUSDT", "ETHUSDT"}


@asynccontextmanager
async def _asking(tape: Tape, rest: _Rest) -> AsyncIterator[None]:
    async with trio.open_nursery() as nursery:
        nursery.start_soon(Snapshots(tape, rest).run, Context("snapshots", 1))  # type: ignore[arg-type]
        yield
        nursery.cancel_scope.cancel()


async def test_a_book_is_asked_for_until_it_comes_or_never_will(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    tape = _tape(tmp_path)
    rest = _Rest([NotNow("later", 7), NotNow("later"), b'{"a":1}', NotEver("no such symbol")])
    async with _asking(tape, rest):
        tape.connected()
        tape.heard.update(tape.planned.streams)
        tape.memory.changed.notify()
        await tape.memory.changed.wait_for(lambda: True)
        while tape.unseen:  # noqa: ASYNC110  # nobody tells when it was answered
            await trio.sleep(0.5)
    assert trio.current_time() >= 12
    assert [query["symbol"] for query in rest.asked] == ["BTCUSDT", "BTCUSDT", "BTCUSDT", "ETHUSDT"]
    (taken,) = tape.mailbox.pending()
    # A snapshot does not tell whose book it is: that is written in front.
    assert taken.frames == [b'{"symbol":"BTCUSDT","a":1}']


async def test_a_book_of_an_earlier_connection_is_asked_for_again(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    tape = _tape(tmp_path, streams=("btcusdt@depth",))

    class Reconnecting(_Rest):
        async def get(self, exchange: str, request: Request) -> bytes:
            if not self.asked:
                tape.connected()
                tape.heard.update(tape.planned.streams)
            return await super().get(exchange, request)

    rest = Reconnecting([b'{"old":1}', b'{"new":1}'])
    async with _asking(tape, rest):
        tape.connected()
        tape.heard.update(tape.planned.streams)
        tape.memory.changed.notify()
        await trio.testing.wait_all_tasks_blocked()
    assert [taken.frames for taken in tape.mailbox.pending()] == [
        [b'{"symbol":"BTCUSDT","old":1}'],
        [b'{"symbol":"BTCUSDT","new":1}'],
    ]
    assert tape.unseen == set()


async def test_frames_are_handed_on_as_they_are_and_answers_are_read(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    exchange = Exchange()
    exchange.refused.add("ethusdt@depth20@100ms")
    tape = _tape(tmp_path)
    recorder = Recorder(tape, Connects(), exchange.connect, 60, None)  # type: ignore[arg-type]
    ended = trio.Event()

    async def record() -> None:
        with pytest.raises(Disconnected, match=r"ws://made.up: the server hung up \(WebSocket code 1006\)"):
            await recorder.run(Context("recorder", 1))
        ended.set()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(record)
        with trio.fail_after(30):
            while not tape.memory.refused or len(exchange.open[0].streams) < 3:  # noqa: ASYNC110
                await trio.sleep(0.1)
        frames = [_frame(stream) for stream in STREAMS[:2]]
        exchange.open[0].put(*frames)
        await trio.testing.wait_all_tasks_blocked()
        exchange.open[0].lose()
        await ended.wait()
    came = [frame for taken in tape.mailbox.pending() for frame in taken.frames]
    assert came[-2:] == frames
    assert any(b'"result":null' in frame for frame in came)
    assert tape.heard == {STREAMS[0]: 1, STREAMS[1]: 1}
    assert tape.memory.refused == {"ethusdt@depth20@100ms": "Invalid symbol"}
    assert tape.silent == ["ethusdt@depth"]


async def test_what_waits_is_written_in_time_and_at_the_end(tmp_path: Path) -> None:
    tape = _tape(tmp_path)
    context = Context("scribe", 1, mailbox=tape.mailbox)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(Scribe(tape, print, interval=0.01).run, context)
        await tape.put(Taken(10**18, [_frame("btcusdt@trade")]))
        with trio.fail_after(10):
            while tape.files.part is None or tape.mailbox.pending():  # noqa: ASYNC110  # a thread writes
                await trio.sleep(0.01)
        await tape.put(Taken(10**18, [_frame("btcusdt@trade")]))
        context.stopping.set()
        tape.mailbox.close()
    assert tape.files.frames == 2
    assert [path.suffix for path in tape.files.finished] == [".gz"]


async def test_a_scribe_that_cannot_write_says_so_once(tmp_path: Path) -> None:
    tape = _tape(tmp_path / "nowhere")
    context = Context("scribe", 1, mailbox=tape.mailbox)
    failures: list[RecordingError] = []

    def fail(error: RecordingError) -> None:
        failures.append(error)
        context.stopping.set()
        tape.mailbox.close()

    await tape.put(Taken(10**18, [_frame("btcusdt@trade")]))
    with trio.fail_after(10):
        await Scribe(tape, fail).run(context)
    assert "cannot be made: No such file" in str(failures[0])
