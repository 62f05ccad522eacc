"""An exchange that sends as fast as its client can take: the load of the benchmarks.

``python tests/benchmarks/load.py --exchange binance_usdm --trades 1000000`` listens on 127.0.0.1 over TLS
(``--plain``: without) and prints one JSON line: ``url``, ``port``, ``certificate`` (a PEM file to trust, for
example as ``SSL_CERT_FILE``), ``rest_url`` (an interface that knows of no trade, plain HTTP), ``streams``,
``frames`` and ``trades``. Every client that has subscribed, or
whose path names streams, is sent the same frames from the first to the last, and then closing frame 1000;
``{"sent": frames, "seconds": …}`` is printed for each. It ends with its stdin. ``serving`` does all this for
the length of a block.

The trades are the recorded ones of ``tests/captures``, again and again, with ids and times that go on.
Binance's frames carry one each, Bybit's ``--per-frame`` (8). At most speed they come in pieces of 64 KB and
more; ``--rate`` is how many frames a second are sent each by itself, ``--burst`` how many of them at a time;
with ``--spaced`` the trades' times go on at that rate too, not as recorded.
"""

import argparse
import base64
import datetime
import gzip
import hashlib
import ipaddress
import itertools
import json
import os
import select
import socket
import ssl
import struct
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import attrs
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

CAPTURE = Path(__file__).parents[1] / "captures" / "hftbacktest" / "usdm_btcusdt_20240808_trades.gz"
SYMBOL = "BTCUSDT"
EXCHANGES = ("binance", "binance_usdm", "bybit")

#: Frames sent at once at most speed.
PIECE = 400
END = struct.pack("!BBH", 0x88, 16, 1000) + b"end of capture"
_ACCEPT = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


# --- what is sent ---


def stream_of(exchange: str) -> str:
    """Return the stream's name."""
    return f"publicTrade.{SYMBOL}" if exchange == "bybit" else f"{SYMBOL.lower()}@aggTrade"


def texts(exchange: str, trades: int, per_frame: int = 8, rate: float | None = None) -> Iterator[bytes]:
    """Yield the frames' texts; with ``rate`` their times go on at so many trades a second."""
    if exchange == "bybit":
        rows = [row for _, row in zip(range(trades), _trades(rate), strict=False)]
        for first in range(0, trades, per_frame):
            yield _bybit(rows[first : first + per_frame], first)
        return
    head = b'{"stream":"%s","data":{"e":"aggTrade","E":' % stream_of(exchange).encode()
    tail = b',"M":true}}' if exchange == "binance" else b"}}"
    for number, (at, price, quantity, sold) in zip(range(1, trades + 1), _trades(rate), strict=False):
        yield (
            b'%s%d,"a":%d,"s":"BTCUSDT","p":"%s","q":"%s","f":%d,"l":%d,"T":%d,"m":%s%s'
            % (head, at, number, price, quantity, 2 * number, 2 * number + 1, at, sold, tail)
        )


def _trades(rate: float | None) -> Iterator[tuple[int, bytes, bytes, bytes]]:
    """Yield (ms, price, quantity, whether the seller was the taker) without end."""
    recorded = []
    with gzip.open(CAPTURE) as lines:
        for line in lines:
            told = json.loads(line.partition(b" ")[2])["data"]
            if told["X"] == "MARKET":
                sold = b"true" if told["m"] else b"false"
                recorded.append((told["T"], told["p"].encode(), told["q"].encode(), sold))
    if rate is not None:
        for number, (_, *rest) in enumerate(itertools.cycle(recorded)):
            yield recorded[0][0] + int(number * 1_000 / rate), *rest
    span, past = recorded[-1][0] - recorded[0][0] + 1, 0
    while True:
        for at, price, quantity, sold in recorded:
            yield at + past, price, quantity, sold
        past += span


def _bybit(rows: Sequence[tuple[int, bytes, bytes, bytes]], first: int) -> bytes:
    trades = b",".join(
        b'{"T":%d,"s":"BTCUSDT","S":"%s","v":"%s","p":"%s","L":"PlusTick",'
        b'"i":"%08x-0000-5000-8000-%012x","BT":false,"seq":%d}'
        % (
            at, b"Sell" if sold == b"true" else b"Buy", quantity, price,
            first + place, first + place, first + place,
        )
        for place, (at, price, quantity, sold) in enumerate(rows)
    )  # fmt: skip
    return b'{"topic":"publicTrade.BTCUSDT","type":"snapshot","ts":%d,"data":[%s]}' % (rows[-1][0], trades)


