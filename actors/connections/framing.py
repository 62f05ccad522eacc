"""The framing of WebSocket messages (RFC 6455, section 5.2)."""

from typing import NamedTuple

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0x0, 0x1, 0x2, 0x8, 0x9, 0xA
WHOLE = 0x80  # FIN, in a frame's first byte beside the opcode

#: A server's header has at most so many bytes.
LONGEST_HEADER = 10

_OPCODES = frozenset({CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG})


class Header(NamedTuple):
    """A frame's header: the payload is ``length`` bytes long, the header and it ``size``."""

    fin: bool
    opcode: int
    size: int
    length: int


#: What ``read_header`` returns for a header that no server may send.
MALFORMED = Header(fin=False, opcode=-1, size=0, length=0)


def read_header(data: bytes) -> Header | None:
    """Read the header of a server's frame that ``data`` begins with; None where it is incomplete."""
    if len(data) < 2:
        return None
    first, second = data[0], data[1]
    fin, opcode, length = first >= 0x80, first & 0x0F, second & 0x7F
    breaks_control = opcode >= CLOSE and (not fin or length > 125)
    if first & 0x70 or second & 0x80 or opcode not in _OPCODES or breaks_control:
        return MALFORMED
    extended = {126: 2, 127: 8}.get(length, 0)
    if len(data) < 2 + extended:
        return None
    if extended:
        length = int.from_bytes(data[2 : 2 + extended])
        if length < (126 if extended == 2 else 1 << 16) or length >> 63:
            return MALFORMED
    return Header(fin, opcode, 2 + extended + length, length)


def frame_size(length: int) -> int:
    """Return how long a server's frame with a payload of ``length`` bytes is."""
    return length + (2 if length < 126 else 4 if length < 1 << 16 else LONGEST_HEADER)


def message_frame(payload: bytes) -> bytes:
    """Frame a whole message as a server does, unmasked: as text, or as binary where it is not UTF-8."""
    length, first = len(payload), WHOLE | (TEXT if _is_utf8(payload) else BINARY)
    if length < 126:
        return bytes((first, length)) + payload
    if length < 1 << 16:
        return bytes((first, 126)) + length.to_bytes(2) + payload
    return bytes((first, 127)) + length.to_bytes(8) + payload


def _is_utf8(payload: bytes) -> bool:
    try:
        return payload.isascii() or bool(payload.decode())
    except UnicodeDecodeError:
        return False
