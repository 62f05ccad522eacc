"""The tap hears what the library alone would hear, however the bytes arrive."""

from itertools import pairwise

import hypothesis.strategies as st
import pytest
import trio
import trio.testing
from hypothesis import given
from websocket_wire import (
    BINARY,
    CONTINUATION,
    MAX_MESSAGE_SIZE,
    PING,
    PONG,
    TEXT,
    Heard,
    closing,
    frame,
    hear_tapped,
    hear_untapped,
    play,
    read_request,
    response,
    tapped,
)

from actors.connections.websocket import ConnectionLost

#: Every kind of frame that a server may send, with lengths around the borders of the header's forms.
CONVERSATION = b"".join(
    [
        frame(b'{"first":1}'),
        frame(b"p", PING),
        frame(b""),
        frame(b"a" * 125) + frame(b"b" * 126) + frame(b"c" * 127),
        frame("frag-é"[:4].encode(), fin=False),
        frame(b"in between", PONG),
        frame("é".encode()[:1], CONTINUATION, fin=False),
        frame(b"", PING),
        frame("é".encode()[1:], CONTINUATION),
        frame("späť €".encode()),
        frame(b"\x00\xff", BINARY),
        frame(b"d" * 300),
        closing(1000, b"bye"),
    ]
)
MESSAGES = [
    b'{"first":1}',
    b"",
    b"a" * 125,
    b"b" * 126,
    b"c" * 127,
    "fragé".encode(),
    "späť €".encode(),
    b"\x00\xff",
    b"d" * 300,
]


async def test_all_kinds_of_frames_in_one_piece() -> None:
    assert await hear_tapped(CONVERSATION) == Heard(MESSAGES, 1000)
    assert await hear_untapped(CONVERSATION) == Heard(MESSAGES, 1000)


async def test_all_kinds_of_frames_byte_by_byte() -> None:
    assert await hear_tapped(CONVERSATION, range(-200, len(CONVERSATION))) == Heard(MESSAGES, 1000)


async def test_all_kinds_of_frames_cut_in_two_at_every_byte() -> None:
    for cut in range(-150, len(CONVERSATION)):
        assert await hear_tapped(CONVERSATION, [cut]) == Heard(MESSAGES, 1000), cut


