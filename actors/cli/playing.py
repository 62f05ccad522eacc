"""A whole daemon fed by the local exchange: what demo and replay have in common."""

import argparse
import tempfile
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from pathlib import Path

import attrs
import trio

import actors.front.front  # noqa: F401  # a second's import, which would fall into the playback otherwise
from actors import garbage, plan, signals
from actors.background import background
from actors.configuration import load_listing
from actors.daemon import Daemon, open_daemon
from actors.playback.player import parse_speed
from actors.playback.process import LocalExchange, local_exchange
from actors.runtime import Runtime
from actors.storage.errors import StorageError
from wadm.sections import HttpSettings
from wadm.settings import Settings

#: Seconds that the exchange waits, where a depth snapshot was recorded, for the daemon to fetch the book.
BOOK_PATIENCE = 5.0


def speed(text: str) -> str:
    """Check a ``--speed`` for argparse: 'max', or how many times the recorded pace."""
    try:
        parse_speed(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error
    return text


@attrs.frozen
class Playing:
    """A daemon on a capture. ``interrupted`` is set by Ctrl-C or SIGTERM."""

    daemon: Daemon
    exchange: LocalExchange
    interrupted: trio.Event

    @property
    def runtime(self) -> Runtime:
        """What the daemon's actors share."""
        return self.daemon.runtime

    async def complete(self) -> bool:
        """Wait until the whole capture is applied and stored; False where interrupted."""
        async with trio.open_nursery() as nursery:

            async def give_up() -> None:
                await self.interrupted.wait()
                nursery.cancel_scope.cancel()

            nursery.start_soon(give_up)
            await self.runtime.complete()
            nursery.cancel_scope.cancel()
        return not self.interrupted.is_set()


@asynccontextmanager
async def playing(
    captures: Iterable[Path],
    exchange: str,
    speed: float | str,
    starting: trio.CancelScope,
    *,
    data_dir: Path | None = None,
    port: int = 0,
) -> AsyncIterator[Playing]:
    """Run the daemon on ``captures`` for the length of the block, in a data directory that was empty.

    A signal that comes before the block begins cancels ``starting``, the scope around it.
    """
    interrupted, running = trio.Event(), trio.Event()

    def interrupt() -> None:
        interrupted.set()
        if not running.is_set():
            starting.cancel()

    garbage.settle()
    async with background() as nursery:
        await nursery.start(signals.watch, interrupt)
        with _directory(data_dir) as directory:
            async with local_exchange(
                captures, exchange=exchange, speed=speed, wait_for_books=BOOK_PATIENCE
            ) as server:
                settings = Settings(http=HttpSettings(port=port))
                what = plan.recorded(exchange, server.url, server.rest_url, server.streams, load_listing())
                # The daemon's tasks end before its stores are closed, whatever ends the block.
                async with (
                    open_daemon(settings, what, Path(directory), stop_within=1.5) as daemon,
                    background() as tasks,
                ):
                    await tasks.start(daemon.run)
                    running.set()
                    yield Playing(daemon, server, interrupted)
                    daemon.stop()
                    await daemon.ended.wait()


def _directory(given: Path | None) -> "tempfile.TemporaryDirectory[str] | _Kept":
    if given is None:
        return tempfile.TemporaryDirectory(prefix="wadm-", ignore_cleanup_errors=True)
    if given.exists() and (not given.is_dir() or any(given.iterdir())):
        raise StorageError(f"{given} is not an empty directory; name one that is, or a new one")
    return _Kept(given)


@attrs.frozen
class _Kept:
    path: Path

    def __enter__(self) -> str:
        return str(self.path)

    def __exit__(self, *_: object) -> None:
        pass
