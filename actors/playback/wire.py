"""The server's side of one client's socket, which whole runs of frames are written to at once."""

import math
import struct

import trio

#: A slow wire carries pieces of so many bytes, so many seconds apart.
PIECE, PAUSE = 4096, 0.05


class SharedWire(trio.abc.Stream):
    """A stream for the WebSocket library and for frames written past it: one writer at a time."""

    def __init__(self, transport: trio.abc.Stream, received: bytes = b"") -> None:
        self._transport = transport
        self._received = received
        self._sending = trio.Lock()
        self._silent_until = -math.inf
        self._stalled_until = -math.inf
        self._slow_until = -math.inf

    @property
    def silent(self) -> bool:
        """Whether nothing is to be sent at the moment."""
        return trio.current_time() < self._silent_until

    def silence(self, seconds: float) -> None:
        """Keep back for a while what the WebSocket library sends."""
        self._silent_until = trio.current_time() + seconds

    def stall(self, seconds: float) -> None:
        """Send and take nothing for a while; what was to be sent is sent afterwards."""
        self._stalled_until = trio.current_time() + seconds

    def slow_down(self, seconds: float) -> None:
        """Send in small pieces for a while."""
        self._slow_until = trio.current_time() + seconds

    async def silence_over(self) -> None:
        """Wait until something may be sent."""
        await trio.sleep_until(self._silent_until)

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        """Send what the WebSocket library has to say; later, where there is silence."""
        if self.silent:
            await self.silence_over()
        await self.send_frames(data)

    async def send_frames(self, data: bytes | bytearray | memoryview) -> None:
        """Send whole frames."""
        async with self._sending:
            await self._stall_over()
            while data and trio.current_time() < self._slow_until:
                await self._transport.send_all(data[:PIECE])
                data = data[PIECE:]
                await trio.sleep(PAUSE)
            await self._transport.send_all(data)

    async def _stall_over(self) -> None:
        if trio.current_time() < self._stalled_until:
            await trio.sleep_until(self._stalled_until)

    async def wait_send_all_might_not_block(self) -> None:
        """Wait until the transport might take more."""
        await self._transport.wait_send_all_might_not_block()

    async def receive_some(self, max_bytes: int | None = None) -> bytes | bytearray:
        """Receive what the client sent, first of all what had been ``received`` before."""
        if self._received:
            received, self._received = (
                self._received[:max_bytes],
                self._received[len(self._received[:max_bytes]) :],
            )
            await trio.lowlevel.checkpoint()
            return received
        taken = await self._transport.receive_some(max_bytes)
        await self._stall_over()
        return taken

    async def aclose(self) -> None:
        """Close the transport."""
        await self._transport.aclose()

    async def cut(self, *, reset: bool) -> None:
        """End the connection without closing the WebSocket; a reset takes with it what is on its way."""
        if reset and isinstance(self._transport, trio.SocketStream):
            self._transport.setsockopt(trio.socket.SOL_SOCKET, trio.socket.SO_LINGER, struct.pack("ii", 1, 0))
        await trio.aclose_forcefully(self._transport)


class Outbox:
    """Frames that wait for a client to take them: bounded, never dropped while the client is there."""

    def __init__(self, wire: SharedWire, limit: int) -> None:
        self._wire = wire
        self._limit = limit
        self._frames: list[bytes] = []
        self._kept: list[bytes] = []  # until a silence is over
        self._bytes = 0
        self._gone = False
        self._reset: bool | None = None
        self._added = trio.Event()
        self._sent = trio.Event()

    async def run(self) -> None:
        """Send what is put in, until the client is gone or the connection is to be cut."""
        try:
            while self._frames or self._kept or self._reset is None:
                if self._frames:
                    await self._send()
                elif self._kept:
                    await self._wire.silence_over()
                    self._frames, self._kept = self._kept, []
                else:
                    self._added = trio.Event()
                    await self._added.wait()
            await self._wire.cut(reset=self._reset)
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            pass
        finally:
            self._gone = True
            self._sent.set()

    async def _send(self) -> None:
        frames, self._frames = self._frames, []
        data = b"".join(frames)
        await self._wire.send_frames(data)
        self._bytes -= len(data)
        self._sent.set()

    def put(self, frames: list[bytes]) -> None:
        """Add whole frames."""
        if self._kept or self.silent:
            self._kept += frames
        else:
            self._frames += frames
        self._bytes += sum(map(len, frames))
        self._added.set()

    @property
    def silent(self) -> bool:
        """Whether what comes now is lost to the client."""
        return self._wire.silent

    def silence(self, seconds: float) -> None:
        """Let nothing follow, for a while, on what was put in so far."""
        self._wire.silence(seconds)

    def stall(self, seconds: float) -> None:
        """Keep what was put in, and what will be, for a while."""
        self._wire.stall(seconds)

    def slow_down(self, seconds: float) -> None:
        """Send in small pieces for a while."""
        self._wire.slow_down(seconds)

    @property
    def to_be_cut(self) -> bool:
        """Whether the connection ends without a closing frame."""
        return self._reset is not None

    def cut(self, *, reset: bool) -> None:
        """End the connection after what was put in so far, without a closing frame."""
        self._reset = reset
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
