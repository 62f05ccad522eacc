"""Clients that mean no good at the doors of agents and of the live news, at TLS, and at the gate."""

import json
import socket
import ssl
import struct
import time
from collections.abc import Iterator

import pytest
import trustme
from besieged import LEAKS, Besieged, Foe, Script, besieged
from test_hostile import BEGIN, END_HEADERS, END_STREAM, GET, HEADERS, POST, PREFACE, UPGRADE, frame, sends
from test_tls import issue

from actors.access.rates import GUESSES
from wadm.sections import HttpSettings

LIVE = (UPGRADE % b"/ws/v1")[:-2] + b"X-API-Key: {KEY}\r\n\r\n"
STREAM = b"GET /api/v1/stream%s HTTP/1.1\r\nHost: localhost\r\nX-API-Key: {KEY}\r\n\r\n"
TEXT, BINARY, CLOSE, PING, PONG, CONTINUED = 1, 2, 8, 9, 10, 0
SUBSCRIBE = b'{"op":"subscribe","id":1,"channel":"trades","exchange":"binance_usdm","symbol":"BTCUSDT"}'


def told(
    payload: bytes = b"",
    kind: int = TEXT,
    *,
    last: bool = True,
    masked: bool = True,
    length: int | None = None,
) -> bytes:
    """Return a WebSocket frame; ``length`` is a lie."""
    said = len(payload) if length is None else length
    head = bytes([kind | (0x80 if last else 0)])
    mask = 0x80 if masked else 0
    if said < 126:
        head += bytes([mask | said])
    elif said < 65_536:
        head += bytes([mask | 126]) + struct.pack(">H", said)
    else:
        head += bytes([mask | 127]) + struct.pack(">Q", said)
    return head + (bytes(4) if masked else b"") + payload


def live(*parts: bytes) -> Script:
    """Open a WebSocket and say something."""

    def attack(foe: Foe) -> None:
        foe.send(LIVE)
        foe.hear(b"\r\n\r\n")
        foe.send(*parts)

    return attack


def live_and_deaf(*parts: bytes) -> Script:
    def attack(foe: Foe) -> None:
        foe.stop_reading()
        live(*parts)(foe)

    return attack


def asks(body: object, *headers: bytes, **more: object) -> bytes:
    """Return a request to the agents' door."""
    text = body if isinstance(body, bytes) else json.dumps(body).encode()
    head = POST + b"".join(header + b"\r\n" for header in headers)
    return head + b"Content-Length: %d\r\n\r\n" % len(text) + text


def call(method: str, params: object = None, number: object = 1) -> dict[str, object]:
    return {"jsonrpc": "2.0", "id": number, "method": method, "params": params or {}}


VERSION = b"MCP-Protocol-Version: 2025-11-25"
LISTEN = b"GET /mcp HTTP/1.1\r\nHost: localhost\r\nX-API-Key: {KEY}\r\nAccept: text/event-stream\r\n%s\r\n"
DEEP = b"[" * 100_000
NO_SESSION = b"Mcp-Session-Id: " + b"0" * 32

