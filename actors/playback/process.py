"""The local exchange server as a child process, for the length of a block."""

import os
import subprocess
import sys
from collections.abc import AsyncGenerator, AsyncIterator, Iterable
from contextlib import asynccontextmanager
from pathlib import Path

import attrs
import msgspec
import trio

from actors.background import background
from actors.playback.player import Played
from wadm.mistakes import Mistake

#: Seconds a child gets to end by itself, and after SIGTERM; then it is killed.
_GRACE = 0.4


class LocalExchangeError(Mistake):
    """The local exchange server could not start, or died: one sentence."""


@attrs.define(eq=False)
class LocalExchange:
    """A running local exchange server."""

    port: int
    #: The streams of the capture; playback begins when they are subscribed.
    streams: tuple[str, ...]
    #: Set once everything was sent; ``played`` has the figures then.
    done: trio.Event = attrs.field(factory=trio.Event)
    played: Played | None = None

    @property
    def rest_url(self) -> str:
        """Scheme and host of the REST interface."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def url(self) -> str:
        """The URL that the exchange's paths are appended to."""
        return f"ws://127.0.0.1:{self.port}"


class _Event(msgspec.Struct):
    event: str
    port: int = 0
    streams: tuple[str, ...] = ()
    frames: int = 0
    lost: int = 0
    seconds: float = 0.0


@asynccontextmanager
async def local_exchange(
    captures: Iterable[Path],
    *,
    exchange: str,
    speed: float | str = "max",
    start_after: int | None = None,
    ping_interval: float | None = None,
) -> AsyncIterator[LocalExchange]:
    """Start a server that plays ``captures`` as ``exchange`` does; end it with the block, within a second.

    ``speed`` is "max" or how many times the recorded pace; playback begins once ``start_after`` streams
    (all, by default) are subscribed. Raises LocalExchangeError where the server cannot start, and in the
    middle of the block where it dies.
    """
    command = [sys.executable, "-P", "-m", "actors.playback", *map(str, captures)]
    command += ["--exchange", exchange, "--speed", str(speed)]
    if start_after is not None:
        command += ["--start-after", str(start_after)]
    if ping_interval is not None:
        command += ["--ping-interval", str(ping_interval)]
    process = await trio.lowlevel.open_process(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=_environment(),
        start_new_session=True,  # the terminal's Ctrl-C is for the parent, which decides what ends when
    )
    try:
        async with background() as nursery:
            yield await nursery.start(_follow, process)
    finally:
        with trio.CancelScope(shield=True):
            await _end(process)


def _environment() -> dict[str, str]:
    """Let the child import what this process runs, wherever it was started."""
    here = str(Path(__file__).parents[2])
    inherited = os.environ.get("PYTHONPATH")
    return os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, (here, inherited)))}


async def _follow(process: trio.Process, *, task_status: trio.TaskStatus[LocalExchange]) -> None:
    """Listen to what the server tells. Raises LocalExchangeError when it ends."""
    assert process.stdout is not None
    assert process.stderr is not None
    complaints = _LastLine()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(complaints.read, process.stderr)
        exchange: LocalExchange | None = None
        async for line in _lines(process.stdout):
            told = msgspec.json.decode(line, type=_Event)
            if told.event == "listening":
                exchange = LocalExchange(told.port, told.streams)
                task_status.started(exchange)
            elif exchange is not None:
                exchange.played = Played(told.frames, told.lost, told.seconds)
                exchange.done.set()
    status = await process.wait()
    if status == 2:
        raise LocalExchangeError(complaints.text)
    raise LocalExchangeError(f"the local exchange server died with exit status {status}: {complaints.text}")


async def _lines(stream: trio.abc.ReceiveStream) -> AsyncGenerator[bytes, None]:
    rest = b""
    async for chunk in stream:
        *lines, rest = (rest + chunk).split(b"\n")
        for line in lines:
            yield line


class _LastLine:
    """The last line of what a process says: of a traceback, the line that counts."""

    text = "it said nothing"

    async def read(self, stream: trio.abc.ReceiveStream) -> None:
        async for line in _lines(stream):
            if line.strip():
                self.text = line.decode(errors="replace").strip()


async def _end(process: trio.Process) -> None:
    """End the child: by the end of its stdin, else SIGTERM, else SIGKILL."""
    for stream in (process.stdin, process.stdout, process.stderr):
        if stream is not None:
            await stream.aclose()
    for insist in (process.terminate, process.kill):
        with trio.move_on_after(_GRACE):
            await process.wait()
            return
        insist()
    await process.wait()