@pytest.mark.parametrize("cut", [*range(-4, 14), 70_000, 70_009, 70_010, 70_011])
async def test_a_frame_with_a_64_bit_length(cut: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("websocket_wire.MAX_MESSAGE_SIZE", 1 << 20)
    wire = frame(b"x" * 70_000) + frame(b"after") + closing()
    assert await hear_tapped(wire, [cut]) == Heard([b"x" * 70_000, b"after"], 1000)


def _text() -> st.SearchStrategy[bytes]:
    return st.one_of(st.text(max_size=200), st.text(alphabet="ab{}", min_size=100, max_size=400)).map(
        str.encode
    )


def _fragmented(message: bytes, at: list[int]) -> bytes:
    bounds = [0, *sorted(cut for cut in at if cut <= len(message)), len(message)]
    parts = [message[start:stop] for start, stop in pairwise(bounds)]
    opcodes = [TEXT] + [CONTINUATION] * (len(parts) - 1)
    return frame(b"", PING).join(
        frame(part, opcode, fin=index == len(parts) - 1)
        for index, (part, opcode) in enumerate(zip(parts, opcodes, strict=True))
    )


GOOD = st.one_of(
    _text().map(frame),
    st.binary(max_size=125).map(lambda payload: frame(payload, PING)),
    st.binary(max_size=125).map(lambda payload: frame(payload, PONG)),
    st.binary(max_size=200).map(lambda payload: frame(payload, BINARY)),
    st.builds(_fragmented, _text(), st.lists(st.integers(0, 200), min_size=1, max_size=3)),
)
BAD = st.one_of(
    st.sampled_from(
        [
            frame(b"\xff", fin=False) + frame(b"\xfe", CONTINUATION),  # not UTF-8
            frame(b"caf\xc3"),
            frame(b"x" * (MAX_MESSAGE_SIZE + 1)),
            frame(b"masked", mask=True),
            frame(b"reserved", reserved=4),
            frame(b"unknown", 3),
            frame(b"continues nothing", CONTINUATION),
            frame(b"begun", fin=False) + frame(b"another"),
            frame(b"cut control", PING, fin=False),
            frame(b"x" * 126, PING),
            bytes([0x81, 126, 0, 5]) + b"short",  # longer forms of the length than needed
            bytes([0x81, 127, 0, 0, 0, 0, 0, 0, 0, 5]) + b"short",
            bytes([0x81, 127, 0x80, 0, 0, 0, 0, 0, 0, 5]) + b"short",
            closing(1005),
            closing(99),
            frame(b"\x03", 8),
            closing(1000, b"\xff"),
        ]
    ),
    st.binary(min_size=9, max_size=20).map(lambda noise: b"\x70" + noise),
)
ENDS = st.sampled_from([closing(), closing(1001, b"leaving"), closing(4001), frame(b"", 8), b""])


@given(st.lists(GOOD, max_size=6), ENDS, st.lists(st.integers(-150, 1500), max_size=8))
async def test_good_wires_are_heard_alike(frames: list[bytes], end: bytes, cuts: list[int]) -> None:
    wire = b"".join(frames) + end
    heard, expected = await hear_tapped(wire, cuts), await hear_untapped(wire)
    assert heard == expected
    assert heard.answers == expected.answers


@given(
    st.lists(GOOD, max_size=4), BAD, st.lists(GOOD, max_size=2), st.lists(st.integers(-150, 3000), max_size=8)
)
async def test_bad_wires_are_refused_alike(
    before: list[bytes], bad: bytes, after: list[bytes], cuts: list[int]
) -> None:
    good = await hear_untapped(b"".join(before))
    wire = b"".join([*before, bad, *after])
    heard = await hear_tapped(wire, cuts)
    assert heard.messages == good.messages
    expected = await hear_untapped(b"".join([*before, bad]))
    assert (heard.code, heard.answers) == (expected.code, expected.owed)
    assert heard.code in (1002, 1007, 1009)


@given(st.binary(max_size=60), st.lists(st.integers(0, 60), max_size=5))
async def test_noise_is_heard_alike(noise: bytes, cuts: list[int]) -> None:
    assert (await hear_tapped(noise, cuts)).messages == (await hear_untapped(noise)).messages


@given(st.lists(GOOD, min_size=1, max_size=4), st.data())
async def test_what_a_cut_connection_brought_whole_is_heard(frames: list[bytes], data: st.DataObject) -> None:
    wire = b"".join(frames)
    wire = wire[: data.draw(st.integers(0, len(wire) - 1))]
    assert await hear_tapped(wire) == await hear_untapped(wire)


@pytest.mark.parametrize("bad", [b"\xff\xfe", b"caf\xc3", b"\xed\xa0\x80" + b"x" * 300])
async def test_text_that_is_not_utf8_ends_the_connection_after_what_came_before(bad: bytes) -> None:
    valid = [b"before", "naïve".encode() * 30, b"x" * 200]
    wire = b"".join(map(frame, [*valid, bad, b"after"])) + closing()
    for cut in range(1, len(wire)):
        assert await hear_tapped(wire, [cut]) == Heard(valid, 1007)


async def test_nothing_is_heard_after_a_closing_frame() -> None:
    assert await hear_tapped(frame(b"before") + closing() + frame(b"after")) == Heard([b"before"], 1000)


@pytest.mark.parametrize(
    ("bad", "code"),
    [
        (frame(b"\xff", fin=False) + frame(b"", CONTINUATION), 1007),
        (frame(b"x" * 200 + b"\xff"), 1007),
        (frame(b"m", mask=True), 1002),
        (frame(b"x" * 2001), 1009),
    ],
)
async def test_the_peer_is_told_what_it_did_wrong(bad: bytes, code: int) -> None:
    client, server = trio.testing.memory_stream_pair()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(play, server, bad, ())
        async with tapped(client) as websocket:
            with pytest.raises(ConnectionLost) as lost:
                await anext(websocket.runs())
    assert lost.value.code == websocket.close_code == code
    told = b"".join([chunk async for chunk in server])
    assert _unmasked(told)[:2] == code.to_bytes(2)


def _unmasked(masked: bytes) -> bytes:
    """The payload of the one short masked control frame."""
    assert masked[1] == 0x80 | len(masked) - 6
    return bytes(byte ^ masked[2 + index % 4] for index, byte in enumerate(masked[6:]))


async def test_pings_are_answered_between_tapped_frames() -> None:
    client, server = trio.testing.memory_stream_pair()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(play, server, frame(b"a") + frame(b"payload", PING) + frame(b"b") + closing(), ())
        async with tapped(client) as websocket:
            assert [message async for run in websocket.runs() for message in run.frames] == [b"a", b"b"]
    told = await server.receive_some()
    assert told[0] == 0x8A
    assert _unmasked(told[:13]) == b"payload"


async def test_a_slow_consumer_stops_the_reading() -> None:
    """Past the limit nothing is read but what one read brings, until the consumer takes what waits."""
    client, server = trio.testing.lockstep_stream_pair()
    sent = 0

    async def send() -> None:
        nonlocal sent
        await server.send_all(response(await read_request(server)))
        for _ in range(20):
            await server.send_all(frame(b"x" * 100))
            sent += 1
        await server.send_all(closing())
        await server.receive_some()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(send)
        async with tapped(client, pending_limit=500) as websocket:
            await trio.testing.wait_all_tasks_blocked()
            assert sent == 5
            runs = websocket.runs()
            assert len((await anext(runs)).frames) == 5
            await trio.testing.wait_all_tasks_blocked()
            assert sent == 10
            assert sum([len(run.frames) async for run in runs]) == 15


async def test_a_consumer_that_never_comes_does_not_hold_up_the_end() -> None:
    client, server = trio.testing.memory_stream_pair()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(play, server, frame(b"x" * 1000) * 50 + closing(), ())
        async with tapped(client, pending_limit=500):
            await trio.testing.wait_all_tasks_blocked()
    with pytest.raises(trio.ClosedResourceError):
        await client.receive_some()