WEBSOCKETS: dict[str, Script] = {
    "a byte too many": sends(LIVE + b"x"),
    "a frame at once": sends(LIVE + told(SUBSCRIBE)),
    "an unmasked frame": live(told(SUBSCRIBE, masked=False)),
    "a frame too large": live(told(b"a" * 70_000)),
    "a frame said to be huge": live(told(b"a", length=2**62)),
    "a frame of a length that cannot be": live(told(b"a", length=2**64 - 1)),
    "fragments without end": live(told(b"a", last=False), *[told(b"a" * 1_000, CONTINUED, last=False)] * 100),
    "a fragment of nothing": live(told(b"a", CONTINUED)),
    "a text within a text": live(told(b"a", last=False), told(b"b")),
    "a large ping": live(told(b"a" * 126, PING)),
    "a ping in parts": live(told(b"a", PING, last=False)),
    "a kind unknown": live(told(b"a", 5)),
    "reserved bits": live(bytes([0xF1, 0x81]) + bytes(4) + b"a"),
    "text that is none": live(told(b"\xff\xfe\xc0\x80")),
    "bytes": live(told(SUBSCRIBE, BINARY)),
    "a close code that cannot be": live(told(struct.pack(">H", 1005), CLOSE)),
    "a close code of one byte": live(told(b"\x03", CLOSE)),
    "a close reason that is no text": live(told(struct.pack(">H", 1000) + b"\xff\xff", CLOSE)),
    "frames after the close": live(told(struct.pack(">H", 1000), CLOSE), told(SUBSCRIBE) * 100),
    "a flood of pings": live(told(b"a" * 100, PING) * 5_000),
    "a flood of pongs": live(told(b"", PONG) * 5_000),
    "a flood of pings, and reads nothing": live_and_deaf(*[told(b"a" * 100, PING) * 5_000] * 10),
    "10,000 operations": live(told(SUBSCRIBE) * 10_000),
    "10,000 operations, and reads nothing": live_and_deaf(told(SUBSCRIBE) * 10_000),
    "no JSON": live(told(b"{")),
    "deep JSON": live(told(b"[" * 8_000)),
    "a number without end": live(told(b'{"op":"ping","id":' + b"9" * 7_000 + b"}")),
    "extensions of its own": sends(LIVE[:-2] + b"Sec-WebSocket-Extensions: permessage-deflate; a=b\r\n\r\n"),
    "a body before the upgrade": sends(LIVE[:-2] + b"Content-Length: 10\r\n\r\n0123456789"),
    "hangs up its half": lambda foe: (live(told(SUBSCRIBE))(foe), foe.half_close())[0],
}  # fmt: skip

STREAMS: dict[str, Script] = {
    "a stream": sends(STREAM % b"?channel=trades&exchange=binance_usdm&symbol=BTCUSDT"),
    "a stream of nonsense": sends(STREAM % b"?channel=%ff&channel=&exchange=%00"),
    "a stream of a thousand channels": sends(STREAM % (b"?" + b"channel=trades&" * 1_000)),
    "a stream, then more requests": sends(
        STREAM % b"?channel=trades&exchange=binance_usdm&symbol=BTCUSDT" + GET * 100
    ),
    "a stream, half hung up": lambda foe: (
        foe.send(STREAM % b"?channel=trades&exchange=binance_usdm&symbol=BTCUSDT"),
        foe.half_close(),
    )[0],
    "a stream from a cursor that is none": sends(
        STREAM[:-2] % b"?channel=trades&exchange=binance_usdm&symbol=BTCUSDT" + b"Last-Event-ID: \xff\r\n\r\n"
    ),
}

AGENTS: dict[str, Script] = {
    "deep JSON": sends(asks(DEEP)),
    "deep arguments": sends(
        asks(
            b'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":'
            + b'{"a":' * 20_000
            + b"1"
            + b"}" * 20_000
            + b"}",
            VERSION,
        )
    ),
    "a huge batch": sends(asks([call("tools/list", number=n) for n in range(10_000)], VERSION)),
    "an empty batch": sends(asks([], VERSION)),
    "no object": sends(asks(b'"a"', VERSION)),
    "an endless number": sends(
        asks(b'{"jsonrpc":"2.0","id":' + b"9" * 100_000 + b',"method":"ping"}', VERSION)
    ),
    "a number that is none": sends(asks(b'{"jsonrpc":"2.0","id":NaN,"method":"ping"}', VERSION)),
    "text that is none": sends(asks(b'{"jsonrpc":"2.0","id":"\xff\xff","method":"ping"}', VERSION)),
    "surrogates": sends(asks(b'{"jsonrpc":"2.0","id":1,"method":"\\ud800"}', VERSION)),
    "the same key twice": sends(
        asks(b'{"jsonrpc":"2.0","id":1,"id":2,"method":"ping","method":"x"}', VERSION)
    ),
    "a method without end": sends(asks(call("a" * 500_000), VERSION)),
    "a tool that is none": sends(asks(call("tools/call", {"name": "../../etc", "arguments": {}}), VERSION)),
    "arguments that are none": sends(
        asks(call("tools/call", {"name": "list_symbols", "arguments": []}), VERSION)
    ),
    "an answer nobody asked for": sends(asks({"jsonrpc": "2.0", "id": 7, "result": {}}, VERSION)),
    "a cancellation of nothing": sends(
        asks({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 99}}, VERSION)
    ),
    "an unknown session": sends(asks(call("tools/list"), VERSION, NO_SESSION)),
    "a session that is no text": sends(asks(call("tools/list"), VERSION, b"Mcp-Session-Id: \xff\xfe")),
    "an end of an unknown session": sends(
        POST.replace(b"POST", b"DELETE") + NO_SESSION + b"\r\nContent-Length: 0\r\n\r\n"
    ),
    "a version to come": sends(asks(call("initialize"), b"MCP-Protocol-Version: 9999-99-99")),
    "listens without a session": sends(LISTEN % b""),
    "listens to an unknown session": sends(LISTEN % (NO_SESSION + b"\r\n")),
    "goes on from an event that is none": sends(LISTEN % b"Last-Event-ID: ../../x\r\n"),
    "another content type": sends(asks(call("ping")).replace(b"application/json\r\n", b"text/xml\r\n", 1)),
    "no content type": sends(asks(call("ping")).replace(b"Content-Type: application/json\r\n", b"")),
    "accepts nothing": sends(
        asks(call("ping")).replace(b"application/json, text/event-stream", b"image/png")
    ),
    "a method of HTTP's": sends(POST.replace(b"POST", b"PATCH") + b"Content-Length: 0\r\n\r\n"),
    "below the door": sends(asks(call("ping")).replace(b"/mcp", b"/mcp/../mcp")),
}