def framed(text: bytes) -> bytes:
    """Return a text as a server's WebSocket frame."""
    if len(text) < 126:
        return struct.pack("!BB", 0x81, len(text)) + text
    if len(text) < 1 << 16:
        return struct.pack("!BBH", 0x81, 126, len(text)) + text
    return struct.pack("!BBQ", 0x81, 127, len(text)) + text


# --- the server ---


@attrs.frozen
class Load:
    """What is sent: ``pieces`` of whole frames; ``pause`` is the seconds between two, None: no pause."""

    pieces: list[bytes]
    frames: int
    pause: float | None

    @classmethod
    def of(
        cls, exchange: str, trades: int, per_frame: int, rate: float | None, burst: int, *, spaced: bool
    ) -> "Load":
        """Write the frames; with ``spaced`` their times go on at ``rate``."""
        pace = rate * (per_frame if exchange == "bybit" else 1) if spaced and rate is not None else None
        frames = [framed(text) for text in texts(exchange, trades, per_frame, pace)]
        size = PIECE if rate is None else burst
        pieces = [b"".join(frames[first : first + size]) for first in range(0, len(frames), size)]
        return cls(pieces, len(frames), None if rate is None else burst / rate)


class Client:
    """One client's WebSocket, as far as a benchmark needs one."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._received = b""
        self._subscribed = False
        self._closed = False

    def serve(self, load: Load) -> float:
        """Shake hands, wait for a subscription, send everything; return the seconds that took."""
        self._shake_hands()
        while not self._subscribed:
            self._listen(timeout=None)
        began = due = time.perf_counter()
        for piece in load.pieces:
            if load.pause is not None:
                _wait(due)
                due += load.pause
            self._connection.sendall(piece)
            self._listen(timeout=0)
        seconds = time.perf_counter() - began
        self._connection.sendall(END)
        while not self._closed:
            self._listen(timeout=10)
        return seconds

    def _shake_hands(self) -> None:
        while b"\r\n\r\n" not in self._received:
            self._receive()
        head, _, self._received = self._received.partition(b"\r\n\r\n")
        lines = head.decode().split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (one.partition(":") for one in lines)}
        digest = hashlib.sha1(
            (headers["sec-websocket-key"] + _ACCEPT).encode(), usedforsecurity=False
        ).digest()
        self._connection.sendall(
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Accept: " + base64.b64encode(digest) + b"\r\n\r\n"
        )
        self._subscribed = "@" in lines[0] or "%40" in lines[0]

    def _receive(self) -> None:
        received = self._connection.recv(1 << 16)
        if not received:
            raise ConnectionResetError("the client hung up")
        self._received += received

    def _listen(self, timeout: float | None) -> None:
        """Answer what the client has said; wait for it so long (s) at most."""
        pending = isinstance(self._connection, ssl.SSLSocket) and self._connection.pending()
        if not pending and not select.select([self._connection], [], [], timeout)[0]:
            self._closed = self._closed or bool(timeout)
            return
        self._receive()
        while (frame := self._frame()) is not None:
            self._answer(*frame)

    def _frame(self) -> tuple[int, bytes] | None:
        """Take one masked frame out of what was received."""
        data = self._received
        if len(data) < 2:
            return None
        length, start = data[1] & 127, 2
        if length == 126 and len(data) >= 4:
            length, start = int.from_bytes(data[2:4], "big"), 4
        if len(data) < start + 4 + length:
            return None
        mask, payload = data[start : start + 4], data[start + 4 : start + 4 + length]
        self._received = data[start + 4 + length :]
        return data[0] & 15, bytes(byte ^ mask[place % 4] for place, byte in enumerate(payload))

    def _answer(self, opcode: int, payload: bytes) -> None:
        if opcode == 8:
            self._closed = True
        elif opcode == 9:
            self._connection.sendall(struct.pack("!BB", 0x8A, len(payload)) + payload)
        elif opcode == 1:
            self._heed(json.loads(payload))

    def _heed(self, request: dict[str, object]) -> None:
        asked = request.get("op", request.get("method"))
        answer = {"result": None, "id": request.get("id")}
        if "op" in request:
            answer = {
                "success": True,
                "ret_msg": "",
                "conn_id": "load",
                "req_id": request.get("req_id"),
                "op": asked,
            }
            if asked == "ping":
                answer["ret_msg"] = "pong"
        self._connection.sendall(framed(json.dumps(answer).encode()))
        self._subscribed = self._subscribed or asked in ("SUBSCRIBE", "subscribe")


def _wait(until: float) -> None:
    """Wait without sleeping through the moment."""
    while (left := until - time.perf_counter()) > 0:
        if left > 0.002:
            time.sleep(left - 0.001)


def serve(load: Load, context: ssl.SSLContext | None, listener: socket.socket) -> None:
    """Serve clients, each in a thread of its own."""

    def one(connection: socket.socket) -> None:
        with suppress(OSError), connection:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            secured = context.wrap_socket(connection, server_side=True) if context else connection
            with secured:
                seconds = Client(secured).serve(load)
            _tell({"sent": load.frames, "seconds": round(seconds, 3)})

    while True:
        connection, _ = listener.accept()
        threading.Thread(target=one, args=(connection,), daemon=True).start()


class Rest(BaseHTTPRequestHandler):
    """Knows of no trade."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        """Answer with an empty list."""
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"[]")

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def certificate(directory: Path) -> ssl.SSLContext:
    """Make a certificate for 127.0.0.1 and localhost in ``directory`` (``certificate.pem``)."""
    key, name = ec.generate_private_key(ec.SECP256R1()), x509.Name([])
    now = datetime.datetime.now(datetime.UTC)
    alternatives = [x509.IPAddress(ipaddress.ip_address("127.0.0.1")), x509.DNSName("localhost")]
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=7))
        .add_extension(x509.SubjectAlternativeName(alternatives), critical=True)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path, secret = directory / "certificate.pem", directory / "key.pem"
    path.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    secret.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path, secret)
    return context


def _tell(what: dict[str, object]) -> None:
    print(json.dumps(what), flush=True)


def main() -> int:
    """Serve until stdin ends."""
    arguments = _parser().parse_args()
    if arguments.core is not None:
        os.sched_setaffinity(0, {arguments.core})
    load = Load.of(
        arguments.exchange, arguments.trades, arguments.per_frame, arguments.rate, arguments.burst,
        spaced=arguments.spaced,
    )  # fmt: skip
    with tempfile.TemporaryDirectory(prefix="wadm-load-") as directory:
        context = None if arguments.plain else certificate(Path(directory))
        rest = ThreadingHTTPServer(("127.0.0.1", 0), Rest)
        with socket.create_server(("127.0.0.1", 0)) as listener, rest:
            port = listener.getsockname()[1]
            threading.Thread(target=rest.serve_forever, daemon=True).start()
            threading.Thread(target=serve, args=(load, context, listener), daemon=True).start()
            _tell(
                {
                    "url": f"{'ws' if arguments.plain else 'wss'}://127.0.0.1:{port}",
                    "port": port,
                    "certificate": None if arguments.plain else str(Path(directory, "certificate.pem")),
                    "rest_url": f"http://127.0.0.1:{rest.server_port}",
                    "streams": [stream_of(arguments.exchange)],
                    "frames": load.frames,
                    "trades": arguments.trades,
                }
            )
            with suppress(KeyboardInterrupt):
                while os.read(0, 1):
                    pass
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="load", description="Send recorded trades as fast as a client takes them."
    )
    parser.add_argument("--exchange", choices=EXCHANGES, default="binance_usdm")
    parser.add_argument("--trades", type=int, default=1_000_000, metavar="N")
    parser.add_argument("--per-frame", type=int, default=8, metavar="N", help="Bybit's trades in a frame")
    parser.add_argument("--plain", action="store_true", help="without TLS")
    parser.add_argument("--rate", type=float, metavar="N", help="frames a second (default: no limit)")
    parser.add_argument("--burst", type=int, default=1, metavar="N", help="frames at a time, with --rate")
    parser.add_argument("--spaced", action="store_true", help="with --rate: the trades' times go on at it")
    parser.add_argument("--core", type=int, metavar="N", help="the processor core to run on")
    return parser


# --- for the other benchmarks ---


@attrs.frozen
class Serving:
    """A running load server."""

    url: str
    port: int
    certificate: str | None
    rest_url: str
    streams: list[str]
    frames: int
    trades: int


@contextmanager
def serving(*options: str) -> Iterator[Serving]:
    """Run the server, with the options of the command line, for the length of the block."""
    command = [sys.executable, __file__, *options]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield Serving(**json.loads(process.stdout.readline()))
        finally:
            assert process.stdin is not None
            process.stdin.close()
            process.wait(10)


if __name__ == "__main__":
    sys.exit(main())
