"""Lines from a file descriptor, and lines to standard output, without holding up the loop."""

import os
import select
import sys
from collections.abc import AsyncGenerator

import trio

#: The longest message that is read; the daemon takes no longer one.
LONGEST = 1024 * 1024
_CHUNK = 64 * 1024


class TooLongError(Exception):
    """A line that is longer than any message."""


async def read_lines(descriptor: int) -> AsyncGenerator[bytes, None]:
    """Yield lines without their ends until the input ends. Raises TooLongError."""
    rest = b""
    while chunk := await _read(descriptor):
        *lines, rest = (rest + chunk).split(b"\n")
        for line in lines:
            yield line.strip()
        if len(rest) > LONGEST:
            raise TooLongError
    if rest.strip():
        yield rest.strip()


async def _read(descriptor: int) -> bytes:
    try:
        await trio.lowlevel.wait_readable(descriptor)
    except PermissionError:  # a regular file, which is always ready
        await trio.lowlevel.checkpoint()
    return os.read(descriptor, _CHUNK)


def _write(message: bytes) -> None:
    view = memoryview(message)
    descriptor = sys.stdout.fileno()
    while view:
        try:
            view = view[os.write(descriptor, view) :]
        except BlockingIOError:  # a pipe whose other owner made it so
            select.select([], [descriptor], [])


_writing = trio.Lock()


async def write_line(message: bytes) -> None:
    """Write one message whole. Raises BrokenPipeError once nobody reads any more."""
    async with _writing:
        await trio.to_thread.run_sync(_write, message + b"\n")
