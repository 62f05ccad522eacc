"""The server's side of one client's socket, which whole runs of frames are written to at once."""

import trio


class SharedWire(trio.abc.Stream):
    """A stream for the WebSocket library and for frames written past it: one writer at a time."""

    def __init__(self, transport: trio.abc.Stream) -> None:
        self._transport = transport
        self._sending = trio.Lock()

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        """Send whole frames."""
        async with self._sending:
            await self._transport.send_all(data)

    async def wait_send_all_might_not_block(self) -> None:
        """Wait until the transport might take more."""
        await self._transport.wait_send_all_might_not_block()

    async def receive_some(self, max_bytes: int | None = None) -> bytes | bytearray:
        """Receive what the client sent."""
        return await self._transport.receive_some(max_bytes)

    async def aclose(self) -> None:
        """Close the transport."""
        await self._transport.aclose()


class Outbox:
    """Frames that wait for a client to take them: bounded, never dropped while the client is there."""

    def __init__(self, wire: SharedWire, limit: int) -> None:
        self._wire = wire
        self._limit = limit
        self._frames: list[bytes] = []
        self._bytes = 0
        self._gone = False
        self._added = trio.Event()
        self._sent = trio.Event()

    async def run(self) -> None:
        """Send what is put in, until the client is gone."""
        try:
            while True:
                if not self._frames:
                    self._added = trio.Event()
                    await self._added.wait()
                frames, self._frames = self._frames, []
                data = b"".join(frames)
                await self._wire.send_all(data)
                self._bytes -= len(data)
                self._sent.set()
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            pass
        finally:
            self._gone = True
            self._sent.set()

    def put(self, frames: list[bytes]) -> None:
        """Add whole frames."""
        self._frames += frames
        self._bytes += sum(map(len, frames))
        self._added.set()

    async def room(self) -> None:
        """Wait while the limit is reached, unless the client is gone."""
        await self._below(self._limit)

    async def flushed(self) -> None:
        """Wait until everything is sent, unless the client is gone."""
        await self._below(1)

    async def _below(self, bound: int) -> None:
        while self._bytes >= bound and not self._gone:
            self._sent = trio.Event()
            await self._sent.wait()
