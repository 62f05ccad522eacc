"""The process that does a sink's work: ``python -m actors.storage.worker SOCKET``.

It lives as long as the other end of its socket: when that closes, in whatever way the daemon ended, it ends
at once, in the middle of its work if need be. A store loses nothing by that, nor gets anything twice.
"""

import logging
import os
import select
import signal
import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import attrs
import structlog

from actors.storage.carrier import Carrier
from actors.storage.errors import StorageError
from actors.storage.journal_view import JournalView
from actors.storage.opening import open_target
from actors.storage.worker.messages import (
    BEAT,
    Alive,
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

log = structlog.get_logger("sink")


@attrs.define(eq=False)
class Daemon:
    """The daemon, as this process sees it."""

    pipe: socket.socket
    _turn: threading.Lock = attrs.field(factory=threading.Lock, init=False)

    def tell(self, message: Message) -> None:
        """Send a message, from any thread. Does not return where the daemon is gone."""
        with self._turn:
            try:
                self.pipe.sendall(packed(message))
            except OSError:
                os._exit(0)

    def asks(self) -> Iterator[Message]:
        """Yield its messages until it is gone, and tell it meanwhile that this process is alive."""
        unpacker = Unpacker()
        with suppress(ConnectionError):
            while True:
                while not select.select([self.pipe], [], [], BEAT)[0]:
                    self.tell(Alive())
                data = self.pipe.recv(65_536)
                if not data:
                    return
                unpacker.feed(data)
                while (message := unpacker.next()) is not None:
                    yield message


def main() -> None:
    """Do what the daemon asks for until it is gone."""
    # Whoever stops the daemon may signal all its processes: this one still has to carry over the rest.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    daemon = Daemon(socket.socket(fileno=int(sys.argv[1])))
    asked: SimpleQueue[Message] = SimpleQueue()
    # The work may hang; that the daemon is gone is noticed all the same.
    threading.Thread(target=_work, args=(daemon, asked), daemon=True).start()
    for message in daemon.asks():
        asked.put(message)
    os._exit(0)


def _work(daemon: Daemon, asked: "SimpleQueue[Message]") -> None:
    try:
        job = asked.get()
        assert isinstance(job, Job)
        _log_to(daemon, job.log_level)
        carrier = None
        while True:
            request = asked.get()
            try:
                carrier = carrier or _carrier(job)
                daemon.tell(_answer(carrier, request))
            except StorageError as error:
                daemon.tell(Failed.of(error))
    except BaseException as error:
        log.exception("sink_process_crashed")
        daemon.tell(Crashed(f"{type(error).__name__}: {error}"))
        os._exit(1)


def _carrier(job: Job) -> Carrier:
    directory = Path(job.directory)
    return Carrier(JournalView(directory), open_target(job.tier, job.storage, directory, job.follows))


def _answer(carrier: Carrier, request: Message) -> Message:
    if isinstance(request, Carry):
        return Delivered(carrier.carry(request.leg))
    assert isinstance(request, Open)
    return Opened(carrier.open())


# --- its log is the daemon's ---


def _log_to(daemon: Daemon, level: int) -> None:
    """Have the daemon log every line, structlog's and standard logging's."""

    def tell(
        logger: Any, method: str, line: structlog.typing.EventDict
    ) -> structlog.typing.ProcessorReturnValue:
        event = str(line.pop("event", ""))
        daemon.tell(Logged(logging.getLevelNamesMapping()[method.upper()], logger.name, event, dict(line)))
        raise structlog.DropEvent

    structlog.configure(
        processors=[structlog.processors.format_exc_info, tell],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.stdlib.LoggerFactory(),
    )
    logging.basicConfig(level=level, handlers=[_Teller(daemon)])


class _Teller(logging.Handler):
    """Hands the lines of standard logging to the daemon."""

    def __init__(self, daemon: Daemon) -> None:
        super().__init__()
        self._daemon = daemon

    def emit(self, record: logging.LogRecord) -> None:
        self._daemon.tell(Logged(record.levelno, record.name, self.format(record), {}))


if __name__ == "__main__":
    main()
