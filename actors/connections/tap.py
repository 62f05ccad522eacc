"""Whole text frames straight from the socket, past the WebSocket library that reads everything else.

The tap is a stream between the socket and trio-websocket. It takes whole, unfragmented text messages
(RFC 6455, section 5.2) out of what it reads, and hands the rest on unread: the opening handshake, control
frames, binary and fragmented messages, and all that breaks the protocol, text that is not UTF-8 too. So there
is one judge of what a peer may send.
"""

import re
import struct

import trio

from actors.connections.frames import Inbox
from actors.connections.framing import (
    BINARY,
    CLOSE,
    CONTINUATION,
    LONGEST_HEADER,
    MALFORMED,
    TEXT,
    Header,
    frame_size,
    read_header,
)
from actors.connections.gathering import Gathering

_HEAD_END = re.compile(rb"\n\r?\n")
_SWITCHING = re.compile(rb"HTTP/\d\.\d 101\b")
_ALL = 1 << 63

#: A header's first four bytes, in two numbers. A whole text message of up to 125 bytes begins with ``_SHORT``
#: plus its length, one of up to 64 KiB with ``_MEDIUM`` and its length.
_HEADER = struct.Struct(">HH").unpack_from
_SHORT, _MEDIUM = 0x8100, 0x817E


class HandshakeCutError(Exception):
    """The opening handshake failed: ``head`` is what the server answered ("" where it only hung up)."""

    def __init__(self, head: str, failure: str | None = None) -> None:
        super().__init__(head)
        self.head = head
        self.failure = failure


