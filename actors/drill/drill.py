"""The drill itself: plays a capture to a daemon that is made to fail, and keeps the accounts of it."""

import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import attrs
import trio

from actors import signals
from actors.answers import stored
from actors.background import background
from actors.drill import protocol, schedule, windows
from actors.drill.course import Course, Drill, DrillError
from actors.drill.toll import Toll
from actors.playback.capture import read_capture
from actors.playback.process import LocalExchange, local_exchange

#: Seconds for a daemon under test to end when it is asked to.
_PATIENCE = 20.0


async def suffer(drill: Drill, directory: Path) -> Toll:
    """Play the captures with the faults; return what it cost. Raises DrillError and CaptureError."""
    capture = await trio.to_thread.run_sync(read_capture, drill.captures)
    course = Course.plan(drill, capture)
    async with local_exchange(
        drill.captures,
        exchange=drill.exchange,
        speed=course.speed,
        faults=course.exchange_faults,
        marks=sorted(course.orders),
    ) as exchange:
        return await Run(drill, exchange, course, directory).play()


async def interruptible(drill: Drill) -> Toll | None:
    """Carry out a drill in a temporary data directory; None where SIGINT or SIGTERM came."""
    toll = None
    with (
        trio.CancelScope() as scope,
        tempfile.TemporaryDirectory(prefix="wadm-drill-", ignore_cleanup_errors=True) as directory,
    ):
        async with background() as nursery:
            await nursery.start(signals.watch, scope.cancel)
            toll = await suffer(drill, Path(directory))
    return toll


@attrs.define(eq=False)
class Run:
    """One playing of a drill."""

    drill: Drill
    exchange: LocalExchange
    course: Course
    directory: Path
    toll: Toll = attrs.field(factory=Toll)
    _subject: trio.Process | None = None
    _ready: trio.Event = attrs.field(factory=trio.Event)
    _complete: trio.Event = attrs.field(factory=trio.Event)
    _killed: trio.Event = attrs.field(factory=trio.Event)

    async def play(self) -> Toll:
        """Keep a daemon on the exchange, through its faults, until it has everything."""
        async with background() as nursery:
            nursery.start_soon(self._inject)
            while not self._complete.is_set():
                began = trio.current_time()
                first = self._subject is None
                async with self._living():
                    await self._ready.wait()
                    if not first:
                        self.toll.recoveries["daemon"].append(round((trio.current_time() - began) * 1e3, 3))
                    async with trio.open_nursery() as waiting:
                        waiting.start_soon(self._until_killed, waiting.cancel_scope)
                        await self._complete.wait()
                        waiting.cancel_scope.cancel()
        self.toll.faults.update(self.exchange.faults)
        self.toll.on_disk = await trio.to_thread.run_sync(
            stored.summaries, self.directory, self.drill.row_size
        )
        self.toll.recorded = await trio.to_thread.run_sync(windows.digests_in, self.directory)
        return self.toll

    async def _until_killed(self, scope: trio.CancelScope) -> None:
        await self._killed.wait()
        scope.cancel()

    # --- the daemon under test ---

    @asynccontextmanager
    async def _living(self) -> AsyncIterator[None]:
        """Run the daemon under test for the length of the block; whatever happens, it does not survive it."""
        self._ready, self._killed = trio.Event(), trio.Event()
        self._subject = subject = await trio.lowlevel.open_process(
            self._command(), stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True
        )
        try:
            async with background() as nursery:
                nursery.start_soon(self._listen, subject)
                yield
                if not self._killed.is_set():
                    await self._end(subject)
        finally:
            subject.kill()
            with trio.CancelScope(shield=True):
                await subject.wait()
                for stream in (subject.stdin, subject.stdout):
                    if stream is not None:
                        await trio.aclose_forcefully(stream)

    async def _end(self, subject: trio.Process) -> None:
        assert subject.stdin is not None
        await subject.stdin.aclose()
        with trio.move_on_after(_PATIENCE):
            await subject.wait()

    def _command(self) -> list[str]:
        command = [sys.executable, "-P", "-m", "actors.drill.subject", "--exchange", self.drill.exchange]
        command += ["--url", self.exchange.url, "--rest-url", self.exchange.rest_url]
        command += ["--data-dir", str(self.directory)]
        for stream in self.exchange.streams:
            command += ["--stream", stream]
        return command + (["--row-size", self.drill.row_size] if self.drill.row_size else [])

    async def _listen(self, subject: trio.Process) -> None:
        assert subject.stdout is not None
        rest = b""
        async for chunk in subject.stdout:
            *lines, rest = (rest + chunk).split(b"\n")
            for line in lines:
                self._hear(protocol.read_told(line))
        if not (self._killed.is_set() or self._complete.is_set()):
            raise DrillError(f"the daemon under test ended by itself, with status {await subject.wait()}")

    def _hear(self, told: protocol.Tellings) -> None:
        match told:
            case protocol.Ready():
                self._ready.set()
            case protocol.Suffered(kind=kind, hit=True):
                self.toll.faults[kind] += 1
            case protocol.Restarted(kind=kind):
                self.toll.restarts[kind] += 1
            case protocol.Recovered(kind=kind, ms=ms):
                self.toll.recoveries[kind].append(ms)
            case protocol.Complete(result=result):
                self.toll.result = result
                self._complete.set()

    # --- faults ---

    async def _inject(self) -> None:
        """Do to the daemon what is due, each time the exchange says that it has come to the frame."""
        async for frame in self.exchange.marks:
            for fault in self.course.orders[frame]:
                await self._strike(fault)

    async def _strike(self, fault: schedule.Fault) -> None:
        if fault.kind in schedule.PROCESS_KINDS:
            await self._ready.wait()  # there are few of them: one that falls into the start comes after it
        if not self._ready.is_set() or self._killed.is_set() or self._complete.is_set():
            return
        assert self._subject is not None
        if fault.kind == "sigkill":
            self.toll.faults[fault.kind] += 1
            self.toll.restarts["daemon"] += 1
            self._subject.kill()
            self._killed.set()
            return
        orders: dict[str, protocol.Orders] = {
            "kill": protocol.Kill(fault.target),
            "slow-consumer": protocol.Slow(fault.target, fault.seconds),
            "disk-full": protocol.Fill(fault.seconds),
        }
        assert self._subject.stdin is not None
        try:
            await self._subject.stdin.send_all(protocol.line(orders[fault.kind]))
        except trio.BrokenResourceError:
            return
