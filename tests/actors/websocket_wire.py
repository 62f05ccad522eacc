"""A WebSocket in memory: a scripted server, and clients that read with and without the tap."""

import base64
import contextlib
import hashlib
import re
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager

import attrs
import trio
import trio.testing
import trio_websocket

from actors.background import background
from actors.connections.dial import Address
from actors.connections.websocket import ConnectionLost, WebSocket

ADDRESS = Address("exchange.test", 80, secure=False, target="/ws")
MAX_MESSAGE_SIZE = 2_000
TEXT, BINARY, CONTINUATION, CLOSE, PING, PONG = 1, 2, 0, 8, 9, 10


def frame(
    payload: bytes = b"", opcode: int = TEXT, *, fin: bool = True, reserved: int = 0, mask: bool = False
) -> bytes:
    """Write one frame, of any kind, however wrong."""
    head = bytes([(0x80 if fin else 0) | reserved << 4 | opcode])
    masked = 0x80 if mask else 0
    if len(payload) < 126:
        head += bytes([masked | len(payload)])
    elif len(payload) < 1 << 16:
        head += bytes([masked | 126]) + len(payload).to_bytes(2)
    else:
        head += bytes([masked | 127]) + len(payload).to_bytes(8)
    return head + (bytes(4) if mask else b"") + payload


def closing(code: int = 1000, reason: bytes = b"") -> bytes:
    return frame(code.to_bytes(2) + reason, CLOSE)


def response(request: bytes) -> bytes:
    """Accept a handshake."""
    key = re.search(rb"Sec-WebSocket-Key: (\S+)", request, re.IGNORECASE)
    assert key is not None
    token = base64.b64encode(hashlib.sha1(key[1] + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest())
    return (
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Accept: " + token + b"\r\n\r\n"
    )


async def read_request(stream: trio.abc.ReceiveStream) -> bytes:
    request = b""
    while not request.endswith(b"\r\n\r\n"):
        request += await stream.receive_some()
    return request


async def play(stream: trio.abc.Stream, wire: bytes, cuts: Iterable[int]) -> None:
    """Answer the handshake and send ``wire`` after it, the whole cut in pieces; then hang up.

    ``cuts`` count from the end of the response: negative ones cut the response itself.
    """
    head = response(await read_request(stream))
    whole = head + wire
    assert isinstance(stream, trio.StapledStream)
    at = 0
    with contextlib.suppress(
        trio.BrokenResourceError
    ):  # the client hung up: its right, and its test's to judge
        for cut in sorted({len(head) + cut for cut in cuts if -len(head) < cut < len(wire)}):
            await stream.send_all(whole[at:cut])
            await trio.testing.wait_all_tasks_blocked()
            at = cut
        await stream.send_all(whole[at:])
        await stream.send_eof()


@attrs.frozen
class Heard:
    """What a client made of a wire, and what it answered: opcodes and payloads, of a closing its code."""

    messages: list[bytes]
    code: int
    answers: list[tuple[int, bytes]] = attrs.field(factory=list, eq=False)

    @property
    def owed(self) -> list[tuple[int, bytes]]:
        """The answers, with the closing frame that the library owes a peer that breaks the protocol."""
        told = any(opcode == CLOSE for opcode, _ in self.answers)
        omitted = self.code in (1002, 1007) and not told
        return [*self.answers, *[(CLOSE, self.code.to_bytes(2))] * omitted]


async def answers(stream: trio.abc.ReceiveStream) -> list[tuple[int, bytes]]:
    """Read a client's frames until it hangs up, all of them whole, masked and short."""
    wire = b"".join([chunk async for chunk in stream])
    found = []
    while wire:
        head, length = wire[0], wire[1] - 0x80
        assert head & 0xF0 == 0x80
        assert 0 <= length < 126
        assert len(wire) >= 6 + length
        payload = bytes(byte ^ wire[2 + index % 4] for index, byte in enumerate(wire[6 : 6 + length]))
        found.append((head & 0x0F, payload[:2] if head & 0x0F == CLOSE else payload))
        wire = wire[6 + length :]
    return found


@asynccontextmanager
async def tapped(client: trio.abc.Stream, pending_limit: int = 1 << 20) -> AsyncIterator[WebSocket]:
    """Open our WebSocket over ``client``."""
    websocket = WebSocket(ADDRESS, client, MAX_MESSAGE_SIZE, pending_limit)
    async with background() as nursery:
        await nursery.start(websocket._serve)
        try:
            yield websocket
        finally:
            await websocket._close(1.0)


async def hear_tapped(wire: bytes, cuts: Sequence[int] = ()) -> Heard:
    """Read ``wire`` through the tap."""
    client, server = trio.testing.memory_stream_pair()
    messages: list[bytes] = []
    async with trio.open_nursery() as nursery:
        nursery.start_soon(play, server, wire, cuts)
        async with tapped(client) as websocket:
            try:
                async for run in websocket.runs():
                    messages += run.frames
            except ConnectionLost:
                pass
    assert websocket.close_code is not None
    return Heard(messages, websocket.close_code, await answers(server))


async def hear_untapped(wire: bytes, cuts: Sequence[int] = ()) -> Heard:
    """Read ``wire`` with the library alone."""
    client, server = trio.testing.memory_stream_pair()
    messages: list[bytes] = []
    async with trio.open_nursery() as nursery:
        nursery.start_soon(play, server, wire, cuts)
        connection = await trio_websocket.wrap_client_stream(
            nursery,
            client,
            "exchange.test",
            "/ws",
            max_message_size=MAX_MESSAGE_SIZE,  # type: ignore[arg-type]
            receive_buffer_size=None,
        )
        try:
            while True:
                message = await connection.get_message()
                messages.append(message if isinstance(message, bytes) else message.encode())
        except trio_websocket.ConnectionClosed:
            pass
        assert connection.closed is not None
        await client.aclose()
        nursery.cancel_scope.cancel()
    return Heard(messages, connection.closed.code, await answers(server))
