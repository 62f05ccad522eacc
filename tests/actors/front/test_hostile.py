"""Clients that mean no good, or know no better. After each of them the server answers everybody else."""

import socket
import struct
from collections.abc import Awaitable, Callable
from contextlib import suppress

import httpx
import pytest
import trio

Attack = Callable[[trio.SocketStream], Awaitable[None]]

UPGRADE = (
    b"GET %s HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)
H2C = (
    b"GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n"
    b"HTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n"
)
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
GET = b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n"
LARGE = (
    b"GET /api/v1/volume-profile?exchange=binance_usdm&symbol=BTCUSDT&timeframe=1h HTTP/1.1\r\n"
    b"Host: localhost\r\n\r\n"
)
MASKED_HELLO = b"\x81\x85\x00\x00\x00\x00hello"
POST = b"POST /mcp HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"


def h2_frame(kind: int, payload: bytes = b"", stream: int = 0, flags: int = 0) -> bytes:
    return len(payload).to_bytes(3, "big") + bytes((kind, flags)) + stream.to_bytes(4, "big") + payload


SETTINGS = h2_frame(4)
RESET = 3
PING = 6


def sends(*parts: bytes) -> Attack:
    async def attack(stream: trio.SocketStream) -> None:
        for part in parts:
            await stream.send_all(part)

    return attack


def then_reads(*parts: bytes) -> Attack:
    async def attack(stream: trio.SocketStream) -> None:
        await stream.send_all(parts[0])
        await stream.receive_some(1)
        await sends(*parts[1:])(stream)

    return attack


def then_half_closes(*parts: bytes) -> Attack:
    async def attack(stream: trio.SocketStream) -> None:
        await sends(*parts)(stream)
        await stream.send_eof()

    return attack


async def asks_much_and_reads_nothing(stream: trio.SocketStream) -> None:
    stream.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    await stream.send_all(LARGE * 50)


ATTACKS: dict[str, Attack] = {
    "says nothing": sends(),
    "hangs up its half at once": then_half_closes(),
    "hangs up its half after asking": then_half_closes(GET),
    "hangs up its half within a request": then_half_closes(GET[:20]),
    "slow-loris": sends(b"GET /health HTTP/1.1\r\n", b"X-a: b\r\n", b"X-c: d\r\n"),
    "slow body": sends(POST + b"Content-Length: 1000\r\n\r\n", b"{", b" "),
    "body without end": sends(POST + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\n{\r\n", b"1\r\n \r\n"),
    "chunks that are none": sends(POST + b"Transfer-Encoding: chunked\r\n\r\n", b"zz\r\n{\r\n"),
    "two lengths": sends(POST + b"Content-Length: 3\r\nContent-Length: 4\r\n\r\n{}}}"),
    "a length below zero": sends(POST + b"Content-Length: -1\r\n\r\n{}"),
    "a body announced too large": sends(POST + b"Content-Length: 99999999999999999999999\r\n\r\n{}"),
    "waits to be told to continue": sends(POST + b"Content-Length: 10\r\nExpect: 100-continue\r\n\r\n"),
    "garbage": sends(bytes(range(256)) * 20),
    "zeros": sends(bytes(5_000)),
    "TLS": sends(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(500)),
    "a path that is no text": sends(b"GET /\xff\xfe%00 HTTP/1.1\r\nHost: localhost\r\n\r\n"),
    "a path of broken escapes": sends(b"GET /%ff%zz%00/..%2f?%ff=%ff&= HTTP/1.1\r\nHost: localhost\r\n\r\n"),
    "an absolute path": sends(b"GET http://evil.example/health HTTP/1.1\r\nHost: localhost\r\n\r\n"),
    "no path": sends(b"OPTIONS * HTTP/1.1\r\nHost: localhost\r\n\r\n"),
    "no host": sends(b"GET /mcp HTTP/1.0\r\n\r\n"),
    "a method of its own": sends(b"BREW /health HTTP/1.1\r\nHost: localhost\r\n\r\n"),
    "a tunnel": sends(b"CONNECT localhost:443 HTTP/1.1\r\nHost: localhost\r\n\r\n"),
    "endless headers": sends(b"GET / HTTP/1.1\r\n", b"X-a: " + b"b" * 100_000),
    "many headers": sends(b"GET / HTTP/1.1\r\nHost: localhost\r\n" + b"a: b\r\n" * 4_000 + b"\r\n"),
    "many requests at once": sends(GET * 200),
    "reads nothing": asks_much_and_reads_nothing,
    "WebSocket with a byte too many": sends(UPGRADE % b"/health" + b"x"),
    "WebSocket with a byte too many later": then_reads(UPGRADE % b"/health", b"x"),
    "WebSocket to nowhere, then a frame": then_reads(UPGRADE % b"/nowhere", MASKED_HELLO),
    "WebSocket to nowhere with a frame": sends(UPGRADE % b"/nowhere" + MASKED_HELLO),
    "WebSocket to the agents' door": sends(UPGRADE % b"/mcp" + MASKED_HELLO),
    "WebSocket of another version": sends((UPGRADE % b"/").replace(b": 13", b": 99")),
    "WebSocket without a key": sends((UPGRADE % b"/").replace(b"Sec-WebSocket-Key", b"X-Key")),
    "h2c": sends(H2C),
    "h2c with a byte too many": sends(H2C + b"x"),
    "h2c, then resets": then_reads(H2C, PREFACE + SETTINGS + h2_frame(RESET, b"\0\0\0\x08", 1) * 50),
    "h2c, then a broken preface": then_reads(H2C, b"PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n"),
    "HTTP/2 unasked": sends(PREFACE + SETTINGS),
    "HTTP/2, then garbage": sends(PREFACE + SETTINGS + bytes(range(256)) * 10),
    "HTTP/2, then pings": sends(PREFACE + SETTINGS + h2_frame(PING, bytes(8)) * 500),
    "HTTP/2, then a frame too large": sends(PREFACE + SETTINGS + b"\xff\xff\xff\x00\x00\x00\x00\x00\x01"),
    "HTTP/2, then headers of nonsense": sends(PREFACE + SETTINGS + h2_frame(1, bytes(range(90)), 1, 4)),
}


@pytest.mark.parametrize("name", ATTACKS)
async def test_the_server_answers_everybody_else(url: str, client: httpx.AsyncClient, name: str) -> None:
    host, port = url.removeprefix("http://").split(":")
    for ending in ("stays", "leaves", "resets"):
        stream = await trio.open_tcp_stream(host, int(port))
        with trio.fail_after(5):
            with suppress(trio.BrokenResourceError):  # where the server was quicker
                await ATTACKS[name](stream)
            if ending == "resets":
                stream.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            if ending != "stays":
                stream.socket.close()
            for _ in range(3):
                assert (await client.get("/health")).status_code == 200
        stream.socket.close()
