"""A sink's work in a process of its own, as the sink sees it."""

import logging
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import attrs
import structlog
import trio

from actors.storage.carrier import Carried, Leg
from actors.storage.worker.messages import (
    BEAT,
    Carry,
    Crashed,
    Delivered,
    Failed,
    Job,
    Logged,
    Message,
    Open,
    Opened,
    Unpacker,
    packed,
)
from actors.storage.worker.worker import WorkerDied

#: Whoever says nothing for so long (s) is taken for dead; it beats while it works, too.
SILENCE = 6 * BEAT

#: Seconds within which a process that has closed its socket has ended.
ENDING = 1.0

#: What runs in it.
PROGRAM = "actors.storage.worker"

_RECEIVED = 65_536
_STDERR = 2


@attrs.define(eq=False)
class ProcessWorker:
    """A ``Worker`` in a process of its own, which is started by ``at_work`` and killed at its end.

    ``kept_open`` are files that the process shall hold open as long as it lives, such as the lock of the data
    directory: should the daemon be killed, the directory is free once the last who writes there has gone.
    """

    job: Job
    kept_open: Sequence[int] = ()
    _process: trio.Process | None = attrs.field(default=None, init=False)
    _pipe: trio.SocketStream | None = attrs.field(default=None, init=False)
    _unpacker: Unpacker = attrs.field(factory=Unpacker, init=False, repr=False)

    @property
    def pid(self) -> int | None:
        """See ``Worker``."""
        return None if self._process is None else self._process.pid

    @asynccontextmanager
    async def at_work(self) -> AsyncIterator[None]:
        """See ``Worker``. What it was doing at the end is cut short, as by any crash."""
        ours, theirs = socket.socketpair()
        async with trio.SocketStream(trio.socket.from_stdlib_socket(ours)) as self._pipe:
            with theirs:
                self._process = process = await self._started(theirs)
            try:
                self._unpacker = Unpacker()
                await self._send(self.job)
                yield
            finally:
                self._process = None
                process.kill()
                with trio.CancelScope(shield=True):
                    await process.wait()

    async def _started(self, pipe: socket.socket) -> trio.Process:
        try:
            return await trio.lowlevel.open_process(
                # Nothing is imported from the directory that the daemon happens to be started in.
                [sys.executable, "-P", "-m", PROGRAM, str(pipe.fileno())],
                stdin=subprocess.DEVNULL,
                stdout=_STDERR,  # the daemon's own output may be read by a program
                pass_fds=(pipe.fileno(), *self.kept_open),
                process_group=0,  # a Ctrl-C is for the daemon
            )
        except OSError as error:
            raise WorkerDied(
                f"no process can be started for the {self.job.tier} tier ({error.strerror}): "
                "free memory, or set storage.processes to none"
            ) from error

    async def open(self) -> int:
        """See ``Worker``."""
        answer = await self._ask(Open())
        assert isinstance(answer, Opened)
        return answer.place

    async def carry(self, leg: Leg) -> Carried:
        """See ``Worker``."""
        answer = await self._ask(Carry(leg))
        assert isinstance(answer, Delivered)
        return answer.carried

    async def _ask(self, request: Message) -> Message:
        await self._send(request)
        while True:
            answer = await self._receive()
            if isinstance(answer, Failed):
                raise answer.error()
            if isinstance(answer, Crashed):
                raise WorkerDied(f"{self._told()} crashed ({answer.summary}): another one goes on")
            if isinstance(answer, Opened | Delivered):
                return answer
            if isinstance(answer, Logged):
                self._log(answer)

    async def _send(self, message: Message) -> None:
        assert self._pipe is not None
        try:
            await self._pipe.send_all(packed(message))
        except trio.BrokenResourceError:
            raise await self._death() from None

    async def _receive(self) -> Message:
        """Return its next message."""
        while (message := self._unpacker.next()) is None:
            data = await self._receive_some()
            if not data:
                raise await self._death()
            self._unpacker.feed(data)
        return message

    async def _receive_some(self) -> bytes:
        """Return what it sent, nothing once it has ended."""
        assert self._pipe is not None
        try:
            with trio.fail_after(SILENCE):
                return bytes(await self._pipe.receive_some(_RECEIVED))
        except trio.TooSlowError:
            raise WorkerDied(
                f"{self._told()} has said nothing for {SILENCE:g} s: it is killed, and another one goes on"
            ) from None
        except trio.BrokenResourceError:
            return b""

    async def _death(self) -> WorkerDied:
        """Return how it ended."""
        assert self._process is not None
        with trio.move_on_after(ENDING):
            await self._process.wait()
        status = self._process.returncode
        if status is None:
            how = "has closed its socket"
        elif status < 0:
            how = f"was ended by {signal.Signals(-status).name}"
        else:
            how = f"ended with status {status}"
        return WorkerDied(f"{self._told()} {how}: another one goes on")

    def _told(self) -> str:
        return f"the process {self.pid} of the {self.job.tier} tier"

    def _log(self, line: Logged) -> None:
        if logging.getLogger(line.logger).isEnabledFor(line.level):
            fields = {"tier": self.job.tier, "pid": self.pid, **line.fields}
            structlog.get_logger(line.logger).log(line.level, line.event, **fields)
