"""The drill itself: plays a capture to a daemon that is made to fail, and keeps the accounts of it."""

import math
import subprocess
import sys
import tempfile
from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import attrs
import trio

from actors import signals, stored
from actors.background import background
from actors.drill import protocol, schedule
from actors.playback.capture import Capture, read_capture
from actors.playback.faults import Fault
from actors.playback.process import LocalExchange, local_exchange
from wadm.exchanges import registry
from wadm.mistakes import Mistake

#: More faults are drawn than are asked for: some fall into moments in which there is nothing to hit.
_SURPLUS = 1.4

#: Seconds for a daemon under test to end when it is asked to.
_PATIENCE = 20.0


class DrillError(Mistake):
    """The drill could not be carried out: one sentence."""


@attrs.frozen
class Drill:
    """What is to be played, and what is to go wrong: ``count`` faults of ``kinds``, ``rate`` a second."""

    captures: Sequence[Path]
    exchange: str
    seed: int
    kinds: Sequence[str] = schedule.KINDS
    count: int = 1_000
    rate: float = 10.0
    row_size: str | None = None


@attrs.define(eq=False)
class Toll:
    """What a daemon suffered, and how it came through."""

    faults: Counter[str] = attrs.field(factory=Counter)
    restarts: Counter[str] = attrs.field(factory=Counter)
    recoveries: dict[str, list[float]] = attrs.field(factory=lambda: defaultdict(list))
    result: dict[str, Any] = attrs.field(factory=dict)
    on_disk: dict[str, Any] = attrs.field(factory=dict)

    def account(self) -> dict[str, Any]:
        """Return faults, restarts and recoveries as they are reported."""
        return {
            "faults": dict(sorted(self.faults.items())),
            "faults_total": self.faults.total(),
            "restarts": self.restarts.total(),
            "restarts_by_kind": dict(sorted(self.restarts.items())),
            "recovery_ms": self.recovery_ms(),
        }

    def recovery_ms(self) -> dict[str, dict[str, float]]:
        """Return p50, p99 (nearest rank) and maximum of the ms to serving again, by kind of actor."""
        return {
            kind: {"p50": _rank(times, 0.5), "p99": _rank(times, 0.99), "max": max(times)}
            for kind, times in sorted(self.recoveries.items())
        }


def _rank(times: list[float], share: float) -> float:
    return sorted(times)[max(0, math.ceil(share * len(times)) - 1)]


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


@attrs.frozen
class Course:
    """The faults of a drill laid onto the frames of its capture."""

    speed: float
    exchange_faults: tuple[Fault, ...]
    orders: dict[int, list[schedule.Fault]]

    @classmethod
    def plan(cls, drill: Drill, capture: Capture) -> "Course":
        """Lay the faults drawn from the seed over the capture, from when every symbol has traded."""
        times = [frame.at for frame in capture.frames]
        first = times[_all_traded(capture, drill.exchange)]
        seconds = drill.count / drill.rate
        speed = (times[-1] - first) / 1e9 / seconds
        drawn = schedule.draw(
            drill.seed, drill.kinds, seconds, int(drill.count * _SURPLUS), _targets(drill.exchange, capture)
        )
        exchange: dict[int, Fault] = {}
        orders: dict[int, list[schedule.Fault]] = defaultdict(list)
        for fault in drawn:
            frame = min(bisect_left(times, first + int(fault.at * speed * 1e9)), len(times) - 1)
            if fault.kind in schedule.EXCHANGE_KINDS:
                exchange[frame] = Fault(frame, fault.kind, fault.seconds)
            else:
                orders[frame].append(fault)
        return cls(speed, tuple(exchange[frame] for frame in sorted(exchange)), dict(orders))


def _all_traded(capture: Capture, exchange: str) -> int:
    """Return the first frame by which every symbol has traded: what was before is not known to be missing."""
    wanted = {stream for stream in capture.streams if registry.find(exchange).stream_id_kind(stream)}
    if not wanted:
        raise DrillError("the capture holds no trades: there would be nothing to compare")
    for index, frame in enumerate(capture.frames):
        wanted.discard(frame.stream)
        if not wanted:
            return min(index + 1, len(capture.frames) - 1)
    raise AssertionError("every stream of a capture has a frame")


def _targets(exchange: str, capture: Capture) -> dict[str, list[str]]:
    """Return the actors to be hit, as paths below the root."""
    found = registry.find(exchange)
    aggregators = [f"aggregators/aggregator:{exchange}:{symbol}" for symbol in capture.symbols]
    connections = [
        f"connections/connection:{exchange}#{n}" for n, _ in enumerate(found.routes(capture.streams), 1)
    ]
    others = ["storage/writer", "storage/warm", "storage/retention", "services/backfill", "front/http"]
    # Where the state is, most is to be lost: aggregators are hit four times as often as the rest.
    return {
        "kill": [*4 * aggregators, *connections, *others],
        "slow-consumer": [*(path.partition("/")[2] for path in aggregators), "writer"],
    }


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
        if not self._ready.is_set() or self._subject is None or self._killed.is_set():
            return
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
