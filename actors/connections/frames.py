"""What a WebSocket brought and nobody has taken yet."""

import time

import attrs
import trio


@attrs.frozen
class Frames:
    """A run of messages, oldest first: all that had arrived when the consumer asked.

    ``received_at`` (wall clock, µs since 1970) and ``clock`` (``time.perf_counter``, s) are those of the
    socket read that completed the first of them.
    """

    frames: list[bytes]
    received_at: int
    clock: float


class Inbox:
    """Messages between one reader, which waits for room, and one consumer, which takes all there is.

    Bounded by ``limit`` bytes plus what one read of the socket can add.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._frames: list[bytes] = []
        self._bytes = 0
        self._received_at = 0
        self._clock = 0.0
        self._closed = False
        self._arrived = trio.Event()
        self._taken = trio.Event()

    def stamp(self) -> None:
        """Note the time of a socket read, for the messages it completes."""
        if not self._frames:
            self._received_at = time.time_ns() // 1000
            self._clock = time.perf_counter()

    def put(self, frames: list[bytes], size: int) -> None:
        """Add messages of ``size`` bytes together; dropped once closed."""
        if self._closed or not frames:
            return
        if self._frames:
            self._frames += frames
        else:
            self._frames = frames
        self._bytes += size
        self._arrived.set()

    async def room(self) -> None:
        """Wait while the limit is reached."""
        while self._bytes >= self._limit and not self._closed:
            self._taken = trio.Event()
            await self._taken.wait()

    async def take(self) -> Frames | None:
        """Wait for messages and take them all; None once closed and empty."""
        if self._frames or self._closed:
            await trio.lowlevel.checkpoint()
        while not self._frames:
            if self._closed:
                return None
            self._arrived = trio.Event()
            await self._arrived.wait()
        run = Frames(self._frames, self._received_at, self._clock)
        self._frames, self._bytes = [], 0
        self._taken.set()
        return run

    def close(self) -> None:
        """Accept no more messages; those that wait can still be taken."""
        self._closed = True
        self._arrived.set()
        self._taken.set()
