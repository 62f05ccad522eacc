"""Clients that mean no good, or know no better, of HTTP/1.1 and HTTP/2.

After each of them the server answers everybody else, nothing is left of him, and he has learned nothing.
"""

import re
from collections.abc import Iterator

import pytest
from besieged import LEAKS, Besieged, Foe, Script, besieged
from hpack import Encoder

UPGRADE = (
    b"GET %s HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)
H2C = (
    b"GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n"
    b"HTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n"
)
GET = b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n"
LARGE = (
    b"GET /api/v1/volume-profile?exchange=binance_usdm&symbol=BTCUSDT&timeframe=1h HTTP/1.1\r\n"
    b"Host: localhost\r\nX-API-Key: {KEY}\r\n\r\n"
)
MASKED_HELLO = b"\x81\x85\x00\x00\x00\x00hello"
POST = (
    b"POST /mcp HTTP/1.1\r\nHost: localhost\r\nX-API-Key: {KEY}\r\nContent-Type: application/json\r\n"
    b"Accept: application/json, text/event-stream\r\n"
)
CHUNKED = POST + b"Transfer-Encoding: chunked\r\n\r\n"
HIDDEN = b"GET /hidden HTTP/1.1\r\nHost: localhost\r\n\r\n"


# --- HTTP/2's frames ---

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, PRIORITY, RESET, SETTING, PING, GOAWAY, WINDOW, CONTINUATION = 0, 1, 2, 3, 4, 6, 7, 8, 9
END_STREAM, END_HEADERS = 1, 4


def frame(kind: int, payload: bytes = b"", stream: int = 0, flags: int = 0) -> bytes:
    return len(payload).to_bytes(3, "big") + bytes((kind, flags)) + stream.to_bytes(4, "big") + payload


def asking(stream: int, path: str = "/health", flags: int = END_STREAM | END_HEADERS, **more: str) -> bytes:
    fields = {":method": "GET", ":scheme": "http", ":path": path, ":authority": "localhost", **more}
    return frame(HEADERS, Encoder().encode(list(fields.items())), stream, flags)


def number(value: int) -> bytes:
    return value.to_bytes(4, "big")


SETTINGS = frame(SETTING)
BEGIN = PREFACE + SETTINGS
STREAMS = range(1, 1_000, 2)
CANCEL = number(8)
NO_WINDOW = PREFACE + frame(SETTING, b"\x00\x04" + number(0))
#: A header that is told once and then named again and again, by one byte each.
BOMB = Encoder().encode([("x", "y" * 3_900)]) + b"\xbe" * 16_000


# --- scripts ---


def sends(*parts: bytes) -> Script:
    return lambda foe: foe.send(*parts)


def then_reads(*parts: bytes) -> Script:
    def attack(foe: Foe) -> None:
        foe.send(parts[0])
        foe.hear()
        foe.send(*parts[1:])

    return attack


def then_half_closes(*parts: bytes) -> Script:
    def attack(foe: Foe) -> None:
        foe.send(*parts)
        foe.half_close()

    return attack


def reads_nothing_of(*parts: bytes) -> Script:
    def attack(foe: Foe) -> None:
        foe.stop_reading()
        foe.send(*parts)

    return attack


SCRIPTS: dict[str, Script] = {
    "says nothing": sends(),
    "hangs up its half at once": then_half_closes(),
    "hangs up its half after asking": then_half_closes(GET),
    "hangs up its half within a request": then_half_closes(GET[:20]),
    "hangs up its half within a body": then_half_closes(POST + b"Content-Length: 100\r\n\r\n{"),
    "goes on after the answer": then_reads(GET, b"and another thing", bytes(1_000)),
    "a body where there is none": sends(GET + b"a=b&c=d" * 100),
    # heads
    "slow-loris": sends(b"GET /health HTTP/1.1\r\n", b"X-a: b\r\n", b"X-c: d\r\n"),
    "endless headers": sends(b"GET / HTTP/1.1\r\n", b"X-a: " + b"b" * 100_000),
    "many headers": sends(b"GET / HTTP/1.1\r\nHost: localhost\r\n" + b"a: b\r\n" * 4_000 + b"\r\n"),
    "headers without end": sends(b"GET / HTTP/1.1\r\nHost: localhost\r\n" + b"a: b\r\n" * 100_000),
    "an endless path": sends(b"GET /" + b"a" * 100_000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n"),
    "a thousand parameters": sends(
        b"GET /api/v1/symbols?" + b"a=b&" * 1_000 + b" HTTP/1.1\r\nHost: localhost\r\n"
        b"X-API-Key: {KEY}\r\n\r\n"
    ),
    "two hosts": sends(b"GET / HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\n\r\n"),
    "no host": sends(b"GET /mcp HTTP/1.0\r\n\r\n"),
    "a host of another place": sends(b"GET / HTTP/1.1\r\nHost: evil.example\r\n\r\n"),
    "a host with a tail": sends(b"GET / HTTP/1.1\r\nHost: localhost@evil.example:99999999\r\n\r\n"),
    "an origin that is none": sends(GET[:-2] + b"Origin: http://[::1\r\n\r\n"),
    "a blank before the colon": sends(GET[:-2] + b"X-API-Key : a\r\n\r\n"),
    "a folded header": sends(GET[:-2] + b"X-a: b\r\n  c\r\n\r\n"),
    "a NUL in a header": sends(GET[:-2] + b"X-a: b\x00c\r\n\r\n"),
    "a line break in a header": sends(GET[:-2] + b"X-Request-Id: a\rSet-Cookie: b=c\r\n\r\n"),
    "a key that is no text": sends(GET[:-2] + b"Authorization: Bearer \xff\xfe\xfd\r\n\r\n"),
    "absurd ranges": sends(GET[:-2] + b"Range: bytes=" + b"0-," * 1_000 + b"0-\r\n\r\n"),
    "ETags without end": sends(b"GET / HTTP/1.1\r\nHost: localhost\r\nIf-None-Match: " + b'"a",' * 5_000
                               + b'"b"\r\n\r\n'),
    "accepts everything a thousand times": sends(LARGE[:-2] + b"Accept: " + b"a/b;q=0.1," * 1_000
                                                 + b"*/*\r\n\r\n"),
    # bodies
    "slow body": sends(POST + b"Content-Length: 1000\r\n\r\n", b"{", b" "),
    "body without end": sends(CHUNKED, b"1\r\n{\r\n", b"1\r\n \r\n"),
    "chunks that are none": sends(CHUNKED, b"zz\r\n{\r\n"),
    "a chunk too large to count": sends(CHUNKED, b"FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF\r\n{"),
    "a chunk below zero": sends(CHUNKED, b"-1\r\n{\r\n"),
    "a chunk's head without end": sends(CHUNKED, b"1;" + b"a=b;" * 50_000),
    "trailers without end": sends(CHUNKED, b"0\r\n" + b"a: b\r\n" * 50_000),
    "two lengths": sends(POST + b"Content-Length: 3\r\nContent-Length: 4\r\n\r\n{}}}"),
    "a length below zero": sends(POST + b"Content-Length: -1\r\n\r\n{}"),
    "a length with a sign": sends(POST + b"Content-Length: +2\r\n\r\n{}"),
    "a body announced too large": sends(POST + b"Content-Length: 99999999999999999999999\r\n\r\n{}"),
    "a body too large": sends(CHUNKED, (b"10000\r\n" + b"a" * 65_536 + b"\r\n") * 20),
    "a bomb": sends(POST + b"Content-Encoding: gzip\r\nContent-Length: 20\r\n\r\n\x1f\x8b" + bytes(18)),
    "waits to be told to continue": sends(POST + b"Content-Length: 10\r\nExpect: 100-continue\r\n\r\n"),
    # one request hidden in another
    "length and chunks": sends(POST + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
                               + HIDDEN),
    "chunks of another kind": sends(POST + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n" + HIDDEN),
    "chunks twice": sends(POST + b"Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n" + HIDDEN),
    "chunks in HTTP/1.0": sends(CHUNKED.replace(b"HTTP/1.1", b"HTTP/1.0") + b"0\r\n\r\n" + HIDDEN),
    "chunks with bare line feeds": sends(CHUNKED + b"2\n{}\n0\n\n" + HIDDEN),
    # what is asked for
    "garbage": sends(bytes(range(256)) * 20),
    "zeros": sends(bytes(5_000)),
    "TLS": sends(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(500)),
    "HTTP/0.9": sends(b"GET /\r\n"),
    "HTTP/9": sends(b"GET / HTTP/9.9\r\nHost: localhost\r\n\r\n"),
    "a path that is no text": sends(b"GET /\xff\xfe%00 HTTP/1.1\r\nHost: localhost\r\n\r\n"),
    "a path of broken escapes": sends(b"GET /%ff%zz%00/..%2f?%ff=%ff&= HTTP/1.1\r\nHost: localhost\r\n\r\n"),
    "a NUL in the path": sends(b"GET /health\x00 HTTP/1.1\r\nHost: localhost\r\n\r\n"),
    "up and out": sends(b"GET /../../../etc/passwd HTTP/1.1\r\nHost: localhost\r\n\r\n"),
    "an absolute path": sends(b"GET http://evil.example/health HTTP/1.1\r\nHost: localhost\r\n\r\n"),
    "a network path": sends(b"GET //evil.example/health HTTP/1.1\r\nHost: localhost\r\n\r\n"),
    "an authority": sends(b"GET evil.example:80 HTTP/1.1\r\nHost: localhost\r\n\r\n"),
    "no path": sends(b"OPTIONS * HTTP/1.1\r\nHost: localhost\r\n\r\n"),
    "a method of its own": sends(b"BREW /health HTTP/1.1\r\nHost: localhost\r\n\r\n"),
    "an endless method": sends(b"A" * 20_000 + b" / HTTP/1.1\r\nHost: localhost\r\n\r\n"),
    "a tunnel": sends(b"CONNECT localhost:443 HTTP/1.1\r\nHost: localhost\r\n\r\n"),
    "its own request back": sends(b"TRACE /health HTTP/1.1\r\nHost: localhost\r\nX-API-Key: {KEY}\r\n\r\n"),
    "many requests at once": sends(GET * 200),
    "many requests at once, the last of them broken": sends(GET * 20 + b"BROKEN\r\n\r\n"),
    "reads nothing": reads_nothing_of(LARGE * 50),
    # other protocols
    "an upgrade to something unknown": sends(GET[:-2] + b"Connection: Upgrade\r\nUpgrade: spdy/9\r\n\r\n"),
    "WebSocket with a byte too many": sends(UPGRADE % b"/health" + b"x"),
    "WebSocket with a byte too many later": then_reads(UPGRADE % b"/health", b"x"),
    "WebSocket to nowhere, then a frame": then_reads(UPGRADE % b"/nowhere", MASKED_HELLO),
    "WebSocket to nowhere with a frame": sends(UPGRADE % b"/nowhere" + MASKED_HELLO),
    "WebSocket to the agents' door": sends(UPGRADE % b"/mcp" + MASKED_HELLO),
    "WebSocket of another version": sends((UPGRADE % b"/").replace(b": 13", b": 99")),
    "WebSocket without a key": sends((UPGRADE % b"/").replace(b"Sec-WebSocket-Key", b"X-Key")),
    "h2c": sends(H2C),
    "h2c with a byte too many": sends(H2C + b"x"),
    "h2c, then resets": then_reads(H2C, BEGIN + frame(RESET, CANCEL, 1) * 50),
    "h2c, then a broken preface": then_reads(H2C, b"PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n"),
    "h2c with settings that are none": sends(H2C.replace(b"AAMAAABkAAQAAP__", b"????")),
    # HTTP/2
    "HTTP/2 unasked": sends(BEGIN),
    "HTTP/2, then garbage": sends(BEGIN + bytes(range(256)) * 10),
    "HTTP/2, then pings": sends(BEGIN + frame(PING, bytes(8)) * 5_000),
    "HTTP/2, then settings": sends(BEGIN + frame(SETTING, b"\x00\x04" + number(65_535)) * 5_000),
    "HTTP/2, then settings that cannot be": sends(BEGIN + frame(SETTING, b"\x00\x04" + number(2**32 - 1))),
    "HTTP/2, then pings, and reads nothing": reads_nothing_of(BEGIN, frame(PING, bytes(8)) * 20_000),
    "HTTP/2, then a frame too large": sends(BEGIN + b"\xff\xff\xff\x00\x00\x00\x00\x00\x01"),
    "HTTP/2, then headers of nonsense": sends(BEGIN + frame(HEADERS, bytes(range(90)), 1, END_HEADERS)),
    "HTTP/2, then rapid resets": sends(
        BEGIN, *(asking(stream) + frame(RESET, CANCEL, stream) for stream in STREAMS)
    ),
    "HTTP/2, then rapid resets of bodies": sends(
        BEGIN, *(asking(stream, "/mcp", END_HEADERS) + frame(RESET, CANCEL, stream) for stream in STREAMS)
    ),
    "HTTP/2, then more streams than allowed": sends(BEGIN, *map(asking, STREAMS)),
    "HTTP/2, then headers without end": sends(
        BEGIN + asking(1, flags=0), frame(CONTINUATION, b"\x00\x01x\x01y" * 20, 1) * 3_000
    ),
    "HTTP/2, then headers that never end": sends(BEGIN + asking(1, flags=0)),
    "HTTP/2, then a bomb of headers": sends(
        BEGIN + frame(HEADERS, BOMB, 1, END_STREAM | END_HEADERS)
    ),
    "HTTP/2, then data of no stream": sends(BEGIN + frame(DATA, b"x", 7)),
    "HTTP/2, then data of stream 0": sends(BEGIN + frame(DATA, b"x", 0)),
    "HTTP/2, then empty data": sends(BEGIN + asking(1, "/mcp", END_HEADERS) + frame(DATA, b"", 1) * 5_000),
    "HTTP/2, then a slow body": sends(BEGIN + asking(1, "/mcp", END_HEADERS) + frame(DATA, b"{", 1)),
    "HTTP/2, then priorities": sends(
        BEGIN, *(frame(PRIORITY, number(stream + 2) + b"\x10", stream) for stream in STREAMS)
    ),
    "HTTP/2, then one that depends on itself": sends(BEGIN + frame(PRIORITY, number(1) + b"\x10", 1)),
    "HTTP/2, then a window of nothing": sends(BEGIN + frame(WINDOW, number(0))),
    "HTTP/2, then a window too large": sends(BEGIN + frame(WINDOW, number(2**31 - 1)) * 3),
    "HTTP/2, and takes nothing of the answers": sends(NO_WINDOW, *(asking(n, "/") for n in STREAMS[:20])),
    "HTTP/2, and takes nothing, then leaves": sends(
        NO_WINDOW, *(asking(n, "/") for n in STREAMS[:20]), frame(GOAWAY, bytes(8))
    ),
    "HTTP/2, without a path": sends(
        BEGIN + frame(HEADERS, Encoder().encode([(":method", "GET")]), 1, END_STREAM | END_HEADERS)
    ),
    "HTTP/2, a path that is no text": sends(BEGIN + asking(1, "/\xff\x00")),
    "HTTP/2, a method that is no text": sends(BEGIN + asking(1, **{":method": "\xff"})),
    "HTTP/2, a WebSocket that is none": sends(
        BEGIN + asking(1, "/ws/v1", END_HEADERS, **{":method": "CONNECT", ":protocol": "websocket"})
        + frame(DATA, b"x", 1)
    ),
    "HTTP/2, a tunnel": sends(BEGIN + asking(1, **{":method": "CONNECT"})),
}  # fmt: skip

#: What some are told, once each.
ANSWERS = {
    name: [status]
    for name, status in {
        "two hosts": b"400",
        "a host of another place": b"421",
        "a host with a tail": b"421",
        "no host": b"421",
        "an endless path": b"431",
        "headers without end": b"431",
        "two lengths": b"400",
        "a length below zero": b"400",
        "a length with a sign": b"400",
        "a chunk too large to count": b"400",
        "a body announced too large": b"400",
        "a body too large": b"413",
        "slow body": b"408",
        "body without end": b"408",
        "chunks of another kind": b"501",
        "chunks twice": b"501",
        "chunks in HTTP/1.0": b"400",
        "chunks with bare line feeds": b"400",
        "up and out": b"401",
        "its own request back": b"405",
        "a method of its own": b"405",
        "accepts everything a thousand times": b"200",
    }.items()
}


#: Those who hide a request in another: it is never answered.
HIDING = [name for name in SCRIPTS if name.startswith(("length and", "chunks", "two lengths"))]


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


def test_whoever_stays_is_put_out_and_learns_nothing(front: Besieged) -> None:
    foes = {name: front.foe() for name in SCRIPTS}
    for name, foe in foes.items():
        SCRIPTS[name](foe)
    front.answers_everybody_else()
    stayed = [name for name, foe in foes.items() if not foe.hears_out()]
    heard = {name: bytes(foe.heard) for name, foe in foes.items()}
    assert stayed == []
    assert {name: found[0] for name, said in heard.items() if (found := LEAKS.search(said))} == {}
    assert [name for name, said in heard.items() if front.key.encode() in said] == []
    answers = {name: re.findall(rb"HTTP/1\.1 (\d+)", said) for name, said in heard.items()}
    # A large body may also be late, where the machine is slow.
    late = {"a body too large": [b"408"]}
    assert {
        name: said for name in ANSWERS if (said := answers[name]) not in (ANSWERS[name], late.get(name))
    } == {}
    assert [name for name in HIDING if len(answers[name]) > 1] == []
    front.becomes_calm()
    front.answers_everybody_else()
