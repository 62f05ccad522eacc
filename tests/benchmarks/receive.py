"""Measure what it costs to receive a message: the CPU time from the socket to a list of messages.

    python tests/benchmarks/receive.py [--rounds N]

A server in another process has all bytes ready, encrypted too, and sends them as fast as they are taken: a
trade of Binance's stream over and over, a WebSocket frame each, over TLS a record each, as servers write
them. The receivers take turns: trio-websocket as it comes, and this project's ``open_websocket``. Nothing is
decoded.
"""

import argparse
import base64
import hashlib
import multiprocessing
import re
import socket
import ssl
import statistics
import threading
import time
from collections.abc import Awaitable, Callable
from multiprocessing.connection import Connection

import trio
import trio_websocket
import trustme
from rounds import count, heading, line, machine

from actors.connections.framing import message_frame
from actors.connections.websocket import open_websocket

#: 206 bytes, as an aggTrade of a combined stream has.
TRADE = (
    b'{"stream":"btcusdt@aggTrade","data":{"e":"aggTrade","E":1700000000000,"s":"BTCUSDT","a":2900000000,'
    b'"p":"43000.01000000","q":"0.001230000","f":3300000000,"l":3300000000,"T":1700000000000,"m":false,"M":true}}'
)
CLOSING = b"\x88\x02\x03\xe8"
Receive = Callable[[str, ssl.SSLContext], Awaitable[int]]
Receivers = dict[str, tuple[Receive, str, int]]


# --- the server ---


def _serve(told: Connection, server_tls: ssl.SSLContext) -> None:
    """Serve ``/N``, for N messages, on two ports: plain and over TLS."""
    listening = [socket.create_server(("127.0.0.1", 0)) for _ in range(2)]
    told.send([one.getsockname()[1] for one in listening])
    for one, tls in zip(listening, (None, server_tls), strict=True):
        threading.Thread(target=_accept, args=(one, tls), daemon=True).start()
    told.recv()


def _accept(listening: socket.socket, tls: ssl.SSLContext | None) -> None:
    while True:
        connected, _ = listening.accept()
        with connected:
            if tls is None:
                number = _shake_hands(connected.recv, connected.sendall)
                connected.sendall(message_frame(TRADE) * number + CLOSING)
            else:
                _send_encrypted(connected, tls)
            connected.recv(1 << 16)  # the client's closing frame; a server hangs up first


def _send_encrypted(connected: socket.socket, context: ssl.SSLContext) -> None:
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = context.wrap_bio(incoming, outgoing, server_side=True)

    def pull(step: Callable[[], object]) -> object:
        while True:
            try:
                return step()
            except ssl.SSLWantReadError:
                connected.sendall(outgoing.read())
                incoming.write(connected.recv(1 << 16))

    pull(tls.do_handshake)
    frame = message_frame(TRADE)
    number = _shake_hands(lambda size: pull(lambda: tls.read(size)), tls.write)
    for _ in range(number):
        tls.write(frame)
    tls.write(CLOSING)
    connected.sendall(outgoing.read())


def _shake_hands(receive: Callable[[int], bytes], send: Callable[[bytes], object]) -> int:
    """Accept a WebSocket; return how many messages it asks for."""
    request = b""
    while not request.endswith(b"\r\n\r\n"):
        request += receive(1 << 16)
    asked = re.match(
        rb"GET /(\d+) (?:.|\r\n)*^sec-websocket-key: (\S+)", request, re.IGNORECASE | re.MULTILINE
    )
    assert asked is not None
    token = base64.b64encode(hashlib.sha1(asked[2] + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest())
    send(
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Accept: " + token + b"\r\n\r\n"
    )
    return int(asked[1])


# --- the receivers ---


async def library(url: str, tls: ssl.SSLContext) -> int:
    """Receive with trio-websocket as it comes."""
    received = 0
    context = tls if url.startswith("wss") else None
    async with trio_websocket.open_websocket_url(url, context) as connection:
        try:
            while await connection.get_message():
                received += 1
        except trio_websocket.ConnectionClosed:
            return received


async def tapped(url: str, tls: ssl.SSLContext) -> int:
    """Receive with the frame tap, over TLS with the stream of this project."""
    received = 0
    async with open_websocket(url, ssl_context=tls) as websocket:
        async for run in websocket.runs():
            received += len(run.frames)
    return received


#: By name: the receiver, and how many messages are worth a round.
RECEIVERS: Receivers = {
    "trio-websocket": (library, "ws", 10_000),
    "frame tap": (tapped, "ws", 200_000),
    "trio-websocket, TLS": (library, "wss", 10_000),
    "frame tap, TLS": (tapped, "wss", 200_000),
}


def measure(rounds: int, receivers: Receivers = RECEIVERS) -> dict[str, list[float]]:
    """Return the µs of CPU time per message, of every receiver in every round."""
    authority = trustme.CA()
    server_tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(server_tls)
    client_tls = ssl.create_default_context()
    authority.configure_trust(client_tls)
    context = multiprocessing.get_context("fork")
    told, tells = context.Pipe()
    server = context.Process(target=_serve, args=(tells, server_tls))
    server.start()
    try:
        ports = dict(zip(("ws", "wss"), told.recv(), strict=True))
        spent: dict[str, list[float]] = {name: [] for name in receivers}
        for _ in range(rounds):
            for name, (receive, scheme, number) in receivers.items():
                url = f"{scheme}://localhost:{ports[scheme]}/{number}"
                spent[name].append(trio.run(_timed, receive, url, client_tls, number))
        return spent
    finally:
        told.send(None)
        server.join()


async def _timed(receive: Receive, url: str, tls: ssl.SSLContext, number: int) -> float:
    began = time.process_time()
    received = await receive(url, tls)
    took = time.process_time() - began
    assert received == number, f"{received} messages of {number}"
    return took / number * 1e6


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure what it costs to receive a message.")
    parser.add_argument("--rounds", type=count, default=7, metavar="N", help="rounds (default: 7)")
    rounds = parser.parse_args().rounds
    print(machine(), f"\n\nµs of CPU time per message of {len(TRADE)} bytes, {rounds} rounds\n", sep="")
    print(heading())
    spent = measure(rounds)
    for name, values in spent.items():
        print(line(name, values, 2))
    middle = {name: statistics.median(values) for name, values in spent.items()}
    plain, over_tls = (middle[f"trio-websocket{how}"] / middle[f"frame tap{how}"] for how in ("", ", TLS"))
    print(f"\n  times faster than trio-websocket as it comes: {plain:.0f}, over TLS {over_tls:.0f}")


if __name__ == "__main__":
    main()
