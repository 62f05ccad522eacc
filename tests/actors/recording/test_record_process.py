"""``wadm record`` as people run it: from a local exchange to files that replay to what was recorded."""

import json
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trio

from actors.playback.capture import Capture, read_capture
from actors.playback.captures import bundled
from actors.playback.process import LocalExchange, local_exchange

STREAMS = "{symbol}@trade,{symbol}@depth@100ms"
SYMBOLS = "BTCUSDT,ETHUSDT"


def _wadm(*arguments: object) -> list[str]:
    return [sys.executable, "-m", "wadm", *map(str, arguments)]


def _record(exchange: LocalExchange, out: Path, *more: object) -> list[str]:
    where = ("--exchange", "binance", "--url", exchange.url)
    return _wadm("record", "--out", out, *where, "--symbols", SYMBOLS, "--streams", STREAMS, *more)


@asynccontextmanager
async def _recording(exchange: LocalExchange, out: Path, *more: object) -> AsyncIterator[trio.Process]:
    """Run ``wadm record`` for the length of the block."""
    process = await trio.lowlevel.open_process(
        _record(exchange, out, *more), stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    try:
        yield process
    finally:
        with trio.CancelScope(shield=True):
            if process.returncode is None:
                process.kill()
            await process.wait()


async def _replayed(*captures: Path) -> dict[str, dict[str, dict[str, object]]]:
    command = _wadm("replay", *captures, "--exchange", "binance", "--json")
    done = await trio.run_process(command, capture_stdout=True, capture_stderr=True)
    answer: dict[str, dict[str, dict[str, object]]] = json.loads(done.stdout)
    return answer


def _best(answer: dict[str, dict[str, dict[str, object]]]) -> dict[str, tuple[object, object, object]]:
    """Return whether each book is in step, and its best bid and ask."""
    return {key: (book["synced"], book["bid"], book["ask"]) for key, book in answer["books"].items()}


def _bodies(capture: Capture) -> dict[str, list[bytes]]:
    """Return the frames by stream, in order: between streams, order is that of arrival."""
    streams: dict[str, list[bytes]] = {stream: [] for stream in sorted(capture.streams)}
    for frame in capture.frames:
        streams[frame.stream].append(frame.body)
    return streams


async def test_what_it_wrote_replays_to_the_same(tmp_path: Path) -> None:
    recorded = bundled()
    async with local_exchange([recorded], exchange="binance", speed=200) as exchange:
        command = _record(exchange, tmp_path, "--rotate-mb", 0.3)
        done = await trio.run_process(command, capture_stdout=True, capture_stderr=True)
    files = _files(tmp_path)
    assert f"files {len(files)}  " in done.stdout.decode()
    assert [file.suffix for file in files] == [".gz"] * len(files)
    assert len(files) > 1
    again = read_capture(files)
    assert _bodies(again) == _bodies(read_capture([recorded]))
    assert {snapshot.symbol for snapshot in again.snapshots} == {"BTCUSDT", "ETHUSDT"}
    first, second = await _replayed(recorded), await _replayed(*files)
    assert second["symbols"] == first["symbols"]
    assert _best(second) == _best(first)
    assert all(synced for synced, _, _ in _best(second).values())


async def test_a_killed_recording_can_be_read(tmp_path: Path) -> None:
    async with (
        local_exchange([bundled()], exchange="binance", speed=60) as exchange,
        _recording(exchange, tmp_path) as process,
    ):
        await _until_written(tmp_path, 60_000)
        process.send_signal(signal.SIGKILL)
        await process.wait()
    (part,) = _files(tmp_path)
    assert part.name.endswith(".gz.part")
    kept, whole = _bodies(read_capture([part])), _bodies(read_capture([bundled()]))
    assert all(frames == whole[stream][: len(frames)] for stream, frames in kept.items())
    assert sum(map(len, kept.values())) > 100


@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM])
async def test_an_interrupt_finishes_the_file(tmp_path: Path, stop: signal.Signals) -> None:
    async with (
        local_exchange([bundled()], exchange="binance", speed=60) as exchange,
        _recording(exchange, tmp_path) as process,
    ):
        await _until_written(tmp_path, 1_000)  # a file begins with a header that holds no frame
        process.send_signal(stop)
        assert await process.wait() == 0
    (file,) = _files(tmp_path)
    assert file.name.endswith("Z.gz")
    assert read_capture([file]).frames


def _files(directory: Path) -> list[Path]:
    return sorted(directory.iterdir())


async def _until_written(directory: Path, size: int) -> None:
    """Wait until files of so many bytes are there: another process writes them."""
    with trio.fail_after(30):
        while sum(file.stat().st_size for file in _files(directory)) < size:  # noqa: ASYNC110
            await trio.sleep(0.02)