SCRIPTS = {
    f"{door}: {name}": script
    for door, scripts in {"WebSocket": WEBSOCKETS, "events": STREAMS, "agents": AGENTS}.items()
    for name, script in scripts.items()
}

#: Those whom the server has no reason to put out: what they do is allowed, for as long as they like.
WELCOME = (
    "a stream",
    "a flood of pongs",
    "a flood of pings",
    "extensions of its own",
    "no JSON",
    "deep JSON",
    "a number without end",
    "a frame at once",
    "a frame said to be huge",
)


@pytest.fixture(scope="module")
def front(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Besieged]:
    with besieged(tmp_path_factory.mktemp("besieged")) as served:
        yield served


@pytest.mark.parametrize("name", SCRIPTS)
def test_whoever_leaves_leaves_nothing_behind(front: Besieged, name: str) -> None:
    leaving, resetting = front.foe(), front.foe()
    for foe in (leaving, resetting):
        SCRIPTS[name](foe)
    front.answers_everybody_else()
    leaving.close()
    resetting.close(reset=True)
    front.becomes_calm()
    said = bytes(leaving.heard)
    assert LEAKS.search(said) is None
    assert front.key.encode() not in said


def test_whoever_stays_learns_nothing(front: Besieged) -> None:
    foes = {name: front.foe() for name in SCRIPTS}
    for name, foe in foes.items():
        SCRIPTS[name](foe)
        foe.socket.settimeout(0.02)
    front.answers_everybody_else()
    time.sleep(1.5)  # longer than the front's patience
    stayed = {name.partition(": ")[2] for name, foe in foes.items() if not foe.hears_out()}
    heard = {name: bytes(foe.heard) for name, foe in foes.items()}
    assert {name: found[0] for name, said in heard.items() if (found := LEAKS.search(said))} == {}
    assert stayed - {*WELCOME} == set()
    front.becomes_calm()


# --- the gate ---


def test_a_flood_of_guesses_opens_nothing_and_shuts_out_nobody_else(front: Besieged) -> None:
    guesses = b"GET /api/v1/symbols HTTP/1.1\r\nHost: localhost\r\nX-API-Key: wadm_aaaaaaaa_%s\r\n\r\n"
    foe = front.foe("127.0.0.66")
    foe.send(*(guesses % (b"%043d" % number) for number in range(GUESSES + 30)), guesses[:-4] % b"{KEY}")
    foe.half_close()
    front.answers_everybody_else()
    foe.close()
    front.becomes_calm()


def test_a_flood_of_connections_of_one_address_keeps_nobody_out(front: Besieged) -> None:
    front.config.max_of_one = 40
    foes = [front.foe() for _ in range(100)]
    try:
        front.answers_everybody_else()
        turned_away = sum(foe.hears_out() and not foe.heard for foe in foes[40:])
    finally:
        del front.config.max_of_one
        for foe in foes:
            foe.close()
    assert turned_away == 60
    front.becomes_calm()