class FrameTap(trio.abc.Stream):
    """A client's side of ``transport``: tapped frames go to ``inbox``, the rest to whoever reads this stream.

    One task reads. Order is kept: after a message was handed on, nothing is tapped until ``give_back``
    brings it.
    """

    def __init__(self, transport: trio.abc.Stream, inbox: Inbox, max_message_size: int) -> None:
        self._transport = transport
        self._inbox = inbox
        self._gathering = Gathering()
        self._tapped = 0  # messages of the last read
        self._max_message_size = max_message_size
        self._sending = trio.Lock()
        self._head = bytearray()
        self._buffer = b""
        self._wanted = 1  # bytes the buffer must hold before looking at it again makes sense
        self._passing = 0  # bytes still to hand on before the next frame
        self._in_message = False  # a fragmented message has begun
        self._ends_message = False  # the frame being handed on ends a message
        self._handed_on = 0
        self._given_back = 0
        self._returned = trio.Event()
        self.open = False  # the opening handshake is over
        self.close_sent = False
        self.torn = False  # a send was cut short: nothing more can be sent
        self.failure: str | None = None  # what the transport said when it broke

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        """Send whole frames. Raises BrokenResourceError once one was cut short."""
        async with self._sending:
            if self.torn:
                raise trio.BrokenResourceError("an earlier message was cut short")
            if self.open and data and data[0] & 0x0F == CLOSE:
                self.close_sent = True
            self.torn = True
            await self._transport.send_all(data)
            self.torn = False

    async def wait_send_all_might_not_block(self) -> None:
        """Wait until the transport might take more."""
        await self._transport.wait_send_all_might_not_block()

    async def aclose(self) -> None:
        """Close the transport. Raises HandshakeCutError where the library gives up the handshake."""
        await self._transport.aclose()
        if not self.open:
            raise self._cut()

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        """Return the next bytes that are not tapped, however many (the library sets no limit); b"" at EOF.

        Raises HandshakeCutError where the opening handshake is cut short or refused.
        """
        while self._given_back < self._handed_on:
            self._returned = trio.Event()
            await self._returned.wait()
        while not (passed := self._advance()):
            await self._inbox.room()
            if pause := self._gathering.pause(trio.current_time(), self._tapped):
                await trio.sleep(pause)
            if not await self._fill():
                if not self.open:
                    raise self._cut()
                return self._take(len(self._buffer))  # a part of a frame: the library judges what there is
        return passed

    def give_back(self, message: bytes) -> None:
        """Take a message that the library read into its place among the tapped ones."""
        self._inbox.put([message], len(message))
        self._given_back += 1
        self._returned.set()

    def stop_waiting(self) -> None:
        """Expect no more messages from the library, and tap none: it has ended."""
        self._given_back = self._passing = _ALL
        self._returned.set()

    async def _fill(self) -> bool:
        """Read from the transport until the frame in hand may be whole; False at EOF."""
        chunks: list[bytes | bytearray] = [self._buffer] if self._buffer else []
        have = len(self._buffer)
        while True:
            try:
                chunk = await self._transport.receive_some()
            except trio.BrokenResourceError as error:
                self.failure = str(error.__cause__ or error)
                if not self.open:
                    raise self._cut() from error
                raise
            if not chunk:
                self._buffer = b"".join(chunks)
                return False
            chunks.append(chunk)
            have += len(chunk)
            if have >= self._wanted:
                break
        self._inbox.stamp()
        self._buffer = b"".join(chunks)  # a single one is not copied
        self._wanted = 1
        self._tapped = 0
        return True

    def _advance(self) -> bytes:
        """Tap what can be tapped; return what comes before the next tappable frame (b"": read more)."""
        if not self._passing:
            if not self.open:
                return self._pass_head()
            self._look(read_header(self._buffer) if self._in_message else self._tap())
        return self._pass()

    def _pass_head(self) -> bytes:
        """Hand on the HTTP response, which frames follow. Raises HandshakeCutError where it is a refusal."""
        before = len(self._head)
        self._head += self._buffer
        end = _HEAD_END.search(self._head, max(before - 2, 0))
        if end is None:
            return self._take(len(self._buffer))
        if not _SWITCHING.match(self._head):
            raise self._cut()
        self.open = True
        return self._take(end.end() - before)

    def _cut(self) -> HandshakeCutError:
        return HandshakeCutError(self._head.decode("latin-1"), self.failure)

    def _tap(self) -> Header | None:
        """Move the text messages at the head of the buffer to the inbox; return the next frame's header."""
        data = self._buffer
        at, end = 0, len(data)
        messages: list[bytes] = []
        while True:
            while at + 4 <= end:
                first, length = _HEADER(data, at)
                if first == _MEDIUM and length > 125:
                    start = at + 4
                elif _SHORT <= first < _MEDIUM:
                    start, length = at + 2, first - _SHORT
                else:
                    break
                stop = start + length
                if stop > end or length > self._max_message_size:
                    break
                messages.append(data[start:stop])
                at = stop
            # What stopped the loop may be a long message, or the last of the buffer and tiny.
            header = read_header(data[at : at + LONGEST_HEADER])
            if header is None or not self._is_text(header) or at + header.size > end:
                break
            at += header.size
            messages.append(data[at - header.length : at])
        if not all(map(bytes.isascii, messages)):
            valid = _count_valid(messages)
            if valid < len(messages):
                del messages[valid:]
                at = sum(frame_size(len(message)) for message in messages)
                header = read_header(data[at : at + LONGEST_HEADER])
        self._inbox.put(messages, at)
        self._tapped += len(messages)
        self._buffer = data[at:]
        return header

    def _is_text(self, header: Header) -> bool:
        return header.fin and header.opcode == TEXT and header.length <= self._max_message_size

    def _look(self, header: Header | None) -> None:
        """Decide about the frame at the head of the buffer, not tapped: await its rest, or hand it on."""
        if header is None:
            self._wanted = len(self._buffer) + 1
        elif header is MALFORMED or header.opcode == CLOSE or not self._in_order(header):
            self._passing = _ALL
        elif self._is_text(header) and header.size > len(self._buffer):
            self._wanted = header.size
        else:
            self._passing = header.size
            if header.opcode <= BINARY:
                self._in_message = not header.fin
                self._ends_message = header.fin

    def _in_order(self, header: Header) -> bool:
        """Continuations continue something, and nothing else comes in between but control frames."""
        return header.opcode > BINARY or (header.opcode == CONTINUATION) == self._in_message

    def _pass(self) -> bytes:
        passed = self._take(min(self._passing, len(self._buffer)))
        if self._passing != _ALL:
            self._passing -= len(passed)
            if not self._passing and self._ends_message:
                self._ends_message = False
                self._handed_on += 1
        return passed

    def _take(self, count: int) -> bytes:
        taken, self._buffer = self._buffer[:count], self._buffer[count:]
        return taken


def _count_valid(messages: list[bytes]) -> int:
    """Return how many of the first messages are UTF-8, all of them or those before one that is not."""
    for number, message in enumerate(messages):
        try:
            message.decode()
        except UnicodeDecodeError:
            return number
    return len(messages)
