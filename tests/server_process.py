"""Private servers for tests: each a process of its own on a free loopback port, ended with its tests."""

import contextlib
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import attrs
import pytest

#: Seconds within which a server must be up.
PATIENCE = 60.0


def free_port() -> int:
    """Return a port of the loopback that nobody uses now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def found(program: str, remedy: str, *places: str) -> str:
    """Return where a program is; without it, the test is skipped with the remedy."""
    path = shutil.which(program, path=os.pathsep.join([os.environ.get("PATH", ""), *places]))
    if path is None:
        pytest.skip(f"{program} is not installed: {remedy}")
    return path


@attrs.define(eq=False)
class Server:
    """A server that can be stopped, killed and started again on the same port and data."""

    command: Sequence[str]
    ready: Callable[[], bool]
    log: Path
    user: str | None = None
    _process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, and return once it answers."""
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                self.command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, user=self.user
            )
        deadline = time.monotonic() + PATIENCE
        while not self.ready():
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"{self.command[0]} did not come up:\n{self.log.read_text()[-2_000:]}")
            time.sleep(0.02)

    def signal(self, number: int) -> None:
        """Send it a signal: SIGSTOP makes it hang, SIGCONT go on."""
        assert self._process is not None
        self._process.send_signal(number)

    def kill(self) -> None:
        """End it at once, as a power failure would."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def stop(self) -> None:
        """End it in order."""
        if self._process is not None:
            self._process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(20)
            self.kill()

    @contextlib.contextmanager
    def running(self) -> Iterator["Server"]:
        """Run it for the length of a block."""
        try:
            self.start()
            yield self
        finally:
            self.stop()