def test_streams_held_open_by_one_address_keep_nobody_out(front: Besieged) -> None:
    foes = [front.foe() for _ in range(60)]
    for number, foe in enumerate(foes):
        if number % 2:
            live(told(SUBSCRIBE))(foe)
        else:
            foe.send(STREAM % b"?channel=trades&exchange=binance_usdm&symbol=BTCUSDT")
    front.answers_everybody_else()
    for foe in foes:
        foe.close(reset=True)
    front.becomes_calm()


# --- TLS ---


@pytest.fixture(scope="module")
def sealed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Besieged]:
    folder = tmp_path_factory.mktemp("sealed")
    authority, trust = trustme.CA(), ssl.create_default_context()
    authority.configure_trust(trust)
    certificate, key = issue(authority, folder)
    http = HttpSettings(port=0, tls_certificate=str(certificate), tls_key=str(key))
    with besieged(folder, http, trust) as served:
        yield served


def shaken(foe: Foe, *protocols: str) -> ssl.SSLSocket:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    if protocols:
        context.set_alpn_protocols(list(protocols))
    foe.socket = made = context.wrap_socket(foe.socket, server_hostname="localhost")
    return made


def sealed_in(*parts: bytes, protocols: tuple[str, ...] = ()) -> Script:
    def attack(foe: Foe) -> None:
        shaken(foe, *protocols)
        foe.send(*parts)

    return attack


def under_the_seal(*parts: bytes) -> Script:
    """Finish the handshake, then send what is no record of it."""

    def attack(foe: Foe) -> None:
        sealed = shaken(foe)
        bare = socket.socket(fileno=sealed.detach())
        bare.settimeout(5)
        foe.socket = bare
        foe.send(*parts)

    return attack


HELLO = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"
SEALED: dict[str, Script] = {
    "says nothing": sends(),
    "plain HTTP": sends(GET),
    "plain HTTP/2": sends(BEGIN),
    "half a hello": sends(HELLO + bytes(100)),
    "a hello of nonsense": sends(HELLO + bytes(501)),
    "a record too large": sends(b"\x16\x03\x01\xff\xff" + bytes(70_000)),
    "a hello byte by byte": sends(*(HELLO[n : n + 1] for n in range(len(HELLO)))),
    "only an alert": sends(b"\x15\x03\x03\x00\x02\x02\x28"),
    "garbage": sends(bytes(range(256)) * 50),
    "hangs up its half at once": Foe.half_close,
    "a handshake, then nothing": sealed_in(),
    "a handshake, then half a request": sealed_in(GET[:20]),
    "a handshake, then an early end": under_the_seal(),
    "a handshake, then plain HTTP": under_the_seal(GET),
    "a handshake, then another one": under_the_seal(HELLO + bytes(501)),
    "a handshake, then records of nonsense": under_the_seal(b"\x17\x03\x03\x00\x20" + bytes(32)),
    "HTTP/2 that says HTTP/1.1": sealed_in(GET, protocols=("h2",)),
    "HTTP/2, then nothing": sealed_in(PREFACE, protocols=("h2",)),
    "HTTP/2, then nonsense": sealed_in(
        BEGIN + frame(HEADERS, bytes(50), 1, END_STREAM | END_HEADERS), protocols=("h2",)
    ),
    "many requests at once": sealed_in(GET * 100),
    "WebSocket with a byte too many": sealed_in(LIVE + b"x"),
}


@pytest.mark.parametrize("name", SEALED)
def test_whoever_leaves_in_the_midst_of_tls_leaves_nothing_behind(sealed: Besieged, name: str) -> None:
    leaving, resetting = sealed.foe(), sealed.foe()
    for foe in (leaving, resetting):
        SEALED[name](foe)
    sealed.answers_everybody_else()
    leaving.close()
    resetting.close(reset=True)
    sealed.becomes_calm()


def test_whoever_stays_at_tls_is_put_out(sealed: Besieged) -> None:
    foes = {name: sealed.foe() for name in SEALED}
    for name, foe in foes.items():
        SEALED[name](foe)
    sealed.answers_everybody_else()
    assert [name for name, foe in foes.items() if not foe.hears_out()] == []
    assert [name for name, foe in foes.items() if LEAKS.search(foe.heard)] == []
    sealed.becomes_calm()
