"""The local exchange server as it is used: a process of its own, over real sockets."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trio

from actors.connections.websocket import ConnectFailed, WebSocket, open_websocket
from actors.playback import process as process_module
from actors.playback.capture import Frame, read_capture
from actors.playback.captures import bundled
from actors.playback.process import LocalExchange, LocalExchangeError, local_exchange

RECORDED = Path(__file__).parents[2] / "captures" / "hftbacktest"
USDM = RECORDED / "usdm_btcusdt_20240718.gz"
SPOT = [RECORDED / f"spot_{symbol}_20240808_trades.gz" for symbol in ("btcusdt", "ethusdt")]
NS = 1_723_161_253_937_085_768


@pytest.fixture(scope="module")
def recorded() -> Sequence[Frame]:
    return read_capture([USDM]).frames


@pytest.fixture
def small(tmp_path: Path) -> Path:
    """Ten frames of a@trade and b@trade by turns, 20 ms apart."""
    path = tmp_path / "small"
    stream = "ab"
    lines = (
        b'%d {"stream":"%s@trade","data":%d}\n' % (NS + at * 20_000_000, stream[at % 2].encode(), at)
        for at in range(10)
    )
    path.write_bytes(b"".join(lines))
    return path


@asynccontextmanager
async def _client(exchange: LocalExchange, path: str) -> AsyncIterator["Client"]:
    async with open_websocket(exchange.url + path) as websocket:
        yield Client(websocket)


class Client:
    """A client that reads message by message."""

    def __init__(self, websocket: WebSocket) -> None:
        self.websocket = websocket
        self._runs = websocket.runs()
        self._read: list[bytes] = []

    async def ask(self, method: str, params: Sequence[str] = (), request_id: int = 1) -> None:
        await self.websocket.send(json.dumps({"method": method, "params": params, "id": request_id}))

    async def next(self) -> bytes:
        if not self._read:
            self._read = (await anext(self._runs)).frames[::-1]
        return self._read.pop()

    async def rest(self) -> list[bytes]:
        """All messages up to the close at the capture's end."""
        found = self._read[::-1]
        async for run in self._runs:
            found += run.frames
        assert (self.websocket.close_code, self.websocket.close_reason) == (1000, "end of capture")
        return found


ACK = b'{"result":null,"id":1}'


async def test_every_frame_arrives_once_and_in_order(recorded: Sequence[Frame]) -> None:
    async with local_exchange([USDM], exchange="binance_usdm") as exchange:
        assert set(exchange.streams) == {"btcusdt@depth@0ms", "btcusdt@bookTicker", "btcusdt@trade"}
        async with _client(exchange, "/public/stream") as client:
            await client.ask("SUBSCRIBE", exchange.streams)
            assert await client.next() == ACK
            assert await client.rest() == [frame.body for frame in recorded]
        await exchange.done.wait()
    assert exchange.played is not None
    assert (exchange.played.frames, exchange.played.lost) == (len(recorded), 0)
    assert exchange.played.seconds > 0


async def test_several_clients_each_get_their_streams_in_their_form(recorded: Sequence[Frame]) -> None:
    async with (
        local_exchange([USDM], exchange="binance_usdm") as exchange,
        _client(exchange, "/public/ws") as bare,
        _client(exchange, "/public/stream") as wrapped,
        _client(exchange, "/public/stream") as last,
    ):
        for client, streams in (
            (bare, ["btcusdt@trade"]),
            (wrapped, ["btcusdt@trade", "btcusdt@bookTicker"]),
            (last, ["btcusdt@depth@0ms"]),
        ):
            await client.ask("SUBSCRIBE", streams)
            assert await client.next() == ACK
        heard: dict[Client, list[bytes]] = {}

        async def listen(client: Client) -> None:
            heard[client] = await client.rest()

        async with trio.open_nursery() as nursery:
            for client in (bare, wrapped, last):
                nursery.start_soon(listen, client)
    prefix = len(b'{"stream":"btcusdt@trade","data":')
    assert heard[bare] == [frame.body[prefix:-1] for frame in recorded if frame.stream == "btcusdt@trade"]
    assert heard[wrapped] == [frame.body for frame in recorded if "@depth" not in frame.stream]
    assert heard[last] == [frame.body for frame in recorded if "@depth" in frame.stream]


async def test_files_are_merged() -> None:
    frames = read_capture(SPOT).frames
    path = "/stream?streams=btcusdt@trade/ethusdt@trade"
    async with local_exchange(SPOT, exchange="binance") as exchange, _client(exchange, path) as client:
        assert await client.rest() == [frame.body for frame in frames]


async def test_requests_are_answered(small: Path) -> None:
    async with local_exchange([small], exchange="binance") as exchange, _client(exchange, "/ws") as client:
        await client.websocket.send("hello")
        assert json.loads(await client.next())["code"] == 3
        await client.ask("SUBSCRIBE", ["a@trade"], 7)
        assert await client.next() == b'{"result":null,"id":7}'
        await client.ask("LIST_SUBSCRIPTIONS", request_id=8)
        assert await client.next() == b'{"result":["a@trade"],"id":8}'
        await client.ask("SUBSCRIBE", ["b@trade"], 9)
        assert await client.next() == b'{"result":null,"id":9}'
        assert await client.rest() == [b"%d" % number for number in range(10)]


