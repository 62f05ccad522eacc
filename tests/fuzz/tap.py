"""Feed WebSocket frames, right and wrong, to the frame tap and to trio-websocket alone, and compare.

    python tests/fuzz/tap.py [--runs 5000] [--seed N]

Of every stream of bytes both must make the same messages, the same answers (pongs, closing codes) and the
same end, however it is cut. The first that they do not agree on ends the run; its number, given as ``--seed``
with ``--runs 1``, makes it again.
"""

import argparse
import random
import sys
from pathlib import Path

import trio
from wsproto.utilities import LocalProtocolError

TESTS = Path(__file__).parents[1]
sys.path[:0] = [str(TESTS.parent), str(TESTS / "actors")]

import websocket_wire  # noqa: E402 - the path is set first
from websocket_wire import (  # noqa: E402
    BINARY,
    CLOSE,
    CONTINUATION,
    PING,
    PONG,
    TEXT,
    Heard,
    frame,
    hear_tapped,
    hear_untapped,
)

#: Lengths around what a header's forms, control frames and the limits on messages tell apart.
LENGTHS = (0, 1, 2, 3, 5, 124, 125, 126, 127, 128, 206, 1_999, 2_000, 2_001, 65_535, 65_536, 70_000)
LIMITS = (2_000, 2_000, 1 << 16, 1 << 17)
LETTERS = "a{}0é€𝄞"
CODES = (1000, 1001, 1002, 1003, 1007, 1008, 1009, 1011, 3000, 4999, 999, 1004, 1005, 1006, 1015, 2000, 5000)


def payload(draw: random.Random) -> bytes:
    """Text, mostly; now and then bytes that are none."""
    length = draw.choice(LENGTHS[:11]) if draw.random() < 0.9 else draw.choice(LENGTHS)
    if draw.random() < 0.1:
        return draw.randbytes(min(length, 300))
    text = "".join(draw.choices(LETTERS, k=min(length, 40)))
    return (text * (length // max(1, len(text)) + 1)).encode()[:length] if text else b""


def message(draw: random.Random) -> bytes:
    """One message, whole or in fragments with control frames in between."""
    said, opcode = payload(draw), draw.choice((TEXT, TEXT, TEXT, BINARY))
    if draw.random() < 0.7:
        return frame(said, opcode)
    bounds = sorted(draw.choices(range(len(said) + 1), k=draw.randint(1, 3)))
    wire, begun = b"", 0
    for end in bounds:
        wire += frame(said[begun:end], CONTINUATION if wire else opcode, fin=False)
        wire += control(draw) if draw.random() < 0.3 else b""
        begun = end
    return wire + frame(said[begun:], CONTINUATION)


def control(draw: random.Random) -> bytes:
    return frame(payload(draw)[:125], draw.choice((PING, PONG)))


def ending(draw: random.Random) -> bytes:
    if draw.random() < 0.2:
        return frame(draw.randbytes(draw.randint(0, 5)), CLOSE)
    reason = payload(draw)[: draw.choice((0, 5, 123, 123, 125))]
    return frame(draw.choice(CODES).to_bytes(2) + reason, CLOSE)


def anything(draw: random.Random) -> bytes:
    """A frame of any opcode, with any bits set."""
    wrong = draw.random() < 0.5
    return frame(
        payload(draw),
        draw.randrange(16),
        fin=draw.random() < 0.7,
        reserved=draw.choice((0, 0, 1, 2, 4)) if wrong else 0,
        mask=wrong and draw.random() < 0.3,
    )


def longer_header(draw: random.Random) -> bytes:
    """A length in more bytes than it needs, or with its first bit set."""
    form, size = draw.choice(((126, 2), (127, 8)))
    length = draw.choice((0, 5, 125, 126, 65_535)) & (1 << 8 * size) - 1
    top = draw.choice((0, 0, 0x80)) if size == 8 else 0
    return bytes((0x80 | TEXT, form, *(length | top << 56).to_bytes(size))) + b"x" * min(length, 300)


def wire(draw: random.Random) -> bytes:
    makers = draw.choices((message, control, anything, longer_header), (30, 10, 2, 1), k=draw.randint(0, 8))
    made = bytearray(b"".join(maker(draw) for maker in makers))
    if draw.random() < 0.7:
        made += ending(draw) + (message(draw) if draw.random() < 0.2 else b"")
    if made and draw.random() < 0.2:
        made[draw.randrange(len(made))] ^= 1 << draw.randrange(8)
    if draw.random() < 0.1:
        del made[draw.randint(0, len(made)) :]
    return bytes(made)


def cuts(draw: random.Random, length: int) -> list[int]:
    """Where it is cut: nowhere, at some places, or everywhere in a part of it."""
    begin = draw.randint(-10, max(0, length))
    everywhere = range(begin, min(begin + 40, length))
    return draw.choice(([], draw.choices(range(-10, length + 1), k=draw.randint(1, 6)), list(everywhere)))


def told(alone: Heard) -> int:
    """Return the code that trio-websocket ended with: the first that it sent; later ones do not count."""
    sent = (int.from_bytes(code) for opcode, code in alone.owed if opcode == CLOSE)
    return next(sent, 0) or alone.code


async def compare(seed: int) -> str:
    """Return how the two differ over one stream, "" where they agree."""
    draw = random.Random(seed)
    websocket_wire.MAX_MESSAGE_SIZE = draw.choice(LIMITS)
    sent = wire(draw)
    places = cuts(draw, len(sent))
    with trio.fail_after(10):
        tapped = await hear_tapped(sent, places)
        try:
            alone = await hear_untapped(sent, places)
        except* LocalProtocolError:  # it trips over what comes after a message that was too long
            alone = tapped
    same = (tapped.messages, tapped.answers) == (alone.messages, alone.owed)
    if same and tapped.code == told(alone):
        return ""
    return f"{seed}: {sent[:400]!r} cut at {places}\n  the tap: {tapped}\n  trio-websocket: {alone}"


async def main() -> None:
    parser = argparse.ArgumentParser(description="Compare the frame tap with trio-websocket alone.")
    parser.add_argument("--runs", type=int, default=5_000, metavar="N", help="streams (default: 5000)")
    parser.add_argument(
        "--seed", type=int, default=1, metavar="N", help="the number of the first (default: 1)"
    )
    asked = parser.parse_args()
    for seed in range(asked.seed, asked.seed + asked.runs):
        if difference := await compare(seed):
            sys.exit(difference)
    print(f"{asked.runs} streams, from {asked.seed} on: heard alike")


if __name__ == "__main__":
    trio.run(main)
