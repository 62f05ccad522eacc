"""The local exchange server as a child process, for the length of a block."""

import math
import os
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path

import attrs
import msgspec
import structlog
import trio

from actors.background import background
from actors.playback.faults import Fault, Struck
from actors.playback.player import Played
from wadm.mistakes import Mistake

log = structlog.get_logger("playback")

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
    #: The marked frames that were handed out, as they are; it ends with the playback.
    marks: trio.MemoryReceiveChannel[int]
    #: The exchange that the capture was recorded from, where it is told in another one's format.
    reframed_from: str | None = None
    #: The faults that struck somebody, by kind, and those that struck nobody.
    faults: Counter[str] = attrs.field(factory=Counter)
    missed: Counter[str] = attrs.field(factory=Counter)
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
    cut_short: tuple[str, ...] = ()
    reframed_from: str | None = None
    frames: int = 0
    lost: int = 0
    seconds: float = 0.0
    kind: str = ""
    frame: int = 0
    missed: bool = False


@asynccontextmanager
async def local_exchange(
    captures: Iterable[Path],
    *,
    exchange: str,
    speed: float | str = "max",
    start_after: int | None = None,
    wait_for_books: float = 0.0,
    ping_interval: float | None = None,
    idle_timeout: float | None = None,
    lifetime: float | None = None,
    connections: int | None = None,
    weight_limit: int | None = None,
    faults: Sequence[Fault] = (),
    marks: Sequence[int] = (),
    on_fault: Callable[[Struck], object] = lambda _: None,
) -> AsyncIterator[LocalExchange]:
    """Start a server that plays ``captures`` as ``exchange`` does; end it with the block, within a second.

    ``speed`` is "max" or how many times the recorded pace; playback begins once ``start_after`` streams
    (all, by default) are subscribed, and waits up to ``wait_for_books`` seconds at each recorded depth
    snapshot for somebody to fetch the book. From ``ping_interval`` to ``weight_limit`` are the terms: see
    ``actors.playback.terms.Terms``. ``faults`` are done to it, and ``on_fault`` called for each that fell
    due; ``marks`` are the frames to tell of. Raises LocalExchangeError where the server cannot start, and in
    the middle of the block where it dies.
    """
    command = [sys.executable, "-P", "-m", "actors.playback", *map(str, captures)]
    command += ["--exchange", exchange, "--speed", str(speed), "--wait-for-books", str(wait_for_books)]
    given = {
        "--start-after": start_after,
        "--ping-interval": ping_interval,
        "--idle-timeout": idle_timeout,
        "--lifetime": lifetime,
        "--connections": connections,
        "--weight-limit": weight_limit,
    }
    for option, value in given.items():
        if value is not None:
            command += [option, str(value)]
    with _script(faults, marks) as options:
        async with _running([*command, *options], on_fault) as running:
            yield running


@asynccontextmanager
async def _running(
    command: Sequence[str], on_fault: Callable[[Struck], object]
) -> AsyncIterator[LocalExchange]:
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
            yield await nursery.start(_follow, process, on_fault)
    finally:
        with trio.CancelScope(shield=True):
            await _end(process)


@contextmanager
def _script(faults: Sequence[Fault], marks: Sequence[int]) -> Iterator[list[str]]:
    """Write faults and marks into files for the length of the block; yield the options that name them."""
    scripts = {"--faults": list(faults), "--marks": list(marks)}
    if not any(scripts.values()):
        yield []
        return
    with tempfile.TemporaryDirectory(prefix="wadm-playback-") as directory:
        options = []
        for option, script in scripts.items():
            path = Path(directory, option.strip("-"))
            path.write_bytes(msgspec.json.encode(script))
            options += [option, str(path)]
        yield options


def _environment() -> dict[str, str]:
    """Let the child import what this process runs, wherever it was started."""
    here = str(Path(__file__).parents[2])
    inherited = os.environ.get("PYTHONPATH")
    return os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, (here, inherited)))}


async def _follow(
    process: trio.Process,
    on_fault: Callable[[Struck], object],
    *,
    task_status: trio.TaskStatus[LocalExchange],
) -> None:
    """Listen to what the server tells. Raises LocalExchangeError when it ends."""
    assert process.stdout is not None
    assert process.stderr is not None
    complaints = _LastLine()
    passed, marks = trio.open_memory_channel[int](math.inf)
    with passed:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(complaints.read, process.stderr)
            lines = _lines(process.stdout)
            async for line in lines:
                told = msgspec.json.decode(line, type=_Event)
                for sentence in told.cut_short:
                    log.warning("capture_cut_short", capture=sentence)
                exchange = LocalExchange(told.port, told.streams, marks, told.reframed_from)
                task_status.started(exchange)
                break
            async for line in lines:
                _hear(msgspec.json.decode(line, type=_Event), exchange, passed, on_fault)
    status = await process.wait()
    if status == 2:
        raise LocalExchangeError(complaints.text)
    raise LocalExchangeError(f"the local exchange server died with exit status {status}: {complaints.text}")


def _hear(
    told: _Event,
    exchange: LocalExchange,
    passed: trio.MemorySendChannel[int],
    on_fault: Callable[[Struck], object],
) -> None:
    match told.event:
        case "fault":
            (exchange.missed if told.missed else exchange.faults)[told.kind] += 1
            on_fault(Struck(told.kind, told.frame, told.missed))
        case "mark":
            with suppress(trio.BrokenResourceError):  # nobody wants to know
                passed.send_nowait(told.frame)
        case "done":
            exchange.played = Played(told.frames, told.lost, told.seconds)
            passed.close()
            exchange.done.set()


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