@pytest.mark.parametrize("wrong", ["/market", ""])
async def test_a_wrong_route_acknowledges_and_keeps_silent(small: Path, wrong: str) -> None:
    async with (
        local_exchange([small], exchange="binance_usdm", start_after=1) as exchange,
        _client(exchange, f"{wrong}/stream") as silent,
        _client(exchange, "/public/stream") as client,
    ):
        await silent.ask("SUBSCRIBE", exchange.streams)
        assert await silent.next() == ACK
        await client.ask("SUBSCRIBE", exchange.streams)
        assert await client.next() == ACK
        assert len(await client.rest()) == 10
        assert await silent.rest() == []


async def test_frames_that_nobody_wants_are_lost_and_counted(small: Path) -> None:
    async with local_exchange([small], exchange="binance", start_after=1) as exchange:
        async with _client(exchange, "/ws/b@trade") as client:
            assert await client.rest() == [b"1", b"3", b"5", b"7", b"9"]
        await exchange.done.wait()
        assert exchange.played is not None
        assert (exchange.played.frames, exchange.played.lost) == (5, 5)


async def test_who_comes_after_the_end_is_answered_and_closed(small: Path) -> None:
    async with local_exchange([small], exchange="binance", start_after=0) as exchange:
        await exchange.done.wait()
        async with _client(exchange, "/ws") as client:
            await client.ask("SUBSCRIBE", ["a@trade"])
            assert await client.rest() == [ACK]
        async with _client(exchange, "/ws/a@trade") as client:
            assert await client.rest() == []


async def test_the_pace(small: Path) -> None:
    """180 ms of recording at twice the pace: never early."""
    async with local_exchange([small], exchange="binance", speed=2) as exchange:
        async with _client(exchange, "/ws/a@trade/b@trade") as client:
            assert await client.rest() == [b"%d" % number for number in range(10)]
        await exchange.done.wait()
        assert exchange.played is not None
        assert exchange.played.seconds >= 0.09


async def test_a_client_that_breaks_off_disturbs_nobody(recorded: Sequence[Frame]) -> None:
    async with (
        local_exchange([USDM], exchange="binance_usdm") as exchange,
        _client(exchange, "/public/stream?streams=btcusdt@bookTicker") as breaking,
        _client(exchange, "/public/stream?streams=" + "/".join(exchange.streams)) as client,
    ):
        await breaking.next()
        await trio.aclose_forcefully(breaking.websocket._transport)
        assert len(await client.rest()) == len(recorded)


@pytest.mark.parametrize(
    "garbage",
    [
        b"",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" * 20,
        b"GET / HTTP/1.1\r\n\r\n",
        b"POST /ws HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc",
        b"GET /\xc3\xa9 HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n",
        b"x" * 100_000,
    ],
)
async def test_garbage_for_a_handshake_disturbs_nobody(small: Path, garbage: bytes) -> None:
    async with local_exchange([small], exchange="binance") as exchange:
        stream = await trio.open_tcp_stream("127.0.0.1", exchange.port)
        try:
            await stream.send_all(garbage)
            await stream.send_eof()
        except trio.BrokenResourceError:
            pass
        async with _client(exchange, "/ws/a@trade/b@trade") as client:
            assert len(await client.rest()) == 10
        await trio.aclose_forcefully(stream)


async def test_a_path_that_is_none_of_the_exchange(small: Path) -> None:
    async with local_exchange([small], exchange="binance") as exchange:
        with pytest.raises(ConnectFailed, match="HTTP 404"):
            async with open_websocket(exchange.url + "/nothing"):
                pytest.fail("it is open")


async def test_pings_come_at_the_interval(small: Path) -> None:
    async with local_exchange([small], exchange="binance", ping_interval=0.02) as exchange:
        stream = await trio.open_tcp_stream("127.0.0.1", exchange.port)
        await stream.send_all(
            b"GET /ws HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
        )
        received = b""
        while b"\r\n\r\n\x89\x04" not in received:
            received += await stream.receive_some()
        await stream.aclose()


async def test_what_cannot_be_read_is_said_in_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(LocalExchangeError, match=r"^/.*/missing: cannot be read: No such file or directory$"):
        async with local_exchange([tmp_path / "missing"], exchange="binance"):
            pytest.fail("it runs")


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"exchange": "nasdaq"}, "argument --exchange: invalid choice: 'nasdaq'"),
        ({"exchange": "binance", "speed": "fast"}, "speed is 'fast': expected 'max' or a number above 0"),
        ({"exchange": "binance", "speed": -1}, "speed is '-1': expected"),
    ],
)
async def test_options_that_cannot_be_used(small: Path, options: dict[str, str], sentence: str) -> None:
    with pytest.raises(LocalExchangeError, match=sentence):
        async with local_exchange([small], **options):
            pytest.fail("it runs")


