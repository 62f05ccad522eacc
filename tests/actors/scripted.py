"""A Binance that is made up: WebSockets in memory on a clock that jumps, which do what a test tells them."""

import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import attrs
import msgspec
import trio
from spine import trade

from actors.connections.websocket import ConnectFailed, ConnectionLost, Frames

#: 2024-08-09T00:00:00Z
START = 1_723_161_600_000_000


def frame_of(number: int, symbol: str = "BTCUSDT") -> bytes:
    return trade(number, START + number * 1_000, symbol)


@attrs.define(eq=False)
class Socket:
    """One WebSocket as both sides see it."""

    exchange: "Exchange"
    number: int
    close_code: int | None = None
    close_reason: str = ""
    streams: set[str] = attrs.field(factory=set)
    requests: list[tuple[float, str, list[str]]] = attrs.field(factory=list)
    closed: bool = False
    _frames: list[bytes] = attrs.field(factory=list)
    _arrived: trio.Event = attrs.field(factory=trio.Event)
    _lost: bool = False

    # --- the exchange's side ---

    def put(self, *frames: bytes) -> None:
        self._frames += frames
        self._arrived.set()

    def lose(self) -> None:
        self._lost = True
        self._arrived.set()

    def _answer(self, request: dict[str, object], names: list[str]) -> None:
        answer: dict[str, object] = {"result": None, "id": request["id"]}
        if request["method"] == "UNSUBSCRIBE":
            self.streams.difference_update(names)
        elif self.exchange.refused & set(names):
            answer = {"code": 2, "msg": "Invalid symbol", "id": request["id"]}
        else:
            self.streams.update(names)
        self.put(msgspec.json.encode(answer))

    # --- the connection's side ---

    async def send(self, text: str) -> None:
        await trio.lowlevel.checkpoint()
        request = msgspec.json.decode(text)
        names = request["params"]
        self.requests.append((trio.current_time(), request["method"], names))
        if not self.exchange.mute:
            self._answer(request, names)

    def runs(self) -> "Socket":
        return self

    def __aiter__(self) -> "Socket":
        return self

    async def __anext__(self) -> Frames:
        while not self._frames:
            if self._lost:
                raise ConnectionLost("the server hung up", 1006)
            self._arrived = trio.Event()
            await self._arrived.wait()
        await trio.lowlevel.checkpoint()
        frames, self._frames = self._frames, []
        return Frames(frames, time.time_ns() // 1_000, time.perf_counter())


@attrs.define(eq=False)
class Exchange:
    """Its sockets, in the order they were opened. ``refuses`` says why there is no other one."""

    sockets: list[Socket] = attrs.field(factory=list)
    refused: set[str] = attrs.field(factory=set)
    mute: bool = False
    refuses: Callable[[], ConnectFailed | None] = lambda: None
    attempts: list[float] = attrs.field(factory=list)

    @asynccontextmanager
    async def connect(self, _url: str) -> AsyncIterator[Socket]:
        await trio.lowlevel.checkpoint()
        self.attempts.append(trio.current_time())
        refusal = self.refuses()
        if refusal is not None:
            raise refusal
        socket = Socket(self, len(self.sockets))
        self.sockets.append(socket)
        try:
            yield socket
        finally:
            socket.closed = True

    @property
    def open(self) -> list[Socket]:
        return [socket for socket in self.sockets if not socket.closed]

    def tell(self, stream: str, frame: bytes) -> None:
        """Send a frame to everybody who is subscribed to its stream."""
        for socket in self.open:
            if stream in socket.streams:
                socket.put(frame)

    async def trade(self, every: float, symbol: str = "BTCUSDT", first: int = 1) -> None:
        """Let a symbol be traded every so many seconds."""
        while True:
            self.tell(f"{symbol.lower()}@trade", frame_of(first, symbol))
            first += 1
            await trio.sleep(every)