@pytest.fixture
def children(monkeypatch: pytest.MonkeyPatch) -> list[trio.Process]:
    """The processes that were started."""
    started: list[trio.Process] = []
    start = trio.lowlevel.open_process

    async def open_process(*args: object, **options: object) -> trio.Process:
        started.append(await start(*args, **options))
        return started[-1]

    monkeypatch.setattr(process_module.trio.lowlevel, "open_process", open_process)
    return started


async def test_the_child_ends_with_the_block(small: Path, children: list[trio.Process]) -> None:
    async with local_exchange([small], exchange="binance"):
        ending = time.perf_counter()
    assert time.perf_counter() - ending < 1
    assert children[0].returncode == 0


async def test_the_child_ends_with_a_cancelled_block(small: Path, children: list[trio.Process]) -> None:
    with trio.CancelScope() as scope:
        async with local_exchange([small], exchange="binance"):
            scope.cancel()
            ending = time.perf_counter()
            await trio.sleep_forever()
    assert time.perf_counter() - ending < 1
    assert children[0].returncode == 0


async def test_a_child_that_does_not_listen_is_killed(small: Path, children: list[trio.Process]) -> None:
    async with local_exchange([small], exchange="binance"):
        children[0].send_signal(signal.SIGSTOP)
        ending = time.perf_counter()
    assert time.perf_counter() - ending < 1.5
    assert children[0].returncode == -signal.SIGKILL


async def test_a_child_that_dies_ends_the_block(small: Path, children: list[trio.Process]) -> None:
    async def kill_it() -> None:
        async with local_exchange([small], exchange="binance"):
            children[0].kill()
            await trio.sleep_forever()

    with pytest.raises(LocalExchangeError, match="died with exit status -9: it said nothing"):
        await kill_it()


def _end_by_eof(child: subprocess.Popen[bytes]) -> None:
    assert child.stdin is not None
    child.stdin.close()


def _end_by_signal(number: signal.Signals) -> Callable[[subprocess.Popen[bytes]], None]:
    return lambda child: child.send_signal(number)


@pytest.mark.parametrize("end", [_end_by_eof, _end_by_signal(signal.SIGTERM), _end_by_signal(signal.SIGINT)])
def test_it_ends_at_once_with_a_client_that_never_reads(
    end: Callable[[subprocess.Popen[bytes]], None],
) -> None:
    command = [
        sys.executable,
        "-m",
        "actors.playback",
        str(bundled()),
        "--exchange",
        "binance",
        "--speed",
        "max",
    ]
    root = str(Path(__file__).parents[3])
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, cwd=root) as child:
        try:
            assert child.stdout is not None
            assert child.stderr is not None
            port = json.loads(child.stdout.readline())["port"]

            async def stall() -> None:
                stream = await trio.open_tcp_stream("127.0.0.1", port)
                stream.setsockopt(trio.socket.SOL_SOCKET, trio.socket.SO_RCVBUF, 4096)
                await stream.send_all(
                    b"GET /stream?streams=btcusdt@trade/ethusdt@trade/btcusdt@depth@100ms/ethusdt@depth@100ms"
                    b" HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
                )
                await stream.receive_some(1)  # playback has begun, or is about to
                end(child)
                ending = time.perf_counter()
                await trio.to_thread.run_sync(child.wait, 5)
                assert time.perf_counter() - ending < 1
                await trio.aclose_forcefully(stream)

            trio.run(stall)
            assert child.returncode == 0
            assert child.stderr.read() == b""
        finally:
            child.kill()


async def test_it_does_not_outlive_a_parent_that_was_killed(small: Path) -> None:
    script = (
        "import sys, trio; from pathlib import Path; from actors.playback.process import local_exchange\n"
        "async def main():\n"
        "    async with local_exchange([Path(sys.argv[1])], exchange='binance') as exchange:\n"
        "        print(exchange.port, flush=True)\n"
        "        await trio.sleep_forever()\n"
        "trio.run(main)\n"
    )
    parent = await trio.lowlevel.open_process(
        [sys.executable, "-c", script, str(small)],
        stdout=subprocess.PIPE,
        cwd=Path(__file__).parents[3],
        env=os.environ,
    )
    assert parent.stdout is not None
    stream = await trio.open_tcp_stream("127.0.0.1", int(await parent.stdout.receive_some()))
    parent.kill()
    await parent.wait()
    with trio.fail_after(5):
        assert await stream.receive_some() == b""
    await stream.aclose()
    await parent.stdout.aclose()


def test_what_cannot_be_read_ends_it_with_status_2(tmp_path: Path) -> None:
    path = tmp_path / "bad"
    path.write_bytes(b"not a capture\n")
    command = [sys.executable, "-m", "actors.playback", str(path), "--exchange", "binance"]
    ended = subprocess.run(
        command, capture_output=True, check=False, cwd=Path(__file__).parents[3], timeout=10
    )
    assert ended.returncode == 2
    assert ended.stdout == b""
    complaint = ended.stderr.decode()
    assert complaint.startswith(f"{path}, line 1: 'not a capture' cannot be read")
    assert complaint.count("\n") == 1
